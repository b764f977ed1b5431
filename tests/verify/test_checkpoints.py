from __future__ import annotations

import functools
import json

import pytest

from sluicegate.evidence import keys, note, tree
from sluicegate.verify import bare, packet
from sluicegate.verify.checkpoints import Checkpoints, NoCheckpointError
from sluicegate.verify.packet import Level
from tests.evidence import made
from tests.peers.second import OTHER_SEED, SIGN, finished, prefix, put, rebuilt, whole_lines

Files = dict[str, bytes]
LEVELS = (Level.INTACT, Level.CLOSED, Level.PINNED)  # of a chain alone: it has no counters
OTHER_SIGN, OTHER = keys.signer(OTHER_SEED)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return made.files(tmp_path_factory.mktemp("told"), made.some())


def nonce(files: Files) -> str:
    record = json.loads(whole_lines(files)[0])["detail"]["action_record"]
    return str(record["run_nonce"])


def told(files: Files, size: int) -> bytes:
    """The checkpoint of the first `size` lines, as the notary signed it when there were no more."""
    head = functools.reduce(tree.grown, whole_lines(files)[:size], tree.EMPTY)
    return signed(files, size, tree.root(head))


def signed(files: Files, size: int, root: bytes) -> bytes:
    return note.sign_checkpoint(
        note.Checkpoint(note.origin(nonce(files)), size, root), made.PIN, SIGN
    )


def printed(data: bytes) -> bytes:
    return b"sluicegate: checkpoint " + note.one_line(data).encode() + b"\n"


def check(files: Files, *texts: bytes) -> packet.Report:
    heads = Checkpoints([(f"log {n}", text) for n, text in enumerate(texts)])
    return packet.verify(files, [made.PIN], checkpoints=heads)


def rewritten(files: Files) -> Files:
    """Another time in the fourth receipt, and everything from there on signed anew by the key's holder."""
    lines = whole_lines(files)
    before = json.loads(lines[2])["detail"]["action_record"]["timestamp"]
    again = files | {"evidence.jsonl": rebuilt(lines, put(3, timestamp=before))}
    assert whole_lines(again)[:3] == lines[:3]
    return finished(again, files)


def test_a_record_that_grew_as_it_was_told(files: Files) -> None:
    size = len(whole_lines(files))
    every = [told(files, n) for n in range(1, size + 1)]
    assert every[-1] == files["checkpoint"]
    assert check(files, b"".join(every)).outcome == packet.VALID
    log = b"".join(b"2026-01-02T03:04:05.678Z noise" + printed(one) for one in every)
    assert check(files, log, every[0]).outcome == packet.VALID
    cut = prefix(files, 4)
    assert check(cut, b"".join(every[:4])).outcome == packet.UNPROVEN


def test_what_was_rewritten_afterwards_shows(files: Files) -> None:
    changed = rewritten(files)
    assert packet.verify(changed, [made.PIN]).outcome == packet.VALID
    assert check(changed, told(files, 3)).outcome == packet.VALID
    for size in (4, 7, len(whole_lines(files))):
        report = check(changed, printed(told(files, size)))
        assert report.outcome == packet.INVALID
        why = f"log 0: the record was rewritten: its first {size} lines were others"
        assert report.reached[Level.INTACT] == (False, why)


def test_what_was_cut_off_shows(files: Files) -> None:
    cut = prefix(files, 4)
    assert packet.verify(cut, [made.PIN]).outcome == packet.UNPROVEN
    report = check(cut, told(files, 2), told(files, 6))
    assert report.outcome == packet.INVALID
    why = "log 1: the record was cut: it had 6 lines, now it has 4"
    assert report.reached[Level.INTACT] == (False, why)
    torn = cut | {"evidence.jsonl": files["evidence.jsonl"][:-9]}
    assert "was cut" in check(torn, files["checkpoint"]).reached[Level.INTACT][1]


def test_checkpoints_of_another_run(files: Files) -> None:
    other = note.Checkpoint(note.origin("1" * 32), 1, b"r" * 32)
    theirs = note.sign_checkpoint(other, made.PIN, SIGN)
    report = check(files, theirs)
    assert report.outcome == packet.INVALID
    why = f"its checkpoints are of sluicegate/run/{'1' * 32}, not of this record's sluicegate/run/"
    assert why in report.reached[Level.INTACT][1]
    # A job may hold several runs. What is of this one counts.
    assert check(files, printed(theirs) + printed(told(files, 2))).outcome == packet.VALID
    mixed = printed(theirs) + printed(told(files, 2))
    assert check(rewritten(files), mixed + printed(told(files, 4))).outcome == packet.INVALID


def test_only_the_records_own_key_can_have_told(files: Files) -> None:
    head = note.Checkpoint(note.origin(nonce(files)), 1, b"r" * 32)
    theirs = note.sign_checkpoint(head, bytes.fromhex(OTHER), OTHER_SIGN)
    report = check(files, theirs)
    assert report.outcome == packet.INVALID
    assert "no signature by a pinned key" in report.reached[Level.INTACT][1]
    forged = told(files, 2).replace(b"\n2\n", b"\n3\n")
    report = check(files, told(files, 2) + forged)
    assert report.outcome == packet.INVALID
    assert "does not verify" in report.reached[Level.INTACT][1]


def test_two_stories_of_one_key(files: Files) -> None:
    report = check(files, told(files, 3), signed(files, 3, b"r" * 32))
    assert report.outcome == packet.INVALID
    assert "two different checkpoints of 3 lines" in report.reached[Level.INTACT][1]


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"sluicegate: packet out verified\n",
        b"\xff\xfe\x00",
        b"sluicegate: checkpoint sluicegate/run/1 1 x y\n",
        b"sluicegate: checkpoint-file is no checkpoint\n",
    ],
)
def test_a_text_without_any(files: Files, text: bytes) -> None:
    with pytest.raises(NoCheckpointError, match="the log holds no checkpoint"):
        Checkpoints([("good", told(files, 1)), ("the log", text)])


def test_a_file_of_notes_holds_nothing_else(files: Files) -> None:
    notes = told(files, 1) + told(files, 2)
    for text in (notes[:-5], b"x\n" + notes, notes + b"\n"):
        with pytest.raises(NoCheckpointError):
            Checkpoints([("notes", text)])


def test_lines_that_the_command_began_or_coloured(files: Files) -> None:
    line = printed(told(files, 4)).rstrip()
    begun = line[:60]
    for log in (begun + line, b"\x1b[31mE " + line + b"\x1b[0m\r\n", b'{"log":"' + line + b'\\n"}'):
        assert check(files, log).outcome == packet.VALID
        assert check(rewritten(files), log).outcome == packet.INVALID


def test_a_recorder_file_alone(files: Files) -> None:
    def alone(data: bytes, text: bytes) -> packet.Report:
        heads = Checkpoints([("log", text)])
        return bare.verify(data, [made.PIN], LEVELS, checkpoints=heads)

    evidence = files["evidence.jsonl"]
    assert alone(evidence, told(files, 3) + files["checkpoint"]).outcome == packet.VALID
    changed = rewritten(files)["evidence.jsonl"]
    assert bare.verify(changed, [made.PIN], LEVELS).outcome == packet.VALID
    assert "was rewritten" in alone(changed, told(files, 4)).reached[Level.INTACT][1]
    cut = b"".join(evidence.splitlines(keepends=True)[:4])
    assert bare.verify(cut, [made.PIN]).outcome == packet.UNPROVEN
    assert "was cut" in alone(cut, told(files, 5)).reached[Level.INTACT][1]
