"""The system call filter as classic BPF bytes: our own small assembler, no library. Pure.

The default is to allow: the wall is topology and mounts, and a filter that breaks a compiler gets switched
off. What is refused is what would go round the wall (sockets of other families, io_uring), reach other
processes, or gain kernel surface that no build needs. Arguments that the kernel takes as 32-bit values are
compared as such: the upper half of a register is the caller's to choose.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sluicegate.boundary import numbers
from sluicegate.boundary.model import BoundaryError

# linux/seccomp.h, linux/bpf_common.h
RET_KILL_PROCESS, RET_ERRNO, RET_ALLOW = 0x80000000, 0x00050000, 0x7FFF0000
LOAD_WORD, AND, RETURN = 0x20, 0x54, 0x06
JUMP_EQUAL, JUMP_GREATER, JUMP_BITS = 0x15, 0x25, 0x45
# struct seccomp_data: int nr; u32 arch; u64 instruction_pointer; u64 args[6], all little-endian here.
OFFSET_NUMBER, OFFSET_ARCH, OFFSET_ARGUMENTS = 0, 4, 16
X32_BIT = 0x40000000  # __X32_SYSCALL_BIT

AF_UNIX, AF_INET, AF_INET6, AF_NETLINK = 1, 2, 10, 16
SOCK_STREAM, SOCK_DGRAM = 1, 2
SOCK_TYPE_MASK = 0xF  # the rest of the argument is SOCK_CLOEXEC and SOCK_NONBLOCK
IPPROTO_TCP, IPPROTO_UDP = 6, 17
IPPROTO_ICMP, IPPROTO_ICMPV6 = 1, 58
NETLINK_ROUTE = 0
# CLONE_NEWNS, CGROUP, UTS, IPC, USER, PID, NET. For unshare also CLONE_NEWTIME, whose bit is part of
# the exit signal in clone().
CLONE_NAMESPACES = 0x7E020000
UNSHARE_NAMESPACES = CLONE_NAMESPACES | 0x80
TIOCSTI, TIOCLINUX = 0x5412, 0x541C
# EXT4_IOC_MOVE_EXT, XFS_IOC_SWAPEXT, XFS_IOC_EXCHANGE_RANGE, F2FS_IOC_MOVE_RANGE: two files exchange their blocks.
# ext4 sets no time of the file that gets others (measured; Linux 6.18), so a manifest of changes would not have it.
EXCHANGES = (0xC028660F, 0xC0C0586D, 0x40285881, 0xC020F509)
# S_ISUID and S_ISGID. What the command writes may be root's on disk (an id-mapped workspace), and a set-id file
# that it leaves there would be a door for any user of the host.
SET_ID_BITS = 0o6000
CREATES = (
    0o100 | 0o20000000
)  # O_CREAT, __O_TMPFILE: without one of them the mode is whatever the register holds
# Execution domains a program may ask for: the plain one, "tell me", and a fixed layout (debuggers, old lisps).
PERSONALITIES = (0, 0xFFFFFFFF, 0x0040000)


@dataclass(frozen=True, slots=True)
class Op:
    """One BPF instruction: code, the two forward jumps, the constant."""

    code: int
    yes: int
    no: int
    value: int

    def packed(self) -> bytes:
        """`struct sock_filter`."""
        return struct.pack("<HBBI", self.code, self.yes, self.no, self.value)


Block = tuple[Op, ...]


def _give(action: int) -> Block:
    return (Op(RETURN, 0, 0, action),)


def _refuse(error: int) -> Block:
    return _give(RET_ERRNO | error)


def _load(offset: int) -> Block:
    return (Op(LOAD_WORD, 0, 0, offset),)


def _argument(index: int) -> Block:
    """The lower half of argument `index`."""
    return _load(OFFSET_ARGUMENTS + 8 * index)


def _when(test: int, value: int, body: Block) -> Block:
    """`body` where the test on the accumulator holds; else on to what follows. `body` must return."""
    assert body[-1].code == RETURN and len(body) < 256  # noqa: S101, PT018
    return (Op(test, 0, len(body), value), *body)


def _any(values: Iterable[int], body: Block) -> Block:
    return tuple(op for value in values for op in _when(JUMP_EQUAL, value, body))


def _socket() -> Block:
    """Streams and datagrams of both internet families, Unix sockets, and route netlink."""
    allow = _give(RET_ALLOW)
    stream = (
        *_argument(2),
        *_any((0, IPPROTO_TCP), allow),
        *_refuse(errno.EPROTONOSUPPORT),  # MPTCP and SCTP: callers fall back to TCP on this answer
    )
    datagram = (
        *_argument(2),
        *_any((0, IPPROTO_TCP, IPPROTO_UDP), allow),
        *_any((IPPROTO_ICMP, IPPROTO_ICMPV6), _refuse(errno.EPERM)),
        *_refuse(errno.EPROTONOSUPPORT),
    )
    internet = (
        *_argument(1),
        Op(AND, 0, 0, SOCK_TYPE_MASK),
        *_when(JUMP_EQUAL, SOCK_STREAM, stream),
        *_when(JUMP_EQUAL, SOCK_DGRAM, datagram),
        *_refuse(errno.EPERM),
    )
    netlink = (
        *_argument(2),
        *_any((NETLINK_ROUTE,), allow),
        *_refuse(errno.EPROTONOSUPPORT),
    )
    return (
        *_argument(0),
        *_any((AF_UNIX,), allow),
        *_any((AF_INET, AF_INET6), internet),
        *_when(JUMP_EQUAL, AF_NETLINK, netlink),
        *_refuse(errno.EAFNOSUPPORT),
    )


def _flags(mask: int) -> Block:
    """Refused where the first argument has a bit of `mask`."""
    return (
        *_argument(0),
        *_when(JUMP_BITS, mask, _refuse(errno.EPERM)),
        *_give(RET_ALLOW),
    )


def _mode(index: int) -> Block:
    """Refused where the mode, argument `index`, would make a file set-id."""
    return (
        *_argument(index),
        *_when(JUMP_BITS, SET_ID_BITS, _refuse(errno.EPERM)),
        *_give(RET_ALLOW),
    )


def _opened(flags: int) -> Block:
    """As `_mode`, where the flags (argument `flags`) say that the next argument is a mode."""
    return (
        *_argument(flags),
        *_when(JUMP_BITS, CREATES, _mode(flags + 1)),
        *_give(RET_ALLOW),
    )


def _by_mode() -> Mapping[str, Block]:
    """Calls that give a file its mode; not every machine has the older ones."""
    return {
        **dict.fromkeys(("chmod", "fchmod", "creat", "mknod"), _mode(1)),
        **dict.fromkeys(("fchmodat", "mknodat"), _mode(2)),
        "open": _opened(1),
        "openat": _opened(2),
        # The mode lies in memory here, or comes with flags of its own: on ENOSYS libraries use the others.
        **dict.fromkeys(("openat2", "fchmodat2"), _refuse(errno.ENOSYS)),
    }


def _by_argument(*, network: bool) -> Mapping[str, Block]:
    """Calls that are judged by what is asked of them."""
    allow, refuse = _give(RET_ALLOW), _refuse(errno.EPERM)
    return {
        "socket": _socket() if network else refuse,
        "socketpair": (*_argument(0), *_any((AF_UNIX,), allow), *_refuse(errno.EAFNOSUPPORT)),
        "clone": _flags(CLONE_NAMESPACES),
        "unshare": _flags(UNSHARE_NAMESPACES),
        "ioctl": (*_argument(1), *_any((TIOCSTI, TIOCLINUX, *EXCHANGES), refuse), *allow),
        "personality": (*_argument(0), *_any(PERSONALITIES, allow), *refuse),
        # The flags of clone3 lie in memory, where no filter sees them; on ENOSYS libraries use clone.
        "clone3": _refuse(errno.ENOSYS),
    }


def _assembled(machine: numbers.Machine, *, network: bool) -> Block:
    foreign = _give(RET_KILL_PROCESS)
    special = _by_argument(network=network)
    return (
        *_load(OFFSET_ARCH),
        # Another ABI has other numbers for the same calls: nothing below would mean what it says.
        Op(JUMP_EQUAL, 1, 0, machine.audit_arch),
        *foreign,
        *_load(OFFSET_NUMBER),
        *(_when(JUMP_BITS, X32_BIT, foreign) if machine.x32 else ()),
        # Calls younger than this table: to the program, an older kernel.
        *_when(JUMP_GREATER, numbers.NEWEST, _refuse(errno.ENOSYS)),
        *(
            op
            for name, body in special.items()
            for op in _when(JUMP_EQUAL, machine.number(name), body)
        ),
        *(
            op
            for name, body in _by_mode().items()
            if name in machine.calls
            for op in _when(JUMP_EQUAL, machine.calls[name], body)
        ),
        *_any(
            (machine.calls[name] for name in numbers.REFUSED if name in machine.calls),
            _refuse(errno.EPERM),
        ),
        *_give(RET_ALLOW),
    )


def program(machine: str, *, network: bool = True) -> bytes:
    """The filter for `machine` (as `os.uname` names it): an array of `struct sock_filter`.

    Without `network` no socket of any family can be opened.

    Raises:
        BoundaryError: there is no table of system calls for this machine.
    """
    table = numbers.MACHINES.get(machine)
    if table is None:
        known = " or ".join(sorted(numbers.MACHINES))
        raise BoundaryError(
            f"no system call filter for machine {machine}", f"run on {known}, 64-bit"
        )
    return b"".join(op.packed() for op in _assembled(table, network=network))
