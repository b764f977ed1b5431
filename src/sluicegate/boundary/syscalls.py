"""The one table of libc calls that Python has no name for. Each raises OSError with its errno."""

from __future__ import annotations

import ctypes
import mmap
import os

CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS = 0x20000, 0x2000000, 0x4000000
CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = (
    0x8000000,
    0x10000000,
    0x20000000,
    0x40000000,
)
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_REMOUNT, MS_BIND, MS_MOVE, MS_REC, MS_PRIVATE = 32, 4096, 8192, 16384, 1 << 18
MNT_DETACH = 2
MOUNT_ATTR_RDONLY, MOUNT_ATTR_NOSUID, MOUNT_ATTR_NODEV, MOUNT_ATTR_NOEXEC = 1, 2, 4, 8
_MOUNT_ATTR_IDMAP = 0x100000
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 1, 4, 38

# The same on every machine since Linux 5.1 gave new calls one number.
_OPEN_TREE, _MOVE_MOUNT, _MOUNT_SETATTR = 428, 429, 442
_OPEN_TREE_CLONE, _OPEN_TREE_CLOEXEC = 1, os.O_CLOEXEC
_AT_FDCWD, _AT_EMPTY_PATH, _AT_RECURSIVE = -100, 0x1000, 0x8000
_MOVE_MOUNT_F_EMPTY_PATH = 4

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


class _MountAttr(ctypes.Structure):
    """`struct mount_attr` (linux/mount.h)."""

    _fields_ = (
        ("set", ctypes.c_uint64),
        ("clear", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns", ctypes.c_uint64),
    )


def _checked(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)
    return result


def mount(source: str, target: str, kind: str = "", flags: int = 0, data: str = "") -> None:
    _checked(
        _libc.mount(
            os.fsencode(source),
            os.fsencode(target),
            kind.encode() if kind else None,
            ctypes.c_ulong(flags),
            os.fsencode(data) if data else None,
        ),
        target,
    )


def umount(target: str, flags: int = 0) -> None:
    _checked(_libc.umount2(os.fsencode(target), flags), target)


def pivot_root(new: str, old: str) -> None:
    _checked(_libc.pivot_root(os.fsencode(new), os.fsencode(old)), new)


def unshare(flags: int) -> None:
    _checked(_libc.unshare(flags), "unshare")


def own_user_namespace() -> None:
    """A user namespace in which this process is 0 and nobody else exists."""
    uid, gid = os.geteuid(), os.getegid()
    unshare(CLONE_NEWUSER)
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)


def die_with_parent(signal_number: int) -> None:
    """The kernel sends this process `signal_number` when the thread that forked it is gone."""
    _checked(_libc.prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal_number), 0, 0, 0), "pdeathsig")


def open_tree(path: str, recursive: bool = False) -> int:
    """A descriptor of a detached copy of the mount that shows `path`."""
    flags = _OPEN_TREE_CLONE | _OPEN_TREE_CLOEXEC | (_AT_RECURSIVE if recursive else 0)
    return _checked(
        _libc.syscall(
            ctypes.c_long(_OPEN_TREE),
            ctypes.c_long(_AT_FDCWD),
            os.fsencode(path),
            ctypes.c_long(flags),
        ),
        path,
    )


def move_mount(tree: int, target: str) -> None:
    """Attach a detached mount at `target`."""
    _checked(
        _libc.syscall(
            ctypes.c_long(_MOVE_MOUNT),
            ctypes.c_long(tree),
            b"",
            ctypes.c_long(_AT_FDCWD),
            os.fsencode(target),
            ctypes.c_long(_MOVE_MOUNT_F_EMPTY_PATH),
        ),
        target,
    )


def mount_setattr(
    tree: int, attributes: int, userns: int | None = None, recursive: bool = False
) -> None:
    """Add attributes to a mount held by descriptor; with `userns`, id-map it (detached only)."""
    chosen = attributes | (_MOUNT_ATTR_IDMAP if userns is not None else 0)
    value = _MountAttr(chosen, 0, 0, userns or 0)
    _checked(
        _libc.syscall(
            ctypes.c_long(_MOUNT_SETATTR),
            ctypes.c_long(tree),
            b"",
            ctypes.c_long(_AT_EMPTY_PATH | (_AT_RECURSIVE if recursive else 0)),
            ctypes.byref(value),
            ctypes.c_long(ctypes.sizeof(value)),
        ),
        "mount_setattr",
    )


def no_new_privileges() -> None:
    """No later exec of this process gains an identity or a capability."""
    _checked(_libc.prctl(_PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1), 0, 0, 0), "no_new_privs")


def dumpable(yes: bool) -> None:
    """Whether those of the same uid may trace this process, read its memory and open what it has open (prctl(2)).

    What it forks begins as it is.
    """
    _checked(_libc.prctl(_PR_SET_DUMPABLE, ctypes.c_ulong(yes), 0, 0, 0), "dumpable")


def keep_in_memory(buffer: bytearray) -> None:
    """The pages that hold `buffer` are neither swapped out nor dumped, as far as the kernel lets us.

    RLIMIT_MEMLOCK may forbid it, and a secret that is swapped out is still used: so nothing is raised or said.
    """
    if not buffer:
        return
    start = ctypes.addressof(ctypes.c_char.from_buffer(buffer))
    first = start - start % mmap.PAGESIZE
    span = ctypes.c_void_p(first), ctypes.c_size_t(start + len(buffer) - first)
    _libc.mlock(*span)
    _libc.madvise(*span, ctypes.c_int(mmap.MADV_DONTDUMP))
