"""Dropped packets as the kernel's NFLOG tells them (linux/netfilter/nfnetlink_log.h)."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from sluicegate.wire.cursor import Cursor, WireError

_PACKET, _CONFIG = 4 << 8, 4 << 8 | 1
_PAYLOAD, _UID, _SEQ = 9, 11, 12
# Enough for an IPv6 header, extension headers, and ports.
SNAPLEN = 128
_TCP, _UDP, _LITE, _SCTP, _DCCP = 6, 17, 136, 132, 33
_PORTED = {_TCP, _UDP, _LITE, _SCTP, _DCCP}


@dataclass(frozen=True, slots=True)
class Dropped:
    """One dropped packet; `port` is the destination's, `icmp` type and code."""

    protocol: int
    source: str
    destination: str
    port: int | None
    uid: int | None
    seq: int | None
    icmp: tuple[int, int] | None


def read_messages(datagram: bytes) -> list[Dropped]:
    """The packets in one netlink datagram; other messages are passed over."""
    found, at = list[Dropped](), 0
    while len(datagram) - at >= 16:
        size = int.from_bytes(datagram[at : at + 4], "little")
        if size < 16 or at + size > len(datagram):
            raise WireError("netlink message is cut short")
        if int.from_bytes(datagram[at + 4 : at + 6], "little") == _PACKET:
            found.append(_packet(datagram[at + 20 : at + size]))
        at += size + 3 & ~3
    return found


def _packet(body: bytes) -> Dropped:
    values, at = dict[int, bytes](), 0
    while len(body) - at >= 4:
        size = int.from_bytes(body[at : at + 2], "little")
        if size < 4 or at + size > len(body):
            raise WireError("netlink attribute is cut short")
        values[int.from_bytes(body[at + 2 : at + 4], "little") & 0x3FFF] = body[at + 4 : at + size]
        at += size + 3 & ~3
    uid, seq = (int.from_bytes(values[k], "big") if k in values else None for k in (_UID, _SEQ))
    return _ip(values.get(_PAYLOAD, b""), uid, seq)


def _ip(raw: bytes, uid: int | None, seq: int | None) -> Dropped:
    at = Cursor(raw)
    first, whole = at.number(1), True
    if first >> 4 == 4:
        at.take(5)
        whole = not at.number(2) & 0x1FFF
        at.take(1)
        protocol = at.number(1)
        at.take(2)
        ends = at.take(4), at.take(4)
        at.take(max(0, (first & 15) * 4 - 20))
    elif first >> 4 == 6:
        at.take(5)
        protocol = at.number(1)
        at.take(1)
        ends = at.take(16), at.take(16)
        while protocol in {0, 43, 44, 60} and at.left >= 8 and whole:
            step = at.take(8)
            whole = protocol != 44 or not int.from_bytes(step[2:4], "big") & 0xFFF8
            at.take(0 if protocol == 44 else min(at.left, step[1] * 8))
            protocol = step[0]
    else:
        raise WireError("dropped packet is not IP")
    source, destination = (str(ipaddress.ip_address(end)) for end in ends)
    start = at.take(4) if whole and at.left >= 4 else b""
    port = int.from_bytes(start[2:], "big") if start and protocol in _PORTED else None
    icmp = (start[0], start[1]) if start and protocol in {1, 58} else None
    return Dropped(protocol, source, destination, port, uid, seq, icmp)


def subscribe(group: int) -> list[bytes]:
    """Messages that bind a netlink socket to `group`: copy packets, one at a time, numbered."""
    settings = (
        (1, b"\x01"),
        (2, SNAPLEN.to_bytes(4, "big") + b"\x02\x00"),
        (5, (1).to_bytes(4, "big")),
        (6, (1).to_bytes(2, "big")),
    )
    return [_config(group, kind, value, n) for n, (kind, value) in enumerate(settings, 1)]


def _config(group: int, kind: int, value: bytes, number: int) -> bytes:
    attribute = (4 + len(value)).to_bytes(2, "little") + kind.to_bytes(2, "little") + value
    body = b"\0\0" + group.to_bytes(2, "big") + attribute + bytes(-len(attribute) % 4)
    head = (16 + len(body)).to_bytes(4, "little") + _CONFIG.to_bytes(2, "little")
    # NLM_F_REQUEST | NLM_F_ACK
    return head + (5).to_bytes(2, "little") + number.to_bytes(4, "little") + bytes(4) + body
