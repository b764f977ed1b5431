from __future__ import annotations

import json
from pathlib import Path

import pytest

from sluicegate.verify import library, packet, verify
from sluicegate.verify.files import UnreadableError
from sluicegate.verify.rows import Row, rows
from sluicegate.verify.strict import VerificationError
from tests.evidence import made
from tests.verify.test_foreign import CHAIN, LIVE, PIN
from tests.verify.test_foreign import packet as theirs


@pytest.fixture
def where(tmp_path: Path) -> Path:
    directory = tmp_path / "packet"
    directory.mkdir()
    for name, data in made.files(tmp_path, made.some()).items():
        (directory / name).write_bytes(data)
    return directory


def test_every_receipt_comes_once_with_its_facts(where: Path) -> None:
    found = list(rows(str(where), verify(where, [made.PUBLIC])))
    assert [row.seq for row in found] == list(range(9))
    assert [row.record["chain_seq"] for row in found] == list(range(9))
    kinds = ["lifecycle", "connection", "drop", "dns", *["connection"] * 3, "boundary", "lifecycle"]
    assert [row.kind for row in found] == kinds
    begun = [(row.facts["url"], row.record["verdict"]) for row in found if row.begins]
    assert begun == [
        ("tls://a.example:443", "block"),
        ("tls://b.example:443", "allow"),
        ("tls://a.example:443", "block"),
    ]
    assert [row.facts["bytes_up"] for row in found if row.ends] == [3]


def test_a_report_of_the_verifier_is_enough(where: Path) -> None:
    report = library.examine(str(where), [], packet.DEFAULT, {})
    assert report.outcome == packet.UNTRUSTED
    assert len(list(rows(str(where), report))) == report.receipts


def test_what_observe_mode_let_through_begins_once() -> None:
    facts = {"kind": "connection"}
    warned = Row(1, {"verdict": "warn"}, facts)
    begun = Row(2, {"verdict": "allow", "decision_phase": "intent"}, facts)
    ended = Row(3, {"verdict": "allow", "decision_phase": "outcome"}, facts)
    assert [row.begins for row in (warned, begun, ended)] == [False, True, False]
    assert [row.ends for row in (warned, begun, ended)] == [False, False, True]


def test_a_prefix_has_rows_and_a_torn_line_is_none(where: Path) -> None:
    for name in packet.FINISHED:
        (where / name).unlink()
    (where / "boundary.json").unlink()
    lines = (where / "evidence.jsonl").read_bytes().splitlines(keepends=True)
    (where / "evidence.jsonl").write_bytes(b"".join(lines[:3]) + lines[3][:40])
    report = library.examine(str(where), [], packet.DEFAULT, {})
    assert report.outcome == packet.UNPROVEN
    assert [row.seq for row in rows(str(where), report)] == [0, 1, 2]


@pytest.mark.parametrize("name", packet.STREAMS)
def test_what_changed_in_the_meantime_is_not_told(where: Path, name: str) -> None:
    found = verify(where, [made.PUBLIC])
    data = (where / name).read_bytes()
    (where / name).write_bytes(data + b"{}\n")
    with pytest.raises(VerificationError, match="changed since"):
        list(rows(str(where), found))
    (where / name).write_bytes(data.replace(b"a.example", b"z.example"))
    with pytest.raises(VerificationError, match="changed since"):
        list(rows(str(where), found))
    (where / name).write_bytes(b"[]\n" + data)
    with pytest.raises(VerificationError, match="changed since"):
        list(rows(str(where), found))


def test_what_is_gone_is_an_error(where: Path) -> None:
    found = verify(where, [made.PUBLIC])
    (where / "flows.jsonl").unlink()
    with pytest.raises(VerificationError, match=r"flows\.jsonl changed since"):
        list(rows(str(where), found))
    (where / "flows.jsonl").mkdir()
    with pytest.raises(UnreadableError):
        list(rows(str(where), found))


def test_what_does_not_hold_has_no_rows(where: Path) -> None:
    with (where / "flows.jsonl").open("ab") as file:
        file.write(b"{}\n")
    report = library.examine(str(where), [], packet.DEFAULT, {})
    with pytest.raises(VerificationError, match="only a packet that holds"):
        list(rows(str(where), report))


def test_a_gate_that_contradicts_the_policies_tells_nothing(tmp_path: Path) -> None:
    lie = made.message(9, flow={"reason": "a rule that there is not"})
    report = packet.verify(made.files(tmp_path, [lie], honest=False), [made.PIN])
    assert (report.outcome, report.reached[packet.Level.INTACT][0]) == (packet.INVALID, True)
    assert not report.streams


def test_a_packet_of_another_producer_has_no_rows(tmp_path: Path) -> None:
    (tmp_path / "evidence.jsonl").write_bytes(LIVE)
    (tmp_path / "packet.json").write_text(json.dumps(theirs()))
    report = library.examine(str(tmp_path), [PIN], CHAIN, {})
    assert report.outcome == packet.VALID
    assert not report.streams
