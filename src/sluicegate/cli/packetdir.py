"""The packet's directory: reserved before the run, the record written in it, the rest added at the end.

The record lies in its place from the start, so that whatever is killed, what was committed is there: a prefix. What
makes a packet whole comes last.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from sluicegate import moments

# What the notary writes, and what binds it to this run: enough for a prefix that verifies.
EVIDENCE, FLOWS, POLICY, BOUNDARY = "evidence.jsonl", "flows.jsonl", "policy.json", "boundary.json"
RECORD = (EVIDENCE, FLOWS, POLICY, BOUNDARY)
WORKSPACE = "workspace.json"  # written with what makes a packet whole
_NEW = os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class PacketDirError(Exception):
    """The place for the packet is at fault; `hint` is the remedy."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Reserved:
    """A directory held open, and in it the record's two new files, evidence and flows, to append to.

    `made`: we made it and so may remove it. What we write is for `owner` (uid, gid; None: ourselves), but the record is
    ours until its end: in the tier `netns-root` nobody but root can change it while the command runs.
    """

    path: str
    descriptor: int
    files: tuple[int, ...]
    made: bool
    owner: tuple[int, int] | None = None


def reserve(path: str, owner: tuple[int, int] | None) -> Reserved:
    """The directory `path` (absolute), made if missing and given to `owner` (uid, gid).

    Raises:
        PacketDirError: it is not a directory, not empty, or can not be made or written.
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
    if os.listdir(descriptor):
        os.close(descriptor)
        raise PacketDirError(
            f"{path} is not empty", "remove the old packet, or choose another --packet"
        )
    with contextlib.ExitStack() as failed:
        failed.callback(discard, Reserved(path, descriptor, (), made))
        with _told(path):
            files = _record(descriptor)
        failed.pop_all()
    if made and owner is not None:
        os.fchown(descriptor, *owner)
    return Reserved(path, descriptor, files, made, owner)


def _record(directory: int) -> tuple[int, int]:
    flags = _NEW | os.O_RDWR | os.O_APPEND
    first = os.open(EVIDENCE, flags, 0o644, dir_fd=directory)
    try:
        return first, os.open(FLOWS, flags, 0o644, dir_fd=directory)
    except OSError:
        os.close(first)
        raise


def publish(reserved: Reserved, files: Mapping[str, bytes], present: Collection[str] = ()) -> None:
    """Write each file, in their order, all or none.

    `present`: the names that may be there already.

    Raises:
        PacketDirError: the directory moved or filled up; nothing of `files` is left in it then.
    """
    written: list[str] = []
    try:
        with _told(reserved.path):
            still_there(reserved)
            _nothing_else(reserved, present)
            for name, content in files.items():
                descriptor = os.open(name, _NEW | os.O_WRONLY, 0o644, dir_fd=reserved.descriptor)
                written.append(name)
                moments.reached(f"supervisor: {name} begun")
                try:
                    _give(descriptor, reserved.owner)
                    _write(descriptor, content)
                finally:
                    os.close(descriptor)
                moments.reached(f"supervisor: {name} written")
    except PacketDirError:
        for name in written:
            with contextlib.suppress(OSError):
                os.unlink(name, dir_fd=reserved.descriptor)
        raise


@contextlib.contextmanager
def replacing(reserved: Reserved, name: str, content: bytes) -> Iterator[None]:
    """`content` has its room on the disk before the body begins, and takes the place of `name` when it has ended well.

    Between the two it has no name: what is left of a run that dies there is the old file.

    Raises:
        PacketDirError: the directory moved or filled up.
    """
    temporary = f".{name}"
    with _told(reserved.path):
        still_there(reserved)
        _nothing_else(reserved, RECORD)
        descriptor, named = _nameless(reserved, temporary)
        try:
            _give(descriptor, reserved.owner)
            _write(descriptor, content)
        except OSError:
            _let_go(reserved, descriptor, temporary if named else None)
            raise
    try:
        yield
        with _told(reserved.path):
            if named:
                os.rename(
                    temporary, name, src_dir_fd=reserved.descriptor, dst_dir_fd=reserved.descriptor
                )
                named = False
            else:
                # No call puts a file without a name in the place of another.
                os.unlink(name, dir_fd=reserved.descriptor)
                moments.reached(f"supervisor: {name} gone")
                os.link(f"/proc/self/fd/{descriptor}", name, dst_dir_fd=reserved.descriptor)
    finally:
        _let_go(reserved, descriptor, temporary if named else None)


def _nameless(reserved: Reserved, temporary: str) -> tuple[int, bool]:
    """A new file, and whether it had to be named `temporary`: not every file system has O_TMPFILE (open(2))."""
    try:
        flags = os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC
        return os.open(".", flags, 0o644, dir_fd=reserved.descriptor), False
    except OSError as error:
        if error.errno not in {errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL}:
            raise
    return os.open(temporary, _NEW | os.O_WRONLY, 0o644, dir_fd=reserved.descriptor), True


def _let_go(reserved: Reserved, descriptor: int, name: str | None) -> None:
    os.close(descriptor)
    if name is not None:
        with contextlib.suppress(OSError):
            os.unlink(name, dir_fd=reserved.descriptor)


@contextlib.contextmanager
def _told(path: str) -> Iterator[None]:
    """What the system says, in words for a person."""
    try:
        yield
    except OSError as error:
        full = error.errno in {errno.ENOSPC, errno.EDQUOT}
        raise PacketDirError(
            f"can not write {path}: {error.strerror}",
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


def hand_over(reserved: Reserved) -> None:
    """The run is over: what it recorded belongs to the owner too. Lets go of the directory."""
    try:
        for number in reserved.files:
            _give(number, reserved.owner)
    finally:
        _close(reserved)


def _give(descriptor: int, owner: tuple[int, int] | None) -> None:
    # By descriptor: a name in a directory of somebody else's may lead to another file by now.
    if owner is not None:
        os.fchown(descriptor, *owner)


def _close(reserved: Reserved) -> None:
    for number in (*reserved.files, reserved.descriptor):
        os.close(number)


def discard(reserved: Reserved) -> None:
    """Of a run that never began: remove its record, and the directory if we made it. Lets go of it."""
    for name in RECORD:
        with contextlib.suppress(OSError):
            os.unlink(name, dir_fd=reserved.descriptor)
    if reserved.made:
        with contextlib.suppress(OSError, PacketDirError):
            still_there(reserved)
            os.rmdir(reserved.path)
    _close(reserved)


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
