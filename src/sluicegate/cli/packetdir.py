"""The packet's directory: reserved before the run, filled once after it, never in between."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Collection, Mapping
from dataclasses import dataclass

COPY_BYTES = 1_048_576  # one read of the copy; memory stays flat whatever the record's size


class PacketDirError(Exception):
    """The place for the packet is at fault; `hint` is the remedy."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Reserved:
    """An empty directory held open. `made` says whether we made it and so may remove it."""

    path: str
    descriptor: int
    made: bool


def reserve(path: str, owner: tuple[int, int] | None) -> Reserved:
    """The directory `path` (absolute), made if missing and given to `owner` (uid, gid).

    Raises:
        PacketDirError: it is not a directory, not empty, or can not be made.
    """
    made = False
    try:
        os.mkdir(path, 0o755)
        made = True
    except FileExistsError:
        pass
    except OSError as error:
        raise PacketDirError(
            f"can not make {path}: {error.strerror}", "make its parent, or choose another --packet"
        ) from error
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise PacketDirError(
            f"{path} is not a directory of ours: {error.strerror}", "choose another --packet"
        ) from error
    reserved = Reserved(path, descriptor, made)
    if os.listdir(descriptor):
        os.close(descriptor)
        raise PacketDirError(
            f"{path} is not empty", "remove the old packet, or choose another --packet"
        )
    if made and owner is not None:
        os.fchown(descriptor, *owner)
    return reserved


def publish(
    reserved: Reserved,
    files: Mapping[str, bytes | int],
    owner: tuple[int, int] | None,
    present: Collection[str] = (),
) -> None:
    """Write each file (its bytes, or a descriptor to copy from the start), all or none.

    `present`: the names that may be there already, from an earlier call.

    Raises:
        PacketDirError: the directory moved or filled up; nothing of ours is left in it then.
    """
    written: list[str] = []
    try:
        still_there(reserved)
        _nothing_else(reserved, present)
        for name, content in files.items():
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(name, flags, 0o644, dir_fd=reserved.descriptor)
            written.append(name)
            try:
                if owner is not None:
                    os.fchown(descriptor, *owner)
                _fill(descriptor, content)
            finally:
                os.close(descriptor)
    except (OSError, PacketDirError) as error:
        for name in written:
            with contextlib.suppress(OSError):
                os.unlink(name, dir_fd=reserved.descriptor)
        if isinstance(error, PacketDirError):
            raise
        full = error.errno in {errno.ENOSPC, errno.EDQUOT}
        raise PacketDirError(
            f"can not write {reserved.path}: {error.strerror}",
            "free some space and run again" if full else "choose another --packet",
        ) from error


def still_there(reserved: Reserved) -> None:
    """Whether the path still leads to the directory we hold.

    Raises:
        PacketDirError: it does not: what a reader would find there is not what we write.
    """
    try:
        now = os.stat(reserved.path, follow_symlinks=False)
    except OSError:
        now = None
    held = os.fstat(reserved.descriptor)
    if now is None or not stat.S_ISDIR(now.st_mode) or not os.path.samestat(now, held):
        raise PacketDirError(
            f"{reserved.path} was moved while the command ran",
            "choose a --packet outside the command's working directory",
        )


def _nothing_else(reserved: Reserved, present: Collection[str]) -> None:
    if not set(os.listdir(reserved.descriptor)) <= set(present):
        raise PacketDirError(
            f"something was put into {reserved.path} while the command ran",
            "keep other programs out of the packet's directory",
        )


def discard(reserved: Reserved) -> None:
    """Remove the directory if we made it and it is still empty; let go of it either way."""
    if reserved.made:
        with contextlib.suppress(OSError, PacketDirError):
            still_there(reserved)
            os.rmdir(reserved.path)
    os.close(reserved.descriptor)


def staging() -> int:
    """A descriptor of a file without a name: gone with the last process that holds it."""
    directory = os.environ.get("TMPDIR") or "/tmp"  # noqa: S108  # O_TMPFILE: no name to race for
    try:
        return os.open(directory, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno not in {errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL}:
            raise PacketDirError(
                f"no temporary file in {directory}: {error.strerror}", "set TMPDIR"
            ) from error
    import tempfile

    try:
        descriptor, path = tempfile.mkstemp(dir=directory)
        os.unlink(path)
    except OSError as error:
        raise PacketDirError(
            f"no temporary file in {directory}: {error.strerror}", "set TMPDIR"
        ) from error
    return descriptor


def _fill(descriptor: int, what: bytes | int) -> None:
    if isinstance(what, bytes):
        _write(descriptor, what)
        return
    at = 0
    while piece := os.pread(what, COPY_BYTES, at):
        _write(descriptor, piece)
        at += len(piece)


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
