"""The arithmetic over the kernel's answer; `tests/kernel/test_exchange.py` has real sockets."""

from __future__ import annotations

import socket

import pytest

from sluicegate.gate import meter


class Peer:
    """A socket with the kernel's answer given."""

    def __init__(self, info: bytes) -> None:
        self.info, self.closed = info, False

    def fileno(self) -> int:
        return -1 if self.closed else 3

    def getsockopt(self, level: int, option: int, size: int) -> bytes:
        assert (level, option) == (socket.IPPROTO_TCP, socket.TCP_INFO)
        return self.info[:size]


def info(sent: int, again: int, waiting: int, state: int = 1) -> bytes:
    raw = bytearray(b"\xee" * 240)
    raw[0] = state
    raw[144:148] = waiting.to_bytes(4, "little")
    raw[200:208], raw[208:216] = sent.to_bytes(8, "little"), again.to_bytes(8, "little")
    return bytes(raw)


def written(peer: Peer) -> int:
    return meter.written(peer)  # type: ignore[arg-type]


def test_what_was_sent_once_and_what_waits_was_written() -> None:
    assert written(Peer(info(5_000_000_000, 1000, 77))) == 4_999_999_077


@pytest.mark.parametrize("state", [4, 9, 11], ids=["FIN_WAIT1", "LAST_ACK", "CLOSING"])
def test_our_end_of_the_stream_is_no_byte(state: int) -> None:
    """It waits behind the bytes for a window that is closed, and has a number like one."""
    assert written(Peer(info(100, 0, 8, state))) == 107
    assert written(Peer(info(100, 0, 1, state))) == 100
    assert written(Peer(info(100, 0, 0, state))) == 100


def test_an_old_kernel_is_told_apart_from_a_silent_one() -> None:
    with pytest.raises(OSError, match=r"Linux 4\.19 is needed"):
        written(Peer(info(1, 0, 0)[:192]))


def test_a_closed_socket_counts_nothing() -> None:
    peer = Peer(b"")
    peer.closed = True
    assert written(peer) == 0


def test_each_settling_begins_a_new_count() -> None:
    up, down = Peer(info(100, 0, 0)), Peer(info(10, 0, 0))
    meter_ = meter.Meter(up, down)  # type: ignore[arg-type]
    up.info, down.info = info(150, 20, 5), info(10, 0, 3)
    assert meter_.settle() == (35, 3)
    assert meter_.settle() == (0, 0)
