"""SOCKS5 (RFC 1928) without authentication, and SOCKS4 requests so that they can be refused."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from sluicegate.wire import names
from sluicegate.wire.cursor import Cursor, WireError

CONNECT = 1
# Of a user or a name in SOCKS4, where no length is stated.
MAX_TEXT = 255


@dataclass(frozen=True, slots=True)
class Greeting:
    """The methods a client offers."""

    methods: bytes
    size: int


@dataclass(frozen=True, slots=True)
class SocksRequest:
    """Where a client wants to go; `host` is canonical."""

    command: int
    host: str
    port: int
    size: int


def read_greeting5(stream: bytes) -> Greeting | None:
    """The greeting, or None while it is incomplete.

    Raises:
        WireError: not of version 5, or no method offered.
    """
    if stream[:1] not in {b"", b"\x05"} or stream[1:2] == b"\0":
        raise WireError("not a SOCKS5 greeting")
    if len(stream) < 2 or len(stream) < 2 + stream[1]:
        return None
    return Greeting(stream[2 : 2 + stream[1]], 2 + stream[1])


def read_request5(stream: bytes) -> SocksRequest | None:
    """The request, or None while it is incomplete.

    Raises:
        WireError: malformed, or to no host and port.
    """
    if stream[:1] not in {b"", b"\x05"} or stream[2:3] not in {b"", b"\0"}:
        raise WireError("not a SOCKS5 request")
    if len(stream) < 5:
        return None
    kind = stream[3]
    lengths = {1: 4, 3: stream[4] + 1, 4: 16}
    if kind not in lengths or (kind == 3 and not stream[4]):
        raise WireError("unknown SOCKS5 address type or empty name")
    size = 4 + lengths[kind] + 2
    if len(stream) < size:
        return None
    at = Cursor(stream, 4, size)
    raw = at.block(1).data if kind == 3 else at.take(lengths[kind])
    text = raw.decode("latin-1") if kind == 3 else str(ipaddress.ip_address(raw))
    if not text.isascii():
        raise WireError("SOCKS5 name is not ASCII")
    return SocksRequest(stream[1], names.host(text), _port(at.number(2)), size)


def read_request4(stream: bytes) -> SocksRequest | None:
    """The SOCKS4 or 4a request, or None while it is incomplete.

    Raises:
        WireError: malformed, or to no host and port.
    """
    if stream[:1] not in {b"", b"\x04"}:
        raise WireError("not a SOCKS4 request")
    user = _zero_ended(stream, 8)
    if user is None:
        return None
    port, raw, size = int.from_bytes(stream[2:4], "big"), stream[4:8], 8 + len(user) + 1
    text = str(ipaddress.ip_address(raw))
    if raw[:3] == b"\0\0\0" and raw[3]:
        # SOCKS4a: an address that can not be, and the name after the user.
        name = _zero_ended(stream, size)
        if name is None:
            return None
        text, size = name.decode("latin-1"), size + len(name) + 1
        if not text.isascii():
            raise WireError("SOCKS4a name is not ASCII")
    return SocksRequest(stream[1], names.host(text), _port(port), size)


def greeting_reply(ok: bool) -> bytes:
    """No authentication, or no acceptable method."""
    return b"\x05\x00" if ok else b"\x05\xff"


def reply5(code: int) -> bytes:
    """A SOCKS5 reply (0 granted, 2 not allowed by rule set) bound to nowhere."""
    return bytes([5, code, 0, 1]) + bytes(6)


def reply4(code: int) -> bytes:
    """A SOCKS4 reply (90 granted, 91 refused)."""
    return bytes([0, code]) + bytes(6)


def _zero_ended(stream: bytes, start: int) -> bytes | None:
    end = stream.find(b"\0", start, start + MAX_TEXT + 1)
    if end < 0 and len(stream) > start + MAX_TEXT:
        raise WireError("SOCKS4 user or name is longer than 255 bytes")
    return None if end < 0 else stream[start:end]


def _port(number: int) -> int:
    if not number:
        raise WireError("port 0")
    return number
