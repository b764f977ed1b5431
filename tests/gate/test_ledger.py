import socket

import pytest

from sluicegate.gate.ledger import LAZY_NS, Ledger, LedgerError


def test_callbacks_run_in_order_and_only_when_committed() -> None:
    ours, notary = socket.socketpair()
    with ours, notary:
        ledger, done = Ledger(ours), list[str]()
        ledger.submit({"n": 1}, lambda: done.append("one"))
        ledger.submit({"n": 2}, lambda: done.append("two"))
        ledger.flush(0)
        assert notary.recv(100) == b'{"n":1}\n{"n":2}\n'
        assert done == []
        notary.sendall(b'{"committed": 1}\n{"comm')
        ledger.readable()
        assert done == ["one"]
        notary.sendall(b'itted": 2}\n')
        ledger.readable()
        assert done == ["one", "two"]


def test_what_nobody_waits_for_goes_behind_the_next_or_when_it_is_due() -> None:
    ours, notary = socket.socketpair()
    with ours, notary:
        notary.setblocking(False)
        ledger, done = Ledger(ours), list[int]()
        ledger.submit({"n": 1}, lambda: done.append(1), lazy_at=10)
        ledger.flush(10)
        assert ledger.waiting
        assert not ledger.pressing
        with pytest.raises(BlockingIOError):
            notary.recv(100)
        ledger.submit({"n": 2}, lambda: done.append(2))
        assert ledger.pressing  # one client: to wait without sleeping takes nothing from others
        ledger.flush(10)
        assert notary.recv(100) == b'{"n":2}\n{"n":1}\n'
        assert not ledger.waiting
        notary.sendall(b'{"committed": 1}\n')
        ledger.readable()
        assert done == [2]
        assert not ledger.pressing
        ledger.submit({"n": 3}, list, lazy_at=20)
        ledger.submit({"n": 4}, list, lazy_at=19 + LAZY_NS)
        ledger.flush(19 + LAZY_NS)
        ledger.flush(20 + LAZY_NS)
        assert notary.recv(100) == b'{"n":3}\n{"n":4}\n'
        notary.sendall(b'{"committed": 4}\n')
        ledger.readable()
        assert done == [2, 1]


def test_a_notary_that_does_not_read_is_waited_for() -> None:
    ours, notary = socket.socketpair()
    with ours, notary:
        ledger = Ledger(ours)
        while not ledger.blocked:
            ledger.submit({"n": "x" * 10_000}, list)
            ledger.flush(0)
        assert not ledger.waiting
        while ledger.blocked:
            notary.recv(1_000_000)
            ledger.flush(0)


@pytest.mark.parametrize("answer", [b'{"committed": 1}\n', b"[]\n", b"x\n", b'{"committed": -1}\n'])
def test_a_count_that_cannot_be_is_fatal(answer: bytes) -> None:
    ours, notary = socket.socketpair()
    with ours, notary:
        ledger = Ledger(ours)
        notary.sendall(answer)
        with pytest.raises(LedgerError):
            ledger.readable()


def test_the_end_of_the_notary_is_fatal() -> None:
    ours, notary = socket.socketpair()
    with ours:
        notary.close()
        with pytest.raises(LedgerError, match="closed its end"):
            Ledger(ours).readable()


def test_it_is_full_once_so_many_bytes_were_submitted() -> None:
    ours, notary = socket.socketpair()
    with ours, notary:
        ledger = Ledger(ours, 16)
        ledger.submit({"n": 1}, list)
        ledger.flush(0)
        assert not ledger.full
        ledger.submit({"n": 2}, list, lazy_at=0)
        assert ledger.full


def test_where_several_wait_nobody_is_pressing() -> None:
    ours, notary = socket.socketpair()
    with ours, notary:
        ledger = Ledger(ours)
        for _ in range(3):
            ledger.submit({"n": 1}, list)
        assert not ledger.pressing
        ledger.flush(0)
        notary.sendall(b'{"committed": 2}\n')
        ledger.readable()
        assert ledger.pressing
