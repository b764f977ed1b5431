"""What is decided before anything starts (sluicegate.cli.session)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sluicegate.cli import session
from sluicegate.cli.options import Options


def prepared(tmp_path: Path, **options: object) -> session.Plan:
    given = {"argv": ("true",), "workdir": str(tmp_path), "packet": str(tmp_path / "out")}
    environ = {"PATH": "/bin", "HOME": str(tmp_path), "GITHUB_TOKEN": "t", "SUDO_UID": "1000"}
    return session.prepare(Options(**given | options), environ, "0123456789abcdef")  # type: ignore[arg-type]


def test_the_packet_and_the_key_are_out_of_the_commands_sight(tmp_path: Path) -> None:
    (tmp_path / "sluicegate.yaml").write_text("version: 1\n")
    plan = prepared(tmp_path, key=str(tmp_path / "run.key"))
    assert set(plan.spec.hidden) == {str(tmp_path / "out"), str(tmp_path / "run.key")}
    assert plan.packet == str(tmp_path / "out")
    assert "GITHUB_TOKEN" in plan.withheld
    assert "GITHUB_TOKEN" not in dict(plan.spec.command.env)


def test_named_variables_and_binds_reach_the_plan(tmp_path: Path) -> None:
    plan = prepared(tmp_path, env=("GITHUB_TOKEN", "A=b=c"), binds=(str(tmp_path / "cache"),))
    env = dict(plan.spec.command.env)
    assert (env["GITHUB_TOKEN"], env["A"]) == ("t", "b=c")
    assert plan.spec.binds == (os.path.realpath(tmp_path / "cache"),)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"workdir": "/nowhere/at/all"}, "is not a directory"),
        ({"packet": "/"}, "names no directory"),
        ({"packet": ".."}, "names no directory"),
    ],
)
def test_what_can_not_begin(tmp_path: Path, options: dict[str, object], said: str) -> None:
    with pytest.raises(session.SetupError, match=said) as caught:
        prepared(tmp_path, **options)
    assert caught.value.hint


def test_a_tier_that_is_not_to_be_had(tmp_path: Path) -> None:
    other = "netns-rootless" if os.geteuid() == 0 else "netns-root"
    with pytest.raises(session.SetupError, match=f"tier {other} is not to be had"):
        prepared(tmp_path, tier=other)
