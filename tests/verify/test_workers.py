"""Signatures checked by forked workers."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from sluicegate.evidence import journal, keys
from sluicegate.verify import packet, workers
from sluicegate.verify.packet import Level
from sluicegate.verify.replay import replay
from sluicegate.verify.source import Source
from sluicegate.verify.strict import VerificationError
from tests.evidence import made
from tests.verify.test_replay import RUN

SIGN = keys.signer(made.SEED)[0]
DIGEST = b"d" * 32
GOOD = SIGN(DIGEST)


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> Iterator[workers.Workers]:
    monkeypatch.setattr(workers, "FIRST", 2)
    monkeypatch.setattr(workers, "BATCH", 4)
    with workers.Workers(2) as found:
        yield found
        started = [worker.pid for worker in found._workers]
    for pid in started:
        with pytest.raises(ChildProcessError):
            os.waitpid(pid, 0)


def give(pool: workers.Workers, count: int, *bad: int) -> None:
    for number in range(count):
        signature = bytes(64) if number in bad else GOOD
        pool.add(made.PIN, signature, DIGEST, f"line {number}")
    pool.settle()


def test_all_hold(pool: workers.Workers) -> None:
    give(pool, 203)
    assert len(pool._workers) == 2
    give(pool, 9)


@pytest.mark.parametrize(
    "bad", [[0], [1], [2], [40], [201], [202], [41, 40], [7, 150], [3, 202], [4, 8, 12, 16, 20, 24]]
)
def test_the_first_that_does_not_is_named(pool: workers.Workers, bad: list[int]) -> None:
    with pytest.raises(
        VerificationError, match=rf"^line {min(bad)}: signature verification failed$"
    ):
        give(pool, 203, *bad)


def test_a_worker_that_is_gone_is_no_way_around(pool: workers.Workers) -> None:
    give(pool, 50)
    for worker in pool._workers:
        os.kill(worker.pid, signal.SIGKILL)
    give(pool, 100)
    with pytest.raises(VerificationError, match="line 60:"):
        give(pool, 100, 60)


def test_a_message_of_another_length_is_checked_at_once(pool: workers.Workers) -> None:
    give(pool, 10)
    with pytest.raises(VerificationError, match="odd"):
        pool.add(made.PIN, GOOD, b"other", "odd")


def test_a_bad_signature_weighs_more_than_what_follows_from_it(
    pool: workers.Workers, tmp_path_factory: pytest.TempPathFactory
) -> None:
    files = made.files(tmp_path_factory.mktemp("t"), [made.message(n) for n in range(40)])
    assert packet.verify(files, [made.PIN], signatures=pool).outcome == packet.VALID
    for number in (1, 3, 20, 39):
        lines = files["evidence.jsonl"].splitlines(keepends=True)
        place = lines[number].index(b"ed25519:") + 8
        flipped = b"0" if lines[number][place : place + 1] != b"0" else b"1"
        lines[number] = lines[number][:place] + flipped + lines[number][place + 1 :]
        changed = files | {"evidence.jsonl": b"".join(lines)}
        report = packet.verify(changed, [made.PIN], signatures=pool)
        said = report.reached[Level.INTACT][1]
        assert said == f"evidence.jsonl line {number + 1}: signature verification failed"


def test_a_record_that_hangs_together_but_for_its_last_signatures(pool: workers.Workers) -> None:
    made_so_far = [0]

    def sign(data: bytes) -> bytes:
        made_so_far[0] += 1
        return SIGN(data if made_so_far[0] <= 5 else b"another message")

    book, facts, now = journal.Journal(RUN, sign), b"", "2026-01-02T03:04:05Z"
    evidence = book.open(made.own(0), now)
    for number in range(5):
        flow, line = book.flow(made.message(number), now)
        facts, evidence = facts + flow, evidence + line
    streams = (Source([data], "it", 65_535) for data in (evidence, facts))
    with pytest.raises(VerificationError, match=r"^evidence\.jsonl line 6: signature verif"):
        replay(*streams, signatures=pool)
