"""One entry of `secrets:`, from nodes to a `Secret`. Where a value is said is read here; a value never is.

No message quotes what the entry says of its source: whoever mistakes the key for a value has written the secret there.
"""

from __future__ import annotations

import re

from sluicegate.policy import asked, rules
from sluicegate.policy.document import Node
from sluicegate.policy.hosts import meets, within
from sluicegate.policy.model import Policy, Secret
from sluicegate.policy.scalars import fail, items_of, text_of

SOURCES = ("env", "file", "fd")
PLACES = ("header", "bearer", "basic", "query", "sigv4")
KEYS = (*SOURCES, "as", "hosts", "methods", *PLACES)
EXAMPLE = "- {env: API_KEY, hosts: [api.example.com], bearer: true}"
# Places that have no name of their own, and what they are.
_TRUE = {
    "bearer": "the value follows Bearer in the header authorization",
    "sigv4": "AWS requests that are signed with the placeholder are signed with the value",
}
# What people call the place for the thing itself.
LITERAL = ("value", "secret", "token", "password", "key", "literal")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}", re.ASCII)
DESCRIPTOR = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,127}", re.ASCII)
FILE = re.compile(r"(?:~/|/)[^\x00-\x1f\x7f]{1,4095}")
# RFC 7617 section 2: a user has no colon; controls have no place in it.
USER = re.compile(r"[\x20-\x39\x3b-\x7e]{1,128}", re.ASCII)


def build(keys: dict[str, Node], node: Node) -> Secret:
    """The secret that these keys of `node` say.

    Raises:
        RuleError: a key that is missing, wrong, or one of two that exclude each other.
    """
    kind = _one(keys, node, SOURCES, "where its value comes from", "env: API_KEY")
    source = (kind, _source(kind, keys[kind]))
    if "as" not in keys and kind != "env":
        message = f"{kind} without as: the command's variable has no name"
        fail(node, message, "add as: API_KEY, the variable that gets the placeholder")
    name = _variable(keys["as"], "as") if "as" in keys else source[1]
    if "hosts" not in keys:
        fail(node, "hosts is missing: the gate must know where the value may go", EXAMPLE)
    hosts = set[str]()
    for item in items_of(keys["hosts"], "hosts", "[api.example.com]"):
        host, wildcard = rules.host_of(item, deny=False)
        hosts.add(f"*.{host}" if wildcard else host)
    place = _one(keys, node, PLACES, "the place that it is put into", "bearer: true")
    return Secret(
        name=name,
        source=source,
        hosts=tuple(sorted(hosts)),
        methods=rules.methods_of(keys["methods"]) if "methods" in keys else (),
        place=place,
        key=_key(place, keys[place]),
    )


def check(secret: Secret, keys: dict[str, Node], policy: Policy) -> None:
    """Nothing, if the rest of `policy` gives `secret` a use and nothing else shows its value.

    Raises:
        RuleError: a host that is not allowed or never opened, a variable that the command is given, or a place that
            conditions put on record.
    """
    for host in secret.hosts:
        about = [rule for rule in policy.allow if rule.host and meets(host, rule)]
        if not any(within(host, rule) for rule in about):
            message = f"{host} is not allowed by this policy: the value would go nowhere"
            fail(keys["hosts"], message, f"add under allow: - host: {_quoted(host)}")
        closed = next((rule for rule in about if rule.inspect is False), None)
        if closed is not None:
            message = f"{host} is never opened, by inspect: false of {closed.label}: nothing is put in there"
            fail(keys["hosts"], message, "remove the host here, or inspect: false there")
    if secret.name in policy.env:
        message = (
            f"agent.env gives the command {secret.name} itself: the placeholder would hide nothing"
        )
        fail(keys.get("as", keys[secret.source[0]]), message, "remove it from agent.env")
    every = (*policy.allow, *policy.deny)
    for place, pairs in (
        ("header", [pair for rule in every for pair in rule.headers]),
        ("query", [pair for rule in every for pair in rule.query]),
    ):
        if secret.place == place and any(_same(name, secret.key) for name, _ in pairs):
            message = f"{secret.key} is in a rule's condition, which puts its value on record"
            fail(
                keys[place],
                message,
                "remove the condition: the secret has hosts and methods of its own",
            )


def _same(one: str, other: str) -> bool:
    return one.lower().replace("_", "-") == other.lower().replace("_", "-")


def _quoted(host: str) -> str:
    return f'"{host}"' if host[0] == "*" else host


def _one(keys: dict[str, Node], node: Node, known: tuple[str, ...], what: str, example: str) -> str:
    found = [key for key in known if key in keys]
    if not found:
        fail(node, f"{what} is missing", f"one of: {', '.join(known)}; such as {example}")
    if len(found) > 1:
        said = f"{found[0]} and {found[1]} in one secret: {what} is one"
        fail(keys[found[1]], said, f"keep one of: {', '.join(found)}")
    return found[0]


def _source(kind: str, node: Node) -> str:
    if kind == "env":
        return _variable(node, "env")
    if kind == "fd":
        if node.kind != "str" or not DESCRIPTOR.fullmatch(node.value):
            hint = "fd: API_KEY; which descriptor that is, is said when the command is run"
            fail(node, "fd wants a name of letters, digits, _ and -", hint)
        return node.value
    if node.kind != "str" or not FILE.fullmatch(node.value) or node.value == "~/":
        fail(node, "file wants a path that begins with / or ~/", "file: ~/.config/api.key")
    return node.value


def _variable(node: Node, what: str) -> str:
    if node.kind != "str" or not VARIABLE.fullmatch(node.value):
        hint = f"{what}: API_KEY, its name alone: a secret never stands in the policy"
        fail(node, f"{what} wants the name of a variable", hint)
    return node.value


def _key(place: str, node: Node) -> str:
    if place == "header":
        return asked.header(node, "header")
    if place == "query":
        return asked.parameter(node, "query")
    true = node.kind == "bool" and node.value == "true"
    if place in _TRUE and not true:
        fail(node, f"{place} wants true: {_TRUE[place]}", f"{place}: true")
    if true:
        return ""
    text = text_of(node, "basic")
    if not USER.fullmatch(text):
        hint = "basic: true takes the user that the client names; basic: git is one user"
        fail(node, "basic wants true or a user of printable ASCII without a colon", hint)
    return text
