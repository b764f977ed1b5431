"""Whose TLS the policies make the gate open, and whose they can: what the run's authority is limited to. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from sluicegate.facts import Decision, Facts, Protocol, Verdict
from sluicegate.policy import hosts
from sluicegate.policy.decide import decide, names, preliminary, subject
from sluicegate.policy.model import Policy, Rule

# What a rule for this port alone sees needs no opening: it is in the clear.
CLEAR_PORT = 80
Names = frozenset[tuple[str, bool]]


def can_open(policies: tuple[Policy, ...]) -> Names | None:
    """(host, wildcard) of every name whose TLS a flow may make the gate open; empty: none, None: any name at all.

    A wildcard is for the names below the host, as in a rule. A name counts where some policy needs to see inside and
    every enforcing policy has an allow rule for it. None is what `ip` rules lead to, to which any name may point,
    and `inspect: all` where every policy only observes.
    """
    needed: Names | None = frozenset()
    for policy in policies:
        wanted = _needed(policy)
        needed = None if needed is None or wanted is None else needed | wanted
    for policy in policies:
        reached = None if policy.observe else _hosts(policy.allow)
        if reached is not None:
            needed = reached if needed is None else common(needed, reached)
    return needed


def common(one: Names, other: Names) -> Names:
    """The names that are in both."""
    return frozenset(
        {name for name in one if covers(other, *name)}
        | {name for name in other if covers(one, *name)}
    )


def covers(names: Names, host: str, wildcard: bool) -> bool:
    """Whether every name that (`host`, `wildcard`) stands for is among `names`."""
    return (host, wildcard) in names or any((above, True) in names for above in _above(host))


def _above(host: str) -> Iterator[str]:
    while "." in host:
        host = host.partition(".")[2]
        yield host


def _needed(policy: Policy) -> Names | None:
    if policy.inspect == "none":
        return frozenset()
    secret = frozenset(_written(host) for one in policy.secrets for host in one.hosts)
    seen = [rule for rule in (*policy.allow, *policy.deny) if _sees(rule)]
    if policy.inspect == "all":
        if policy.observe:
            return None
        seen += [rule for rule in policy.allow if rule.inspect is not False]
    found = _hosts(seen)
    return None if found is None else found | secret


def _sees(rule: Rule) -> bool:
    """Whether it asks for what only opened TLS shows."""
    asks = rule.methods or rule.paths or rule.query or rule.headers or rule.inspect
    return bool(asks) and rule.ports != (CLEAR_PORT,)


def _hosts(rules: Iterable[Rule]) -> Names | None:
    """What `rules` name; None where one of them is for a network."""
    found = set[tuple[str, bool]]()
    for rule in rules:
        if rule.host is None:
            return None
        found.add((rule.host, rule.wildcard))
    return frozenset(found)


def _written(host: str) -> tuple[str, bool]:
    return host.removeprefix("*."), host.startswith("*.")


def opens(policies: tuple[Policy, ...], facts: Facts) -> bool:
    """Whether the TLS connection of `facts` must be opened, so that each request inside is judged: any policy needs it.

    Names and port alone say so. What has no name, or names that differ, is never opened.
    """
    return any(opener(policy, facts) is not None for policy in policies)


def opener(policy: Policy, facts: Facts) -> str | None:
    """What of one policy needs the TLS connection of `facts` opened: a rule's label, or words; None if nothing does.

    A rule with `inspect: false` about the subject speaks against `inspect: all` and what other allow rules need: it
    allows whatever is inside, so they add nothing. Deny rules and secrets do.
    """
    about = subject(facts)
    wrong = facts.fault is not None or isinstance(about, str)
    if facts.protocol is not Protocol.TLS or wrong or isinstance(about, str) or about.name is None:
        return None
    allow = [r for r in policy.allow if about.port in r.ports and names(r, about)]
    deny = [r for r in policy.deny if about.port in (r.ports or (about.port,)) and names(r, about)]
    closed = any(rule.inspect is False for rule in allow)
    needy = [rule for rule in allow if not closed and (rule.narrow or rule.inspect)]
    needy += [rule for rule in deny if rule.narrow]
    if needy:
        return needy[0].label
    for secret in policy.secrets:
        if hosts.covers(secret.hosts, about.name):
            return f"secret {secret.name}"
    return "inspect: all" if policy.inspect == "all" and not closed else None


def opened(policies: tuple[Policy, ...], loose: tuple[Policy, ...], facts: Facts) -> Decision:
    """The verdict on a TLS connection that `opens`: on name and port, as what is asked inside is judged by itself.

    `loose` are the policies as `decide.relaxed` makes them.
    """
    made = preliminary(loose, facts)
    if made.verdict is Verdict.DENY:
        return decide(policies, facts)
    return replace(made, opened=True)
