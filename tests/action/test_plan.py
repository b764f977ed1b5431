"""The command line of the run: every value is one word of it."""

from __future__ import annotations

from dataclasses import replace

from sluicegate.action import plan
from sluicegate.cli import options
from tests.action.test_inputs import given


def test_all_that_can_be_asked_for_is_understood_by_run() -> None:
    asked = replace(
        given(script_path="s.sh", script_args="--\n--policy\n-x", env="A\nB"),
        mode="observe",
        key="k",
        fail_on_deny=True,
    )
    words = plan.run(asked, "/w/s.sh", ["p.yaml", "-q"], ["c.yaml"], "/w", python="/py", root=())
    assert words[:6] == ["/py", "-I", "-B", "-m", "sluicegate", "run"]
    parsed = options.parse(words[6:])
    assert parsed is not None
    assert parsed.argv == ("bash", "/w/s.sh", "--", "--policy", "-x")
    assert (parsed.policies, parsed.workdir, parsed.key) == (("p.yaml", "-q"), "/w", "k")
    assert (parsed.observe, parsed.fail_on_deny, parsed.env) == (True, True, ("A", "B"))
    assert parsed.read_only == ("c.yaml",)
    assert (parsed.packet, parsed.identity) == ("pipelock-audit-packet", "github-actions-agent")


def test_mode_enforce_asks_for_nothing_that_run_does_not_do_anyway() -> None:
    words = plan.run(given(run="x", mode="enforce"), "", [], [], "/w", python="/py", root=())
    assert "--observe" not in words
    assert "--fail-on-deny" not in words
    assert "--key" not in words


def test_presets() -> None:
    words = plan.run(given(run="x", preset="python\nnode"), "", [], [], "/w", python="/py", root=())
    at = words.index("--preset")
    assert words[at : at + 4] == ["--preset", "python", "--preset", "node"]


def test_with_sudo_the_jobs_path_is_kept_and_where_its_python_finds_itself() -> None:
    environ = {"PATH": "/a b:/c", "LD_LIBRARY_PATH": "/lib x", "LD_PRELOAD": "no"}
    root = plan.sudo(environ)
    words = plan.run(given(run="x"), "", [], [], "/w", python="/py", root=root)
    assert words[:5] == ["sudo", "-n", "-E", "--", "/usr/bin/env"]
    assert words[5:8] == ["PATH=/a b:/c", "LD_LIBRARY_PATH=/lib x", "/py"]
    assert plan.sudo({}) == plan.SUDO
