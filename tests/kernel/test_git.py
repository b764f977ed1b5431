"""git in a workspace whose hooks and configuration are read-only, in both tiers (sluicegate.cli.placeholders)."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from tests.conftest import Tier

MADE = """
git init -q -b main . && git config user.name A && git config user.email a@b.example
echo one >one && git add one && git commit -qm one
git checkout -q -b other && echo two >two && git add two && git commit -qm two && git checkout -q main
rm -r .git/hooks
"""
USED = """
git status --short && git checkout -q other && echo three >three && git add three && git commit -qm three
git checkout -q main && git merge -q other && git branch -q new && git stash list && git gc -q && git tag t
git log --format=%s && git branch -D other && ls .github .git/hooks
"""


def _outside(work: Path, script: str) -> str:
    owner = work.stat().st_uid
    done = subprocess.run(
        ["sh", "-ec", script], cwd=work, user=owner, group=owner, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_git_works_where_its_hooks_and_configuration_do_not_change(tier: Tier) -> None:
    _outside(tier.work, MADE)
    done = tier.run(["sh", "-ec", USED])
    assert done.code == 0, done.err
    assert done.out.splitlines()[:3] == ["three", "two", "one"]
    assert "workflows" in done.out.split()
    assert _outside(tier.work, "git status --short; git log --format=%s -1; ls -A .") == (
        "three\n.git\none\nthree\ntwo\n"
    )
    # What was made for the time of the run is gone.
    assert not (tier.work / ".git/hooks").exists()


def test_a_configuration_that_can_not_be_written_is_told_by_git(tier: Tier) -> None:
    _outside(tier.work, MADE)
    before = (tier.work / ".git/config").read_bytes()
    done = tier.run(["git", "config", "core.fsmonitor", "./evil"])
    assert done.code == 4
    assert re.search(r"could not write config file \S*\.git/config", done.err)
    assert (tier.work / ".git/config").read_bytes() == before
    policy = "version: 1\nagent: {writable: [.git/config]}\n"
    assert tier.run(["git", "config", "core.fsmonitor", "false"], policy).code == 0
    assert b"fsmonitor" in (tier.work / ".git/config").read_bytes()
