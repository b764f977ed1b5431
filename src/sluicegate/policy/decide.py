"""Policies and facts to a decision: pure, order-free, closed by default."""

from __future__ import annotations

import enum
import functools
import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain

from sluicegate.facts import Decision, Facts, Protocol, Verdict
from sluicegate.policy import conditions, hosts, paths, remedies
from sluicegate.policy.model import Policy, Rule, Secret
from sluicegate.wire.addresses import internal
from sluicegate.wire.names import is_address

# What a rule without `methods` covers. TRACE echoes what a client should not see, PURGE and DEBUG are orders to
# caches and consoles: whoever needs one, or WebDAV's, names it.
COMMON_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
# What a host's well-known ports speak. Anything else there would be a tunnel that its rule does not show.
_SPOKEN = {443: (Protocol.TLS,), 80: (Protocol.HTTP, Protocol.TLS)}
_SEEN_ALWAYS = frozenset((Protocol.SERVER_FIRST, Protocol.HTTPS))
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class Subject:
    """What is judged: a name, a bare address, or both (a bare address that claims a name)."""

    name: str | None
    address: str | None
    port: int


def decide(policies: tuple[Policy, ...], facts: Facts) -> Decision:
    """The verdict of all policies together: every one must allow."""
    port = facts.port if facts.target_port is None else facts.target_port
    if facts.fault is not None:
        return Decision(Verdict.DENY, "fault", facts.fault, port)
    about = subject(facts)
    if isinstance(about, str):
        return Decision(Verdict.DENY, "mismatch", about, port)
    # A bare address is judged as itself first, then by the name it claims, which the gate looks up.
    ways = []
    if about.address is not None:
        ways.append(_judge(policies, facts, about, by_name=False))
    if about.name is not None:
        ways.append(_spoken(policies, facts, _judge(policies, facts, about, by_name=True)))
    plain = [w for w in ways if w.verdict is Verdict.ALLOW and not w.observed]
    observed = [w for w in ways if w.verdict is Verdict.ALLOW]
    return _odd_method(policies, facts, (plain or observed[::-1] or ways[::-1])[0])


def relaxed(policies: tuple[Policy, ...]) -> tuple[Policy, ...]:
    """The policies as far as name and port go: what a tunnel may carry is judged when it is known."""
    return tuple(
        replace(
            policy,
            allow=tuple(
                replace(rule, methods=(), paths=(), query=(), headers=()) for rule in policy.allow
            ),
            deny=tuple(rule for rule in policy.deny if not rule.narrow),
        )
        for policy in policies
    )


def preliminary(loose: tuple[Policy, ...], facts: Facts) -> Decision:
    """The verdict of `relaxed` policies on name and port alone, whatever will be spoken there."""
    return decide(loose, replace(facts, protocol=Protocol.SERVER_FIRST))


def named(policies: tuple[Policy, ...]) -> tuple[frozenset[str], frozenset[str]]:
    """The query parameters and the headers (in lower case) that conditions of any rule are about."""
    rules = [rule for policy in policies for rule in (*policy.allow, *policy.deny)]
    return (
        frozenset(name for rule in rules for name, _ in rule.query),
        frozenset(name for rule in rules for name, _ in rule.headers),
    )


def placed(secrets: tuple[Secret, ...], facts: Facts, decision: Decision) -> tuple[Secret, ...]:
    """Those of `secrets` whose values may be put into the request that `decision` is about.

    Only into opened TLS, and only where the gate looks the name up itself: an address that the client chose gets none.
    """
    name = decision.name if decision.verdict is Verdict.ALLOW else None
    if facts.protocol is not Protocol.HTTPS or facts.method is None or name is None:
        return ()
    return tuple(
        secret
        for secret in secrets
        if hosts.covers(secret.hosts, name)
        and (not secret.methods or facts.method in secret.methods)
    )


def _spoken(policies: tuple[Policy, ...], facts: Facts, decision: Decision) -> Decision:
    """Denied where the bytes are not what the port of a named host speaks; a silent client sent none yet.

    A request inside opened TLS came in what both ports speak. An `ip` rule names address and port themselves, and
    what is spoken there is its author's concern.
    """
    wanted = _SPOKEN.get(decision.port, ())
    if not wanted or facts.protocol in _SEEN_ALWAYS.union(wanted):
        return decision
    if decision.verdict is Verdict.DENY and decision.remedy is None:
        return decision
    observed = bool(policies) and all(policy.observe for policy in policies)
    return replace(
        decision,
        verdict=Verdict.ALLOW if observed else Verdict.DENY,
        rule="protocol",
        reason=f"port {decision.port} of a host is for {' or '.join(p.name for p in wanted)},"
        " and these bytes are not",
        remedy=None,
        observed=observed,
    )


def _odd_method(policies: tuple[Policy, ...], facts: Facts, decision: Decision) -> Decision:
    """Says so where it is the method alone that no rule names."""
    if decision.rule != "default" or facts.method is None or facts.method in COMMON_METHODS:
        return decision
    common = decide(policies, replace(facts, method="GET"))
    if common.verdict is Verdict.DENY:
        return decision
    return replace(
        decision,
        rule="method",
        reason=f"a rule must name the method {facts.method} to allow it",
        remedy=remedies.method(decision.name, decision.address, decision.port, facts.method),
    )


def admit(
    policies: tuple[Policy, ...],
    decision: Decision,
    addresses: tuple[str, ...],
    facts: Facts | None = None,
) -> tuple[tuple[str, ...], str | None]:
    """The addresses the gate may connect to; where there is none, the reason.

    One internal address that no `ip` rule allows refuses the whole answer: a name that points inside is
    not to be trusted with its other addresses. Without `facts`, an `ip` deny rule for some methods or paths
    counts as a deny of the address.
    """
    if decision.verdict is not Verdict.ALLOW:
        return (), decision.reason
    for address in addresses:
        where = internal(address)
        if where is not None and not covered(policies, address, decision.port):
            on = f"port {decision.port}"
            return (), f"{address} is internal ({where}) and no ip rule allows it on {on}"
    good: list[str] = []
    reason = "the name has no address"
    for address in addresses:
        denied = next(_denying(policies, Subject(None, address, decision.port), facts), None)
        if denied is not None:
            reason = f"{address} is denied by {denied.label}"
        else:
            good.append(address)
    return tuple(good), None if good else reason


def answered(
    policies: tuple[Policy, ...], decision: Decision, addresses: tuple[str, ...]
) -> tuple[tuple[str, ...], Decision | None]:
    """The addresses that may be dialled; where there is none, the decision that says why."""
    good, why = admit(policies, decision, addresses)
    if good:
        return good, None
    bare = Facts(Protocol.OPAQUE, addresses[0], decision.port)
    denied = replace(
        decision,
        verdict=Verdict.DENY,
        rule="internal-address",
        reason=why or "no address is admitted",
        remedy=decide(policies, bare).remedy,
        observed=False,
        opened=False,
    )
    return (), denied


def decisive(
    policies: tuple[Policy, ...], decision: Decision, addresses: tuple[str, ...], most: int
) -> tuple[str, ...]:
    """At most `most` of addresses for which `answered` gives no good one, so that it gives none for these either."""
    for address in addresses:
        if internal(address) is not None and not covered(policies, address, decision.port):
            return (address, *(other for other in addresses if other != address))[:most]
    return addresses[:most]


def deciding(policies: tuple[Policy, ...], facts: Facts, decision: Decision) -> tuple[Rule, ...]:
    """Every rule that gives `decision` of these facts; the one named is whichever its author wrote first.

    Empty where no line of a policy decides.
    """
    about = subject(facts)
    if isinstance(about, str) or not policies:
        return ()
    one = Subject(decision.name, decision.address, decision.port)
    found = [_outcome(policy, facts, about, one) for policy in policies]
    least = min(rank for rank, _ in found)
    return tuple(rule for rank, rules in found if rank is least for rule in rules)


def barring(policies: tuple[Policy, ...], address: str, port: int) -> tuple[Rule, ...]:
    """Every rule by which `admit` keeps `address` on `port` from being dialled."""
    return tuple(_denying(policies, Subject(None, address, port), None))


@functools.lru_cache(maxsize=4096)
def is_literal(text: str) -> bool:
    """Whether `text` is an address as a look-up gives it: canonical, a link-local one maybe with its zone."""
    address, mark, zone = text.partition("%")
    return is_address(address) and (not mark or (":" in address and bool(zone) and "%" not in zone))


def subject(facts: Facts) -> Subject | str:
    """What is judged, or the sentence that says which two claims differ."""
    port = facts.port if facts.target_port is None else facts.target_port
    base: str | None = facts.address if facts.synthetic is None else None
    target = facts.target
    if target is not None:
        base = None
        if facts.synthetic is None and is_address(target):
            base, target = target, None
    claims = (
        ("synthetic name", facts.synthetic),
        ("target", target),
        ("sni", facts.sni),
        ("host", facts.host),
    )
    said = [(who, name) for who, name in claims if name is not None]
    for who, other in said[1:]:
        if other != said[0][1]:
            return f"{said[0][0]} {said[0][1]} and {who} {other} differ"
    if facts.host_port is not None and facts.host_port != port:
        return f"host port {facts.host_port} and port {port} differ"
    if not said:
        return Subject(None, base, port)
    first, name = said[0]
    if not is_address(name):
        return Subject(name, base, port)
    if base is not None and name != base:
        return f"address {base} and {first} {name} differ"
    return Subject(None, name, port)


def names(rule: Rule, about: Subject) -> bool:
    """Whether the rule's host or network is about the subject, whatever port and request it asks for."""
    if rule.network is not None:
        return about.address is not None and inside(rule.network, about.address, deny=False)
    if about.name is None:
        return False
    return about.name.endswith(f".{rule.host}") if rule.wildcard else about.name == rule.host


def _judge(
    policies: tuple[Policy, ...], facts: Facts, about: Subject, *, by_name: bool
) -> Decision:
    name = about.name if by_name else None
    address = None if by_name else about.address
    one = Subject(name, address, about.port)
    what = f"{name or address} port {about.port}"
    if facts.protocol is Protocol.HTTPS and facts.method is not None:
        what = f"this {facts.method} request to {what}"
    if not policies:
        reason = f"no policy allows {what}"
        remedy = remedies.remedy(name, address, about.port, facts)
        return Decision(Verdict.DENY, "default", reason, about.port, name, address, remedy)
    found = [_outcome(policy, facts, about, one) for policy in policies]
    rank, rules = min(found, key=lambda outcome: outcome[0])
    rule = next(rules, None)
    observed = rank in {_Rank.WOULD_DENY, _Rank.WOULD_LACK}
    remedy = remedies.remedy(name, address, about.port, facts) if rule is None else None
    if observed and address is not None and (where := internal(address)) is not None:
        reason = f"{address} is internal ({where}) and no ip rule allows it"
        return Decision(Verdict.DENY, "internal-address", reason, about.port, None, address, remedy)
    if rank is _Rank.ALLOWED:
        label, reason = rule.label if rule else "default", f"{what} is allowed"
    elif rule is None:
        label, reason = "default", f"no rule allows {what}"
    else:
        label, reason = rule.label, f"{what} is denied by {rule.label}"
    verdict = Verdict.ALLOW if observed or rank is _Rank.ALLOWED else Verdict.DENY
    return Decision(verdict, label, reason, about.port, name, address, remedy, observed)


class _Rank(enum.IntEnum):
    """What one policy says; of several, the least is what counts."""

    DENIED = 0
    LACKING = 1
    WOULD_DENY = 2
    WOULD_LACK = 3
    ALLOWED = 4


def _outcome(
    policy: Policy, facts: Facts, about: Subject, one: Subject
) -> tuple[_Rank, Iterator[Rule]]:
    """What the policy says, and the rules that say so, in its order."""
    # A deny rule is held against every name and address of the flow, an allow rule against one.
    hits = (rule for rule in policy.deny if _denies(rule, about, facts))
    if (hit := next(hits, None)) is not None:
        return _Rank.WOULD_DENY if policy.observe else _Rank.DENIED, chain((hit,), hits)
    oks = (rule for rule in policy.allow if _allows(rule, one, facts))
    if (ok := next(oks, None)) is not None:
        return _Rank.ALLOWED, chain((ok,), oks)
    return _Rank.WOULD_LACK if policy.observe else _Rank.LACKING, iter(())


def _allows(rule: Rule, about: Subject, facts: Facts) -> bool:
    if about.port not in rule.ports or not names(rule, about):
        return False
    methods = rule.methods or (() if facts.method is None else COMMON_METHODS)
    if methods and facts.method not in methods:
        return False
    if not rule.narrow:
        return True
    if facts.method is None:
        return False
    if rule.paths:
        path = paths.normal(facts.path)
        if path is None or not any(paths.matches(glob, path) for glob in rule.paths):
            return False
    return conditions.hold(rule.query, rule.headers, facts.query, facts.headers)


def _denies(rule: Rule, about: Subject, facts: Facts | None) -> bool:
    # What the gate can not see, or servers may read differently, can not be shown not to match.
    if rule.ports and about.port not in rule.ports:
        return False
    if rule.network is not None:
        if about.address is None or not inside(rule.network, about.address, deny=True):
            return False
    elif not names(rule, about):
        return False
    if facts is None or facts.method is None:
        return True
    if rule.methods and facts.method not in rule.methods:
        return False
    if rule.paths:
        path = paths.normal(facts.path)
        if path is not None and not any(paths.matches(glob, path) for glob in rule.paths):
            return False
    query = rule.query if facts.path is not None else ()
    return conditions.may_hold(query, rule.headers, facts.query, facts.headers)


def _denying(policies: tuple[Policy, ...], about: Subject, facts: Facts | None) -> Iterator[Rule]:
    rules = (rule for policy in policies if not policy.observe for rule in policy.deny)
    return (rule for rule in rules if rule.network and _denies(rule, about, facts))


def covered(policies: tuple[Policy, ...], address: str, port: int) -> bool:
    """Whether every policy has an `ip` rule that allows `address` on `port`."""
    return bool(policies) and all(
        any(
            rule.network and port in rule.ports and inside(rule.network, address, deny=False)
            for rule in policy.allow
        )
        for policy in policies
    )


@functools.lru_cache(maxsize=4096)
def _network(text: str) -> _Network:
    return ipaddress.ip_network(text)


@functools.lru_cache(maxsize=4096)
def inside(text: str, address: str, *, deny: bool) -> bool:
    """Whether the network `text` of an allow or `deny` rule is about `address`."""
    return holds(_network(text), ipaddress.ip_address(address), deny=deny)


def holds(network: _Network, value: _Address, *, deny: bool) -> bool:
    """The same of what was read already."""
    if isinstance(network, ipaddress.IPv6Network) or isinstance(value, ipaddress.IPv4Address):
        return value in network
    # v4-mapped is the same host. The other forms reach it through a translator: near enough to deny.
    if value.ipv4_mapped is not None or not deny:
        return value.ipv4_mapped is not None and value.ipv4_mapped in network
    forms = [value.sixtofour, *(value.teredo or ())]
    if value in _NAT64 or int(value) >> 32 == 0:
        forms.append(ipaddress.IPv4Address(int(value) & 0xFFFFFFFF))
    return any(form is not None and form in network for form in forms)
