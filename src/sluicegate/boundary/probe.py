"""SHELL. The ways out and in, tried as the command would try them: what the kernel answered, not what was meant.

Runs in a process that is what the command's process will be (same identity, filter, namespaces, environment) before
that one is started. It imports nothing late, changes nothing that lasts, and waits for nobody: what it sends to the
network stays in the boundary's own sockets, where `build` looks for it.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass

from sluicegate.boundary import numbers
from sluicegate.boundary.posture import DNS_TARGETS, OPEN, TCP_TARGETS, UDP_TARGETS

CONNECT_SECONDS = 2.0  # the boundary's own listener answers in microseconds
# A question that no resolver of ours would be asked: id, flags, one question, `sluicegate-probe.invalid` A IN.
QUESTION = (
    struct.pack(">6H", 0x5347, 0x0100, 1, 0, 0, 0)
    + b"\x10sluicegate-probe\x07invalid\0"
    + struct.pack(">2H", 1, 1)
)
MAX_SOCKETS = 256  # host sockets that are tried; a desktop has some dozens
MAX_FAMILY = 46  # AF_MCTP is 45, the last one of Linux 6.17
# (family, type) that must open: Unix, both internet families, route netlink.
EXPECTED_FAMILIES = frozenset(
    [(1, 1), (1, 2), (1, 3), (1, 5), (2, 1), (2, 2), (10, 1), (10, 2), (16, 2), (16, 3)]
)
_AF_PACKET, _AF_VSOCK = 17, 40
_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


@dataclass(frozen=True, slots=True)
class Aims:
    """What of the host must not be reached: pathname sockets, paths to read, a directory to write into."""

    sockets: tuple[str, ...]
    hidden: tuple[str, ...]
    packet: str


def tried(work: Callable[..., object], *given: object) -> str:
    """`open` if it succeeds with these arguments, else the name of the error."""
    try:
        work(*given)
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, type(error).__name__)
    return OPEN


def probe(aims: Aims) -> dict[str, str]:
    """Every way by name: `open`, an error's name, or for facts what they are."""
    return {
        **_sockets(),
        **_calls(),
        **_host_sockets(aims.sockets[:MAX_SOCKETS]),
        **_files(aims),
        **_self(),
        **_network(),
    }


def _socket(family: int, kind: int, protocol: int = 0) -> None:
    socket.socket(family, kind, protocol).close()


def _sockets() -> dict[str, str]:
    kinds = [(family, kind) for family in range(1, MAX_FAMILY) for kind in (1, 2, 3, 4, 5, 6, 10)]
    opened = {one for one in kinds if tried(_socket, *one) == OPEN}
    more = sorted(opened - EXPECTED_FAMILIES)
    return {
        "socket raw": tried(_socket, socket.AF_INET, socket.SOCK_RAW, 1),
        "socket raw6": tried(_socket, socket.AF_INET6, socket.SOCK_RAW, 58),
        "socket ping": tried(_socket, socket.AF_INET, socket.SOCK_DGRAM, 1),
        "socket packet": tried(_socket, _AF_PACKET, socket.SOCK_RAW, 0),
        "socket vsock": tried(_socket, _AF_VSOCK, socket.SOCK_STREAM),
        "socket families": " ".join(f"{f}/{k}" for f, k in more) or "none but the expected",
    }


def _calls() -> dict[str, str]:
    """System calls with arguments that would be harmless or wrong if they were let through."""
    machine = numbers.MACHINES[os.uname().machine]

    def call(name: str, *given: int) -> str:
        words = [ctypes.c_long(number) for number in given]
        if _libc.syscall(ctypes.c_long(machine.number(name)), *words) >= 0:
            return OPEN
        return errno.errorcode.get(ctypes.get_errno(), "unknown error")

    user, net = 0x10000000, 0x40000000
    return {
        "call io_uring_setup": call("io_uring_setup", 1, 0),
        "call bpf": call("bpf", 0, 0, 0),
        "call ptrace": call("ptrace", 16, os.getppid(), 0, 0),
        "call process_vm_readv": call("process_vm_readv", os.getppid(), 0, 0, 0, 0, 0),
        "call pidfd_getfd": call("pidfd_getfd", -1, 0, 0),
        "call perf_event_open": call("perf_event_open", 0, 0, -1, -1, 0),
        "call userfaultfd": call("userfaultfd", 0),
        "call keyctl": call("keyctl", 0, -3, 0),
        "call setns": call("setns", -1, 0),
        "call mount": call("mount", 0, 0, 0, 0, 0),
        "call open_by_handle_at": call("open_by_handle_at", -1, 0, 0),
        "call unshare user": call("unshare", user),
        "call unshare net": call("unshare", net),
        "call clone3": call("clone3", 0, 0),
    }


def _reach(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.setblocking(False)
        one.connect(path)


def _host_sockets(paths: tuple[str, ...]) -> dict[str, str]:
    # EAGAIN: a listener's queue is full, so it was found.
    opened = sorted(path for path in paths if tried(_reach, path) in {OPEN, "EAGAIN"})
    return {
        "host sockets tried": str(len(paths)),
        "host sockets": " ".join(opened) or "none reachable",
        "docker socket": tried(_reach, "/var/run/docker.sock"),
    }


def _read(path: str) -> None:
    """One byte of a file, or one name of a directory; empty is as good as absent."""
    if os.path.isdir(path):
        found: object = os.listdir(path)
    else:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            found = os.read(descriptor, 1)
        finally:
            os.close(descriptor)
    if not found:
        raise FileNotFoundError(errno.ENOENT, "empty")


def _open_to_write(path: str) -> None:
    os.close(os.open(path, os.O_WRONLY))


def _create(path: str) -> None:
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    os.unlink(path)


def _files(aims: Aims) -> dict[str, str]:
    shown = sorted(path for path in aims.hidden if tried(_read, path) == OPEN)
    return {
        "write evidence": tried(_create, f"{aims.packet}/probe") if aims.packet else "ENOENT",
        "read hidden": " ".join(shown) or "none readable",
        "write root": tried(_create, "/sluicegate-probe"),
        "write sysctl": tried(_open_to_write, "/proc/sys/kernel/core_pattern"),
        "write sysrq": tried(_open_to_write, "/proc/sysrq-trigger"),
    }


def _self() -> dict[str, str]:
    with open("/proc/self/status", "rb") as file:
        lines = [line.split(b":", 1) for line in file.read().splitlines()]
    status = {line[0].decode(): line[1].split() for line in lines if len(line) == 2}
    held = {name: status[name][0].decode() for name in sorted(status) if name.startswith("Cap")}
    pids = {int(name) for name in os.listdir("/proc") if name.isdigit()}
    return {
        "uid": str(os.getuid()),
        "gid": str(os.getgid()),
        "capabilities": " ".join(f"{k}={v}" for k, v in held.items() if int(v, 16)) or "none",
        "no_new_privs": status["NoNewPrivs"][0].decode(),
        "seccomp": status["Seccomp"][0].decode(),
        "processes": "own" if pids <= {1, os.getpid()} else " ".join(map(str, sorted(pids))),
        "regain root": tried(os.setresuid, 0, 0, 0),
    }


def _connect(host: str, port: int) -> None:
    with socket.socket(_family(host), socket.SOCK_STREAM) as one:
        one.settimeout(CONNECT_SECONDS)
        one.connect((host, port))


def _send(host: str, port: int, data: bytes) -> None:
    with socket.socket(_family(host), socket.SOCK_DGRAM) as one:
        one.sendto(data, (host, port))


def _family(host: str) -> int:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _network() -> dict[str, str]:
    return {
        "links": " ".join(sorted(name for _, name in socket.if_nameindex())),
        "routes": " ".join(sorted(_devices())),
        **{f"tcp {host} {port}": tried(_connect, host, port) for host, port in TCP_TARGETS},
        **{f"udp {host} {port}": tried(_send, host, port, b"probe") for host, port in UDP_TARGETS},
        **{f"dns {host} {port}": tried(_send, host, port, QUESTION) for host, port in DNS_TARGETS},
    }


def _devices() -> set[str]:
    """The devices that any route leads through."""
    found = set[str]()
    for name, column in (("route", 0), ("ipv6_route", 9)):
        try:
            with open(f"/proc/net/{name}", "rb") as file:
                rows = [line.split() for line in file.read().splitlines()]
        except FileNotFoundError:
            continue  # a kernel without that family
        found |= {row[column].decode() for row in rows if len(row) > column and row[0] != b"Iface"}
    return found
