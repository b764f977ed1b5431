"""SHELL. The kernel's own count of the bytes that it took from us for a peer: TCP_INFO."""

from __future__ import annotations

import socket
import struct
from typing import Protocol

# struct tcp_info of linux/tcp.h: tcpi_state at 0, tcpi_notsent_bytes at 144, tcpi_bytes_sent and tcpi_bytes_retrans at
# 200 (Linux 4.19).
INFO_BYTES = 216
# include/net/tcp_states.h: FIN_WAIT1, LAST_ACK, CLOSING. Our FIN is queued or under way; it has a number like a byte,
# so what is not sent yet counts it (write_seq - snd_nxt), and it is the last of that.
_ENDING = frozenset((4, 9, 11))
_NOT_SENT, _SENT = struct.Struct("=I"), struct.Struct("=QQ")


class Stream(Protocol):
    """The part of a non-blocking socket that a connection's carriers use."""

    def fileno(self) -> int: ...

    def recv(self, size: int, /) -> bytes: ...

    def send(self, data: bytes | bytearray, /) -> int: ...

    def shutdown(self, how: int, /) -> None: ...

    def close(self) -> None: ...

    def setsockopt(self, level: int, name: int, value: int | bytes, /) -> None: ...

    def getsockopt(self, level: int, name: int, size: int, /) -> bytes: ...


def written(peer: Stream) -> int:
    """Bytes of data that were written to `peer` since it was connected: those sent once, and those not sent yet.

    0 for a socket that is closed already.

    Raises:
        OSError: the kernel is older than 4.19, which says less.
    """
    if peer.fileno() < 0:
        return 0
    info = peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, INFO_BYTES)
    if len(info) < INFO_BYTES:
        raise OSError(f"TCP_INFO has {len(info)} bytes, not {INFO_BYTES}: Linux 4.19 is needed")
    (waiting,) = _NOT_SENT.unpack_from(info, 144)
    sent, again = _SENT.unpack_from(info, 200)
    waiting -= waiting > 0 and info[0] in _ENDING
    return int(sent - again + waiting)


class Meter:
    """What the kernel took for two peers since the last `settle`."""

    __slots__ = ("_before", "_peers")

    def __init__(self, *peers: Stream) -> None:
        self._peers = peers
        self._before = [written(peer) for peer in peers]

    def settle(self) -> tuple[int, int]:
        """Bytes for the first and the second; the next count begins here."""
        now = [written(peer) for peer in self._peers]
        up, down = (last - first for last, first in zip(now, self._before, strict=True))
        self._before = now
        return up, down
