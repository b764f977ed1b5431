"""The calls raise what the kernel says. See `sluicegate.boundary.syscalls`."""

import errno

import pytest

from sluicegate.boundary import syscalls


def test_errors_carry_errno_and_path() -> None:
    with pytest.raises(OSError, match="/nonexistent") as caught:
        syscalls.mount("none", "/nonexistent", "tmpfs")
    assert caught.value.errno in {errno.ENOENT, errno.EPERM}
    with pytest.raises(OSError, match="/nonexistent"):
        syscalls.open_tree("/nonexistent")
