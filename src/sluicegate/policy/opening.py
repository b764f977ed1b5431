"""Whose TLS the policies can make the gate open: the upper bound that the run's authority is limited to. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

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
