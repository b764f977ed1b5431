"""Empty directories for the time of a run (sluicegate.cli.placeholders)."""

from __future__ import annotations

from pathlib import Path

from sluicegate.cli import placeholders


def names(top: Path) -> set[str]:
    return {str(path.relative_to(top)) for path in top.rglob("*")}


def test_a_repository_has_them_for_the_time_of_the_run(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git/HEAD").touch()
    before = names(tmp_path)
    made = placeholders.make((str(tmp_path),), ())
    assert names(tmp_path) - before == {".git/hooks", ".github", ".github/workflows"}
    (tmp_path / ".github/other").touch()
    placeholders.remove(made)
    assert names(tmp_path) - before == {".github", ".github/other"}


def test_nothing_is_made_elsewhere(tmp_path: Path) -> None:
    assert placeholders.make((str(tmp_path),), ()) == ()
    (tmp_path / ".git").touch()
    (tmp_path / ".github").symlink_to("/nowhere")
    assert placeholders.make((str(tmp_path),), ()) == ()
    (tmp_path / ".github").unlink()
    assert placeholders.make((str(tmp_path),), (f"{tmp_path}/.github",)) == ()
    assert names(tmp_path) == {".git"}
