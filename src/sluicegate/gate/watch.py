"""SHELL. The kernel's word of every change to the boundary's network, put on record; after one nothing goes on."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable

from sluicegate import jcs
from sluicegate.evidence import counts
from sluicegate.gate.actions import action_id, nothing
from sluicegate.gate.ledger import Ledger
from sluicegate.wire import changes

SHOWN = 3  # different changes in what is said to people
# Datagrams per call, more than the socket's buffer holds: whoever changes things without end starves no one.
TURN_DATAGRAMS = 1024
LOST = "changes that the kernel could not tell"


class Watch:
    """`seen` counts the changes. The first reading with any calls `shut`, and `told` with them once they are on record.

    What follows, while the run is being ended, is on one more receipt at most. A socket that broke down, or lost
    messages, is a change as well.
    """

    def __init__(
        self,
        subscribed: tuple[socket.socket, ...],
        ledger: Ledger,
        shut: Callable[[], None],
        told: Callable[[str], None],
    ) -> None:
        for one in subscribed:
            one.setblocking(False)
        self.sockets = subscribed
        self.seen = 0
        self._kinds: dict[str, int] = {}
        self._ledger, self._shut, self._told = ledger, shut, told

    def readable(self) -> None:
        """Read what has come, from every socket; the first time there is something, put it on record."""
        first, kinds = not self.seen, self._kinds
        for one in self.sockets:
            for what in _read(one):
                name = what if what in kinds or len(kinds) < counts.MAX_KINDS else counts.OTHER
                kinds[name] = kinds.get(name, 0) + 1
                self.seen += 1
        if first and self.seen:
            words = "; ".join(list(kinds)[:SHOWN])
            self._shut()
            self._submit(lambda: self._told(words))

    def flush(self) -> None:
        """Read what is left and put everything on record: the run is ending."""
        self.readable()
        if self._kinds:
            self._submit(nothing)

    def _submit(self, done: Callable[[], None]) -> None:
        groups: list[dict[str, jcs.Json]] = [
            {"what": what, "count": count} for what, count in self._kinds.items()
        ]
        self._ledger.submit(counts.changes(groups, action_id()), done)
        self._kinds = {}


def _read(one: socket.socket) -> list[str]:
    found: list[str] = []
    for _ in range(TURN_DATAGRAMS):
        try:
            found += changes.read(one.recv(changes.READ_BYTES))
        except BlockingIOError:
            break
        except OSError as error:
            found.append(LOST if error.errno == errno.ENOBUFS else "a broken subscription")
            if error.errno != errno.ENOBUFS:
                break
    return found
