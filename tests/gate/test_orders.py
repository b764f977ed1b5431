"""The supervisor's words to the gate (sluicegate.gate.orders)."""

from __future__ import annotations

import socket

import pytest

from sluicegate.gate.orders import MAX_BYTES, Orders


def test_a_stop_may_come_in_pieces_and_nothing_else_is_one() -> None:
    ours, theirs = socket.socketpair()
    stops = list[bool]()
    with ours, theirs:
        orders = Orders(ours, lambda: stops.append(True))
        orders.readable(0)
        for piece in (b'{"stop":false}\n[]\nnonsense\n{"st', b'op":true}', b"\n"):
            assert stops == []
            theirs.sendall(piece)
            orders.readable(0)
        assert stops == [True]
        assert not orders.gone
        orders.say({"changed": {"what": "x"}})
        orders.last({"stopped": {}})
        assert theirs.recv(100) == b'{"changed":{"what":"x"}}\n{"stopped":{}}\n'


@pytest.mark.parametrize("last", [b"", b"x" * (MAX_BYTES + 1)])
def test_it_is_gone_when_it_closes_or_never_ends_a_line(last: bytes) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        orders = Orders(ours, lambda: None)
        theirs.sendall(last)
        theirs.shutdown(socket.SHUT_WR)
        for _ in range(3):
            orders.readable(0)
        assert orders.gone
