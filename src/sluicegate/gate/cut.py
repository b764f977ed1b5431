"""SHELL. What ends before its time: an opaque flow that reached a limit, and a client that left before its decision."""

from __future__ import annotations

from sluicegate.evidence import records
from sluicegate.facts import Decision, Facts, Verdict
from sluicegate.gate.actions import nothing
from sluicegate.gate.desk import Asking, Deed, Desk
from sluicegate.gate.relay import Relay


def cut(desk: Desk, who: records.Client, deed: Deed, relay: Relay, denied: Decision) -> None:
    """Record the denial, and reset both sides of `relay`, of which nothing goes up any more, when it is committed."""

    def done() -> None:
        if not relay.over:
            relay.abort(f"refused: {denied.reason}")

    desk.block(who, deed.facts, denied, done)


def gone(desk: Desk, client: records.Client, facts: Facts, asking: Asking, reason: str) -> None:
    """Judge and record what a client left before its decision: it is on record all the same."""
    facts, decision = desk.weigh(client, facts, asking)
    if decision.verdict is Verdict.DENY:
        desk.block(client, facts, decision, nothing)
        return
    deed = Deed(desk, client, facts, decision)
    deed.intend(nothing)
    deed.close(reason)
