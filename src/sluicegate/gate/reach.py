"""SHELL. From an allowed action to a connected socket: look-up, admission of the answers, connecting."""

from __future__ import annotations

import socket
from collections.abc import Callable

from sluicegate import moments
from sluicegate.facts import Decision
from sluicegate.gate.desk import Deed, Desk
from sluicegate.gate.dial import Dial

# The socket; or the decision that refuses the answers; or the sentence that says why there is none.
Done = Callable[[socket.socket | Decision | str], None]


class Reach:
    """After `start`, `done` is called once, maybe before `start` returns; `cancel` ends it without a call."""

    def __init__(self, desk: Desk, deed: Deed, done: Done) -> None:
        self._desk, self._deed, self._done = desk, deed, done
        self._dial: Dial | None = None
        self._over = False

    def start(self) -> None:
        decision = self._deed.decision
        if decision.name is None:
            self._answered((decision.address or self._deed.facts.address,))
        else:
            self._desk.lookup.ask(decision.name, self._desk.loop.now, self._answered)

    def cancel(self) -> None:
        self._over = True
        if self._dial is not None:
            self._dial.cancel()

    def _answered(self, addresses: tuple[str, ...]) -> None:
        if self._over:
            return
        if not addresses:
            self._done("the name has no address")
            return
        good, denied = self._desk.admitted(self._deed.decision, addresses)
        if denied is not None:
            self._deed.found(good)
            self._deed.address_count = len(addresses)
            self._done(denied)
            return
        self._deed.found(good)
        limits, port = self._desk.limits, self._deed.decision.port
        moments.reached("gate: about to dial")
        self._dial = Dial(self._desk.loop, self._deed.addresses, port, limits, self._connected)
        self._dial.start()

    def _connected(self, peer: socket.socket | None, what: str) -> None:
        self._dial = None
        if peer is None:
            self._done(f"the destination can not be reached: {what}")
            return
        self._deed.peer = what
        self._done(peer)
