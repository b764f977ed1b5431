from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from sluicegate.boundary import witness
from sluicegate.gate.loop import Loop
from sluicegate.gate.origins import QUESTION, Asked, Origins, WitnessError, question_of
from sluicegate.jcs import Json

FOUR = bytes(10) + b"\xff\xff"


@pytest.fixture
def line() -> Iterator[tuple[Loop, Origins, socket.socket]]:
    ours, theirs = socket.socketpair()
    loop = Loop()
    with ours, theirs:
        yield loop, Origins(ours, loop), theirs
    loop.close()


Line = tuple[Loop, Origins, socket.socket]


def test_a_question_names_both_ends_in_one_form() -> None:
    ours = ("::ffff:10.255.0.1", 40000, 0, 0)
    asked = question_of(7, ours, ("::ffff:203.0.113.10", 443, 0, 0))
    ends = (FOUR + bytes([10, 255, 0, 1]), 40000, FOUR + bytes([203, 0, 113, 10]), 443)
    assert witness.QUESTION.unpack(asked) == (7, *ends)
    assert asked == question_of(7, ("10.255.0.1", 40000), ("203.0.113.10", 443))
    six = question_of(7, ("fd00::1", 1), ("fe80::1%lo", 2, 0, 1))
    assert QUESTION.unpack(six)[3] == socket.inet_pton(socket.AF_INET6, "fe80::1")


def test_each_answer_begins_what_waited_for_it(line: Line) -> None:
    loop, origins, peer = line
    begun: list[tuple[int, Json]] = []
    waits = [
        Asked(
            origins,
            number,
            question_of(number, ("::1", 1), ("::1", 2)),
            lambda asked, said, number=number: begun.append((number, said)),
        )  # type: ignore[misc]
        for number in (1, 2)
    ]
    for asked in waits:
        asked.start()
    origins.flush()
    assert [n for n, *_ in QUESTION.iter_unpack(peer.recv(999))] == [1, 2]
    peer.sendall(b'{"connection":2,"process":{"found":"exact"}}\n{"connection":1,')
    loop.turn(1)
    assert begun == [(2, {"found": "exact"})]
    peer.sendall(b'"process":{}}\n')
    loop.turn(1)
    assert begun == [(2, {"found": "exact"}), (1, {})]


@pytest.mark.parametrize(
    "said",
    [b"{}\n", b"[]\n", b'{"connection":9,"process":{}}\n', b"x\n", b'{"connection":1}\n', b""],
)
def test_what_was_not_asked_stops_the_gate(line: Line, said: bytes) -> None:
    loop, origins, peer = line
    origins.ask(1, b"", lambda _: None)
    if said:
        peer.sendall(said)
    else:
        peer.close()
    with pytest.raises(WitnessError):
        loop.turn(1)


def test_a_witness_that_does_not_read_is_asked_when_it_does(line: Line) -> None:
    loop, origins, peer = line
    question, count = question_of(1, ("::1", 1), ("::1", 2)), 20_000
    for number in range(count):
        origins.ask(number, question, lambda _: None)
    origins.flush()
    got = 0
    while got < count * QUESTION.size:
        got += len(peer.recv(1 << 20))
        loop.turn(0)
        origins.flush()
    assert got == count * QUESTION.size
