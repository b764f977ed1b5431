"""A request whose headers say another method than its first line: it must be allowed as both. Pure.

Some servers do what such a header says (for clients that can send GET and POST alone), others do not know it: so two
that read the same request may do different things.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from sluicegate.facts import Decision, Facts, Verdict
from sluicegate.policy.decide import COMMON_METHODS


def overridden(
    judge: Callable[[Facts], Decision],
    facts: Facts,
    decision: Decision,
    methods: tuple[str, ...],
) -> tuple[Facts, Decision]:
    """`facts` and `decision`, or those of a denial, where one of `methods` is not allowed as the request's own is."""
    if decision.verdict is Verdict.DENY:
        return facts, decision
    for method in methods:
        if method == facts.method:
            continue
        made = judge(replace(facts, method=method))
        if made.verdict is Verdict.DENY or made.observed != decision.observed:
            # Not a text of the client's, which may hold a secret.
            shown = method if method in COMMON_METHODS else "another one"
            why = f"a header says that the method is {shown}, which is not allowed as {facts.method} is"
            denied = replace(facts, fault=why)
            return denied, judge(denied)
    return facts, decision
