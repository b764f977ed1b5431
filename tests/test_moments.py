"""The named moments (sluicegate.moments): nothing happens at them in a run, and tests hold at every one."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sluicegate import moments
from tests.faults import staged

SOURCE = Path(moments.__file__).parent


def test_nothing_happens_at_a_moment() -> None:
    moments.reached("supervisor: anything")


def test_a_moment_is_told_to_what_a_test_assigned(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[str] = []
    monkeypatch.setattr(moments, "testing_only_stall", heard.append)
    moments.reached("gate: committed")
    assert heard == ["gate: committed"]


def test_no_code_of_ours_assigns_the_hook_nor_reads_it_from_outside() -> None:
    for path in SOURCE.rglob("*.py"):
        text = path.read_text()
        assert ("testing_only" in text) == (path.name == "moments.py"), path
    assert "environ" not in Path(moments.__file__).read_text()


def test_a_fresh_interpreter_has_the_inert_one_whatever_its_environment_says() -> None:
    names = ("TESTING_ONLY_STALL", "SLUICEGATE_TESTING", "SLUICEGATE_STALL")
    shown = subprocess.run(
        [
            sys.executable,
            "-c",
            "from sluicegate import moments as m; print(m.testing_only_stall is m._nothing)",
        ],
        env={**os.environ, **dict.fromkeys(names, "1")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout == "True\n"


def test_every_moment_in_the_code_is_tried() -> None:
    text = "".join(path.read_text() for path in SOURCE.rglob("*.py"))
    named = {
        found.replace("{name}", "*") for found in re.findall(r'moments\.reached\(f?"([^"]+)"', text)
    }
    assert named
    assert named == {staged.pattern(moment) for moment in (*staged.MOMENTS, *staged.BESIDE)}
