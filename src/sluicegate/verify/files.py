"""SHELL. The files of a packet, opened once and read once: regular files only, never through a link."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator

from sluicegate.verify import strict
from sluicegate.verify.packet import STREAMS
from sluicegate.verify.source import Source

# Name -> the most we read of it, in bytes. A verifier that is fed a terabyte says so instead of reading for a week.
# Of a stream nothing is held: a run records less than 2 GiB.
RECORD_BYTES = 1 << 34
SMALL_BYTES = 1 << 24
FILES = {
    **dict.fromkeys(STREAMS, RECORD_BYTES),
    "policy.json": SMALL_BYTES,
    "boundary.json": SMALL_BYTES,
    "packet.json": SMALL_BYTES,
    "checkpoint": SMALL_BYTES,
    "seal.sigstore.json": SMALL_BYTES,
    "probes.sigstore.json": SMALL_BYTES,
    "summary.md": SMALL_BYTES,
    "VERIFY.md": SMALL_BYTES,
    "workspace.json": SMALL_BYTES,
}
PIECE_BYTES = 1 << 18  # of one read(2): calls are few, and what is held stays small


class UnreadableError(strict.VerificationError):
    """There is nothing that could be verified: no such file, not a regular one, or too long."""

    exit_code = 2


@contextlib.contextmanager
def packet(directory: str | int) -> Iterator[dict[str, bytes | Source]]:
    """The files of a packet that are there, by name; its streams can be read until the context ends.

    `directory`: a path, or the descriptor of one that is open. The verifier knows which may be missing in which record.

    Raises:
        UnreadableError: one is no regular file, or too long; or evidence.jsonl is missing: then there is no record.
        OSError: it can not be read.
    """
    with contextlib.ExitStack() as stack:
        if isinstance(directory, str):
            directory = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            stack.callback(os.close, directory)
        files: dict[str, bytes | Source] = {}
        for name, most in FILES.items():
            try:
                descriptor = _opened(name, most, directory)
            except FileNotFoundError:
                if name == "evidence.jsonl":
                    raise
                continue
            stack.callback(os.close, descriptor)
            found = pieces(descriptor, most)
            if name in STREAMS:
                files[name] = Source(found, name, strict.MAX_LINE_BYTES)
            else:
                files[name] = b"".join(found)
        yield files


def can_be_named(path: str) -> bool:
    """Whether the kernel can be asked for `path`: NUL ends a name there, and half a character has no bytes."""
    try:
        return b"\0" not in os.fsencode(path)
    except UnicodeEncodeError:
        return False


def is_directory(path: str) -> bool:
    """Whether `path` leads to one.

    Raises:
        OSError: there is nothing.
    """
    return stat.S_ISDIR(os.stat(path).st_mode)


def head(path: str, most: int) -> bytes:
    """The first `most` bytes of what may come by a link or a pipe: whoever names it vouches for it.

    Raises:
        OSError: it can not be read.
    """
    with open(path, "rb") as source:
        return source.read(most)


def unknown(directory: str) -> list[str]:
    """Names in `directory` that no packet has, sorted."""
    return sorted(set(os.listdir(directory)) - FILES.keys())


@contextlib.contextmanager
def stream(path: str, most_of_a_line: int) -> Iterator[Source]:
    """The lines of one regular file, which can be read until the context ends.

    Raises:
        UnreadableError: it is none, or too long.
        OSError: it can not be read.
    """
    descriptor = _opened(path, RECORD_BYTES)
    try:
        yield Source(pieces(descriptor, RECORD_BYTES), os.path.basename(path), most_of_a_line)
    finally:
        os.close(descriptor)


def contents(path: str, most: int) -> bytes:
    """The bytes of a regular file.

    Raises:
        UnreadableError: it is none, or longer than `most`.
        OSError: it can not be read.
    """
    descriptor = _opened(path, most)
    try:
        return b"".join(pieces(descriptor, most))
    finally:
        os.close(descriptor)


def pieces(descriptor: int, most: int) -> Iterator[bytes]:
    """The bytes of an open file from its beginning, wherever its position is.

    Raises:
        OSError: it can not be read, or has grown beyond `most`.
    """
    at = 0
    while piece := os.pread(descriptor, PIECE_BYTES, at):
        at += len(piece)
        if at > most:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
        yield piece


def _opened(path: str, most: int, directory: int | None = None) -> int:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    descriptor = os.open(path, flags, dir_fd=directory)
    status = os.fstat(descriptor)
    if stat.S_ISREG(status.st_mode) and status.st_size <= most:
        return descriptor
    os.close(descriptor)
    if stat.S_ISREG(status.st_mode):
        raise UnreadableError(f"{path}: more than {most} bytes")
    raise UnreadableError(f"{path}: not a regular file")
