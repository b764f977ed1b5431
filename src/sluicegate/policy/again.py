"""What was seen, decided again under other policies, as far as a record can say. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sluicegate.facts import Decision, Facts, Protocol, Verdict
from sluicegate.policy import conditions
from sluicegate.policy import decide as deciding
from sluicegate.policy.model import Policy, Rule
from sluicegate.policy.opening import opened, opens
from sluicegate.policy.seen import Seen

_OPENS = "its TLS would be opened, and what was asked inside is not on record"
_CONDITIONS = "it depends on a query or header that is not on record"
_PROXY = "a proxy was asked for it, and what would have followed is not on record"
_CUT = "it was refused by what policies do not say: a limit, a secret, or what the server could not prove"


@dataclass(frozen=True, slots=True)
class Again:
    """`passes` None: the record does not say; `rule` and `reason` are the new policies', or say what is not known."""

    passes: bool | None
    rule: str
    reason: str


class Judge:
    """Policies to hold against what was seen."""

    def __init__(self, policies: tuple[Policy, ...]) -> None:
        self._policies = policies
        self._loose = deciding.relaxed(policies)

    def again(self, seen: Seen) -> Again:
        """What the policies say of it. Limits are not counted again, nor is anything looked for in it."""
        made = self._decision(seen)
        if isinstance(made, Again):
            return made
        passes = made.verdict is Verdict.ALLOW
        if passes and seen.addresses and made.name is not None:
            good, refused = deciding.answered(self._policies, made, seen.addresses)
            if refused is not None:
                return Again(False, refused.rule, refused.reason)
            if seen.peer is not None and seen.peer not in good:
                return Again(False, "internal-address", f"{seen.peer} would not be dialled")
        if passes and seen.beyond:
            return Again(None, seen.rule, f"{_CUT}: {seen.reason}")
        return Again(passes, made.rule, made.reason)

    def _decision(self, seen: Seen) -> Decision | Again:
        facts = seen.facts
        if seen.asked:
            made = deciding.preliminary(self._loose, facts)
            return made if made.verdict is Verdict.DENY else Again(None, "proxy", _PROXY)
        if facts.protocol is Protocol.TLS:
            if not opens(self._policies, facts):
                return deciding.decide(self._policies, facts)
            made = opened(self._policies, self._loose, facts)
            known = made.verdict is Verdict.DENY or seen.opened
            return made if known else Again(None, "opened", _OPENS)
        if facts.protocol is Protocol.HTTPS:
            hello = outside(facts)
            if not opens(self._policies, hello):
                return deciding.decide(self._policies, hello)
        return self._request(seen)

    def _request(self, seen: Seen) -> Decision | Again:
        """By both: as if whatever is not on record met no condition of a rule, and as if it met all of them."""
        facts = seen.facts
        if facts.method is None:
            return deciding.decide(self._policies, facts)
        wanted = deciding.named(self._policies)
        params = {conditions.loose_name(name) for name in seen.named[0]}
        names = {conditions.header_name(name) for name in seen.named[1]}
        asked = "?" in (facts.path or "")
        lost = (
            frozenset(n for n in wanted[0] if asked and conditions.loose_name(n) not in params),
            frozenset(n for n in wanted[1] if conditions.header_name(n) not in names),
        )
        if not any(lost):
            return deciding.decide(self._policies, facts)
        made = [
            deciding.decide(
                tuple(_guess(policy, lost, met=met) for policy in self._policies), facts
            )
            for met in (False, True)
        ]
        same = made[0].verdict is made[1].verdict
        return made[0] if same else Again(None, "conditions", _CONDITIONS)


def outside(facts: Facts) -> Facts:
    """The TLS connection that a request came in."""
    return replace(
        facts,
        protocol=Protocol.TLS,
        host=None,
        host_port=None,
        method=None,
        path=None,
        query=(),
        headers=(),
    )


def _guess(policy: Policy, lost: tuple[frozenset[str], frozenset[str]], *, met: bool) -> Policy:
    """The policy if conditions on what is `lost` were `met` in allow rules and not in deny rules, or the reverse."""
    allow = (rule if not _about(rule, lost) else _without(rule, lost) for rule in policy.allow)
    deny = (rule if not _about(rule, lost) else _without(rule, lost) for rule in policy.deny)
    if met:
        return replace(
            policy,
            allow=tuple(allow),
            deny=tuple(rule for rule in policy.deny if not _about(rule, lost)),
        )
    return replace(
        policy,
        allow=tuple(rule for rule in policy.allow if not _about(rule, lost)),
        deny=tuple(deny),
    )


def _about(rule: Rule, lost: tuple[frozenset[str], frozenset[str]]) -> bool:
    return any(n in lost[0] for n, _ in rule.query) or any(n in lost[1] for n, _ in rule.headers)


def _without(rule: Rule, lost: tuple[frozenset[str], frozenset[str]]) -> Rule:
    return replace(
        rule,
        query=tuple(pair for pair in rule.query if pair[0] not in lost[0]),
        headers=tuple(pair for pair in rule.headers if pair[0] not in lost[1]),
    )
