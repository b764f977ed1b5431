"""Values of secrets: which are read, which are refused, and what else is looked for (sluicegate.cli.secretsource)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sluicegate.cli import secretsource
from sluicegate.cli.opening import SetupError
from sluicegate.policy.model import Secret
from tests.cli.test_secretfd import pipe

VALUE = "sk-ant-api03-Zx81kQm2Lw93Rt77PqYc0aB"


def secret(kind: str, where: str, name: str = "API_KEY") -> Secret:
    return Secret(name, (kind, where), ("api.example",), (), "bearer")


def asked(*secrets: Secret, home: str = "/", **descriptors: int) -> secretsource.Wanted:
    return secretsource.Wanted(secrets, (), descriptors, home)


def test_each_source(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(VALUE + "\r\n")
    wanted = asked(
        secret("env", "TOKEN"),
        secret("file", "~/key", "B"),
        secret("fd", "api", "C"),
        home=str(tmp_path),
        api=pipe(VALUE.encode()),
    )
    held = secretsource.collect(wanted, {"TOKEN": VALUE})
    assert [one.value for one in held] == [VALUE] * 3
    assert [one.secret.name for one in held] == ["API_KEY", "B", "C"]
    assert len({VALUE, *(one.placeholder for one in held)}) == 4
    assert secretsource.files(wanted.secrets, str(tmp_path)) == (f"{tmp_path}/key",)


def test_what_is_not_there_or_too_much(tmp_path: Path) -> None:
    (tmp_path / "long").write_text("x" * (secretsource.MAX_VALUE_BYTES + 1))
    (tmp_path / "bytes").write_bytes(b"\xff" * 40)
    for kind, where, said, hint in (
        ("env", "TOKEN", "the variable TOKEN is not set", "set it for sluicegate"),
        ("file", "~/none", "can not be read: no such file", "check the path"),
        ("file", "~/long", "more than 4096 bytes", "one value"),
        ("file", "~/bytes", "printable ASCII", "end of line"),
    ):
        with pytest.raises(SetupError, match=said) as caught:
            secretsource.collect(asked(secret(kind, where), home=str(tmp_path)), {})
        assert hint in caught.value.hint


def test_of_the_environment_only_what_looks_like_a_secret() -> None:
    good = {name: f"{name[:3]}Zx81kQm2Lw93Rt77" for name in ("A_TOKEN", "db_password", "API_KEY")}
    bad = {
        "NPM_TOKEN": "true",
        "OTHER_TOKEN": "0" * 40,
        "SECRET_FILE": "/run/secrets/that-is-a-path",
        "TOKEN_HOST": "tokens.internal.example.com:8443",
        "TWO_SECRET": "a passphrase of some words 123",
        "PLAIN": VALUE,
        "OWN_KEY": VALUE,
    }
    environ = {**good, **bad, "MY_TOKEN": VALUE}
    own = secretsource.collect(asked(secret("env", "OWN_KEY")), environ)
    wanted = secretsource.Wanted((), tuple(sorted(environ)), {}, "/")
    found = secretsource.looked_for(wanted, environ, own)
    assert found == {name: text.encode() for name, text in good.items()}
    many = {f"TOKEN_{n}": f"{n}Zx81kQm2Lw93Rt77" for n in range(99)}
    wanted = secretsource.Wanted((), tuple(many), {}, "/")
    assert len(secretsource.looked_for(wanted, many, ())) == secretsource.MAX_WITHHELD


def test_a_descriptor_is_read_to_its_end_and_closed() -> None:
    number = pipe(VALUE.encode())
    secretsource.collect(asked(secret("fd", "api"), api=number), {})
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(number)
