from __future__ import annotations

import importlib

import pytest

import sluicegate
from sluicegate.cli import main as cli


@pytest.mark.parametrize("command", sorted(cli.COMMANDS))
def test_every_command_it_names_exists(command: str) -> None:
    module, _, function = cli.COMMANDS[command].partition(":")
    assert callable(getattr(importlib.import_module(module), function or "main"))


def test_help_goes_to_stdout_and_succeeds(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == 0
    out = capsys.readouterr()
    assert out.out == cli.USAGE
    assert out.err == ""


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["version"]) == 0
    assert capsys.readouterr().out == f"sluicegate {sluicegate.__version__}\n"


@pytest.mark.parametrize(("argv", "said"), [([], "no command"), (["rum"], "unknown command 'rum'")])
def test_a_wrong_command_is_a_usage_error(
    argv: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(argv) == 2
    out = capsys.readouterr()
    assert said in out.err
    assert "usage:" in out.err
    assert out.out == ""
