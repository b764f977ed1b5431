"""Dropped packets as the kernel's NFLOG tells them (linux/netfilter/nfnetlink_log.h)."""

from __future__ import annotations

import functools
import ipaddress
import struct
from dataclasses import dataclass

from sluicegate.wire import names
from sluicegate.wire.cursor import Cursor, WireError

_PACKET, _CONFIG = 4 << 8, 4 << 8 | 1
# linux/netlink.h: length and type of a message, length and type of an attribute.
_MESSAGE, _ATTRIBUTE = struct.Struct("<IH"), struct.Struct("<HH")
_PAYLOAD, _UID, _SEQ = 9, 11, 12
# Enough for an IPv6 header, extension headers, and ports.
SNAPLEN = 128
_TCP, _UDP, _LITE, _SCTP, _DCCP = 6, 17, 136, 132, 33
UNREADABLE = 255  # reserved by IANA: no packet carries it
_PORTED = frozenset((_TCP, _UDP, _LITE, _SCTP, _DCCP))
_ICMP = frozenset((1, 58))
# Hop-by-hop, routing, fragment and destination options: their last part may hide the transport.
_FRAGMENT = 44
_EXTENSIONS = frozenset((0, 43, _FRAGMENT, 60))


@dataclass(frozen=True, slots=True)
class Dropped:
    """One dropped packet; `port` is the destination's, `icmp` type and code.

    What the payload did not show is UNREADABLE for the protocol, "" for an address, None for the rest.
    """

    protocol: int
    source: str
    destination: str
    port: int | None
    uid: int | None
    seq: int | None
    icmp: tuple[int, int] | None


def read_messages(datagram: bytes) -> list[Dropped]:
    """The packets in one netlink datagram; other messages are passed over.

    A packet that can not be read, or that is cut short, is still one packet, and costs the others nothing.
    """
    found, at = list[Dropped](), 0
    while len(datagram) - at >= 16:
        size, kind = _MESSAGE.unpack_from(datagram, at)
        if size < 16:
            break
        if kind == _PACKET:
            found.append(_packet(datagram[at + 20 : at + size]))
        at += size + 3 & ~3
    return found


def _packet(body: bytes) -> Dropped:
    values, at = dict[int, bytes](), 0
    while len(body) - at >= 4:
        size, kind = _ATTRIBUTE.unpack_from(body, at)
        if size < 4:
            break
        values[kind & 0x3FFF] = body[at + 4 : at + size]
        at += size + 3 & ~3
    uid, seq = (_four(values.get(kind, b"")) for kind in (_UID, _SEQ))
    raw = values.get(_PAYLOAD, b"")
    try:
        return _four_header(raw, uid, seq) if raw[:1] < b"\x50" else _six_header(raw, uid, seq)
    except WireError:
        return Dropped(UNREADABLE, "", "", None, uid, seq, None)


def _four(raw: bytes) -> int | None:
    return int.from_bytes(raw, "big") if len(raw) == 4 else None


def _four_header(raw: bytes, uid: int | None, seq: int | None) -> Dropped:
    at = Cursor(raw)
    head = at.take(20)
    if head[0] >> 4 != 4 or head[0] & 15 < 5:
        raise WireError("not an IPv4 header")
    at.at = min(at.end, (head[0] & 15) * 4)
    # Only the first fragment has ports.
    start = b"" if int.from_bytes(head[6:8], "big") & 0x1FFF else raw[at.at : at.at + 4]
    return _dropped(head[9], head[12:16], head[16:20], start, uid, seq)


def _six_header(raw: bytes, uid: int | None, seq: int | None) -> Dropped:
    at = Cursor(raw)
    head = at.take(40)
    if head[0] >> 4 != 6:
        raise WireError("not an IPv6 header")
    protocol, whole = head[6], True
    while protocol in _EXTENSIONS and whole and at.left >= 8:
        step = at.take(8)
        whole = protocol != _FRAGMENT or not int.from_bytes(step[2:4], "big") & 0xFFF8
        at.take(0 if protocol == _FRAGMENT else min(at.left, step[1] * 8))
        protocol = step[0]
    start = raw[at.at : at.at + 4] if whole else b""
    return _dropped(protocol, head[8:24], head[24:40], start, uid, seq)


def _dropped(
    protocol: int, source: bytes, target: bytes, start: bytes, uid: int | None, seq: int | None
) -> Dropped:
    port = icmp = None
    if len(start) == 4 and protocol in _PORTED:
        port = int.from_bytes(start[2:], "big")
    elif len(start) == 4 and protocol in _ICMP:
        icmp = start[0], start[1]
    return Dropped(protocol, _address(source), _address(target), port, uid, seq, icmp)


def subscribe(group: int) -> list[bytes]:
    """Messages that bind a netlink socket to `group`: copy packets, one at a time, numbered."""
    settings = (
        (1, b"\x01"),
        (2, SNAPLEN.to_bytes(4, "big") + b"\x02\x00"),
        (5, (1).to_bytes(4, "big")),
        (6, (1).to_bytes(2, "big")),
    )
    return [_config(group, kind, value, n) for n, (kind, value) in enumerate(settings, 1)]


@functools.lru_cache(maxsize=4096)  # a flood comes from one address and goes to few
def _address(raw: bytes) -> str:
    return names.host(str(ipaddress.ip_address(raw)))  # one spelling on every version


def _config(group: int, kind: int, value: bytes, number: int) -> bytes:
    attribute = (4 + len(value)).to_bytes(2, "little") + kind.to_bytes(2, "little") + value
    body = b"\0\0" + group.to_bytes(2, "big") + attribute + bytes(-len(attribute) % 4)
    head = (16 + len(body)).to_bytes(4, "little") + _CONFIG.to_bytes(2, "little")
    # NLM_F_REQUEST | NLM_F_ACK
    return head + (5).to_bytes(2, "little") + number.to_bytes(4, "little") + bytes(4) + body
