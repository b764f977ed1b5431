"""Hosts as policies write them, a name or `*.` and a name, against names and each other. Pure."""

from __future__ import annotations

from sluicegate.policy.model import Rule


def covers(hosts: tuple[str, ...], name: str) -> bool:
    """Whether one of `hosts`, as rules write them, stands for `name`."""
    return any(name.endswith(host[1:]) if host[0] == "*" else name == host for host in hosts)


def within(host: str, rule: Rule) -> bool:
    """Whether all that `host` stands for is what `rule` is about."""
    if host.startswith("*."):
        same = rule.wildcard and host[2:] == rule.host
        return same or (rule.wildcard and host.endswith(f".{rule.host}"))
    return host.endswith(f".{rule.host}") if rule.wildcard else host == rule.host


def meets(host: str, rule: Rule) -> bool:
    """Whether there is a name that both stand for."""
    if within(host, rule):
        return True
    return host.startswith("*.") and str(rule.host).endswith(host[1:])
