from __future__ import annotations

import socket

from sluicegate.wire import meminfo


class Socket:
    def getsockopt(self, level: int, option: int, size: int) -> bytes:
        assert (level, option, size) == (socket.SOL_SOCKET, 55, 36)
        return b"\xff" * 32 + (77).to_bytes(4, "little")


def test_what_a_socket_dropped() -> None:
    assert meminfo.dropped(Socket()) == 77


def test_a_real_socket_has_the_answer() -> None:
    one, other = socket.socketpair()
    with one, other:
        assert meminfo.dropped(one) == 0
