"""Policies and facts to a decision: pure, order-free, closed by default."""

from __future__ import annotations

import enum
import functools
import ipaddress
from dataclasses import dataclass, replace

from sluicegate.facts import Decision, Facts, Protocol, Verdict
from sluicegate.policy import paths
from sluicegate.policy.model import DEFAULT_PORTS, Policy, Rule
from sluicegate.wire.addresses import internal
from sluicegate.wire.names import is_address

# What a rule without `methods` covers. TRACE echoes what a client should not see, PURGE and DEBUG are orders to
# caches and consoles: whoever needs one, or WebDAV's, names it.
COMMON_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
# What a host's well-known ports speak. Anything else there would be a tunnel that its rule does not show.
_SPOKEN = {443: (Protocol.TLS,), 80: (Protocol.HTTP, Protocol.TLS)}
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
            allow=tuple(replace(rule, methods=(), paths=()) for rule in policy.allow),
            deny=tuple(rule for rule in policy.deny if not (rule.methods or rule.paths)),
        )
        for policy in policies
    )


def opens(policies: tuple[Policy, ...], facts: Facts) -> bool:
    """Whether this TLS connection must be opened before it can be judged: some policy needs to see its requests.

    Only one that has a name is: what is signed for an address would be for whoever has it next.
    """
    if facts.protocol is not Protocol.TLS or facts.fault is not None:
        return False
    about = subject(facts)
    if isinstance(about, str) or about.name is None:
        return False
    return any(_sees(policy, about) for policy in policies)


def _sees(policy: Policy, about: Subject) -> bool:
    rules = [
        rule
        for rule in (*policy.allow, *policy.deny)
        if (not rule.ports or about.port in rule.ports) and names(rule, about)
    ]
    if any(r.methods or r.paths or r.query or r.headers or r.inspect for r in rules):
        return True
    secret = any(_named(host, about.name or "") for one in policy.secrets for host in one.hosts)
    return secret or (policy.inspect == "all" and all(rule.inspect is not False for rule in rules))


def _named(host: str, name: str) -> bool:
    return name.endswith(host[1:]) if host.startswith("*.") else name == host


def opening(policies: tuple[Policy, ...], loose: tuple[Policy, ...], facts: Facts) -> Decision:
    """The verdict on a TLS connection that `opens`: on name and port, as what is asked inside is judged by itself."""
    made = preliminary(loose, facts)
    if made.verdict is Verdict.DENY:
        return decide(policies, facts)
    return replace(made, opened=True)


def preliminary(loose: tuple[Policy, ...], facts: Facts) -> Decision:
    """The verdict of `relaxed` policies on name and port alone, whatever will be spoken there."""
    return decide(loose, replace(facts, protocol=Protocol.SERVER_FIRST))


def _spoken(policies: tuple[Policy, ...], facts: Facts, decision: Decision) -> Decision:
    """Denied where the bytes are not what the port of a named host speaks; a silent client sent none yet, and
    a request within TLS came in TLS.

    An `ip` rule names address and port themselves, and what is spoken there is its author's concern.
    """
    wanted = _SPOKEN.get(decision.port, ())
    if not wanted or facts.protocol in {*wanted, Protocol.SERVER_FIRST, Protocol.HTTPS}:
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
        remedy=f"- host: {decision.name}\n  ports: [{decision.port}]\n  methods: [{facts.method}]",
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
        if where is not None and not _covered(policies, address, decision.port):
            on = f"port {decision.port}"
            return (), f"{address} is internal ({where}) and no ip rule allows it on {on}"
    good: list[str] = []
    reason = "the name has no address"
    for address in addresses:
        denied = _denying(policies, Subject(None, address, decision.port), facts)
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
    )
    return (), denied


def decisive(
    policies: tuple[Policy, ...], decision: Decision, addresses: tuple[str, ...], most: int
) -> tuple[str, ...]:
    """At most `most` of addresses for which `answered` gives no good one, so that it gives none for these either."""
    for address in addresses:
        if internal(address) is not None and not _covered(policies, address, decision.port):
            return (address, *(other for other in addresses if other != address))[:most]
    return addresses[:most]


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
        return about.address is not None and _inside(rule.network, about.address, deny=False)
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
    if not policies:
        reason = f"no policy allows {what}"
        return Decision(Verdict.DENY, "default", reason, about.port, name, address, remedy_for(one))
    found = [_outcome(policy, facts, about, one) for policy in policies]
    rank, rule = min(found, key=lambda outcome: outcome[0])
    observed = rank in {_Rank.WOULD_DENY, _Rank.WOULD_LACK}
    if observed and address is not None and (where := internal(address)) is not None:
        reason = f"{address} is internal ({where}) and no ip rule allows it"
        remedy = remedy_for(one) if rule is None else None
        return Decision(Verdict.DENY, "internal-address", reason, about.port, None, address, remedy)
    if rank is _Rank.ALLOWED:
        label, reason = rule.label if rule else "default", f"{what} is allowed"
    elif rule is None:
        label, reason = "default", f"no rule allows {what}"
    else:
        label, reason = rule.label, f"{what} is denied by {rule.label}"
    verdict = Verdict.ALLOW if observed or rank is _Rank.ALLOWED else Verdict.DENY
    remedy = remedy_for(one) if rule is None else None
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
) -> tuple[_Rank, Rule | None]:
    # A deny rule is held against every name and address of the flow, an allow rule against one.
    hit = next((rule for rule in policy.deny if _denies(rule, about, facts)), None)
    if hit is not None:
        return _Rank.WOULD_DENY if policy.observe else _Rank.DENIED, hit
    ok = next((rule for rule in policy.allow if _allows(rule, one, facts)), None)
    if ok is not None:
        return _Rank.ALLOWED, ok
    return _Rank.WOULD_LACK if policy.observe else _Rank.LACKING, None


def _allows(rule: Rule, about: Subject, facts: Facts) -> bool:
    if about.port not in rule.ports or not names(rule, about):
        return False
    methods = rule.methods or (() if facts.method is None else COMMON_METHODS)
    if methods and facts.method not in methods:
        return False
    if not rule.paths:
        return True
    path = paths.normal(facts.path) if facts.method is not None else None
    return path is not None and any(paths.matches(glob, path) for glob in rule.paths)


def _denies(rule: Rule, about: Subject, facts: Facts | None) -> bool:
    # What the gate can not see, or servers may read differently, can not be shown not to match.
    if rule.ports and about.port not in rule.ports:
        return False
    if rule.network is not None:
        if about.address is None or not _inside(rule.network, about.address, deny=True):
            return False
    elif not names(rule, about):
        return False
    if facts is None or facts.method is None:
        return True
    if rule.methods and facts.method not in rule.methods:
        return False
    path = paths.normal(facts.path)
    return not rule.paths or path is None or any(paths.matches(g, path) for g in rule.paths)


def _denying(policies: tuple[Policy, ...], about: Subject, facts: Facts | None) -> Rule | None:
    rules = (rule for policy in policies if not policy.observe for rule in policy.deny)
    return next((rule for rule in rules if rule.network and _denies(rule, about, facts)), None)


def _covered(policies: tuple[Policy, ...], address: str, port: int) -> bool:
    return bool(policies) and all(
        any(
            rule.network and port in rule.ports and _inside(rule.network, address, deny=False)
            for rule in policy.allow
        )
        for policy in policies
    )


@functools.lru_cache(maxsize=4096)
def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    return ipaddress.ip_network(text)


@functools.lru_cache(maxsize=4096)
def _inside(text: str, address: str, *, deny: bool) -> bool:
    network, value = _network(text), ipaddress.ip_address(address)
    if isinstance(network, ipaddress.IPv6Network) or isinstance(value, ipaddress.IPv4Address):
        return value in network
    # v4-mapped is the same host. The other forms reach it through a translator: near enough to deny.
    if value.ipv4_mapped is not None or not deny:
        return value.ipv4_mapped is not None and value.ipv4_mapped in network
    forms = [value.sixtofour, *(value.teredo or ())]
    if value in _NAT64 or int(value) >> 32 == 0:
        forms.append(ipaddress.IPv4Address(int(value) & 0xFFFFFFFF))
    return any(form is not None and form in network for form in forms)


def remedy_for(about: Subject) -> str:
    """The YAML lines that would allow the subject."""
    line = f"- host: {about.name}"
    if about.name is None:
        value = ipaddress.ip_address(str(about.address))
        if isinstance(value, ipaddress.IPv6Address) and value.ipv4_mapped is not None:
            value = value.ipv4_mapped
        line = f"- ip: {value}/{value.max_prefixlen}"
    return line if about.port in DEFAULT_PORTS else f"{line}\n  ports: [{about.port}]"
