"""sluicegate.cli.packets: what verifies is decided again, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sluicegate.cli import main as cli
from tests.evidence import made


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    packet = tmp_path / "packet"
    packet.mkdir()
    for name, data in made.files(tmp_path, made.some()).items():
        (packet / name).write_bytes(data)
    policies = {
        "same": "allow: [{host: b.example, ports: [443]}]",
        "none": "allow: []",
        "both": "allow: [{host: b.example}, {host: a.example}]",
        "narrow": "allow: [{host: b.example, methods: [GET]}]",
    }
    for name, text in policies.items():
        (tmp_path / f"{name}.yaml").write_text(f"version: 1\n{text}\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_nothing_changes(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["replay", "--policy", "same.yaml", "--key", made.PUBLIC, "packet"]) == 0
    told = capsys.readouterr()
    assert told.out == "replay: 0 newly denied, 0 newly allowed, 3 as before\n"
    assert told.err == ""


def test_what_changes(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["replay", "--policy", "none.yaml", "packet"]) == 1
    told = capsys.readouterr()
    assert told.out.splitlines() == [
        "newly denied:",
        "  1x b.example:443, such as TLS; 3 bytes up, 4 down; seq 4",
        "    was allow[0] made; now default: no rule allows b.example port 443",
        "replay: 1 newly denied, 0 newly allowed, 2 as before",
    ]
    assert "packet: not pinned" in told.err
    assert cli.main(["replay", "--policy", "both.yaml", "packet", "--json"]) == 1
    whole = json.loads(capsys.readouterr().out)
    assert [(one["where"], one["count"]) for one in whole["newly_allowed"]] == [
        ("a.example:443", 2)
    ]
    assert (whole["schema"], whole["same"], whole["unknown"]) == ("sluicegate.replay.v0", 1, [])


def test_what_the_record_does_not_say_is_no_agreement(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["replay", "--policy", "narrow.yaml", "packet"]) == 1
    out = capsys.readouterr().out
    assert out.startswith("can not be said from the record:\n  1x b.example:443")
    assert out.endswith(
        "replay: 0 newly denied, 0 newly allowed, 1 that the record does not say, 2 as before\n"
    )


def test_further_policies_must_allow_too(here: Path) -> None:
    both = ["--policy", "same.yaml", "--policy", "none.yaml"]
    assert cli.main(["replay", *both, "packet"]) == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--policy", "same.yaml", "missing"], "missing: No such file or directory"),
        (["--policy", "missing.yaml", "packet"], "policy can not be read"),
        (["packet"], "--policy"),
        (["--policy", "same.yaml", "--key", "0" * 64, "packet"], "signed by another key"),
        (["--policy", "same.yaml", "--require", "WHAT", "packet"], "WHAT is no level"),
    ],
)
def test_wrong_usage_and_packets(
    here: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert cli.main(["replay", *words]) == 2
    told = capsys.readouterr()
    assert said in told.err
    assert told.out == ""


def test_a_packet_that_was_changed_is_not_told(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flows = here / "packet" / "flows.jsonl"
    flows.write_bytes(flows.read_bytes().replace(b"b.example", b"c.example"))
    assert cli.main(["replay", "--policy", "same.yaml", "packet"]) == 2
    told = capsys.readouterr()
    assert "packet does not verify" in told.err
    assert told.out == ""
