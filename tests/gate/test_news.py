"""What the gate tells while the run goes on (sluicegate.gate.news); real runs: tests/kernel/test_live.py."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from sluicegate.facts import Decision, Facts, Protocol, Verdict
from sluicegate.gate import news

COUNTS = {"flows": 3, "denied": 1, "observed": 0, "bytes_up": 10, "bytes_down": 20, "http": 7}


@dataclass(slots=True)
class Passing:
    moved: news.Moved | None = None


@dataclass(eq=False, slots=True)
class Deed:
    decision: Decision
    passage: Passing = field(default_factory=Passing)


@pytest.fixture
def pair() -> Iterator[tuple[news.News, socket.socket]]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        theirs.setblocking(False)
        yield news.News(ours), theirs


def denied(host: str, port: int = 443, remedy: str | None = "- host: x") -> tuple[Facts, Decision]:
    facts = Facts(Protocol.TLS, "198.18.0.1", port, synthetic=host)
    return facts, Decision(Verdict.DENY, "default", f"no rule allows {host}", port, host, None, remedy)  # fmt: skip


def said(theirs: socket.socket) -> dict[str, object]:
    found = json.loads(theirs.recv(news.BATCH * 10_000))
    assert isinstance(found, dict)
    return found


def test_counts_and_open_destinations(pair: tuple[news.News, socket.socket]) -> None:
    it, theirs = pair
    allowed = Decision(Verdict.ALLOW, "allow[0]", "", 443, "a.test")
    bare = Decision(Verdict.ALLOW, "allow[0]", "", 22, None, "2001:db8::1")
    first, second = Deed(allowed, Passing(lambda: (5, 6))), Deed(bare)
    for deed in (first, second, Deed(allowed)):
        it.began(deed)
    it.tick(COUNTS)
    counts = {"flows": 3, "denied": 1, "observed": 0, "up": 15, "down": 26}
    where = ["a.test:443", "[2001:db8::1]:22"]
    assert said(theirs) == {**counts, "open": where, "first": [], "more": False}
    it.tick(COUNTS)
    with pytest.raises(BlockingIOError):
        theirs.recv(1)  # nothing is new
    it.ended(first)
    it.ended(second)
    it.ended(second)
    it.tick(COUNTS)
    assert said(theirs)["open"] == ["a.test:443"]


def test_a_destination_is_told_once_and_the_number_is_bounded(
    pair: tuple[news.News, socket.socket],
) -> None:
    it, theirs = pair
    for number in range(news.MAX_DENIED + 5):
        for _ in range(3):
            it.denied(*denied(f"h{number}.test"))
    told, more = list[object](), list[object]()
    while not more or not more[-1]:
        it.tick(COUNTS)
        message = said(theirs)
        assert isinstance(message["first"], list)
        assert len(message["first"]) <= news.BATCH
        told += [one["target"] for one in message["first"]]
        more.append(message["more"])
    assert told == [f"tls://h{number}.test:443" for number in range(news.MAX_DENIED)]
    assert more[:-1] == [False] * (len(more) - 1)


def test_nobody_who_listens_costs_nothing_and_loses_no_denial(
    pair: tuple[news.News, socket.socket],
) -> None:
    it, theirs = pair
    lost = 0
    for number in range(100_000):
        it.tick({**COUNTS, "flows": number})
        if it._last != b"" and json.loads(it._last)["flows"] != number:
            lost = number
            break
    assert lost, "the socket took everything"
    it.denied(*denied("late.test"))
    it.tick(COUNTS)
    while True:
        try:
            assert said(theirs)["first"] == []
        except BlockingIOError:
            break
    it.tick(COUNTS)
    first = said(theirs)["first"]
    assert isinstance(first, list)
    assert [one["target"] for one in first] == ["tls://late.test:443"]
    theirs.close()
    it.tick({**COUNTS, "flows": 4})  # nor does one who is gone


def test_hostile_texts_are_short_and_printable(pair: tuple[news.News, socket.socket]) -> None:
    it, theirs = pair
    path = "/\x1b]0;\n" + "x" * 5000
    facts = Facts(Protocol.HTTP, "198.18.0.1", 80, synthetic="a.test", method="GET", path=path)
    reason = "no\n::error::\u202e" + "y" * 5000
    remedy = "- host: " + "z" * 5000
    it.denied(facts, Decision(Verdict.DENY, "default", reason, 80, "a.test", None, remedy))
    it.tick(COUNTS)
    first = said(theirs)["first"]
    assert isinstance(first, list)
    (one,) = first
    for name in ("target", "rule", "reason"):
        assert len(one[name]) <= news.MAX_TEXT
        assert one[name].isascii()
        assert one[name].isprintable()
    assert one["remedy"] == ""
