"""SHELL. The client's way of a TLS flow, held until no second hello can name another server than the first."""

from __future__ import annotations

from dataclasses import replace

from sluicegate.evidence import records
from sluicegate.gate.desk import Deed, Desk
from sluicegate.gate.relay import Relay
from sluicegate.wire.flight import Flight
from sluicegate.wire.tls import ClientHello


class Retry:
    """Begins with `start`, when the first hello is on its way; ends with the relay released or reset."""

    def __init__(
        self, desk: Desk, who: records.Client, relay: Relay, deed: Deed, hello: ClientHello
    ) -> None:
        self._desk, self._who, self._relay, self._deed = desk, who, relay, deed
        self._flight = Flight(hello)
        relay.hold(self._readable)

    def start(self, rest: bytes) -> None:
        """`rest` is what came together with the first hello."""
        if rest and not self._relay.over:
            self._step(self._flight.received(rest))

    def _readable(self) -> None:
        data = self._relay.heard()
        if data is not None:
            self._step(self._flight.received(data) if data else self._flight.ended())

    def _step(self, out: bytes) -> None:
        if self._flight.refusal:
            self._refuse()
        elif self._flight.free:
            self._relay.release(out)
        elif out:
            self._relay.pass_on(out)

    def _refuse(self) -> None:
        relay, deed, second = self._relay, self._deed, self._flight.second
        relay.pause()
        why = self._flight.refusal
        facts = replace(deed.facts, fault=why, answer=None)
        if second is not None:
            facts = replace(facts, sni=second.sni)
        facts, decision = self._desk.alarm(facts) or (facts, self._desk.judge(facts))

        def done() -> None:
            if not relay.over:
                relay.abort(f"refused: {why}")

        self._desk.block(self._who, facts, decision, done, ech=second is not None and second.ech)
