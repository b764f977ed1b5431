"""What is decided before anything starts (sluicegate.cli.planning)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

from sluicegate.cli import opening, planning
from sluicegate.cli.options import Options


def prepared(
    tmp_path: Path, more: Mapping[str, str] = MappingProxyType({}), **options: object
) -> opening.Plan:
    given = {"argv": ("true",), "workdir": str(tmp_path), "packet": str(tmp_path / "out")}
    environ = {
        "PATH": "/bin",
        "HOME": str(tmp_path),
        "GITHUB_TOKEN": "t",
        "SUDO_UID": "1000",
        **more,
    }
    return planning.prepare(Options(**given | options), environ, "0123456789abcdef")  # type: ignore[arg-type]


def test_the_packet_and_the_key_are_out_of_the_commands_sight(tmp_path: Path) -> None:
    (tmp_path / "sluicegate.yaml").write_text("version: 1\n")
    plan = prepared(tmp_path, key=str(tmp_path / "run.key"))
    assert plan.spec.hidden == (str(tmp_path / "run.key"),)
    assert plan.spec.packet == plan.packet == str(tmp_path / "out")
    assert "GITHUB_TOKEN" in plan.withheld
    assert "GITHUB_TOKEN" not in dict(plan.spec.command.env)


def test_named_variables_and_binds_reach_the_plan(tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    plan = prepared(tmp_path, env=("GITHUB_TOKEN", "A=b=c"), binds=(str(tmp_path / "cache"),))
    env = dict(plan.spec.command.env)
    assert (env["GITHUB_TOKEN"], env["A"]) == ("t", "b=c")
    assert plan.spec.binds == (os.path.realpath(tmp_path / "cache"),)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"workdir": "/nowhere/at/all"}, "is not a directory"),
        ({"packet": "/"}, "names nothing that could be made"),
        ({"packet": ".."}, "names nothing that could be made"),
        ({"binds": ("/nowhere/at/all",)}, "--bind /nowhere/at/all does not exist"),
    ],
)
def test_what_can_not_begin(tmp_path: Path, options: dict[str, object], said: str) -> None:
    with pytest.raises(opening.SetupError, match=said) as caught:
        prepared(tmp_path, **options)
    assert caught.value.hint


def test_what_the_command_must_not_change(tmp_path: Path) -> None:
    (tmp_path / "sluicegate.yaml").write_text("version: 1\n")
    (tmp_path / "kept").write_text("")
    plan = prepared(tmp_path, read_only=(str(tmp_path / "kept"), "/etc/passwd"))
    assert plan.spec.kept == (f"{tmp_path}/sluicegate.yaml", f"{tmp_path}/kept")
    with pytest.raises(opening.SetupError, match="--read-only none is no file"):
        prepared(tmp_path, read_only=("none",))


def test_a_tier_that_is_not_to_be_had(tmp_path: Path) -> None:
    other = "netns-rootless" if os.geteuid() == 0 else "netns-root"
    with pytest.raises(opening.SetupError, match=f"tier {other} is not to be had"):
        prepared(tmp_path, tier=other)


def test_what_withheld_variables_point_to_is_hidden(tmp_path: Path) -> None:
    environ = {
        "RUNNER_TEMP": "/w/_temp",
        "KUBECONFIG": "/k/one:/k/two",
        "GOOGLE_APPLICATION_CREDENTIALS": "/g.json",
        "XDG_CONFIG_HOME": "/x",
        "NETRC": "relative",
    }
    hidden = set(prepared(tmp_path, environ).spec.hidden)
    assert {"/w/_temp", "/k/one", "/k/two", "/g.json", "/x/gh"} <= hidden
    assert "relative" not in hidden
    given = prepared(tmp_path, environ, env=("GOOGLE_APPLICATION_CREDENTIALS",))
    assert "/g.json" not in given.spec.hidden


def test_credentials_in_the_workspace_are_told_before_the_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git/config").write_text(
        '[http "https://code.example/"]\n\textraheader = AUTHORIZATION: basic c2VjcmV0\n'
    )
    planning.warn(prepared(tmp_path))
    said = capsys.readouterr().err
    assert ".git/config: http.https://code.example/.extraheader" in said
    assert "c2VjcmV0" not in said
    assert "hint: check out without them" in said
    planning.warn(prepared(tmp_path, quiet=True))
    assert capsys.readouterr().err == ""
