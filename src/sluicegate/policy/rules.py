"""One line of `allow` or `deny`: nodes to a `Rule`, every scalar checked against YAML's surprises."""

from __future__ import annotations

import ipaddress
import re
from typing import NoReturn

from sluicegate.policy import paths, suffixes
from sluicegate.policy.document import Node
from sluicegate.policy.model import DEFAULT_PORTS, Rule
from sluicegate.wire import names
from sluicegate.wire.cursor import WireError

KEYS = ("host", "ip", "ports", "methods", "paths")
LATER = ("preset", "inspect", "scan", "secrets")
# RFC 9110 section 5.6.2, in the upper case that every registered method has.
_METHOD = re.compile(r"[A-Z][A-Z0-9!#$%&'*+.^_`|~-]{0,31}", re.ASCII)
_PORT = re.compile(r"[1-9][0-9]{0,4}", re.ASCII)
_NETWORK = re.compile(r"[0-9a-fA-F:.]{2,45}(?:/(?:0|[1-9][0-9]{0,2}))?", re.ASCII)
# A glob's cost for each character of a path grows with its stars; real ones have one or two.
MAX_GLOB = 1024
MAX_STARS = 8
# Wider allow networks are no longer anyone's own: they hold strangers, and metadata services.
MIN_PREFIX = {4: 8, 6: 16}


class RuleError(Exception):
    """One rule's author is at fault; the grammar adds the file."""

    def __init__(self, node: Node, message: str, hint: str) -> None:
        super().__init__(message)
        self.node, self.message, self.hint = node, message, hint


def build(keys: dict[str, Node], node: Node, where: str, label: str) -> Rule:
    """The rule of `allow` or `deny` (`where`) that these keys of `node` say.

    Raises:
        RuleError: a value that is wrong, too wide, or not yet to be had.
    """
    if ("host" in keys) == ("ip" in keys):
        said = "host and ip in one rule" if "host" in keys else "neither host nor ip"
        hint = "write two rules" if "host" in keys else "- host: example.com"
        raise RuleError(node, said, hint)
    deny = where == "deny"
    ports = _ports(keys["ports"]) if "ports" in keys else () if deny else DEFAULT_PORTS
    methods = _methods(keys["methods"]) if "methods" in keys else ()
    globs = _globs(keys["paths"]) if "paths" in keys else ()
    if "ip" in keys:
        network = _network(keys["ip"], deny=deny)
        return Rule(label, network=network, ports=ports, methods=methods, paths=globs)
    host, wildcard = _host(keys["host"], deny=deny)
    return Rule(label, host, wildcard, ports=ports, methods=methods, paths=globs)


def _host(node: Node, *, deny: bool) -> tuple[str, bool]:
    text = _text(node, "host")
    if text.strip() in {"*", "*.", "**", "*.*"}:
        hint = "what no rule allows is denied already" if deny else "name the hosts that are needed"
        _fail(node, f'bare wildcard "{text}" is every host', hint)
    if "://" in text:
        rest = text.partition("://")[2]
        _fail(node, "host is a URL", f"host: {re.split('[/:?#]', rest)[0]}")
    if "/" in text and not re.fullmatch(r"[0-9a-fA-F:.]+/[0-9]+", text):
        _fail(node, "host has a path", f"host: {text.partition('/')[0]}")
    if re.fullmatch(r"[^:/\[\]]+:[0-9]+", text):
        name, _, port = text.partition(":")
        _fail(node, "host has a port", f"host: {name} and ports: [{port}]")
    wildcard = text.startswith("*.")
    bare = text[2:] if wildcard else text
    if "*" in bare:
        hint = 'the wildcard stands only in front: "*.example.com"'
        _fail(node, f'wildcard inside "{text}"', hint)
    if "/" in bare:
        _fail(node, f"{text} is a network", f"ip: {text}")
    try:
        name = names.host(bare)
    except WireError as error:
        _fail(node, f'"{text[:80]}" is not a host: {error}', "host: example.com")
    if names.is_address(name):
        _fail(node, f"{text} is an address", "an address is its own rule: ip: " + name)
    reason = suffixes.shared(name) if wildcard and not deny else None
    if reason is not None:
        hint = "name the hosts one by one, or a wildcard below your own name: *.yours." + name
        _fail(node, f"*.{name} covers strangers' hosts: {reason}", hint)
    return name, wildcard


def _network(node: Node, *, deny: bool) -> str:
    text = _text(node, "ip")
    if not _NETWORK.fullmatch(text) or "." not in text.replace(":", "."):
        named = ":" not in text and re.search("[g-zG-Z*]", text)
        hint = "a name is: host: ..." if named else "ip: 10.1.2.0/24"
        _fail(node, f'"{text[:80]}" is not an address or network', hint)
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        _fail(node, f'"{text}" is not an address or network', "ip: 10.1.2.0/24")
    if ipaddress.ip_address(text.partition("/")[0]) != network.network_address:
        _fail(node, f"{text} has host bits set", f"ip: {network}")
    first = network.network_address
    if isinstance(first, ipaddress.IPv6Address) and first.ipv4_mapped is not None:
        four = f"{first.ipv4_mapped}/{max(network.prefixlen - 96, 0)}"
        _fail(node, f"{text} is IPv4 inside IPv6", f"ip: {four}")
    least = MIN_PREFIX[network.version]
    if network.prefixlen < least and not deny:
        message = f"{network} is wider than /{least}"
        _fail(node, message, "name the networks that are needed, such as ip: 10.1.2.0/24")
    return str(network)


def _ports(node: Node) -> tuple[int, ...]:
    found = set[int]()
    for item in _items(node, "ports", "[443]"):
        if item.kind != "int" or not _PORT.fullmatch(item.value) or int(item.value) > 65535:
            first = re.fullmatch(r"0*([1-9][0-9]{0,3})(?:\.0*)?", item.value)
            said = item.called if item.kind != "int" else item.value
            if item.kind == "int" and not re.fullmatch(r"[-+]?(0|[1-9][0-9]*)", item.value):
                said += ", which YAML reads as another number"
            hint = f"ports: [{first[1]}]" if first else "name each port: ports: [80, 443]"
            _fail(item, f"a port is an integer from 1 to 65535, not {said}", hint)
        found.add(int(item.value))
    return tuple(sorted(found))


def _methods(node: Node) -> tuple[str, ...]:
    found = set[str]()
    for item in _items(node, "methods", "[GET, HEAD]"):
        text = _text(item, "methods")
        if not _METHOD.fullmatch(text):
            upper = text.upper()
            hint = f"methods: [{upper}]" if _METHOD.fullmatch(upper) else "methods: [GET, HEAD]"
            _fail(item, f'"{text[:80]}" is not a method in upper case', hint)
        if text == "CONNECT":
            _fail(item, "CONNECT asks a proxy and is judged by host and port", "leave it out")
        found.add(text)
    return tuple(sorted(found))


def _globs(node: Node) -> tuple[str, ...]:
    found = set[str]()
    for item in _items(node, "paths", '["/simple/**"]'):
        text = _text(item, "paths")
        if not text.startswith("/"):
            _fail(item, f'"{text[:80]}" does not begin with /', f'paths: ["/{text[:80]}"]')
        if len(text) > MAX_GLOB or text.count("*") > 2 * MAX_STARS or "***" in text:
            message = f'"{text[:80]}" is longer than {MAX_GLOB} or has more than {MAX_STARS} stars'
            _fail(item, message, "shorten it: ** crosses segments, * stays in one")
        plain = paths.normal(text)
        if plain != text:
            hint = "write it decoded, without query, ;, //, . and .. segments"
            if plain is not None:
                hint = f'paths: ["{plain}"]'
            _fail(item, f'"{text[:80]}" is not how the gate sees a path', hint)
        found.add(text)
    return tuple(sorted(found))


def _items(node: Node, what: str, example: str) -> tuple[Node, ...]:
    if node.kind != "list":
        hint = f"{what}: [{node.value}]" if node.value else f"{what}: {example}"
        _fail(node, f"{what} wants a list and got {node.called}", hint)
    if not node.items:
        _fail(node, f"{what} is empty: the rule could never match", f"{what}: {example}")
    return node.items


def _text(node: Node, what: str) -> str:
    if node.kind != "str":
        hint = f'put quotes around it: "{node.value[:80]}"' if node.value else f"{what} is text"
        _fail(node, f"{what} wants text and got {node.called}", hint)
    return node.value


def _fail(node: Node, message: str, hint: str) -> NoReturn:
    raise RuleError(node, message, hint)
