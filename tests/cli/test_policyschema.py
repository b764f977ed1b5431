from __future__ import annotations

import json

import pytest

from sluicegate.cli import main as cli


def test_it_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["policy", "schema"]) == 0
    assert json.loads(capsys.readouterr().out)["required"] == ["version"]


def test_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["policy", "schema", "x"]) == 2
    assert "schema takes nothing, got x" in capsys.readouterr().err
    assert cli.main(["policy", "schema", "--what"]) == 2
    assert cli.main(["policy", "schema", "--help"]) == 0
    assert "usage" in capsys.readouterr().out
