"""What the kernel tells of changes to a network: links, addresses, routes, policy rules, settings, packet rules. Pure.

Sources: linux/rtnetlink.h (message types, groups), linux/netfilter/nfnetlink.h and nf_tables.h.
"""

from __future__ import annotations

import ipaddress
import struct

from sluicegate.wire import netlink
from sluicegate.wire.cursor import WireError

READ_BYTES = 1 << 16  # the kernel's datagrams are under 16 KiB
MAX_TEXT = (
    120  # characters of one change in words; an interface's name has 15, a table's may have 255
)
# Bit masks of groups, as bind(2) takes them: LINK, TC, IPV4_IFADDR, IPV4_ROUTE, IPV4_RULE, IPV6_IFADDR, IPV6_ROUTE,
# IPV6_RULE, IPV4_NETCONF, IPV6_NETCONF, NSID, NEXTHOP. Not neighbours: traffic makes and unmakes them.
ROUTE_GROUPS = sum(1 << group - 1 for group in (1, 4, 5, 7, 8, 9, 11, 19, 24, 25, 28, 32))
RULE_GROUPS = 1 << 7 - 1  # NFNLGRP_NFTABLES
_NFT = 10  # NFNL_SUBSYS_NFTABLES, the upper byte of its messages' types
_ROUTING = {
    16: "link",
    20: "address",
    24: "route",
    32: "policy rule",
    36: "queue",
    40: "queue class",
    44: "filter",
    80: "setting",
    88: "namespace",
    100: "chain of filters",
    104: "next hop",
}
_RULES = {
    0: "new table",
    2: "deleted table",
    3: "new chain",
    5: "deleted chain",
    6: "new rule",
    8: "deleted rule",
    9: "new set",
    11: "deleted set",
    12: "new element",
    14: "deleted element",
    15: "new generation",
    18: "new object",
    20: "deleted object",
    22: "new flow table",
    24: "deleted flow table",
}
_LINK_NAME, _LINK_MTU = 3, 4
_ROUTE_TARGET, _NEW_ROUTE = 1, 24
_LOCAL_TABLE, _HOST_BITS = 255, 128
_GENERATION = 15


def read(datagram: bytes) -> list[str]:
    """Each change in one datagram of a subscription in a few words of printable ASCII, at most MAX_TEXT characters.

    What can not be read is a change as well.
    """
    try:
        return [_words(message)[:MAX_TEXT] for message in netlink.messages(datagram)]
    except WireError:
        return ["unreadable"]


def has_local_route(datagram: bytes, address: str) -> bool:
    """Whether the kernel tells of the local route of `address`, an IPv6 address of this host.

    Raises:
        WireError: the datagram can not be read.
    """
    wanted = ipaddress.ip_address(address).packed
    for message in netlink.messages(datagram):
        head = message.body[:12]
        if message.kind != _NEW_ROUTE or len(head) < 12:
            continue
        if (head[1], head[4]) == (_HOST_BITS, _LOCAL_TABLE):
            values = dict(netlink.attributes(message.body[12:]))
            if values.get(_ROUTE_TARGET) == wanted:
                return True
    return False


def _words(message: netlink.Message) -> str:
    if message.kind >> 8 == _NFT:
        word = _RULES.get(message.kind & 0xFF, f"rule message {message.kind & 0xFF}")
        return f"{word}{_named(message)}"
    kind = message.kind & ~3
    if kind not in _ROUTING or message.kind & 3 > 1:
        return f"message {message.kind}"
    verb = "deleted" if message.kind & 1 else "new"
    details = {"link": _link, "address": _address, "route": _route, "policy rule": _route}
    try:
        more = details[_ROUTING[kind]](message.body) if _ROUTING[kind] in details else ""
    except (WireError, struct.error, ValueError):
        more = " (unreadable)"
    return f"{verb} {_ROUTING[kind]}{more}"


def _named(message: netlink.Message) -> str:
    """Table and chain; every message but the generation's begins with the table, and a chain's or rule's has one."""
    if message.kind & 0xFF == _GENERATION:
        return ""
    try:
        values = netlink.attributes(message.body[4:])
    except WireError:
        return " (unreadable)"
    names = [value.rstrip(b"\0") for kind, value in values if kind in {1, 2, 3}]
    return "".join(f" {name.decode()}" for name in names if name and _plain(name))


def _plain(name: bytes) -> bool:
    return name.isascii() and name.decode().isprintable()


def _link(body: bytes) -> str:
    flags, values = struct.unpack_from("=I", body, 8)[0], dict(netlink.attributes(body[16:]))
    name = ascii(values.get(_LINK_NAME, b"?").rstrip(b"\0").decode("latin-1"))[1:-1]
    mtu = int.from_bytes(values.get(_LINK_MTU, b""), "little")
    return f" {name} mtu {mtu} {'up' if flags & 1 else 'down'}"


def _address(body: bytes) -> str:
    if len(body) < 8:
        raise WireError("an address is cut short")
    return f" {_target(body[1], netlink.attributes(body[8:]), body[0])}"


def _route(body: bytes) -> str:
    if len(body) < 12:
        raise WireError("a route is cut short")
    return f" {_target(body[1], netlink.attributes(body[12:]), body[0])} table {body[4]}"


def _target(bits: int, values: list[tuple[int, bytes]], family: int) -> str:
    raw = dict(values).get(_ROUTE_TARGET, bytes(16 if family == 10 else 4))
    return f"{ipaddress.ip_address(raw)}/{bits}"
