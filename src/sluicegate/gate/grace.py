"""What to make of a client that has said nothing, or half a word, when the grace is over. Pure but for the desk."""

from __future__ import annotations

from dataclasses import replace

from sluicegate.facts import Facts, Protocol, Verdict
from sluicegate.gate.desk import Desk


def waits(desk: Desk, base: Facts) -> bool:
    """Whether a client that said nothing may still say what decides; else it is judged by name and port."""
    facts = replace(base, protocol=Protocol.SERVER_FIRST)
    decision = desk.judge(facts)
    sure = decision.verdict is Verdict.ALLOW and not decision.observed
    named = facts.synthetic is not None or facts.target is not None
    if not sure and not named and desk.may_be_named(decision.port):
        return True  # its hello or Host may yet name it
    denied = decision.verdict is Verdict.DENY
    # Its request may yet be one that a rule allows.
    return denied and desk.preliminary(facts).verdict is Verdict.ALLOW


def opaque(desk: Desk, base: Facts) -> bool | None:
    """Whether half a word is let through as opaque; None: it may yet be a request that a rule allows."""
    facts = replace(base, protocol=Protocol.OPAQUE)
    decision = desk.judge(facts)
    if decision.rule == "protocol":
        return None
    if decision.verdict is Verdict.ALLOW:
        return True
    return False if desk.preliminary(facts).verdict is Verdict.DENY else None
