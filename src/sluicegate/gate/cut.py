"""SHELL. An opaque flow that reached a limit of what may go up: its denial first, then the reset."""

from __future__ import annotations

from sluicegate.evidence import records
from sluicegate.facts import Decision
from sluicegate.gate.desk import Deed, Desk
from sluicegate.gate.relay import Relay


def cut(desk: Desk, who: records.Client, deed: Deed, relay: Relay, denied: Decision) -> None:
    """Record the denial, and reset both sides of `relay`, of which nothing goes up any more, when it is committed."""

    def done() -> None:
        if not relay.over:
            relay.abort(f"refused: {denied.reason}")

    desk.block(who, deed.facts, denied, done)
