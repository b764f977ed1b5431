"""The marks of a start (sluicegate.cli.timing)."""

from __future__ import annotations

import pytest

from sluicegate.cli import timing


def test_it_speaks_only_when_asked(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timing, "_marks", [("begin", 1_000_000), ("one", 3_500_000)])
    monkeypatch.delenv("SLUICEGATE_TIMING", raising=False)
    timing.report()
    assert capsys.readouterr().err == ""
    monkeypatch.setenv("SLUICEGATE_TIMING", "1")
    timing.report()
    assert capsys.readouterr().err == "sluicegate:     2.5 ms one\n"
