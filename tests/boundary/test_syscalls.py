"""The calls raise what the kernel says. See `sluicegate.boundary.syscalls`."""

import ctypes
import errno
import mmap
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sluicegate.boundary import syscalls


def test_errors_carry_errno_and_path() -> None:
    with pytest.raises(OSError, match="/nonexistent") as caught:
        syscalls.mount("none", "/nonexistent", "tmpfs")
    assert caught.value.errno in {errno.ENOENT, errno.EPERM}
    with pytest.raises(OSError, match="/nonexistent"):
        syscalls.open_tree("/nonexistent")


def test_memory_that_is_kept_shows_as_locked_and_not_dumped() -> None:
    buffer = bytearray(3 * mmap.PAGESIZE)
    start = ctypes.addressof(ctypes.c_char.from_buffer(buffer))
    syscalls.keep_in_memory(buffer)
    flags = set[str]()
    inside = False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if found := re.match(r"([0-9a-f]+)-([0-9a-f]+) ", line):
            inside = int(found[1], 16) <= start < int(found[2], 16)
        elif inside and line.startswith("VmFlags:"):
            flags = set(line.split()[1:])
    assert {"lo", "dd"} <= flags
    buffer[:] = b"x" * len(buffer)
    syscalls.keep_in_memory(bytearray())


def test_a_limit_on_locked_memory_is_no_error() -> None:
    code = (
        "import resource, os; from sluicegate.boundary import syscalls;"
        "resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, 0)); os.setuid(64999);"
        "b = bytearray(9); syscalls.keep_in_memory(b);"
        "b[:] = b'x' * 9; print('went on')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "went on\n", done.stderr
