"""Empty directories and files for the time of a run (sluicegate.cli.placeholders)."""

from __future__ import annotations

from pathlib import Path

from sluicegate.cli import placeholders, policyfiles
from sluicegate.policy.model import Policy


def names(top: Path) -> set[str]:
    return {str(path.relative_to(top)) for path in top.rglob("*")}


def test_a_repository_has_them_for_the_time_of_the_run(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git/HEAD").touch()
    before = names(tmp_path)
    made = placeholders.make((str(tmp_path),), ())
    assert names(tmp_path) - before == {
        *(".git/hooks", ".git/commondir", ".git/config.worktree"),
        *(".github", ".github/workflows", "sluicegate.yaml"),
    }
    # What git takes for granted where there is none (gitrepository-layout(5)).
    assert (tmp_path / ".git/commondir").read_text() == ".\n"
    (tmp_path / ".github/other").touch()
    placeholders.remove(made)
    assert names(tmp_path) - before == {".github", ".github/other"}


def test_each_git_directory_has_files_that_lead_nowhere_else(tmp_path: Path) -> None:
    gits = [tmp_path / name for name in ("a/.git", "a/.git/modules/x/y", "b/c/.git")]
    for git in gits:
        git.mkdir(parents=True)
        (git / "HEAD").touch()
    (gits[0] / "worktrees/w").mkdir(parents=True)
    for name in ("HEAD", "commondir"):
        (gits[0] / "worktrees/w" / name).touch()
    before = names(tmp_path)
    made = placeholders.make((str(tmp_path),), (str(gits[2]),))
    assert {str(Path(path).relative_to(tmp_path)) for path in made} == {
        *("a/.git/commondir", "a/.git/config.worktree", "a/.git/worktrees/w/config.worktree"),
        *("a/.git/modules/x/y/commondir", "a/.git/modules/x/y/config.worktree"),
        "sluicegate.yaml",
    }
    (gits[0] / "config.worktree").write_text("[core]\n")
    placeholders.remove(made)
    assert names(tmp_path) - before == {"a/.git/config.worktree"}


def test_nothing_is_made_elsewhere(tmp_path: Path) -> None:
    top, own = str(tmp_path), f"{tmp_path}/sluicegate.yaml"
    assert placeholders.make((top,), (own,)) == ()
    (tmp_path / ".git").touch()
    (tmp_path / ".github").symlink_to("/nowhere")
    assert placeholders.make((top,), (own,)) == ()
    (tmp_path / ".github").unlink()
    assert placeholders.make((top,), (f"{tmp_path}/.github", own)) == ()
    assert names(tmp_path) == {".git"}


def test_a_workspace_without_a_policy_has_a_directory_in_its_place(tmp_path: Path) -> None:
    """Git sees no empty directory; a tree that is bound is nobody's working directory."""
    for name in ("work", "bound", "with", "left"):
        (tmp_path / name).mkdir()
    (tmp_path / "with/sluicegate.yaml").write_text("version: 1\n")
    (tmp_path / "left/sluicegate.yaml").mkdir()
    trees = (f"{tmp_path}/work", f"{tmp_path}/bound")
    with placeholders.standing(trees, ()):
        assert names(tmp_path / "work") == {"sluicegate.yaml"}
        assert not policyfiles.there(f"{trees[0]}/sluicegate.yaml")
        assert policyfiles.load([], trees[0]) == (Policy("sluicegate.yaml (missing)"),)
        with placeholders.standing(trees, ()):
            pass
        assert names(tmp_path / "work") == {"sluicegate.yaml"}
    assert names(tmp_path / "work") == set()
    with placeholders.standing((f"{tmp_path}/with",), ()):
        assert (tmp_path / "with/sluicegate.yaml").is_file()
    assert names(tmp_path / "with") == {"sluicegate.yaml"}
    # Of a run that was killed.
    with placeholders.standing((f"{tmp_path}/left",), ()):
        pass
    assert names(tmp_path / "left") == set()


def test_they_stand_until_the_last_run_has_ended(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git/HEAD").touch()
    before, trees = names(tmp_path), (str(tmp_path),)
    first = placeholders.standing(trees, ())
    second = placeholders.standing(trees, ())
    with first:
        there = names(tmp_path)
        second.__enter__()
    assert names(tmp_path) == there > before
    second.__exit__(None, None, None)
    assert names(tmp_path) == before


def test_what_a_repository_has_itself_stays(tmp_path: Path) -> None:
    (tmp_path / ".git/hooks").mkdir(parents=True)
    (tmp_path / ".git/HEAD").touch()
    before = names(tmp_path)
    with placeholders.standing((str(tmp_path),), ()):
        assert names(tmp_path) > before
    assert names(tmp_path) == before
