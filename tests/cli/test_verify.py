"""The command `sluicegate verify` (sluicegate.cli.verify): exit codes, and reading that can not be misled."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import jsonschema
import pytest

from sluicegate.cli import verify
from sluicegate.evidence import keys, note, packet
from sluicegate.verify import files
from sluicegate.verify import packet as packet_check
from sluicegate.verify.packet import Level
from tests.evidence import made
from tests.evidence.test_journal import VECTOR
from tests.peers.second import FINISHED, resealed

ROOT = Path(__file__).parents[2]
OTHER = keys.signer(b"o" * 32)[1]
VECTORS = VECTOR.parent / "pipelock"


@pytest.fixture
def where(tmp_path: Path) -> Path:
    directory = tmp_path / "packet"
    directory.mkdir()
    for name, data in made.files(directory, made.some()).items():
        (directory / name).write_bytes(data)
    return directory


def run(*arguments: object) -> int:
    return verify.main([str(argument) for argument in arguments])


def test_exit_0_when_everything_holds(where: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(where, "--key", made.PUBLIC) == 0
    out = capsys.readouterr()
    for level in ("INTACT: yes", "CLOSED: yes", "PINNED: yes", "result: verified (exit 0)"):
        assert level in out.out
    assert out.err == ""


def test_the_key_as_a_file(where: Path, tmp_path: Path) -> None:
    key = tmp_path / "run.pub"
    key.write_text(keys.write_public(made.PIN))
    assert run(where, "--key", key) == 0
    assert run(where, "--key", OTHER, "--key", key) == 0


def test_exit_1_when_it_was_changed(where: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (where / "policy.json").write_bytes(b"{}")
    assert run(where, "--key", made.PUBLIC) == 1
    assert "policy.json is not the policy" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["flows.jsonl", "policy.json", "boundary.json", "packet.json"])
def test_exit_1_when_a_file_was_taken_away(where: Path, name: str) -> None:
    (where / name).unlink()
    assert run(where, "--key", made.PUBLIC) == 1


def test_exit_3_when_the_end_is_missing(where: Path) -> None:
    lines = (where / "evidence.jsonl").read_bytes().splitlines(keepends=True)
    (where / "evidence.jsonl").write_bytes(b"".join(lines[:4]))
    (where / "boundary.json").write_bytes(packet.boundary(made.OPENED, None))
    for name in packet_check.FINISHED:
        (where / name).unlink()
    assert run(where, "--key", made.PUBLIC) == 3
    assert run(where, "--key", made.PUBLIC, "--require", "intact,pinned") == 0
    assert run(where) == 3


def test_exit_4_without_the_right_pin(where: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(where) == 4
    assert "no key given" in capsys.readouterr().out
    assert run(where, "--key", OTHER) == 4
    assert f"another key than the given: {made.PUBLIC}" in capsys.readouterr().out
    assert run(where, "--require", "INTACT", "--require", "CLOSED") == 0
    assert run(where, "--require", "PINNED", "--require", "INTACT") == 4
    assert run(where, "--require", "INTACT,CLOSED") == 0


def test_exit_5_only_when_asked_for(where: Path) -> None:
    assert run(where, "--key", made.PUBLIC, "--fail-on-deny") == 5
    assert run(where, "--fail-on-deny") == 4


def test_checkpoints_from_elsewhere(
    where: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told, log = tmp_path / "told", tmp_path / "log"
    head = (where / "checkpoint").read_bytes()
    told.write_bytes(head)
    log.write_text(f"12:00 sluicegate: checkpoint {note.one_line(head)}\n")
    given = ("--key", made.PUBLIC, "--checkpoint", told, "--checkpoint", log)
    assert run(where, *given) == 0
    assert run(where / "evidence.jsonl", *given, "--require", "INTACT,CLOSED,PINNED") == 0
    lines = (where / "evidence.jsonl").read_bytes().splitlines(keepends=True)
    (where / "evidence.jsonl").write_bytes(b"".join(lines[:4]))
    (where / "boundary.json").write_bytes(packet.boundary(made.OPENED, None))
    for name in FINISHED:
        (where / name).unlink()
    capsys.readouterr()
    assert run(where, "--key", made.PUBLIC) == 3
    assert run(where, *given) == run(where / "evidence.jsonl", *given) == 1
    said = f"{told}: the record was cut: it had {len(lines)} lines, now it has 4"
    assert capsys.readouterr().out.count(f"INTACT: no ({said})") == 2


def test_exit_2_for_a_checkpoint_file_without_any(
    where: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "log").write_text("sluicegate: packet out verified\n")
    (tmp_path / "one.json").write_text("{}")
    assert run(where, "--checkpoint", tmp_path / "log") == 2
    assert f"{tmp_path}/log holds no checkpoint" in capsys.readouterr().err
    assert run(where, "--checkpoint", tmp_path / "none") == 2
    assert run(tmp_path / "one.json", "--checkpoint", where / "checkpoint") == 2
    assert "not of one receipt" in capsys.readouterr().err


def test_the_commands_for_people_are_the_records(
    where: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {file.name: file.read_bytes() for file in where.iterdir()}
    page = files["VERIFY.md"].replace(b"signed() {", b"signed() { true || ")
    for name, data in resealed(files | {"VERIFY.md": page}).items():
        (where / name).write_bytes(data)
    assert run(where, "--key", made.PUBLIC) == 1
    assert "VERIFY.md says other things than the record" in capsys.readouterr().out


def test_what_the_caller_expects(where: Path, capsys: pytest.CaptureFixture[str]) -> None:
    policy = made.digest(made.POLICY)
    assert run(where, "--key", made.PUBLIC, "--expect", f"policy_hash={policy}") == 0
    assert run(where, "--key", made.PUBLIC, "--expect", "run_nonce=" + "0" * 32) == 1
    assert "run_nonce is" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--no-such-flag"],
        ["--key", "no-such-file"],
        ["--key", "/"],
        ["--require", "TRUSTED"],
        ["--require", "INTACT", "--require", ","],
        ["--expect", "colour=red"],
        ["--expect", "root"],
    ],
)
def test_exit_2_when_asked_wrongly(where: Path, arguments: list[str]) -> None:
    given = [where, *arguments] if arguments else []
    assert run(*given) == 2


def test_exit_2_when_there_is_nothing_to_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path / "nowhere") == 2
    assert run(tmp_path) == 2
    out = capsys.readouterr()
    assert out.out == ""
    assert out.err.startswith("sluicegate: ")


def test_exit_0_for_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--help") == 0
    assert "--require" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["symlink", "directory", "fifo", "device", "huge"])
def test_exit_2_for_what_is_no_plain_file(
    where: Path, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = where / "evidence.jsonl"
    target.rename(tmp_path / "real")
    if kind == "symlink":
        target.symlink_to(tmp_path / "real")
    elif kind == "directory":
        target.mkdir()
    elif kind == "fifo":
        os.mkfifo(target)
    elif kind == "device":
        target.symlink_to("/dev/zero")
    else:
        (tmp_path / "real").rename(target)
        monkeypatch.setitem(files.FILES, "evidence.jsonl", 1000)
    assert run(where, "--key", made.PUBLIC) == 2


def test_json_is_as_its_schema_says(where: Path, capsys: pytest.CaptureFixture[str]) -> None:
    schema = json.loads((ROOT / "docs/verification.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    check = jsonschema.Draft202012Validator(schema)
    pin = ["--key", made.PUBLIC]
    cases = {
        0: [[where, *pin], [where, *pin, "--expect", "identity=ci", "tier=netns-root"]],
        1: [[where, "--expect", "root=x"], [VECTORS / "broken-chain.jsonl"]],
        3: [[VECTORS / "valid-chain.jsonl"]],
        4: [[where], [where, *pin, "--expect", "repo=x", "policy=y"]],
        5: [[where, *pin, "--fail-on-deny"]],
    }
    for code, all_ in cases.items():
        for arguments in all_:
            assert run(*arguments, "--json") == code
            text = capsys.readouterr().out
            assert text.count("\n") == 1
            found = json.loads(text)
            check.validate(found)
            assert found["outcome"] == code
            assert list(found["levels"]) == sorted(level.value for level in Level)
    assert run(where, *pin, "--expect", "repo=x", "policy=y", "--json") == 4
    found = json.loads(capsys.readouterr().out)["expectations"]
    assert [(one["name"], one["met"], one["expected"]) for one in found] == [
        ("repo", False, "x"),
        ("policy", False, "y"),
    ]


def test_the_verdict_comes_first_then_a_line_for_each_level(
    where: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    verdicts = {
        (): "result: sound, but below the required trust (exit 4)",
        ("--key", made.PUBLIC): "result: verified (exit 0)",
        ("--expect", "receipts=1"): "result: INVALID (exit 1)",
    }
    for arguments, verdict in verdicts.items():
        run(where, *arguments)
        first, *levels = capsys.readouterr().out.splitlines()
        assert first == verdict
        names = [line.partition(":")[0] for line in levels]
        assert names == [level.value for level in Level]
    assert run(where, "--key", made.PUBLIC, "--expect", "repo=a\nb") == 4
    *_, last = capsys.readouterr().out.splitlines()
    assert last == "expected: repo is not in the record, not the expected a\\nb"


def test_recorder_files_alone(capsys: pytest.CaptureFixture[str]) -> None:
    pin = (VECTORS / "v3_2_0_live_chain.pub").read_text().strip()
    chain = VECTORS / "v3_2_0_live_chain.jsonl"
    assert run(chain, "--key", pin, "--require", "INTACT,CLOSED,PINNED") == 0
    assert run(chain, "--key", pin) == 4
    assert "ACCOUNTED: no (no facts and no counters" in capsys.readouterr().out
    assert run(VECTORS / "v3_2_0_live_chain.jsonl") == 4
    assert run(VECTORS / "valid-chain.jsonl") == 3
    assert run(VECTORS / "broken-chain.jsonl") == 1
    assert run(VECTORS / "invalid-signature.json") == 1
    assert run(VECTORS / "valid-single.json", "--require", "INTACT") == 0
    assert "receipt 3" in capsys.readouterr().out


def test_an_endorsed_recorder_file() -> None:
    arguments = [VECTORS / "g1-rotated-close-count-valid.jsonl", "--require", "INTACT"]
    assert run(*arguments) == 1
    arguments += ["--endorsement", VECTORS / "g1-rotation-endorsement.json"]
    assert run(*arguments) == 0
    assert run(*arguments, "--session", "conformance-session") == 0
    assert run(*arguments, "--session", "proxy") == 1


def test_it_never_opens_a_socket(where: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a socket")

    monkeypatch.setattr(socket, "socket", refuse)
    assert run(where, "--key", made.PUBLIC) == 0


def test_the_page_for_people_is_the_records_own(
    where: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (where / "summary.md").read_text()
    for text in (page.replace("denied", "allowed"), "", page + "\n", page + "\0"):
        (where / "summary.md").write_text(text)
        assert run(where, "--key", made.PUBLIC) == 1
    capsys.readouterr()
    (where / "summary.md").unlink()
    assert run(where, "--key", made.PUBLIC) == 1
    assert "summary.md is missing" in capsys.readouterr().out
    (where / "summary.md").write_text(page)
    assert run(where, "--key", made.PUBLIC) == 0


def test_an_unknown_file_is_refused(where: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (where / "report.html").write_text("<p>all is well</p>")
    assert run(where, "--key", made.PUBLIC) == 1
    assert "'report.html' is no file of a packet" in capsys.readouterr().out


@pytest.mark.parametrize("options", [("--session", "x"), ("--endorsement", "/nope")])
def test_demands_that_do_not_apply_are_no_success(where: Path, options: tuple[str, str]) -> None:
    assert run(where, "--key", made.PUBLIC, *options) == 2


def test_a_recorder_file_has_no_tier() -> None:
    assert run(VECTOR, "--expect", "tier=netns-root") == 2


def test_a_second_generation_receipt_has_only_its_signer(tmp_path: Path) -> None:
    single = VECTORS / "valid-evidence-proxy-decision.json"
    key = json.loads((VECTORS / "v2-test-keys.json").read_text())
    public = next(v for v in key.values() if isinstance(v, str) and len(v) == 64)
    assert run(single, "--key", public, "--require", "INTACT", "--expect", "root=bogus") == 1


def test_a_public_key_may_come_by_link_and_a_bad_one_is_named(
    where: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run.pub").write_text(keys.write_public(made.PIN))
    (tmp_path / "link").symlink_to("run.pub")
    assert run(where, "--key", tmp_path / "link") == 0
    assert run(where, "--key", tmp_path) == 2
    assert f"--key {tmp_path}: Is a directory" in capsys.readouterr().err


@pytest.mark.parametrize("levels", ["", ","])
def test_a_requirement_of_nothing_is_wrong_usage(
    where: Path, capsys: pytest.CaptureFixture[str], levels: str
) -> None:
    assert run(where, "--key", made.PUBLIC, "--require", levels) == 2
    assert "--require names no level" in capsys.readouterr().err


def test_one_thing_can_not_be_expected_twice(
    where: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    twice = ("--expect", "receipts=1", "--expect", "receipts=9")
    assert run(where, "--key", made.PUBLIC, *twice) == 2
    assert "names one thing twice" in capsys.readouterr().err
