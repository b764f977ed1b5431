"""What is guarded in real trees (sluicegate.boundary.repositories)."""

from __future__ import annotations

from pathlib import Path

import pytest

from sluicegate.boundary import repositories
from sluicegate.boundary.model import BoundaryError


def put(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def found(top: Path, *free: str) -> set[str]:
    gits = [str(path) for path in top.rglob(".git")]
    kept = repositories.found((str(top),), gits, tuple(str(top / name) for name in free))
    return {str(Path(path).relative_to(top)) for path in kept}


@pytest.fixture
def work(tmp_path: Path) -> Path:
    top = tmp_path / "w"
    put(top / ".git/HEAD", "ref: refs/heads/main\n")
    put(top / ".git/config", "[core]\n\thooksPath = .husky/_\n[include]\n\tpath = ../conf\n")
    put(top / "conf")
    put(top / ".husky/pre-commit")
    put(top / "scripts/push")
    (top / ".git/hooks").mkdir()
    (top / ".git/hooks/pre-push").symlink_to("../../scripts/push")
    put(top / ".git/modules/deep/sub/HEAD")
    put(top / ".git/modules/deep/sub/config")
    put(top / ".git/worktrees/tree/HEAD")
    put(top / ".git/worktrees/tree/commondir", "../..\n")
    put(top / "tree/.git", f"gitdir: {top}/.git/worktrees/tree\n")
    put(top / "vendor/lib/.git/config")
    put(top / ".github/workflows/ci.yml")
    put(top / "Jenkinsfile")
    return top


GUARDED = {
    *(".git/config", ".git/hooks", "conf", ".husky", "scripts/push", "tree/.git"),
    *(".git/modules/deep/sub/config", ".git/worktrees/tree/commondir", "vendor/lib/.git/config"),
    *(".github/workflows", "Jenkinsfile"),
}


def test_hooks_configurations_workflows_and_what_they_lead_to(work: Path) -> None:
    assert found(work) == GUARDED


def test_what_is_free_is_so_with_all_below_it(work: Path) -> None:
    assert found(work, ".github", "Jenkinsfile") == GUARDED - {".github/workflows", "Jenkinsfile"}
    left = {name for name in GUARDED if not name.startswith((".git/", "scripts"))}
    assert found(work, ".git", "scripts/push") == left


def test_what_lies_outside_or_is_no_file_is_left(tmp_path: Path) -> None:
    put(tmp_path / "outside/hook")
    put(tmp_path / "w/.git/config", "[core]\n\thooksPath = ../outside\n")
    (tmp_path / "w/.github").symlink_to(tmp_path / "outside")
    (tmp_path / "w/Jenkinsfile").symlink_to("nowhere")
    assert found(tmp_path / "w") == {".git/config"}


def test_what_an_included_configuration_leads_to(tmp_path: Path) -> None:
    top = tmp_path / "w"
    put(top / ".git/config", "[include]\n\tpath = ../conf/a\n")
    put(top / "conf/a", "[include]\n\tpath = b\n\tpath = a\n")
    put(top / "conf/b", "[core]\n\thooksPath = myhooks\n")
    put(top / "myhooks/pre-commit")
    assert found(top) == {".git/config", "conf/a", "conf/b", "myhooks"}


def test_what_a_users_own_settings_lead_to_in_a_repository(tmp_path: Path) -> None:
    top = tmp_path / "w"
    put(top / ".git/config")
    put(top / "myhooks/pre-commit")
    settings = put(tmp_path / "home/.gitconfig", "[core]\n\thooksPath = myhooks\n")
    kept = repositories.found((str(top),), [str(top / ".git")], (), [str(settings)])
    assert kept == (str(top / ".git/config"), str(top / "myhooks"))


def test_a_bare_repository_is_one(tmp_path: Path) -> None:
    for name in ("HEAD", "config", "hooks/update", "objects/x"):
        put(tmp_path / "w" / name)
    assert found(tmp_path / "w") == {"config", "hooks"}


def test_more_than_can_be_guarded_is_refused(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repositories, "MAX_GUARDED", len(GUARDED) - 1)
    with pytest.raises(BoundaryError, match="hooks, git configurations and workflow files") as said:
        found(work)
    assert "agent.writable" in said.value.hint
    monkeypatch.setattr(repositories, "MAX_MODULES", 3)
    with pytest.raises(BoundaryError, match="more than 3 submodules"):
        found(work)
