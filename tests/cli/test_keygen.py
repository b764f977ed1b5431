"""The command `sluicegate keygen` (sluicegate.cli.keygen)."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from sluicegate.cli import keygen
from sluicegate.evidence import keys
from tests.cli.test_secretfd import pipe


def test_a_pair_that_belongs_together(tmp_path: Path) -> None:
    assert keygen.main([str(tmp_path / "run")]) == 0
    seed = keys.read_private((tmp_path / "run.key").read_text())
    public = keys.read_public((tmp_path / "run.pub").read_text())
    assert keys.signer(seed)[1] == public.hex()
    assert stat.S_IMODE(os.stat(tmp_path / "run.key").st_mode) == 0o600
    assert sorted(p.name for p in tmp_path.iterdir()) == ["run.key", "run.pub"]


@pytest.mark.parametrize("there", ["run.key", "run.pub"])
def test_what_exists_is_not_overwritten(
    tmp_path: Path, there: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / there).write_text("mine")
    assert keygen.main([str(tmp_path / "run")]) == 2
    assert (tmp_path / there).read_text() == "mine"
    assert len(list(tmp_path.iterdir())) == 1
    assert "exists" in capsys.readouterr().err


def test_a_dangling_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "run.key").symlink_to(tmp_path / "elsewhere")
    assert keygen.main([str(tmp_path / "run")]) == 2
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("arguments", [[], ["a", "b"], ["--force"], ["nowhere/at/all"], ["a/"]])
def test_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert keygen.main(arguments) == 2
    assert capsys.readouterr().err.startswith("sluicegate: ")


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert keygen.main(["--help"]) == 0
    assert capsys.readouterr().out == keygen.USAGE


def test_it_says_what_it_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert keygen.main([str(tmp_path / "run")]) == 0
    public = keys.read_public((tmp_path / "run.pub").read_text()).hex()
    assert capsys.readouterr().out == f"{tmp_path}/run.key\n{tmp_path}/run.pub {public}\n"


def test_an_encrypted_key(tmp_path: Path) -> None:
    name = str(tmp_path / "run")
    given = ["--encrypt", "--passphrase-fd", str(pipe(b"open sesame\n")), name]
    assert keygen.main(given) == 0
    text = (tmp_path / "run.key").read_text()
    assert text.startswith(f"{keys.ENCRYPTED}\n")
    seed = keys.read_private(text, b"open sesame")
    assert keys.signer(seed)[1] == keys.read_public((tmp_path / "run.pub").read_text()).hex()
    assert stat.S_IMODE(os.stat(tmp_path / "run.key").st_mode) == 0o600
    # Options may follow the name, and no two keys share a salt.
    assert keygen.main([f"{name}2", "--passphrase-fd", str(pipe(b"open sesame")), "--encrypt"]) == 0
    other = (tmp_path / "run2.key").read_text().splitlines()
    assert not set(other[1:]) & set(text.splitlines()[1:])


@pytest.mark.parametrize(
    ("options", "data", "said"),
    [
        (["--encrypt", "--passphrase-fd", "N"], b"", "no passphrase"),
        (["--encrypt", "--passphrase-fd", "N"], b"a\nb\n", "more than one line"),
        (["--encrypt", "--passphrase-fd", "2"], b"a", "wants a descriptor"),
        (["--encrypt", "--passphrase-fd", "1048575"], b"a", "is not open"),
        (["--passphrase-fd", "N"], b"a", "without --encrypt"),
    ],
)
def test_no_passphrase_no_key(
    tmp_path: Path,
    options: list[str],
    data: bytes,
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    number = str(pipe(data))
    argv = [number if word == "N" else word for word in options]
    assert keygen.main([*argv, str(tmp_path / "run")]) == 2
    heard = capsys.readouterr().err
    assert said in heard
    assert "hint: " in heard
    assert list(tmp_path.iterdir()) == []
