"""The options of `sluicegate run` (sluicegate.cli.options)."""

from __future__ import annotations

import pytest

from sluicegate.cli import options


def test_everything_after_the_options_is_the_commands() -> None:
    given = options.parse(["--policy", "a", "--policy=b", "--quiet", "--", "sh", "--policy", "c"])
    assert given is not None
    assert given.argv == ("sh", "--policy", "c")
    assert given.policies == ("a", "b")
    assert given.quiet


def test_options_end_at_the_command_without_dashes_too() -> None:
    given = options.parse(["env", "--quiet"])
    assert given is not None
    assert given.argv == ("env", "--quiet")
    assert not given.quiet


def test_help_is_none() -> None:
    assert options.parse(["--help"]) is None
    assert options.parse(["-h"]) is None


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["--"],
        ["--nope", "--", "true"],
        ["--tier", "docker", "true"],
        ["--timeout", "0", "true"],
        ["--timeout", "nan", "true"],
        ["--timeout", "1e9", "true"],
        ["--packet", "a", "--packet", "b", "true"],
        ["--env", "1A=b", "true"],
        ["--env", "A-B", "true"],
        ["--agent-identity", "ü", "true"],
        ["--policy"],
    ],
)
def test_bad_options_are_refused(argv: list[str]) -> None:
    with pytest.raises(options.OptionError):
        options.parse(argv)


def test_an_environment_value_may_hold_anything() -> None:
    given = options.parse(["--env", "A=x=y\nz", "--env", "B", "true"])
    assert given is not None
    assert given.env == ("A=x=y\nz", "B")


@pytest.mark.parametrize("argv", [["--quie", "true"], ["--packet", "a", "--pol=b", "--", "true"]])
def test_names_are_written_out(argv: list[str]) -> None:
    with pytest.raises(options.OptionError, match="is written short"):
        options.parse(argv)
