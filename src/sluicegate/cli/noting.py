"""Which trees lie where a file's times tell of every write, also of one through a shared mapping."""

from __future__ import annotations

import mmap
import os
import re

# File systems whose times do not (measured; Linux 6.18), wherever below a tree they are mounted.
_IN_MEMORY = {b"tmpfs", b"ramfs"}


def tells(place: bytes) -> bool:
    """Whether times tell of every write in the tree `place`, a path free of links."""
    silent = [path for path, kind in _mounts() if kind in _IN_MEMORY]
    return not _over(place, silent) and _tried(place)


def _over(place: bytes, silent: list[bytes]) -> bool:
    """Whether one of the mounts is the one that holds `place`, or lies below it."""
    if any(path.startswith(place.rstrip(b"/") + b"/") for path in silent):
        return True
    kinds = {os.lstat(path).st_dev for path in silent if os.path.lexists(path)}
    return os.lstat(place).st_dev in kinds


def _tried(place: bytes) -> bool:
    """What a file without a name tells: an overlay is as silent as what it lies on. Yes where none can be made."""
    try:
        number = os.open(place, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError:
        return True
    try:
        os.write(number, b"0")
        os.utime(number, (0, 0))
        with mmap.mmap(number, 1) as page:
            page[0] = page[0] + 1  # read first: then the page is there, and writing it is no fault
            return os.fstat(number).st_mtime_ns != 0
    except (OSError, ValueError):
        return True
    finally:
        os.close(number)


def _mounts() -> list[tuple[bytes, bytes]]:
    """Where each file system is mounted, and its kind."""
    with open("/proc/self/mountinfo", "rb") as file:
        rows = [line.split() for line in file]
    return [(_plain(row[4]), row[row.index(b"-") + 1]) for row in rows]


def _plain(path: bytes) -> bytes:
    return re.sub(rb"\\([0-7]{3})", lambda found: bytes([int(found[1], 8)]), path)
