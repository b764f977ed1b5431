"""Policies as one canonical text: what every receipt's `policy_hash` is the hash of."""

from __future__ import annotations

import hashlib
import ipaddress
from typing import Any, cast

import orjson

from sluicegate import jcs
from sluicegate.policy.model import Policy, PolicyError, Rule, Secret
from sluicegate.wire import names
from sluicegate.wire.cursor import WireError

VERSION = 1
# Members that are there only where they are set: a policy without them keeps its hash.
_LIMITS = ("connections", "upload", "upload_per_host", "requests_per_minute", "names_per_wildcard")
_LATER = ("outputs", "writable")
_PLACES = frozenset(("header", "bearer", "basic", "query", "sigv4"))
_SOURCES = frozenset(("env", "file", "fd"))


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
    for name in _LIMITS:
        if getattr(policy, name) is not None:
            out[name] = getattr(policy, name)
    if policy.inspect != "auto":
        out["inspect"] = policy.inspect
    if policy.digests:
        out["record"] = "digests"
    for name in _LATER:
        if getattr(policy, name):
            out[name] = _sorted(getattr(policy, name))
    if policy.ask:
        out["ask"] = True
    if policy.secrets:
        texts = {jcs.encode(_secret(secret)): _secret(secret) for secret in policy.secrets}
        out["secrets"] = [texts[key] for key in sorted(texts)]
    return out


def _secret(secret: Secret) -> dict[str, jcs.Json]:
    """Where the value comes from and where it may go; never the value, which no policy holds."""
    out: dict[str, jcs.Json] = {
        "name": secret.name,
        "source": dict((secret.source,)),
        "hosts": _sorted(secret.hosts),
        "place": secret.place,
    }
    if secret.methods:
        out["methods"] = _sorted(secret.methods)
    if secret.key:
        out["key"] = secret.key
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
    if rule.query:
        out["query"] = _pairs(rule.query)
    if rule.headers:
        out["headers"] = _pairs(rule.headers)
    if rule.inspect is not None:
        out["inspect"] = rule.inspect
    return out


def _pairs(conditions: tuple[tuple[str, str], ...]) -> jcs.Json:
    names = {name for name, _ in conditions}
    return {name: _sorted(tuple(g for n, g in conditions if n == name)) for name in names}


def _sorted(values: tuple[int, ...] | tuple[str, ...]) -> jcs.Json:
    return tuple(sorted(set(values)))


def _read_policy(item: dict[str, object], place: str) -> Policy:
    limits = {name: item.get(name) for name in _LIMITS}
    # A limit of nothing is none that anybody can write, and whoever counts would never begin.
    if not all(value is None or (type(value) is int and value > 0) for value in limits.values()):
        raise TypeError("limits")
    if item["mode"] not in {"enforce", "observe"}:
        raise ValueError("mode")
    inspect = item.get("inspect", "auto")
    if inspect not in {"auto", "all", "none"}:
        raise ValueError("inspect")
    return Policy(
        source=place,
        observe=item["mode"] == "observe",
        allow=_read_rules(item["allow"], f"allow[{{}}] of {place}", deny=False),
        deny=_read_rules(item["deny"], f"deny[{{}}] of {place}", deny=True),
        env=_texts(item["env"]),
        bind=_texts(item["bind"]),
        inspect=str(inspect),
        secrets=tuple(_read_secret(secret) for secret in _list(item.get("secrets", []))),
        digests="record" in item,
        outputs=_texts(item.get("outputs", [])),
        writable=_texts(item.get("writable", [])),
        ask=_truth(item.get("ask")) is True,
        **cast("Any", limits),
    )


def _read_secret(item: object) -> Secret:
    if not isinstance(item, dict):
        raise TypeError("secret")
    ((kind, where),) = item["source"].items()
    name, place, key = item["name"], item["place"], item.get("key", "")
    if not all(isinstance(text, str) for text in (name, where, place, key)):
        raise TypeError("secret")
    secret_hosts = _texts(item["hosts"])
    bare = [host.removeprefix("*.") for host in secret_hosts]
    if kind not in _SOURCES or place not in _PLACES or [names.host(host) for host in bare] != bare:
        raise ValueError("secret")
    methods = _texts(item.get("methods", []))
    return Secret(name, (kind, where), secret_hosts, methods, place, key)


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
        query=_read_pairs(item.get("query", {})),
        headers=_read_pairs(item.get("headers", {})),
        inspect=_truth(item.get("inspect")),
    )


def _read_pairs(item: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(item, dict):
        raise TypeError("conditions")
    return tuple((name, glob) for name in item for glob in _texts(item[name]))


def _truth(value: object) -> bool | None:
    if value is not None and type(value) is not bool:
        raise TypeError("inspect")
    return value


def _texts(items: object) -> tuple[str, ...]:
    if not all(isinstance(item, str) for item in _list(items)):
        raise TypeError("text")
    return tuple(_list(items))


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError("list")
    return value
