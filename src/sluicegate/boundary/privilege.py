"""What a process gives up before hostile code runs in it: capabilities, identity, system calls.

Every function takes something away and none gives it back. A step that the kernel refuses raises:
nothing here is done "if possible". Order matters, so callers use `confine` and `retire`.
"""

from __future__ import annotations

import ctypes
import os
import resource

from sluicegate.boundary import numbers, syscalls
from sluicegate.boundary.model import BoundaryError, Command

CAP_DAC_READ_SEARCH, CAP_KILL, CAP_SYS_PTRACE = 2, 5, 19
HIGHEST_CAPABILITY = 63  # the kernel's own limit of a capability set; 40 were defined in Linux 6.17

_PR_SET_DUMPABLE, _PR_CAPBSET_READ, _PR_CAPBSET_DROP = 4, 23, 24
_PR_SET_SECUREBITS, _PR_SET_NO_NEW_PRIVS = 28, 38
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 47, 4
# NOROOT, NO_SETUID_FIXUP and NO_CAP_AMBIENT_RAISE with their locks, and KEEP_CAPS locked at off.
_SECUREBITS = 0x01 | 0x02 | 0x04 | 0x08 | 0x20 | 0x40 | 0x80
_CAPABILITY_VERSION_3 = 0x20080522
_SECCOMP_SET_MODE_FILTER, _SECCOMP_FILTER_FLAG_TSYNC = 1, 1
_CLOSE_RANGE, _CLOSE_RANGE_CLOEXEC = 436, 4  # one number on every machine; the flag is Linux 5.11

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


class _CapabilityHeader(ctypes.Structure):
    """`struct __user_cap_header_struct`."""

    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _CapabilityWords(ctypes.Structure):
    """Two of `struct __user_cap_data_struct`: the lower and the upper 32 capabilities."""

    _fields_ = (
        *(("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32)),
        ("inheritable", ctypes.c_uint32),
        *(("effective_high", ctypes.c_uint32), ("permitted_high", ctypes.c_uint32)),
        ("inheritable_high", ctypes.c_uint32),
    )


class _FilterProgram(ctypes.Structure):
    """`struct sock_fprog`."""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def _checked(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)
    return result


def _prctl(what: str, option: int, second: int = 0, third: int = 0) -> int:
    words = (ctypes.c_ulong(value) for value in (second, third, 0, 0))
    return _checked(_libc.prctl(option, *words), what)


def set_dumpable(yes: bool) -> None:
    """Whether processes of the same uid may look into this one through /proc."""
    _prctl("dumpable", _PR_SET_DUMPABLE, int(yes))


def close_on_exec_from(first: int) -> None:
    """Every descriptor from `first` on is closed by the next exec, whoever opened it."""
    _checked(
        _libc.syscall(
            ctypes.c_long(_CLOSE_RANGE),
            ctypes.c_ulong(first),
            ctypes.c_ulong(0xFFFFFFFF),
            ctypes.c_ulong(_CLOSE_RANGE_CLOEXEC),
        ),
        "close_range",
    )


def default_action(number: int) -> None:
    """Signal `number` has its default action, also one that libc keeps for itself and no library call changes."""
    size = 8  # of the kernel's signal set, in bytes
    nothing = ctypes.create_string_buffer(
        64
    )  # struct kernel_sigaction: SIG_DFL, no flags, an empty mask
    _checked(
        _libc.syscall(
            ctypes.c_long(numbers.MACHINES[os.uname().machine].number("rt_sigaction")),
            ctypes.c_ulong(number),
            nothing,
            ctypes.c_ulong(0),
            ctypes.c_ulong(size),
        ),
        f"signal {number}",
    )


def _bounded() -> list[int]:
    """The capabilities that are in the bounding set."""
    found: list[int] = []
    for capability in range(HIGHEST_CAPABILITY + 1):
        # EINVAL: this kernel has no such capability, nor any higher one.
        answer = _libc.prctl(_PR_CAPBSET_READ, ctypes.c_ulong(capability), 0, 0, 0)
        if answer < 0:
            break
        if answer == 1:
            found.append(capability)
    return found


def _lock_sets() -> None:
    """No exec, no uid change and no file gives a capability to this process ever again."""
    _prctl("securebits", _PR_SET_SECUREBITS, _SECUREBITS)
    for capability in _bounded():
        _prctl("bounding set", _PR_CAPBSET_DROP, capability)
    _prctl("ambient set", _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)


def _keep(mask: int) -> None:
    """Effective and permitted become `mask`, inheritable becomes empty."""
    header = _CapabilityHeader(_CAPABILITY_VERSION_3, 0)
    low, high = mask & 0xFFFFFFFF, mask >> 32
    words = _CapabilityWords(low, low, 0, high, high, 0)
    _checked(_libc.capset(ctypes.byref(header), ctypes.byref(words)), "capset")


def _held() -> tuple[int, int]:
    """The effective or permitted capabilities of this process, and the inheritable ones."""
    header, words = _CapabilityHeader(_CAPABILITY_VERSION_3, 0), _CapabilityWords()
    _checked(_libc.capget(ctypes.byref(header), ctypes.byref(words)), "capget")
    low = int(words.effective) | int(words.permitted)
    high = int(words.effective_high) | int(words.permitted_high)
    return low | high << 32, int(words.inheritable) | int(words.inheritable_high) << 32


def install_filter(program: bytes) -> None:
    """no_new_privs, then the system call filter, for every thread of this process."""
    _prctl("no_new_privs", _PR_SET_NO_NEW_PRIVS, 1)
    machine = numbers.MACHINES[os.uname().machine]
    value = _FilterProgram(len(program) // 8, program)
    result = _checked(
        _libc.syscall(
            ctypes.c_long(machine.number("seccomp")),
            ctypes.c_ulong(_SECCOMP_SET_MODE_FILTER),
            ctypes.c_ulong(_SECCOMP_FILTER_FLAG_TSYNC),
            ctypes.byref(value),
        ),
        "seccomp",
    )
    if result:
        raise BoundaryError(f"thread {result} could not take the system call filter")


def _nest(uid: int, gid: int) -> None:
    """A second user namespace where `uid` and `gid` stand for the 0 of the first.

    In the first one every exec by uid 0 would be given its capabilities again, and the namespace
    that owns the network would be ours to change.
    """
    # The files below belong to somebody else while this process may not be looked into.
    set_dumpable(True)
    syscalls.unshare(syscalls.CLONE_NEWUSER)
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{uid} 0 1"),
        ("gid_map", f"{gid} 0 1"),
    ):
        # Raw calls: a text file would import a codec, and the interpreter may be out of reach by now.
        fd = os.open(f"/proc/self/{name}", os.O_WRONLY | os.O_CLOEXEC)
        os.write(fd, text.encode())
        os.close(fd)


def _limit_core_dumps() -> None:
    """No core file, and no core handler of the host either.

    The kernel ignores a limit of 0 when it pipes the dump to a program; of 1 it makes an exception. Where sudo or a
    session has set 0 for good, and raising it is not ours, 0 it is: the handler then sees this process as any other.
    """
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (1, 1))
    except ValueError:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def confine(command: Command, program: bytes) -> None:
    """Turn this process into what the command is: its identity, no privilege, under the filter.

    What the kernel then says is read back; nothing is taken on trust.

    Raises:
        BoundaryError: the result is not what was asked for.
        OSError: the kernel refused a step.
    """
    if 0 in (command.uid, command.gid, *command.groups):
        raise BoundaryError("the command may not run as uid or gid 0, or with group 0")
    _limit_core_dumps()
    if command.rootless:
        _nest(command.uid, command.gid)
    _lock_sets()
    if not command.rootless:
        os.setgroups(command.groups)
        os.setresgid(command.gid, command.gid, command.gid)
        os.setresuid(command.uid, command.uid, command.uid)
    _keep(0)
    install_filter(program)
    if os.getresuid() != (command.uid,) * 3 or os.getresgid() != (command.gid,) * 3:
        raise BoundaryError("the command's identity did not take")
    if _held() != (0, 0) or _bounded():
        raise BoundaryError("the command would still hold capabilities")


def retire(program: bytes) -> None:
    """Leave the first process of the boundary with one power: to signal those it started.

    Raises:
        BoundaryError: the result is not what was asked for.
        OSError: the kernel refused a step.
    """
    _limit_core_dumps()
    _lock_sets()
    _keep(1 << CAP_KILL)
    set_dumpable(False)
    install_filter(program)
    if _held() != (1 << CAP_KILL, 0) or _bounded():
        raise BoundaryError("the first process would still hold capabilities")


def look(uid: int | None, program: bytes) -> None:
    """Leave a process of ours what looking into other processes' /proc takes, and no other power.

    As `uid` it keeps the capabilities to read what is not its own; None keeps the caller's identity, which may look
    into what it made, and takes no capability along.

    Raises:
        BoundaryError: the result is not what was asked for.
        OSError: the kernel refused a step.
    """
    mask = 0 if uid is None else 1 << CAP_DAC_READ_SEARCH | 1 << CAP_SYS_PTRACE
    if uid is not None:
        _lock_sets()
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
        _keep(mask)
    _limit_core_dumps()
    set_dumpable(False)
    install_filter(program)
    if uid is not None and (_held() != (mask, 0) or _bounded()):
        raise BoundaryError("the witness would hold other capabilities than its two")
