"""The network of a boundary as the kernel tells it: what to ask over netlink, and the answers in one form. Pure.

Two readings are equal unless somebody changed something: counts, handles and caches are left out. Message types and
attributes are those of linux/rtnetlink.h, if_link.h, if_addr.h, fib_rules.h, netconf.h and netfilter/nf_tables.h.
"""

from __future__ import annotations

import hashlib
import ipaddress
import struct
from collections.abc import Iterable, Sequence

from sluicegate.wire import netlink
from sluicegate.wire.cursor import WireError

_INET, _INET6 = 2, 10
_CLONED = 0x200  # RTM_F_CLONED: a cache entry that traffic made, no route
_NFT = 10 << 8  # NFNL_SUBSYS_NFTABLES
_NEW_GENERATION, _GET_GENERATION = _NFT | 15, _NFT | 16
_GENERATION_ID = 1  # NFTA_GEN_ID
_GENERAL_BYTES = 4  # struct nfgenmsg; its last half is the generation's lower bits
_COUNTER_OBJECT = b"\0\0\0\1"  # NFT_OBJECT_COUNTER
# Request type -> what of its answers is left out: use counts, handles, positions, packet counts.
_RULE_SET = (
    (_NFT | 1, frozenset((3, 4))),  # NFT_MSG_GETTABLE
    (_NFT | 4, frozenset((2, 6, 8))),  # GETCHAIN
    (_NFT | 19, frozenset((5, 6))),  # GETOBJ; of a counter its data too
    (_NFT | 10, frozenset((16,))),  # GETSET
    (_NFT | 23, frozenset((4, 5))),  # GETFLOWTABLE
    (_NFT | 7, frozenset((3, 6))),  # GETRULE
)
_GET_OBJECT, _OBJECT_TYPE, _OBJECT_DATA = _NFT | 19, 3, 4


class _Form:
    """How the messages of one kind are written: header, its names, attributes by number."""

    def __init__(
        self,
        header: str,
        fields: str,
        named: dict[int, str],
        *,
        others: bool = True,
        without: frozenset[int] = frozenset(),
    ) -> None:
        self.header, self.fields = struct.Struct(header), fields.split()
        self.named, self.others, self.without = named, others, without

    def text(self, body: bytes) -> str:
        """One line: of the header what is not 0, then the attributes, those without a name by their number."""
        if len(body) < self.header.size:
            raise WireError("the kernel's answer is cut short")
        head = zip(self.fields, self.header.unpack_from(body), strict=True)
        words = [f"{name}={value}" for name, value in head if value]
        for kind, value in netlink.attributes(body[self.header.size + 3 & ~3 :]):
            if kind in self.named:
                words.append(f"{self.named[kind]}={_shown(self.named[kind], value)}")
            elif self.others and kind not in self.without:
                words.append(f"{kind}={value.hex()}")
        return " ".join(words)


_LINK = _Form(
    "=BxHiII",
    "family type index flags change",
    {
        1: "address",
        3: "name",
        4: "mtu",
        5: "link",
        6: "qdisc",
        10: "master",
        13: "qlen",
        16: "state",
        18: "info",
        27: "group",
        30: "promiscuity",
        37: "netns",
        43: "xdp",
    },
    others=False,  # the rest is statistics and what the driver can do
)
_ADDRESS = _Form(
    "=BBBBI",
    "family prefix flags8 scope index",
    {1: "address", 2: "local", 3: "name", 4: "broadcast", 8: "flags"},
    without=frozenset((6,)),  # time stamps
)
_ROUTE = _Form(
    "=BBBBBBBBI",
    "family dst_len src_len tos table8 protocol scope type flags",
    {
        1: "dst",
        2: "src",
        3: "iif",
        4: "oif",
        5: "gateway",
        6: "priority",
        7: "prefsrc",
        15: "table",
    },
    without=frozenset((12,)),  # use counts and ages
)
_RULE = _Form(
    "=BBBBBBBBI",
    "family dst_len src_len tos table8 res1 res2 action flags",
    {1: "dst", 2: "src", 3: "name", 6: "priority", 10: "mark", 15: "table"},
)
_SETTING = _Form(
    "=B",
    "family",
    {
        1: "index",
        2: "forwarding",
        3: "rp_filter",
        4: "mc_forwarding",
        5: "proxy_neigh",
        6: "ignore_routes_with_linkdown",
        8: "bc_forwarding",
    },
)
# Part of the state -> its requests (type, header) and how the answers are written.
_PARTS = (
    ("links", ((18, bytes(16)),), _LINK),
    ("addresses", ((22, bytes(8)),), _ADDRESS),
    ("routes", tuple((26, bytes([family, *bytes(11)])) for family in (_INET, _INET6)), _ROUTE),
    ("rules", tuple((34, bytes([family, *bytes(11)])) for family in (_INET, _INET6)), _RULE),
    ("settings", tuple((82, bytes([family, 0, 0, 0])) for family in (_INET, _INET6)), _SETTING),
)
Ask = tuple[int, bytes]  # a request's type and body


def route_requests() -> list[Ask]:
    """What to ask for over NETLINK_ROUTE, each as a dump."""
    return [ask for _, asks, _ in _PARTS for ask in asks]


def rule_set_requests() -> list[Ask]:
    """What to ask for over NETLINK_NETFILTER, each as a dump; of every family."""
    return [(kind, bytes(_GENERAL_BYTES)) for kind, _ in _RULE_SET]


def generation_request() -> Ask:
    """The question for the generation, which is no dump."""
    return _GET_GENERATION, bytes(_GENERAL_BYTES)


def routing(answers: Sequence[Iterable[netlink.Message]]) -> dict[str, object]:
    """Links, addresses, routes, policy rules and settings, each a list of lines, sorted.

    `answers` are those to `route_requests`, in its order.

    Raises:
        WireError: the kernel said what it never would.
    """
    left = iter(answers)
    found: dict[str, object] = {}
    for name, asks, form in _PARTS:
        bodies = [message.body for _ in asks for message in next(left)]
        if form is _ROUTE:
            bodies = [body for body in bodies if not _cached(body)]
        found[name] = sorted(form.text(body) for body in bodies)
    return found


def rule_set(answers: Sequence[Iterable[netlink.Message]]) -> str:
    """`sha256:` over all tables, chains, objects, sets, flow tables and rules.

    `answers` are those to `rule_set_requests`, in its order. Hashed is, of each message: the lower byte of its type,
    its family, and its attributes as the kernel encodes them, without handles, positions and counts.

    Raises:
        WireError: the kernel said what it never would.
    """
    digest = hashlib.sha256()
    for (kind, without), messages in zip(_RULE_SET, answers, strict=True):
        for message in messages:
            if len(message.body) < _GENERAL_BYTES:
                raise WireError("the kernel's answer is cut short")
            said = netlink.attributes(message.body[_GENERAL_BYTES:])
            omitted = without
            if kind == _GET_OBJECT and (_OBJECT_TYPE, _COUNTER_OBJECT) in said:
                omitted = without | {_OBJECT_DATA}
            kept = b"".join(netlink.attribute(k, v) for k, v in said if k not in omitted)
            digest.update(struct.pack(">BBI", message.kind & 0xFF, message.body[0], len(kept)))
            digest.update(kept)
    return "sha256:" + digest.hexdigest()


def generation(message: netlink.Message) -> int:
    """The number of rule transactions that this network has seen.

    Raises:
        WireError: it is no answer to `generation_request`.
    """
    value = dict(netlink.attributes(message.body[_GENERAL_BYTES:])).get(_GENERATION_ID, b"")
    if message.kind != _NEW_GENERATION or len(value) != 4:
        raise WireError("the kernel did not say the rule set's generation")
    return int.from_bytes(value, "big")


def differences(before: object, after: object) -> tuple[str, ...]:
    """Which parts of the state are not the same, by name."""
    if not isinstance(before, dict) or not isinstance(after, dict):
        return ("network",)
    names = sorted(before.keys() | after.keys())
    return tuple(str(name) for name in names if before.get(name) != after.get(name))


def _cached(body: bytes) -> bool:
    return len(body) >= 12 and bool(int.from_bytes(body[8:12], "little") & _CLONED)


def _shown(name: str, value: bytes) -> str:
    if name in {"name", "qdisc"}:
        return ascii(value.rstrip(b"\0").decode("latin-1"))[1:-1]
    if name in {"address", "local", "broadcast", "dst", "src", "gateway", "prefsrc"} and len(
        value
    ) in {4, 16}:
        return str(ipaddress.ip_address(value))
    if len(value) in {1, 4} and name not in {"info", "xdp"}:
        return str(int.from_bytes(value, "little"))
    return value.hex()
