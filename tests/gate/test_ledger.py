import socket

import pytest

from sluicegate.gate.ledger import Ledger, LedgerError


def test_callbacks_run_in_order_and_only_when_committed() -> None:
    ours, notary = socket.socketpair()
    with ours, notary:
        ledger, done = Ledger(ours), list[str]()
        ledger.submit({"n": 1}, lambda: done.append("one"))
        ledger.submit({"n": 2}, lambda: done.append("two"))
        ledger.flush()
        assert notary.recv(100) == b'{"n":1}\n{"n":2}\n'
        assert done == []
        notary.sendall(b'{"committed": 1}\n{"comm')
        ledger.readable()
        assert done == ["one"]
        notary.sendall(b'itted": 2}\n')
        ledger.readable()
        assert done == ["one", "two"]


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
