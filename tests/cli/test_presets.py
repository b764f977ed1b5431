from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sluicegate.cli import main as cli
from sluicegate.policy import grammar
from sluicegate.presets import catalog

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PIP_INDEX_URL", "https://u:secret@m.example/p/simple")

    def call(*argv: str) -> tuple[int, str, str]:
        code = cli.main(["presets", *argv])
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


def test_the_list(run: Run) -> None:
    code, out, _ = run()
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == list(catalog.NAMES)


def test_the_rules_of_some_are_lines_for_a_policy(run: Run) -> None:
    code, out, err = run("python", "github-push=o/r")
    assert (code, err) == (0, "")
    made = grammar.parse(f"version: 1\nallow:\n{out}", "p").allow
    assert [(rule.host, rule.paths) for rule in made] == [
        ("m.example", ("/p/**",)),
        ("github.com", ("/o/r.git/info/refs", "/o/r/info/refs")),
        ("github.com", ("/o/r.git/git-receive-pack", "/o/r/git-receive-pack")),
    ]
    assert "  # PIP_INDEX_URL\n" in out
    assert "secret" not in out


@pytest.mark.parametrize(
    "argv", [("nope",), ("github-push",), ("github-push=x",), ("python=o/r",), ("--no",)]
)
def test_what_is_wrong(run: Run, argv: tuple[str, ...]) -> None:
    code, out, err = run(*argv)
    assert (code, out) == (2, "")
    assert err.startswith("sluicegate: ")


def test_what_can_not_be_known_is_a_finding(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CARGO_HOME", raising=False)
    code, _, err = run("rust")
    assert code == 1
    assert "there is no cargo" in err


def test_help(run: Run) -> None:
    assert run("--help")[1].startswith("usage: sluicegate presets")
