"""One TCP socket by its four-tuple, as the kernel's sock_diag tells it (linux/inet_diag.h, sock_diag(7))."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from sluicegate.wire.cursor import WireError

_BY_FAMILY, _ERROR = 20, 2  # SOCK_DIAG_BY_FAMILY, NLMSG_ERROR
_REQUEST = 1  # NLM_F_REQUEST without NLM_F_DUMP: exactly one socket
_TCP, _INET, _INET6 = 6, 2, 10
_LISTEN = 10  # of the states in net/tcp_states.h
# The only interface of the boundary, which is the first of its namespace. Link-local addresses need it.
LOOPBACK = 1
_HEADER = struct.Struct("=IHHII")
_ASKED = struct.Struct("=BBBxI")
_ADDRESSES = struct.Struct("!HH16s16s")
_SCOPE = struct.Struct("=IQ")
_MESSAGE = struct.Struct("=BBBB48sIIIII")
_ANY_COOKIE = 2**64 - 1
_MAPPED = bytes(10) + b"\xff\xff"
_NOT_FOUND = 2  # ENOENT


@dataclass(frozen=True, slots=True)
class End:
    """One end of a connection: 16 bytes of address, IPv4 as mapped into IPv6, and a port."""

    address: bytes
    port: int


@dataclass(frozen=True, slots=True)
class Found:
    """The socket: its inode (0 where no process has it open any more), its owner's uid, its cookie."""

    inode: int
    uid: int
    cookie: int


def request(ours: End, theirs: End, number: int) -> bytes:
    """The message that asks for the TCP socket whose own end is `ours`. `number` comes back in the answer.

    A socket of AF_INET6 that speaks IPv4 is found under AF_INET like any other.
    """
    four = ours.address.startswith(_MAPPED) and theirs.address.startswith(_MAPPED)
    own, other = (_address(end.address, four=four) for end in (ours, theirs))
    body = _ASKED.pack(_INET if four else _INET6, _TCP, 0, 2**32 - 1)
    body += _ADDRESSES.pack(ours.port, theirs.port, own, other)
    body += _SCOPE.pack(LOOPBACK, _ANY_COOKIE)
    return _HEADER.pack(_HEADER.size + len(body), _BY_FAMILY, _REQUEST, number, 0) + body


def _address(raw: bytes, *, four: bool) -> bytes:
    return raw[12:] + bytes(12) if four else raw


def read_reply(datagram: bytes, number: int, ours: End, theirs: End) -> Found | None:
    """The answer to `request` of the same arguments; None where the kernel has no such socket.

    Where no connection matches, the kernel answers with whatever listens on the port: that is none.

    Raises:
        WireError: not an answer to this request, or an error other than "no such socket".
    """
    if len(datagram) < _HEADER.size + 4:
        raise WireError(f"an answer of {len(datagram)} bytes")
    _, kind, _, echoed, _ = _HEADER.unpack_from(datagram)
    if echoed != number:
        raise WireError(f"an answer to request {echoed}, wanted {number}")
    if kind == _ERROR:
        (code,) = struct.unpack_from("=i", datagram, _HEADER.size)
        if code != -_NOT_FOUND:
            raise WireError(f"sock_diag refused with error {-code}")
        return None
    if kind != _BY_FAMILY or len(datagram) < _HEADER.size + _MESSAGE.size:
        raise WireError(f"a message of type {kind} and {len(datagram)} bytes")
    family, state, _, _, name, _, _, _, uid, inode = _MESSAGE.unpack_from(datagram, _HEADER.size)
    own_port, other_port, own, other = _ADDRESSES.unpack_from(name)
    _, cookie = _SCOPE.unpack_from(name, _ADDRESSES.size)
    same = (own_port, other_port) == (ours.port, theirs.port)
    same = same and _same(own, ours.address, family) and _same(other, theirs.address, family)
    return Found(inode, uid, cookie) if same and state != _LISTEN else None


def _same(said: bytes, wanted: bytes, family: int) -> bool:
    return said == wanted or (family == _INET and _MAPPED + said[:4] == wanted)


def is_socket(datagram: bytes) -> bool:
    """Whether an answer tells of a socket, in whatever state."""
    return (
        len(datagram) >= _HEADER.size + _MESSAGE.size
        and _HEADER.unpack_from(datagram)[1] == _BY_FAMILY
    )
