from __future__ import annotations

import json
from pathlib import Path

import pytest

from sluicegate.cli import main as cli


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    tmp_path.joinpath("old.yaml").write_text("version: 1\nallow:\n  - host: a.example\n")
    tmp_path.joinpath("tight.yaml").write_text(
        "version: 1\nallow:\n  - {host: a.example, methods: [GET]}\n"
    )
    tmp_path.joinpath("loose.yaml").write_text(
        "version: 1\nallow:\n  - host: a.example\n  - {host: b.example, ports: [443]}\nagent: {env: [TOKEN]}\n"
    )
    return tmp_path


def test_a_proof(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["policy", "diff", "old.yaml", "tight.yaml"]) == 0
    out = capsys.readouterr().out
    assert "newly denied:\n" in out
    assert "\nproven: NEW only tightens OLD (" in out
    assert cli.main(["policy", "diff", "old.yaml", "old.yaml"]) == 0
    assert capsys.readouterr().out.startswith(
        "proven: NEW lets through and grants the same as OLD ("
    )


def test_a_counter_example(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["policy", "diff", "old.yaml", "loose.yaml"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "newly allowed:",
        "  https://b.example/ (whatever is inside: its TLS is not opened) (and 2 more kinds to the same)",
        "    OLD: no rule allows b.example port 443",
        "    NEW: b.example port 443 is allowed",
        "  agent.env: now the command is given the variable TOKEN",
        "NEW allows what OLD does not",
    ]


def test_json(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["policy", "diff", "--json", "tight.yaml", "old.yaml"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["schema"] == "sluicegate.policy-diff.v0"
    assert told["tightens"] is False
    first = told["newly_allowed"][0]
    assert (first["name"], first["port"], first["kind"], first["method"]) == (
        *("a.example", 80, "clear"),
        "POST",
    )


def test_further_files_hold_beside_one_side(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["policy", "diff", "old.yaml", "loose.yaml", "--new", "tight.yaml"]
    assert cli.main(words) == 0
    assert cli.main(["policy", "diff", "old.yaml", "tight.yaml", "--old", "tight.yaml"]) == 0
    assert "same as OLD" in capsys.readouterr().out


def test_what_can_not_be_decided_is_not_proven(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sluicegate.policy.compare.MAX_SUBJECTS", 1)
    assert cli.main(["policy", "diff", "old.yaml", "old.yaml"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "not decided:",
        "  more than 1 kinds of destinations",
        "not proven that NEW only tightens OLD",
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["old.yaml"], "diff wants OLD and NEW, got 1 files"),
        (["old.yaml", "missing.yaml"], "missing.yaml: policy can not be read"),
        (["--what"], "option --what not recognized"),
    ],
)
def test_usage(here: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str) -> None:
    assert cli.main(["policy", "diff", *words]) == 2
    assert said in capsys.readouterr().err


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["policy", "diff", "--help"]) == 0
    assert capsys.readouterr().out.startswith("usage: sluicegate policy diff OLD NEW")


def test_many_destinations_are_cut(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rules = "".join(f"  - {{host: h{number}.example, ports: [443]}}\n" for number in range(30))
    here.joinpath("many.yaml").write_text(f"version: 1\nallow:\n{rules}")
    assert cli.main(["policy", "diff", "old.yaml", "many.yaml"]) == 1
    out = capsys.readouterr().out
    assert "  ... and 10 more destinations: see --json" in out
