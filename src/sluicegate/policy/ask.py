"""What a person may be asked about while a run goes on, and what the answer decides. Pure.

`run --ask` marks every policy of the run. A person can allow a destination that no policy names: nothing that a rule
denies, narrows or would look into, and no internal address.
"""

from __future__ import annotations

from dataclasses import replace

from sluicegate.facts import Decision, Facts, Protocol, Verdict
from sluicegate.policy import decide as policy
from sluicegate.policy.decide import COMMON_METHODS, Subject
from sluicegate.policy.model import Policy
from sluicegate.policy.opening import opens
from sluicegate.wire.addresses import internal

# The rule of what an answer decided.
RULE = "ask"
# For the one connection that was asked about; for the run; the same, and its line goes into the policy.
ONCE, RUN, POLICY = "once", "run", "policy"
DENY, UNANSWERED = "deny", "unanswered"
WORDS = {
    ONCE: "a person allowed it once",
    RUN: "a person allowed it for this run",
    POLICY: "a person added it to the policy",
    DENY: "a person denied it",
    UNANSWERED: "nobody answered",
}
ALLOWING = frozenset((ONCE, RUN, POLICY))
# Questions of one run. Who is asked more often no longer reads them; what comes after is denied unasked.
MAX_QUESTIONS = 100


def where(decision: Decision) -> tuple[str, int]:
    """The destination that `decision` is about: name or bare address, and port."""
    return decision.name or decision.address or "", decision.port


def askable(policies: tuple[Policy, ...], facts: Facts, decision: Decision) -> bool:
    """Whether `decision`, which the policies give without any answer, may be a person's instead."""
    if not policies or not all(one.ask for one in policies):
        return False
    if decision.verdict is Verdict.ALLOW or decision.rule != "default" or not decision.port:
        return False
    if facts.protocol is Protocol.HTTPS or facts.method not in {None, *COMMON_METHODS}:
        return False
    if decision.address is not None and internal(decision.address) is not None:
        return False
    if opens(policies, replace(facts, protocol=Protocol.TLS)):
        return False
    about = Subject(decision.name, decision.address, decision.port)
    return all(_unknown(one, facts, about) for one in policies)


def settled(policies: tuple[Policy, ...], facts: Facts, decision: Decision) -> Decision:
    """`decision`, or what the answer in `facts` makes of it."""
    if facts.answer is None or not askable(policies, facts, decision):
        return decision
    allowed = facts.answer in ALLOWING
    host, port = where(decision)
    return replace(
        decision,
        verdict=Verdict.ALLOW if allowed else Verdict.DENY,
        rule=RULE,
        reason=f"no rule allows {host} port {port}; {WORDS[facts.answer]}",
        remedy=None if allowed else decision.remedy,
    )


def _unknown(one: Policy, facts: Facts, about: Subject) -> bool:
    """Whether this policy allows it anyway, or has no allow rule about the destination at all."""
    rules = [rule for rule in one.allow if about.port in rule.ports and policy.names(rule, about)]
    alone = (replace(one, observe=False),)
    allowed = policy.decide(alone, facts) if rules else None
    return allowed is None or allowed.verdict is Verdict.ALLOW
