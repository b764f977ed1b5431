"""The ClientHello of a TLS connection (RFC 8446 section 4.1.2), over records and segments."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from sluicegate.wire import names
from sluicegate.wire.cursor import Cursor, WireError

# Post-quantum key shares make 2 KiB usual; nobody needs more than this.
MAX_HELLO = 64 * 1024
# Real hellos take one record, some tools split them into a handful; each one costs us a turn.
MAX_RECORDS = 1024
# Alert record, TLS 1.2 as legacy version: fatal, access_denied (49).
ACCESS_DENIED = b"\x15\x03\x03\x00\x02\x02\x31"


@dataclass(frozen=True, slots=True)
class ClientHello:
    """What the hello shows in clear. `sni` is canonical, or None if there is none.

    `early`: data may follow before the server answers. `size` in bytes of the stream.
    """

    sni: str | None
    alpn: tuple[str, ...]
    ech: bool
    early: bool = False
    size: int = field(default=0, compare=False)  # how it was cut into records is not what it says


def read_client_hello(stream: bytes) -> ClientHello | None:
    """The hello that `stream` begins with, or None while it is incomplete.

    Raises:
        WireError: not a ClientHello, or one that two servers could read differently.
    """
    message, at, records = bytearray(), 0, 0
    while len(message) < 4 or len(message) < 4 + int.from_bytes(message[1:4], "big"):
        head = stream[at : at + 5]
        if (head[:1] or b"\x16") != b"\x16" or (head[1:2] or b"\x03") != b"\x03":
            raise WireError("not a TLS handshake record")
        if len(head) < 5:
            return None
        size = int.from_bytes(head[3:5], "big")
        if not 0 < size <= 16384:
            raise WireError("TLS record is empty or too large")
        message += stream[at + 5 : at + 5 + size]
        if message and message[0] != 1:
            raise WireError("not a ClientHello")
        if len(message) >= 4 and int.from_bytes(message[1:4], "big") > MAX_HELLO:
            raise WireError("ClientHello is larger than 64 KiB")
        if len(stream) < at + 5 + size:
            return None
        at += 5 + size
        records += 1
        if records > MAX_RECORDS:
            raise WireError("ClientHello in more than 1024 records")
    if len(message) != 4 + int.from_bytes(message[1:4], "big"):
        raise WireError("bytes after the ClientHello in its record")
    return replace(_hello(Cursor(bytes(message), 4)), size=at)


def _hello(body: Cursor) -> ClientHello:
    body.take(2 + 32)
    if body.block(1).left > 32:
        raise WireError("session id is longer than 32 bytes")
    suites, compressions = body.block(2).left, body.block(1).left
    if not suites or suites % 2 or not compressions:
        raise WireError("bad cipher suites or compression methods")
    sni, alpn, ech, early = None, tuple[str, ...](), False, False
    extensions = body.block(2) if body.left else Cursor(b"")
    body.finish()
    seen: set[int] = set()
    while extensions.left:
        kind, value = extensions.number(2), extensions.block(2)
        if kind in seen:
            raise WireError("repeated extension")
        seen.add(kind)
        if kind == 0:
            sni = _server_name(value)
        elif kind == 16:
            alpn = _protocols(value)
        elif kind in {0xFE0D, 0xFFCE}:
            ech = True
        elif kind == 42:
            early = True
    return ClientHello(sni, alpn, ech, early)


def _server_name(value: Cursor) -> str:
    entries = value.block(2)
    value.finish()
    kind, name = entries.number(1), entries.block(2)
    if kind or entries.left:
        raise WireError("server_name is not one host name")
    raw = name.take(name.left)
    if not raw.isascii():
        raise WireError("server_name is not ASCII")
    return names.host(raw.decode("ascii"))


def _protocols(value: Cursor) -> tuple[str, ...]:
    entries, found = value.block(2), []
    value.finish()
    while entries.left:
        name = entries.block(1)
        if not name.left:
            raise WireError("empty ALPN name")
        found.append(name.take(name.left).decode("latin-1"))
    return tuple(found)
