from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sluicegate.evidence import packet as audit
from sluicegate.verify import packet
from sluicegate.verify.packet import Level
from tests.evidence import made

OTHER = b"\x01" * 32


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return made.files(tmp_path_factory.mktemp("packet"), made.some())


def test_an_honest_packet_reaches_every_level(files: dict[str, bytes]) -> None:
    report = packet.verify(files, [made.PIN])
    assert report.outcome == packet.VALID
    assert all(ok for ok, _ in report.reached.values())
    assert report.receipts == 9
    assert report.signer_key == made.PUBLIC


@pytest.mark.parametrize(
    ("pins", "said"), [([], "no key given"), ([OTHER], "another key than the given")]
)
def test_without_the_right_pin_it_is_only_sound(
    files: dict[str, bytes], pins: list[bytes], said: str
) -> None:
    report = packet.verify(files, pins)
    assert report.outcome == packet.UNTRUSTED
    assert said in report.reached[Level.PINNED][1]
    assert packet.verify(files, pins, [Level.INTACT, Level.CLOSED]).outcome == packet.VALID


def test_every_byte_counts(files: dict[str, bytes]) -> None:
    for name, data in files.items():
        for at in [*range(0, len(data), 97), len(data) - 1]:
            edited = files | {name: data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]}
            outcome = packet.verify(edited, [made.PIN]).outcome
            assert outcome in {packet.INVALID, packet.UNPROVEN}, (name, at)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_no_edit_of_lines_is_accepted(files: dict[str, bytes], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(["evidence.jsonl", "flows.jsonl"]))
    lines = files[name].splitlines(keepends=True)
    before = list(lines)
    at = data.draw(st.integers(0, len(lines) - 1))
    edit = data.draw(st.sampled_from(["drop", "swap", "twice", "cut", "mid-line"]))
    if edit == "drop":
        del lines[at]
    elif edit == "swap":
        other = data.draw(st.integers(0, len(lines) - 1))
        lines[at], lines[other] = lines[other], lines[at]
    elif edit == "twice":
        lines.insert(at, lines[at])
    elif edit == "cut":
        lines = lines[:at]
    else:
        lines[at] = lines[at][: data.draw(st.integers(0, len(lines[at]) - 1))]
        lines = lines[: at + 1]
    changed = files | {name: b"".join(lines)}
    expected_same = lines == before
    assert (packet.verify(changed, [made.PIN]).outcome == packet.VALID) is expected_same


@settings(max_examples=60, deadline=None)
@given(garbage=st.binary(max_size=300))
def test_garbage_is_invalid_and_never_an_exception(garbage: bytes) -> None:
    made_up = dict.fromkeys(("evidence.jsonl", "flows.jsonl", "policy.json"), garbage)
    assert packet.verify(made_up, [made.PIN]).outcome == packet.INVALID


@pytest.mark.parametrize("name", ["policy.json", "boundary.json", "packet.json", "flows.jsonl"])
def test_a_missing_file_is_an_error(files: dict[str, bytes], name: str) -> None:
    left = {other: data for other, data in files.items() if other != name}
    report = packet.verify(left, [made.PIN])
    assert report.outcome == packet.INVALID


def test_a_cut_record_is_a_prefix(files: dict[str, bytes]) -> None:
    lines = files["evidence.jsonl"].splitlines(keepends=True)
    opened = audit.boundary(made.OPENED, None)
    for kept in range(1, len(lines) - 4):
        cut = files | {"evidence.jsonl": b"".join(lines[:kept]), "boundary.json": opened}
        for name in packet.FINISHED:
            del cut[name]
        report = packet.verify(cut, [made.PIN])
        assert report.outcome == packet.UNPROVEN, report.reached
        assert not report.reached[Level.CLOSED][0]
    torn = cut | {"evidence.jsonl": b"".join(lines[:3])[:-9]}
    assert packet.verify(torn, [made.PIN]).outcome == packet.UNPROVEN


def test_a_prefix_can_not_have_a_packet(files: dict[str, bytes]) -> None:
    lines = files["evidence.jsonl"].splitlines(keepends=True)
    cut = files | {"evidence.jsonl": b"".join(lines[:3])}
    cut["boundary.json"] = audit.boundary(made.OPENED, None)
    assert packet.verify(cut, [made.PIN]).outcome == packet.INVALID


def test_counts_and_people(files: dict[str, bytes]) -> None:
    account = packet.verify(files, [made.PIN]).account
    assert (account.allowed, account.denied, account.dropped) == (1, 2, 4)
    assert (account.questions, len(account.named)) == (3, 2)


def test_expectations(files: dict[str, bytes]) -> None:
    report = packet.verify(files, [made.PIN])
    right = {"run_nonce": report.run_nonce, "root": report.root, "tier": "netns-root"}
    assert packet.verify(files, [made.PIN], expect=right).outcome == packet.VALID
    wrong = packet.verify(files, [made.PIN], expect={"receipts": "8"})
    assert wrong.outcome == packet.INVALID
    assert "receipts is 9" in wrong.reached[Level.INTACT][1]


def test_an_intent_without_outcome_leaves_the_end_open(tmp_path: Path) -> None:
    desk = made.Desk(tmp_path)
    desk.open()
    desk.record(made.pair(1)[0])
    desk.close()
    desk.join()
    report = packet.verify(desk.files(), [made.PIN], finished=False)
    assert report.outcome == packet.UNPROVEN
    assert "have no outcome" in report.reached[Level.CLOSED][1]


@pytest.mark.parametrize(
    "change", [{"trusted": False}, {"final_seq": 7}, {"root_hash": "0" * 64}, {"error": "x"}]
)
def test_packet_json_is_the_records(files: dict[str, bytes], change: dict[str, object]) -> None:
    whole = json.loads(files["packet.json"])
    whole["verifier"] |= change
    text = json.dumps(whole, indent=2, sort_keys=True).encode() + b"\n"
    assert packet.verify(files | {"packet.json": text}, [made.PIN]).outcome == packet.INVALID


def test_the_job_at_the_close_is_that_of_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = dict(made.CLOSED["run"])  # type: ignore[call-overload]
    for name, here in {"same": "o/r", "other": "o/x", "more": ""}.items():
        monkeypatch.setitem(made.OPENED, "ci", {"repository": here} if here else {})
        monkeypatch.setitem(made.CLOSED, "run", run | {"repository": "o/r"})
        (tmp_path / name).mkdir()
        desk = made.Desk(tmp_path / name)
        desk.open()
        desk.close()
        desk.join()
        report = packet.verify(desk.files(), [made.PIN], finished=False)
        if name == "same":
            assert report.outcome == packet.VALID
        else:
            assert report.outcome == packet.INVALID
            assert "another CI job" in report.reached[Level.INTACT][1]
