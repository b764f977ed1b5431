from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from sluicegate.cli import main, reportfiles
from sluicegate.cli.report import HELP
from tests.evidence import made
from tests.report import cases
from tests.verify.test_foreign import LIVE, PIN
from tests.verify.test_foreign import packet as packet_of_another


@pytest.fixture
def where(tmp_path: Path) -> Path:
    return cases.written(tmp_path, made.some())


def run(*words: object) -> int:
    return main.main(["report", *map(str, words)])


def test_without_options_it_is_the_summary(where: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(where) == 0
    assert capsys.readouterr().out.startswith("## \u2705 sluicegate: consistent with itself")


def test_every_report_at_once(where: Path, tmp_path: Path) -> None:
    names = ("summary", "html", "sarif", "junit", "ocsf", "ecs", "json")
    words = [word for name in names for word in (f"--{name}", tmp_path / f"out.{name}")]
    assert run(where, "--key", made.PUBLIC, "--annotations", *words) == 0
    begins = {name: (tmp_path / f"out.{name}").read_text()[:20] for name in names}
    assert begins == {
        "summary": "## \u2705 sluicegate: ver",
        "html": "<!doctype html>\n<htm",
        "sarif": '{\n "$schema": "https',
        "junit": '<?xml version="1.0" ',
        "ocsf": '{"activity_id":5,"ac',
        "ecs": '{"@timestamp":"2026-'
        if begins["ecs"].startswith('{"@timestamp":"2026-')
        else begins["ecs"],
        "json": '{"denials": [{"count',
    }
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE((tmp_path / "out.html").stat().st_mode) == 0o666 & ~mask
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".")]


def test_what_does_not_hold_is_reported_and_is_exit_1(
    where: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (where / "flows.jsonl").open("ab") as file:
        file.write(b"{}\n")
    out = tmp_path / "s.md"
    assert run(where, "--summary", out) == 1
    assert out.read_text().startswith("## \u26d4 sluicegate: INVALID")
    assert "INVALID: do not trust it" in capsys.readouterr().err


def test_a_packet_of_another_producer_has_its_levels_only(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "evidence.jsonl").write_bytes(LIVE)
    (theirs / "packet.json").write_text(json.dumps(packet_of_another()))
    words = [word for name in HELP for word in (f"--{name}", tmp_path / f"out.{name}")]
    assert run(theirs, "--key", PIN.hex(), *words) == 1
    assert "denials" not in json.loads((tmp_path / "out.json").read_text())
    assert "it is no packet of sluicegate that holds" in (tmp_path / "out.html").read_text()
    assert (tmp_path / "out.ecs").read_text() == ""


def test_a_key_that_did_not_sign_is_exit_1(where: Path) -> None:
    assert run(where, "--key", "0" * 64) == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--html", "-", "--json", "-"], "stdout can hold one report"),
        (["--html", "-", "--annotations"], "stdout can hold one report"),
        (["--key", "nonsense"], "No such file"),
        (["--html", "packet/report.html"], "inside the packet"),
        (["--html", "link/report.html"], "inside the packet"),
        (["--html", "nowhere/report.html"], "nowhere/report.html: No such file"),
    ],
)
def test_wrong_usage_is_exit_2_and_writes_nothing(
    where: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(where.parent)
    (where.parent / "link").symlink_to(where)
    before = sorted(os.listdir(where.parent))
    assert run("packet", *words) == 2
    heard = capsys.readouterr()
    assert said in heard.err
    assert not heard.out
    assert sorted(os.listdir(where.parent)) == before


def test_there_is_no_packet(tmp_path: Path) -> None:
    assert run(tmp_path / "none") == 2
    assert run(__file__) == 2
    assert run() == 2
    assert run("--help") == 0


def test_a_link_that_the_command_left_is_replaced_and_not_followed(
    where: Path, tmp_path: Path
) -> None:
    victim, out = tmp_path / "victim", tmp_path / "report.json"
    victim.write_text("mine")
    out.symlink_to(victim)
    assert run(where, "--json", out) == 0
    assert victim.read_text() == "mine"
    assert not out.is_symlink()


def test_a_step_summary_is_appended_to_and_kept_under_its_limit(
    where: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "step.md"
    page.write_text("before\n")
    monkeypatch.setenv(reportfiles.STEP_SUMMARY, str(page))
    assert run(where, "--summary", page) == 0
    assert page.read_text().startswith("before\n## \u2705")
    page.write_text("x" * 1_048_000)
    assert run(where, "--summary", page) == 2
    assert page.stat().st_size == 1_048_000
    assert "GitHub shows none" in capsys.readouterr().err


def test_a_pipe_is_written_to(where: Path, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert run(where, "--json", fifo) == 0
        assert json.loads(os.read(reader, 1 << 20))["sound"]
    finally:
        os.close(reader)


def test_a_pipe_that_nobody_reads_is_not_waited_for(
    where: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo(tmp_path / "page.html")
    assert run(where, "--html", tmp_path / "page.html") == 2
    assert "page.html" in capsys.readouterr().err


def test_stdout_has_its_limit(
    where: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(reportfiles, "MAX_STDOUT_BYTES", 100)
    assert run(where, "--ecs", "-") == 2
    assert "name a file" in capsys.readouterr().err


def test_a_record_that_changes_between_its_readings_is_not_told(
    where: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sluicegate.cli import report
    from sluicegate.verify import library

    def examine(*words: object, **more: object) -> object:
        found = examined(*words, **more)  # type: ignore[arg-type]
        with (where / "flows.jsonl").open("ab") as file:
            file.write(b"{}\n")
        return found

    examined = library.examine
    monkeypatch.setattr(report.library, "examine", examine)
    out = tmp_path / "out.ecs"
    assert run(where, "--ecs", out) == 2
    assert not out.exists()


def test_a_packet_too_large_for_a_page_is_not_embedded(
    where: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = cases.case(where)
    whole = reportfiles.embedded(str(where), case)
    assert whole is not None
    assert whole == {name.name: name.read_bytes() for name in where.iterdir()}
    monkeypatch.setattr(reportfiles, "MAX_EMBEDDED_BYTES", 20_000)
    assert reportfiles.embedded(str(where), case) is None
