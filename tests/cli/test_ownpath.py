"""Programs of the workspace are none of the action's (sluicegate.cli.ownpath)."""

from __future__ import annotations

from pathlib import Path

import pytest

from sluicegate.cli import ownpath


def test_a_program_of_the_checkout_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in ("work/bin", "other"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "git").touch(0o755)
    (tmp_path / "links").mkdir()
    (tmp_path / "links/git").symlink_to(tmp_path / "work/bin/git")
    (tmp_path / "bin").symlink_to(tmp_path / "work/bin")
    names = ("work/bin", "links", "bin", "other")
    monkeypatch.setenv("PATH", ":".join([".", *(str(tmp_path / name) for name in names)]))
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path / "work"))
    assert ownpath.program("git") == str(tmp_path / "other/git")
    monkeypatch.delenv("GITHUB_WORKSPACE")
    assert ownpath.program("git") == str(tmp_path / "work/bin/git")
    assert not Path(ownpath.program("none")).exists()
