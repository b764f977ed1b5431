"""Netlink's framing: messages and their attributes (linux/netlink.h; netlink(7)). Pure."""

from __future__ import annotations

import struct
from typing import NamedTuple

from sluicegate.wire.cursor import WireError

NOOP, ERROR, DONE, OVERRUN = 1, 2, 3, 4  # message types below 16 are netlink's own
REQUEST, DUMP = 0x1, 0x300
INTERRUPTED = 0x10  # NLM_F_DUMP_INTR: what is dumped changed meanwhile
HEADER_BYTES = 16
_HEADER, _ATTRIBUTE = struct.Struct("=IHHII"), struct.Struct("=HH")
_TYPE = 0x3FFF  # the two upper bits say nested and byte order


class Message(NamedTuple):
    """One message without its header."""

    kind: int
    flags: int
    body: bytes


def messages(datagram: bytes) -> list[Message]:
    """The messages in one datagram of the kernel.

    Raises:
        WireError: one is cut short, or there is none.
    """
    found, at = list[Message](), 0
    while at < len(datagram):
        if len(datagram) - at < HEADER_BYTES:
            raise WireError("netlink message is cut short")
        size, kind, flags, _, _ = _HEADER.unpack_from(datagram, at)
        if size < HEADER_BYTES or at + size > len(datagram):
            raise WireError("netlink message is cut short")
        found.append(Message(kind, flags, datagram[at + HEADER_BYTES : at + size]))
        at += size + 3 & ~3
    if not found:
        raise WireError("a datagram without a netlink message")
    return found


def attributes(raw: bytes) -> list[tuple[int, bytes]]:
    """Type and value of each attribute, in order.

    Raises:
        WireError: one is cut short.
    """
    found, at = list[tuple[int, bytes]](), 0
    while len(raw) - at >= _ATTRIBUTE.size:
        size, kind = _ATTRIBUTE.unpack_from(raw, at)
        if size < _ATTRIBUTE.size or at + size > len(raw):
            raise WireError("netlink attribute is cut short")
        found.append((kind & _TYPE, raw[at + _ATTRIBUTE.size : at + size]))
        at += size + 3 & ~3
    return found


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute, padded."""
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value + bytes(-len(value) % 4)


def request(kind: int, body: bytes, number: int, flags: int = DUMP) -> bytes:
    """A message to the kernel, `number` being its sequence; by default it asks for a dump."""
    return _HEADER.pack(HEADER_BYTES + len(body), kind, REQUEST | flags, number, 0) + body
