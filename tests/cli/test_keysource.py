"""Which keys are taken, and which are refused before anything starts (sluicegate.cli.keysource)."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from sluicegate.cli import keysource
from sluicegate.cli.opening import SetupError
from sluicegate.cli.options import OptionError, Options
from sluicegate.evidence import keys
from tests.cli.test_secretfd import closed, pipe

SEED = b"s" * 32
PLAIN = keys.write_private(SEED)
LOCKED = keys.write_encrypted(SEED, b"word", bytes(16), bytes(12), keys.MIN_SCRYPT_N)


def given(**options: object) -> Options:
    return Options(argv=("true",), **options)  # type: ignore[arg-type]


@pytest.fixture(name="key")
def _key(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "run.key"
    path.write_text(PLAIN)
    path.chmod(0o600)
    open_before = len(os.listdir("/proc/self/fd"))
    yield path
    assert len(os.listdir("/proc/self/fd")) == open_before


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o640, 0o440, 0o700])
def test_modes_that_are_the_owners_choice(key: Path, mode: int) -> None:
    key.chmod(mode)
    with keysource.opened(given(key=str(key))) as source:
        assert source.key is not None
        assert not os.get_inheritable(source.key)
        assert keysource.seed(os.dup(source.key), None) == SEED


@pytest.mark.parametrize("mode", [0o644, 0o660, 0o604, 0o602, 0o601, 0o620, 0o610, 0o666, 0o777])
def test_loose_modes_are_refused(key: Path, mode: int) -> None:
    key.chmod(mode)
    said = rf"may be read or changed by others \(mode {mode:04o}\)"
    with pytest.raises(SetupError, match=said) as caught, keysource.opened(given(key=str(key))):
        pass
    assert caught.value.hint.startswith(f"chmod 600 {key}")
    # The same file by descriptor is no tighter.
    number = os.open(key, os.O_RDONLY)
    with pytest.raises(SetupError, match=said), keysource.opened(given(key_fd=number)):
        pass
    assert closed(number)


def test_what_is_no_file_is_refused(key: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(key)
    (tmp_path / "dangling").symlink_to(tmp_path / "nothing")
    (tmp_path / "directory").mkdir(0o700)
    os.mkfifo(tmp_path / "fifo", 0o600)
    os.mknod(tmp_path / "socket", stat.S_IFSOCK | 0o600)
    for name, said in {
        "link": "it is a symbolic link",
        "dangling": "it is a symbolic link",
        "directory": "is not a regular file",
        "fifo": "is not a regular file",
        "socket": "can not read the key",
        "nothing": "No such file",
    }.items():
        options = given(key=str(tmp_path / name))
        with pytest.raises(SetupError, match=said) as caught, keysource.opened(options):
            pass
        assert caught.value.hint


def test_a_descriptor_and_its_file_are_taken_and_closed(key: Path) -> None:
    number, word = os.open(key, os.O_RDONLY), pipe(b"word")
    with keysource.opened(given(key_fd=number, passphrase_fd=word)) as source:
        assert source.descriptors() == [number, word]
        assert source.files == (str(key),)
        source.close()
        assert closed(number)
        assert closed(word)
    number = pipe(PLAIN.encode())
    with keysource.opened(given(key_fd=number)) as source:
        assert source.files == ()
    assert closed(number)


def test_without_a_key_there_is_none() -> None:
    with keysource.opened(given()) as source:
        assert source.descriptors() == []


def test_an_encrypted_file_needs_its_passphrase_before_the_start(
    key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key.write_text(LOCKED)
    monkeypatch.setattr(os, "isatty", lambda _: False)
    with (
        pytest.raises(SetupError, match="no terminal to ask") as caught,
        keysource.opened(given(key=str(key))),
    ):
        pass
    assert "--passphrase-fd 4 4<" in caught.value.hint
    with keysource.opened(given(key=str(key), passphrase_fd=pipe(b"word\n"))) as source:
        assert source.key is not None
        assert source.passphrase is not None
        assert keysource.seed(os.dup(source.key), os.dup(source.passphrase)) == SEED


def test_why_there_is_no_key() -> None:
    def why(text: bytes, word: bytes | None = None) -> tuple[str, str]:
        try:
            keysource.seed(pipe(text), None if word is None else pipe(word))
        except (keys.KeyTextError, OptionError, OSError) as error:
            return keysource.why(error)
        raise AssertionError("there is one")

    cases = [
        (why(b""), "empty"),
        (why(b"\xff\xfe"), "first line"),
        (why(b" " * 5000), "more than 4096 bytes"),
        (why(LOCKED.encode()), "no passphrase was given"),
        (why(LOCKED.encode(), b"other"), "passphrase is wrong"),
        (why(LOCKED.encode(), b""), "gave no passphrase"),
        (why(PLAIN.encode(), b"word"), "not encrypted"),
        (keysource.why(OSError(9, "Bad file descriptor")), "Bad file descriptor"),
    ]
    for (said, hint), word in cases:
        assert said.startswith("the signing key can not be used: ")
        assert word in said
        assert hint
