"""SHELL. A client that spoke, or finished its first word, only after the server was connected: judged again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from sluicegate.evidence import records
from sluicegate.facts import Decision, Facts, Protocol, Verdict
from sluicegate.gate.desk import Deed, Desk
from sluicegate.gate.machine import Ask, Judge, Machine, Step
from sluicegate.gate.relay import Relay
from sluicegate.gate.retry import Retry

Become = Callable[[Machine, Facts, Decision], None]


def same(one: Decision, other: Decision) -> bool:
    """Whether both decisions lead to the same place."""
    return (one.name, one.address, one.port) == (other.name, other.address, other.port)


class Second:
    """Holds the client's way of `relay` until its first bytes are allowed to go where it leads.

    An HTTP request is given to `become`, if neither side has said anything yet. `word` is what the client had
    said when it was connected, and what the server has been given: its next bytes are judged together with it.
    """

    def __init__(
        self,
        desk: Desk,
        who: records.Client,
        base: Facts,
        relay: Relay,
        deed: Deed,
        become: Become,
        word: bytes = b"",
    ) -> None:
        self._desk, self._who, self._base, self._relay = desk, who, base, relay
        self._deed, self._become = deed, become
        self._machine = Machine(base, desk.names.name, desk.named)
        self._machine.buffer, self._sent = word, len(word)
        self._begun = self._judged = False

    def readable(self) -> None:
        """The client has sent something, or ended."""
        machine = self._machine
        data = self._relay.heard()
        if data is None:
            return
        if not data and len(machine.buffer) == self._sent:
            self._relay.release(b"")
            return
        if not self._begun:
            self._begun = True
            self._desk.loop.after(self._desk.limits.head_s, self._late)
        self._step(machine.received(data) if data else machine.ended())

    def _late(self) -> None:
        if not self._judged and not self._relay.over:
            self._step(self._machine.late())

    def _step(self, step: Step | None) -> None:
        if step is None:
            return
        self._judged = True
        facts = step.facts if isinstance(step, Judge | Ask) else self._base
        if not isinstance(step, Judge):
            facts = replace(facts, fault="a proxy request after the server was connected")
        facts, decision = self._desk.weigh(self._who, facts, self._machine)
        begun = bool(self._relay.bytes_down or self._sent)
        spoken = facts.protocol is Protocol.HTTP and begun
        if decision.verdict is Verdict.ALLOW:
            why = ""
            if decision.opened:
                why = "TLS that is to be opened, begun after the server was connected"
            elif spoken:
                why = "an HTTP request after other bytes of the connection"
            elif not same(decision, self._deed.decision):
                why = "the first bytes name another destination than the connected one"
            if why:
                facts = replace(facts, fault=why, answer=None)
                decision = self._desk.judge(facts)
        self._relay.pause()
        if decision.verdict is Verdict.DENY:
            reason = f"refused: {decision.reason}"
            done = self._refused(reason)
            self._desk.block(self._who, facts, decision, done, ech=self._machine.ech)
        elif facts.protocol is Protocol.HTTP:
            self._become(self._machine, facts, decision)
        elif (facts, decision) == (self._deed.facts, self._deed.decision):
            self._go()
        else:
            # More is known than was recorded, and in observe mode maybe more let through.
            deed = self._deed
            deed.carried(*self._relay.settle())
            what = "a TLS" if facts.protocol is Protocol.TLS else "an opaque"
            reason = f"became {what} connection"
            deed.turn(reason, facts, decision, self._go, ech=self._machine.ech)

    def _go(self) -> None:
        relay, machine = self._relay, self._machine
        if relay.over:
            return
        held, machine.buffer = machine.buffer[self._sent :], b""
        if self._deed.facts.protocol is Protocol.TLS and machine.hello is not None:
            size = machine.hello.size
            retry = Retry(self._desk, self._who, relay, self._deed, machine.hello)
            relay.pass_on(held[:size])
            retry.start(held[size:])
        else:
            relay.release(held)

    def _refused(self, reason: str) -> Callable[[], None]:
        def done() -> None:
            if not self._relay.over:
                self._relay.abort(reason)

        return done
