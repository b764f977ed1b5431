"""Secrets on descriptors (sluicegate.cli.secretfd); the terminal's side is in tests/kernel/test_key.py."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from sluicegate.cli import secretfd
from sluicegate.cli.options import OptionError


def pipe(data: bytes) -> int:
    out, into = os.pipe()
    os.write(into, data)
    os.close(into)
    return out


def closed(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return True
    return False


def test_all_of_it_is_read_and_the_descriptor_closed() -> None:
    number = pipe(b"secret")
    assert secretfd.read(number, 6) == b"secret"
    assert closed(number)
    assert secretfd.read(pipe(b""), 6) == b""


def test_more_than_the_limit_is_refused() -> None:
    number = pipe(b"x" * 60_000)
    with pytest.raises(OptionError, match="more than 4096 bytes"):
        secretfd.read(number, 4096)
    assert closed(number)


def test_pieces_from_a_writer_that_made_it_non_blocking() -> None:
    ours, theirs = socket.socketpair()
    os.set_blocking(theirs.fileno(), False)
    pid = os.fork()
    if pid == 0:
        for piece in (b"one ", b"two ", b"three"):
            ours.sendall(piece)
        os._exit(0)
    ours.close()
    assert secretfd.read(theirs.detach(), 99) == b"one two three"
    os.waitpid(pid, 0)


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_a_passphrase_is_one_line(end: bytes) -> None:
    assert secretfd.passphrase(pipe(b" open sesame " + end)) == b" open sesame "


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "no passphrase"),
        (b"\n", "no passphrase"),
        (b"one\ntwo", "more than one line"),
        (b"one\n\n", "more than one line"),
        (b"x" * 1025, "more than 1024 bytes"),
    ],
)
def test_what_is_no_passphrase(data: bytes, said: str) -> None:
    with pytest.raises(OptionError, match=said):
        secretfd.passphrase(pipe(data))


def test_what_is_piped_is_read_once_and_wiped_here() -> None:
    secret = bytearray(b"secret")
    number = secretfd.piped(memoryview(secret))
    assert secret == bytes(6)
    assert not os.get_inheritable(number)
    assert secretfd.read(number, 99) == b"secret"


def test_descriptors_that_can_not_be_a_source(tmp_path: Path) -> None:
    gone = pipe(b"")
    os.close(gone)
    cases = {
        gone: "is not open",
        os.open(tmp_path, os.O_RDONLY): "is a directory",
        os.open(tmp_path / "f", os.O_WRONLY | os.O_CREAT): "not open for reading",
        os.open(tmp_path / "f", os.O_PATH): "not open for reading",
    }
    for number, said in cases.items():
        with pytest.raises(OptionError, match=f"--key-fd {number}: .*{said}") as caught:
            secretfd.checked("--key-fd", number)
        assert f"--key-fd {number} {number}< <(printf" in caught.value.hint
        if number != gone:
            os.close(number)


def test_the_file_behind_a_descriptor_is_known(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_text("secret")
    number = os.open(path, os.O_RDONLY)
    os.set_inheritable(number, True)
    assert secretfd.checked("--key-fd", number) == str(path)
    assert not os.get_inheritable(number)
    path.rename(tmp_path / "g")
    assert secretfd.checked("--key-fd", number) == str(tmp_path / "g")
    (tmp_path / "g").unlink()
    assert secretfd.checked("--key-fd", number) is None
    os.close(number)
    other = pipe(b"")
    assert secretfd.checked("--key-fd", other) is None
    os.close(other)
