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
        *(["--key-fd", n, "true"] for n in ("0", "1", "2", "-3", "x", "", "3.0", " 3", "1048576")),
        ["--key-fd", "\u0663", "true"],
        ["--key-fd", "9" * 5000, "true"],
        ["--key-fd", "3", "--key-fd", "4", "true"],
        ["--key-fd", "3", "--key", "run.key", "true"],
        ["--key-fd", "3", "--passphrase-fd", "3", "true"],
        ["--passphrase-fd", "3", "true"],
        ["--key", "run.key", "--passphrase-fd", "0", "true"],
        *(["--checkpoint-seconds", n, "true"] for n in ("0", "", "-1", "1.5", "86401", "9" * 5000)),
        ["--checkpoint-file", "a", "--checkpoint-file", "b", "true"],
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


def test_where_the_key_comes_from() -> None:
    for argv, key_fd, passphrase_fd in (
        (["--key-fd", "3"], 3, None),
        (["--key-fd=1048575", "--passphrase-fd=4"], 1_048_575, 4),
        (["--key", "run.key", "--passphrase-fd", "3"], None, 3),
    ):
        given = options.parse([*argv, "true"])
        assert given is not None
        assert (given.key_fd, given.passphrase_fd) == (key_fd, passphrase_fd)
        assert given.keyed
    plain = options.parse(["true"])
    assert plain is not None
    assert not plain.keyed


def test_how_often_a_checkpoint_is_told() -> None:
    for argv, seconds in (([], 30), (["--checkpoint-seconds", "1"], 1)):
        given = options.parse([*argv, "--checkpoint-file", "cp", "true"])
        assert given is not None
        assert (given.checkpoint_file, given.checkpoint_seconds) == ("cp", seconds)


def test_secrets_on_descriptors() -> None:
    given = options.parse(["--secret-fd", "api=3", "--secret-fd", "db=4", "true"])
    assert given is not None
    assert given.secret_fds == (("api", 3), ("db", 4))
    for argv in (
        *(["--secret-fd", text] for text in ("api", "api=", "api=2", "3")),
        ["--secret-fd", "api=3", "--secret-fd", "api=4"],
        ["--secret-fd", "api=3", "--secret-fd", "db=3"],
        ["--secret-fd", "api=3", "--key-fd", "3"],
    ):
        with pytest.raises(options.OptionError, match="secret-fd"):
            options.parse([*argv, "true"])
