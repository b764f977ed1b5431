"""One line of `allow` or `deny`: nodes to a `Rule`, every scalar checked against YAML's surprises."""

from __future__ import annotations

import ipaddress
import re

from sluicegate.policy import asked, paths, suffixes
from sluicegate.policy.document import Node
from sluicegate.policy.model import DEFAULT_PORTS, METHOD, Rule
from sluicegate.policy.scalars import RuleError, fail, items_of, text_of
from sluicegate.wire import names
from sluicegate.wire.cursor import WireError

KEYS = ("host", "ip", "ports", "methods", "paths", "query", "headers", "inspect")
LATER = ("scan",)
_PORT = re.compile(r"[1-9][0-9]{0,4}", re.ASCII)
NETWORK = re.compile(r"[0-9a-fA-F:.]{2,45}(?:/(?:0|[1-9][0-9]{0,2}))?", re.ASCII)
MAX_STARS = 8  # in a path; matching costs a look at each segment for each of them, and real ones have one or two
# Wider allow networks are no longer anyone's own: they hold strangers, and metadata services.
MIN_PREFIX = {4: 8, 6: 16}


def build(keys: dict[str, Node], node: Node, where: str, label: str) -> Rule:
    """The rule of `allow` or `deny` (`where`) that these keys of `node` say.

    Raises:
        RuleError: a value that is wrong or too wide.
    """
    if ("host" in keys) == ("ip" in keys):
        said = "host and ip in one rule" if "host" in keys else "neither host nor ip"
        hint = "write two rules" if "host" in keys else "- host: example.com"
        raise RuleError(node, said, hint)
    deny = where == "deny"
    host, wildcard = host_of(keys["host"], deny=deny) if "host" in keys else (None, False)
    return Rule(
        label=label,
        host=host,
        wildcard=wildcard,
        network=_network(keys["ip"], deny=deny) if "ip" in keys else None,
        ports=_ports(keys["ports"]) if "ports" in keys else () if deny else DEFAULT_PORTS,
        methods=methods_of(keys["methods"]) if "methods" in keys else (),
        paths=_globs(keys["paths"]) if "paths" in keys else (),
        query=asked.parameters(keys["query"]) if "query" in keys else (),
        headers=asked.headers(keys["headers"]) if "headers" in keys else (),
        inspect=_inspect(keys, deny=deny),
    )


def _inspect(keys: dict[str, Node], *, deny: bool) -> bool | None:
    if "inspect" not in keys:
        return None
    node = keys["inspect"]
    if node.kind != "bool" or node.value not in {"true", "false"}:
        fail(node, f"inspect wants true or false and got {node.called}", "inspect: false")
    if deny:
        message = "inspect on a deny rule: what it denies is let through neither opened nor closed"
        fail(
            node,
            message,
            "remove the key; methods, paths, query and headers are looked at without it",
        )
    if "ip" in keys:
        # Which address a name has is not known when its TLS begins, and one without a name has no certificate to show.
        message = "inspect on an ip rule: TLS is opened by the name that the client asks for"
        fail(
            node, message, "write inspect on the rule with the host, or inspect: all for the policy"
        )
    wanted = next((key for key in ("methods", "paths", "query", "headers") if key in keys), None)
    if node.value == "false" and wanted is not None:
        message = f"inspect: false and {wanted} in one rule: only opened TLS shows {wanted}"
        fail(node, message, f"remove inspect: false, or remove {wanted}")
    return node.value == "true"


def host_of(node: Node, *, deny: bool) -> tuple[str, bool]:
    """The canonical host of a rule, and whether it stands for the names below it.

    Raises:
        RuleError: no host, or in `allow` one that covers strangers.
    """
    text = text_of(node, "host")
    if text.strip() in {"*", "*.", "**", "*.*"}:
        hint = "what no rule allows is denied already" if deny else "name the hosts that are needed"
        fail(node, f'bare wildcard "{text}" is every host', hint)
    if "://" in text:
        rest = text.partition("://")[2]
        fail(node, "host is a URL", f"host: {re.split('[/:?#]', rest)[0]}")
    if "/" in text and not re.fullmatch(r"[0-9a-fA-F:.]+/[0-9]+", text):
        fail(node, "host has a path", f"host: {text.partition('/')[0]}")
    if re.fullmatch(r"[^:/\[\]]+:[0-9]+", text):
        name, _, port = text.partition(":")
        fail(node, "host has a port", f"host: {name} and ports: [{port}]")
    wildcard = text.startswith("*.")
    bare = text[2:] if wildcard else text
    if "*" in bare:
        hint = 'the wildcard stands only in front: "*.example.com"'
        fail(node, f'wildcard inside "{text}"', hint)
    if "/" in bare:
        fail(node, f"{text} is a network", f"ip: {text}")
    try:
        name = names.host(bare)
    except WireError as error:
        fail(node, f'"{text[:80]}" is not a host: {error}', "host: example.com")
    if names.is_address(name):
        fail(node, f"{text} is an address", "an address is its own rule: ip: " + name)
    reason = suffixes.shared(name) if wildcard and not deny else None
    if reason is not None:
        hint = "name the hosts one by one, or a wildcard below your own name: *.yours." + name
        fail(node, f"*.{name} covers strangers' hosts: {reason}", hint)
    return name, wildcard


def _network(node: Node, *, deny: bool) -> str:
    text = text_of(node, "ip")
    if not NETWORK.fullmatch(text) or "." not in text.replace(":", "."):
        named = ":" not in text and re.search("[g-zG-Z*]", text)
        hint = "a name is: host: ..." if named else "ip: 10.1.2.0/24"
        fail(node, f'"{text[:80]}" is not an address or network', hint)
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        fail(node, f'"{text}" is not an address or network', "ip: 10.1.2.0/24")
    if ipaddress.ip_address(text.partition("/")[0]) != network.network_address:
        fail(node, f"{text} has host bits set", f"ip: {network}")
    first = network.network_address
    if isinstance(first, ipaddress.IPv6Address) and first.ipv4_mapped is not None:
        four = f"{first.ipv4_mapped}/{max(network.prefixlen - 96, 0)}"
        fail(node, f"{text} is IPv4 inside IPv6", f"ip: {four}")
    least = MIN_PREFIX[network.version]
    if network.prefixlen < least and not deny:
        message = f"{network} is wider than /{least}"
        fail(node, message, "name the networks that are needed, such as ip: 10.1.2.0/24")
    return str(network)


def _ports(node: Node) -> tuple[int, ...]:
    found = set[int]()
    for item in items_of(node, "ports", "[443]"):
        if item.kind != "int" or not _PORT.fullmatch(item.value) or int(item.value) > 65535:
            first = re.fullmatch(r"0*([1-9][0-9]{0,3})(?:\.0*)?", item.value)
            said = item.called if item.kind != "int" else item.value
            if item.kind == "int" and not re.fullmatch(r"[-+]?(0|[1-9][0-9]*)", item.value):
                said += ", which YAML reads as another number"
            hint = f"ports: [{first[1]}]" if first else "name each port: ports: [80, 443]"
            fail(item, f"a port is an integer from 1 to 65535, not {said}", hint)
        found.add(int(item.value))
    return tuple(sorted(found))


def methods_of(node: Node) -> tuple[str, ...]:
    """The methods, sorted.

    Raises:
        RuleError: one that no request could have, or CONNECT.
    """
    found = set[str]()
    for item in items_of(node, "methods", "[GET, HEAD]"):
        text = text_of(item, "methods")
        if not METHOD.fullmatch(text):
            upper = text.upper()
            hint = f"methods: [{upper}]" if METHOD.fullmatch(upper) else "methods: [GET, HEAD]"
            fail(item, f'"{text[:80]}" is not a method in upper case', hint)
        if text == "CONNECT":
            fail(item, "CONNECT asks a proxy and is judged by host and port", "leave it out")
        found.add(text)
    return tuple(sorted(found))


def _globs(node: Node) -> tuple[str, ...]:
    found = set[str]()
    for item in items_of(node, "paths", '["/simple/**"]'):
        text = text_of(item, "paths")
        if not text.startswith("/"):
            fail(item, f'"{text[:80]}" does not begin with /', f'paths: ["/{text[:80]}"]')
        if len(text) > paths.MAX_GLOB or text.count("*") > 2 * MAX_STARS or "***" in text:
            message = (
                f'"{text[:80]}" is longer than {paths.MAX_GLOB} or has more than {MAX_STARS} stars'
            )
            fail(item, message, "shorten it: ** crosses segments, * stays in one")
        plain = paths.normal(text)
        if plain != text:
            hint = "write it decoded, without query, ;, //, . and .. segments"
            if plain is not None:
                hint = f'paths: ["{plain}"]'
            fail(item, f'"{text[:80]}" is not how the gate sees a path', hint)
        found.add(text)
    return tuple(sorted(found))
