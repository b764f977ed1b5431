"""Policies and facts to a decision: pure, order-free, closed by default."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from sluicegate.facts import Decision, Facts, Verdict
from sluicegate.policy import paths
from sluicegate.policy.model import DEFAULT_PORTS, Policy, Rule
from sluicegate.wire.addresses import internal
from sluicegate.wire.names import is_address


@dataclass(frozen=True, slots=True)
class _Subject:
    name: str | None
    address: str | None
    port: int


def decide(policies: tuple[Policy, ...], facts: Facts) -> Decision:
    """The verdict of all policies together: every one must allow."""
    port = facts.port if facts.target_port is None else facts.target_port
    if facts.fault is not None:
        return Decision(Verdict.DENY, "fault", facts.fault, port)
    subject = _subject(facts, port)
    if isinstance(subject, str):
        return Decision(Verdict.DENY, "mismatch", subject, port)
    # A bare address is judged as itself first, then by the name it claims, which the gate looks up.
    ways = []
    if subject.address is not None:
        ways.append(_judge(policies, facts, subject, by_name=False))
    if subject.name is not None:
        ways.append(_judge(policies, facts, subject, by_name=True))
    plain = [w for w in ways if w.verdict is Verdict.ALLOW and not w.observed]
    observed = [w for w in ways if w.verdict is Verdict.ALLOW]
    return (plain or observed[::-1] or ways[::-1])[0]


def admit(
    policies: tuple[Policy, ...], decision: Decision, addresses: tuple[str, ...]
) -> tuple[tuple[str, ...], str | None]:
    """The addresses the gate may connect to; where there is none, the reason."""
    good: list[str] = []
    reason = "the name has no address"
    for address in addresses:
        where = internal(address)
        denied = _denying(policies, address, decision.port)
        if decision.verdict is not Verdict.ALLOW:
            reason = decision.reason
        elif denied is not None:
            reason = f"{address} is denied by {denied.label}"
        elif where is not None and not _covered(policies, address, decision.port):
            reason = f"{address} is internal ({where}) and no ip rule allows it on port {decision.port}"
        else:
            good.append(address)
    return tuple(good), None if good else reason


def _subject(facts: Facts, port: int) -> _Subject | str:
    base = facts.address if facts.synthetic is None else None
    claims = [("synthetic name", facts.synthetic), ("target", facts.target)]
    if facts.target is not None and is_address(facts.target) and facts.synthetic is None:
        base = facts.target
        claims.pop()
    elif facts.target is not None:
        base = None
    claims += [("sni", facts.sni), ("host", facts.host)]
    said = [(who, name) for who, name in claims if name is not None]
    for who, name in said[1:]:
        if name != said[0][1]:
            return f"{said[0][0]} {said[0][1]} and {who} {name} differ"
    if facts.host_port is not None and facts.host_port != port:
        return f"host port {facts.host_port} and port {port} differ"
    name = said[0][1] if said else None
    if name is not None and is_address(name):
        if base is not None and name != base:
            return f"address {base} and {said[0][0]} {name} differ"
        return _Subject(None, name, port)
    return _Subject(name, base, port)


def _judge(
    policies: tuple[Policy, ...], facts: Facts, subject: _Subject, *, by_name: bool
) -> Decision:
    name = subject.name if by_name else None
    address = None if by_name else subject.address
    what = f"{name or address} port {subject.port}"
    verdict, label, reason, observed = Verdict.ALLOW, "", "", False
    remedy: str | None = None
    for policy in policies:
        hit = next((r for r in policy.deny if _hits(r, facts, subject, deny=True)), None)
        one = _Subject(name, address, subject.port)
        ok = next((r for r in policy.allow if _hits(r, facts, one, deny=False)), None)
        if hit is None and ok is not None:
            label, reason = label or ok.label, reason or f"{what} is allowed"
            continue
        if verdict is Verdict.DENY or (policy.observe and observed):
            continue
        label = hit.label if hit else "default"
        reason = f"{what} is denied by {hit.label}" if hit else f"no rule allows {what}"
        remedy = None if hit else _remedy(name, address, subject.port)
        observed = policy.observe
        verdict = Verdict.ALLOW if policy.observe else Verdict.DENY
    if not policies:
        verdict, label, reason = Verdict.DENY, "default", f"no policy allows {what}"
        remedy = _remedy(name, address, subject.port)
    if observed and address is not None and (where := internal(address)) is not None:
        verdict, label, observed = Verdict.DENY, "internal-address", False
        reason = f"{address} is internal ({where}) and no ip rule allows it"
        remedy = _remedy(None, address, subject.port)
    return Decision(verdict, label, reason, subject.port, name, address, remedy, observed)


def _hits(rule: Rule, facts: Facts, subject: _Subject, *, deny: bool) -> bool:
    if rule.ports and subject.port not in rule.ports:
        return False
    if rule.network is not None:
        if subject.address is None or not _inside(rule.network, subject.address):
            return False
    elif subject.name is None or not _named(rule, subject.name):
        return False
    if rule.methods and facts.method not in rule.methods:
        return False
    if not rule.paths:
        return True
    if facts.method is None:
        return False
    path = paths.normal(facts.path)
    if path is None:
        return deny  # what two servers may read differently is never allowed and always denied
    return any(paths.matches(glob, path) for glob in rule.paths)


def _named(rule: Rule, name: str) -> bool:
    return name.endswith(f".{rule.host}") if rule.wildcard else name == rule.host


def _inside(network: str, address: str) -> bool:
    value = ipaddress.ip_address(address)
    if isinstance(value, ipaddress.IPv6Address) and value.ipv4_mapped and "." in network:
        value = value.ipv4_mapped
    return value in ipaddress.ip_network(network)


def _denying(policies: tuple[Policy, ...], address: str, port: int) -> Rule | None:
    # An address names no method: a deny of part of an address's requests is not a deny of the address.
    for policy in policies:
        for rule in policy.deny if not policy.observe else ():
            narrow = rule.methods or rule.paths
            if rule.network and not narrow and (not rule.ports or port in rule.ports):  # noqa: SIM102
                if _inside(rule.network, address):
                    return rule
    return None


def _covered(policies: tuple[Policy, ...], address: str, port: int) -> bool:
    return bool(policies) and all(
        any(
            rule.network and port in rule.ports and _inside(rule.network, address)
            for rule in policy.allow
        )
        for policy in policies
    )


def _remedy(name: str | None, address: str | None, port: int) -> str:
    line = f"- host: {name}"
    if name is None:
        line = f"- ip: {address}/{128 if ':' in str(address) else 32}"
    return line if port in DEFAULT_PORTS else f"{line}\n  ports: [{port}]"
