"""Policies as one canonical text: what every receipt's `policy_hash` is the hash of."""

from __future__ import annotations

import hashlib
import ipaddress
from typing import Any

import orjson

from sluicegate import jcs
from sluicegate.policy.model import Policy, PolicyError, Rule
from sluicegate.wire import names
from sluicegate.wire.cursor import WireError

VERSION = 1


def policy_text(policies: tuple[Policy, ...]) -> bytes:
    """The RFC 8785 text of `policies`: sorted, without duplicates, without labels and file names.

    Two texts are equal where only order or spelling differs; all that decides is in it.
    """
    texts = {jcs.encode(_policy(policy)): _policy(policy) for policy in policies}
    ordered: list[jcs.Json] = [texts[key] for key in sorted(texts)]
    return jcs.encode({"version": VERSION, "policies": ordered})


def policy_hash(policies: tuple[Policy, ...]) -> str:
    """`sha256:` and the hexadecimal digest of the text."""
    return "sha256:" + hashlib.sha256(policy_text(policies)).hexdigest()


def read(text: bytes, source: str = "policy.json") -> tuple[Policy, ...]:
    """The policies that `policy_text` wrote as `text`; labels name the place in the text.

    Raises:
        PolicyError: not the canonical text of any policies.
    """
    try:
        given = orjson.loads(text)
        policies = tuple(
            _read_policy(item, f"policies[{index}] {source}")
            for index, item in enumerate(given["policies"])
        )
        same = policy_text(policies) == text
    except (ValueError, TypeError, KeyError, AttributeError, WireError) as error:
        raise PolicyError(source, 0, 0, "not a normalised policy") from error
    if not same:
        raise PolicyError(source, 0, 0, "not the canonical form of a normalised policy")
    return policies


def _policy(policy: Policy) -> dict[str, jcs.Json]:
    out: dict[str, jcs.Json] = {
        "mode": "observe" if policy.observe else "enforce",
        "allow": _rules(policy.allow),
        "deny": _rules(policy.deny),
        "env": _sorted(policy.env),
        "bind": _sorted(policy.bind),
    }
    if policy.connections is not None:
        out["connections"] = policy.connections
    return out


def _rules(rules: tuple[Rule, ...]) -> jcs.Json:
    texts = {jcs.encode(_rule(rule)): _rule(rule) for rule in rules}
    return [texts[key] for key in sorted(texts)]


def _rule(rule: Rule) -> jcs.Json:
    out: dict[str, jcs.Json] = {}
    if rule.network is not None:
        out["ip"] = rule.network
    else:
        out["host"] = f"*.{rule.host}" if rule.wildcard else rule.host
    if rule.ports:
        out["ports"] = _sorted(rule.ports)
    if rule.methods:
        out["methods"] = _sorted(rule.methods)
    if rule.paths:
        out["paths"] = _sorted(rule.paths)
    return out


def _sorted(values: tuple[int, ...] | tuple[str, ...]) -> jcs.Json:
    return tuple(sorted(set(values)))


def _read_policy(item: dict[str, object], place: str) -> Policy:
    connections = item.get("connections")
    if connections is not None and type(connections) is not int:
        raise TypeError("connections")
    if item["mode"] not in {"enforce", "observe"}:
        raise ValueError("mode")
    return Policy(
        source=place,
        observe=item["mode"] == "observe",
        allow=_read_rules(item["allow"], f"allow[{{}}] of {place}", deny=False),
        deny=_read_rules(item["deny"], f"deny[{{}}] of {place}", deny=True),
        connections=connections,
        env=_texts(item["env"]),
        bind=_texts(item["bind"]),
    )


def _read_rules(items: object, label: str, *, deny: bool) -> tuple[Rule, ...]:
    return tuple(
        _read_rule(item, label.format(index), deny=deny) for index, item in enumerate(_list(items))
    )


def _read_rule(item: object, label: str, *, deny: bool) -> Rule:
    if not isinstance(item, dict):
        raise TypeError("rule")
    host, network, ports = item.get("host"), item.get("ip"), _list(item.get("ports", []))
    if not all(type(port) is int and 0 < port < 65536 for port in ports) or not (ports or deny):
        raise ValueError("ports")
    wildcard = False
    if host is not None:
        wildcard, host = host.startswith("*."), host.removeprefix("*.")
        if network is not None or names.host(host) != host:
            raise ValueError("host")
    else:
        network = str(ipaddress.ip_network(str(network)))
    return Rule(
        label=label,
        host=host,
        wildcard=wildcard,
        network=network,
        ports=tuple(ports),
        methods=_texts(item.get("methods", [])),
        paths=_texts(item.get("paths", [])),
    )


def _texts(items: object) -> tuple[str, ...]:
    if not all(isinstance(item, str) for item in _list(items)):
        raise TypeError("text")
    return tuple(_list(items))


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError("list")
    return value
