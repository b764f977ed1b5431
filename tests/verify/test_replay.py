"""Records whose signatures all hold, by a key holder who lies or errs: the verifier must still see it."""

from __future__ import annotations

import json
import tracemalloc
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sluicegate.evidence import chain, journal, keys
from sluicegate.verify import replay as record
from sluicegate.verify import strict
from sluicegate.verify.source import Source
from tests.evidence import made

SIGN, KEY = keys.signer(made.SEED)
RUN = chain.Run("0" * 32, "f" * 32, made.digest(made.POLICY), KEY, 60, "1" * 64)


PAIRED = {"verdict": "allow", "layer": None, "pattern": None}


def replay(evidence: bytes, flows: bytes, piece: int = 1 << 16) -> record.Replay:
    """The record of texts that come in pieces of so many bytes."""
    return record.replay(*(source(data, piece) for data in (evidence, flows)))


def source(data: bytes, piece: int) -> Source:
    pieces = (data[at : at + piece] for at in range(0, len(data), piece))
    return Source(pieces, "it", strict.MAX_LINE_BYTES)


class Book:
    """A record in memory, written by the real journal with a clock of our own."""

    def __init__(self, run: chain.Run = RUN) -> None:
        self.journal = journal.Journal(run, SIGN)
        self.evidence = self.facts = b""
        self.clock = 0

    def now(self) -> str:
        self.clock += 1
        return f"2026-01-02T03:04:{self.clock:02d}Z"

    def open(self) -> Book:
        self.evidence += self.journal.open(made.own(0), self.now())
        return self

    def beat(self, name: str = "") -> Book:
        self.evidence += self.journal.heartbeat(name or made.own(self.clock), self.now())
        return self

    def flow(self, number: int, at: str | None = None, **changes: object) -> Book:
        told = made.message(number, **changes)
        facts, evidence = self.journal.flow(told, at or self.now())
        self.facts, self.evidence = self.facts + facts, self.evidence + evidence
        return self

    def boundary(self) -> Book:
        name = made.own(self.clock)
        facts, evidence = self.journal.boundary({"captured": 1}, name, self.now())
        self.facts, self.evidence = self.facts + facts, self.evidence + evidence
        return self

    def close(self) -> Book:
        self.evidence += self.journal.close(made.own(self.clock), "done", self.now())
        return self


def test_an_honest_record() -> None:
    book = Book().open().flow(1).beat().flow(2).beat().boundary().close()
    state = replay(book.evidence, book.facts)
    assert state.closed
    assert state.ended
    assert state.tally.receipts == 7
    assert state.unanswered == 0


@pytest.mark.parametrize(
    ("story", "said"),
    [
        (lambda b: b, "no receipts"),
        (lambda b: b.flow(1), "session_control"),
        (lambda b: b.open().flow(1).flow(1), "not later than the ones before"),
        (lambda b: b.open().flow(2).flow(1), "not later than the ones before"),
        (lambda b: b.open().flow(1, **PAIRED, phase="intent").flow(1), "not later"),
        (lambda b: b.open().flow(1, action_id=made.own(9)), "not a UUIDv7"),
        (lambda b: b.open().flow(1, action_id="id-1"), "not a UUIDv7"),
        (lambda b: b.open().beat(made.own(0)), "not later than the ones before"),
        (lambda b: b.open().beat(made.action(9)), "not a UUIDv8"),
        (
            lambda b: (
                b.open()
                .flow(1, **PAIRED, phase="intent")
                .flow(1, **PAIRED, phase="outcome")
                .flow(1, **PAIRED, phase="outcome")
            ),
            "without its intent",
        ),
        (lambda b: b.open().flow(1, verdict="strip"), "verdict our notary"),
        (lambda b: b.open().flow(1, verdict="nonsense"), "unknown verdict"),
        (lambda b: b.open().flow(1, verdict="allow", phase="outcome"), "without its intent"),
        (lambda b: b.open().flow(1, verdict="allow", phase="resolution"), "phase our notary"),
        (lambda b: b.open().flow(1, action_type="browse"), "unknown action_type"),
        (lambda b: b.open().flow(1, at="2026-01-02T03:04:00Z"), "time runs backwards"),
        (lambda b: b.open().flow(1, target="a\tb"), "control character"),
        (lambda b: b.open().flow(1, target="\x80"), "ASCII"),
        (lambda b: b.open().flow(1, flow={"kind": None}), "kind"),
        (lambda b: b.open().flow(1, flow={"kind": "boundary"}), "by another way"),
        (lambda b: b.open().boundary().flow(1), "after the boundary"),
        (lambda b: b.open().boundary().boundary(), "after the boundary"),
        (lambda b: b.open().close(), "not the boundary's"),
        (lambda b: b.open().boundary().close().close(), "after the checkpoint"),
        (lambda b: b.open().open(), "session_control"),
    ],
)
def test_a_record_that_does_not_add_up(story: Callable[[Book], Book], said: str) -> None:
    book = story(Book())
    with pytest.raises(strict.VerificationError, match=said):
        replay(book.evidence, book.facts)


@pytest.mark.parametrize(
    "run",
    [
        chain.Run("X" * 32, RUN.open_nonce, RUN.policy_hash, KEY, 60),
        chain.Run(RUN.nonce, "short", RUN.policy_hash, KEY, 60),
        chain.Run(RUN.nonce, RUN.open_nonce, "", KEY, 60),
        chain.Run(RUN.nonce, RUN.open_nonce, "f" * 64, KEY, 60),
        chain.Run(RUN.nonce, RUN.open_nonce, RUN.policy_hash, KEY, -1),
    ],
)
def test_an_opening_with_values_out_of_shape(run: chain.Run) -> None:
    with pytest.raises(strict.VerificationError):
        replay(Book(run).open().evidence, b"")


def test_facts_that_no_receipt_names() -> None:
    book = Book().open().flow(1).boundary().close()
    with pytest.raises(strict.VerificationError, match="more lines"):
        replay(book.evidence, book.facts + b"{}\n")
    prefix = Book().open().flow(1)
    assert not replay(prefix.evidence, prefix.facts + b"{}\n").closed


def test_a_torn_last_line_is_no_line() -> None:
    book = Book().open().flow(1)
    state = replay(book.evidence + b'{"v":2,', book.facts + b'{"ki')
    assert state.torn
    assert state.tally.receipts == 2


def test_facts_must_be_canonical() -> None:
    book = Book().open().flow(1)
    for other in (b"{ }\n", b'{"kind":"x"}\n', b"\n", book.facts[:-1] + b" \n"):
        with pytest.raises(strict.VerificationError):
            replay(book.evidence, other)


def peak(receipts: int) -> int:
    """Bytes held at most while so many receipts are read, as they are made."""
    made_book = Book().open()
    texts = {"evidence": made_book.evidence}

    def lines(name: str) -> Iterator[bytes]:
        yield texts.pop("evidence") if name == "evidence" else b""
        for number in range(receipts):
            if name == "evidence":
                told = made.message(number, target=f"tls://host-{number % 50}.example.com:443")
                facts, line = made_book.journal.flow(told, "2026-01-02T03:05:00Z")
                waiting.append(facts)
                yield line
            else:
                yield waiting.popleft()

    waiting = deque[bytes]()
    sources = (Source(lines(name), name, strict.MAX_LINE_BYTES) for name in ("evidence", "flows"))
    tracemalloc.start()
    state = record.replay(*sources)
    found = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert state.tally.receipts == receipts + 1
    return found


def test_memory_does_not_grow_with_the_record() -> None:
    peak(100)  # what is loaded late is loaded
    few, many = peak(300), peak(3000)
    assert many - few < 2700 * 12, "some bytes are kept of every receipt"


@pytest.mark.parametrize("number", ["9007199254740992", "1.0", "true", "[]", "1e2"])
def test_the_quick_reading_takes_no_number_that_nobody_looks_at(number: str) -> None:
    line = Book().open().flow(1).evidence.splitlines()[1]
    more = line.replace(
        b'"transport":"forward","',
        b'"contract_generation":%s,"transport":"forward","' % number.encode(),
        2,
    )
    assert more != line
    with pytest.raises(strict.VerificationError):
        replay(Book().open().evidence + more + b"\n", b"{}\n")
    try:
        found = record._read(more, "it")
    except strict.VerificationError:
        return
    assert found == json.loads(more)
    assert number in {"true", "[]"}  # for the shape to refuse


def test_no_more_is_open_than_a_gate_can_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = made.files(tmp_path, [*made.pair(1), *made.pair(2)])
    lines = files["evidence.jsonl"], files["flows.jsonl"]
    assert replay(*lines).closed
    monkeypatch.setattr(record, "MAX_OPEN", 0)
    with pytest.raises(strict.VerificationError, match="more than 0 intents are open"):
        replay(*lines)
