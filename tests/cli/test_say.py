"""The voice (sluicegate.cli.say)."""

from __future__ import annotations

import subprocess
import sys

import pytest

from sluicegate.cli import say


def test_an_error_has_its_remedy_on_its_own_line(capsys: pytest.CaptureFixture[str]) -> None:
    say.complain("no such tier", "use one\nor another")
    assert capsys.readouterr().err == "sluicegate: no such tier\nhint: use one\nhint: or another\n"


def test_escape_sequences_are_shown_not_obeyed(capsys: pytest.CaptureFixture[str]) -> None:
    say.say("a\x1b[2Jb")
    assert capsys.readouterr().err == "sluicegate: a\\x1b[2Jb\n"


@pytest.mark.parametrize(
    "command", ["##[set-output name=a]b", "###[x]y", "##vso[task.setvariable variable=a]b"]
)
def test_nothing_in_it_is_a_runners_command(
    capsys: pytest.CaptureFixture[str], command: str
) -> None:
    say.complain(f"odd {command}\n::set-output name=a::b", command)
    said = capsys.readouterr().err
    assert "##" not in said
    assert all(line.startswith(("sluicegate: ", "hint: ")) for line in said.splitlines())


def test_who_does_not_listen_does_not_change_the_exit_code() -> None:
    program = "import sys; from sluicegate.cli import say; say.say('x'); say.say('y'); sys.exit(3)"
    with open("/dev/full", "wb") as full:
        assert (
            subprocess.run(
                [sys.executable, "-I", "-c", program], stderr=full, check=False
            ).returncode
            == 3
        )
