from __future__ import annotations

from pathlib import Path

import pytest

from sluicegate.cli import main as cli


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sluicegate.yaml").write_text("version: 1\nallow: [{host: a.example}]\n")
    (tmp_path / "other.yml").write_text("version: 1\nallow: [{host: a.example, ports: [443]}]\n")
    (tmp_path / "sluicegate.test.yaml").write_text(
        "version: 1\nallow:\n  - https://a.example/\n  - http://a.example/\ndeny:\n  - https://b.example/\n"
    )
    return tmp_path


def test_what_holds(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["policy", "test"]) == 0
    assert capsys.readouterr().out == "3 expectations hold\n"


def test_what_does_not_hold(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["policy", "test", "sluicegate.yaml", "other.yml"]
    assert cli.main(words) == 1
    assert capsys.readouterr().out.splitlines() == [
        "sluicegate.test.yaml:4: GET http://a.example/",
        "  expected to be allowed, and is denied (default): no rule allows a.example port 80",
        "1 of 3 expectations do not hold",
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["other.yml"], "other.test.yaml is not there"),
        (["missing.yaml"], "policy can not be read"),
        (["--tests", "sluicegate.yaml"], 'has no key "host"'),
        (["--what"], "--what not recognized"),
    ],
)
def test_wrong_usage(
    here: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert cli.main(["policy", "test", *words]) == 2
    told = capsys.readouterr()
    assert (said in told.err, told.out) == (True, "")


def test_the_example_of_the_help_is_understood(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["policy", "test", "--help"]) == 0
    lines = capsys.readouterr().out.partition("FILE:\n\n")[2].partition("\n\nWhat")[0].splitlines()
    (here / "x.yaml").write_text("\n".join(line[2:] for line in lines) + "\n")
    assert cli.main(["policy", "test", "--tests", "x.yaml"]) == 1
    assert "3 of 5 expectations do not hold" in capsys.readouterr().out
