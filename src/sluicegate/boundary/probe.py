"""SHELL. The ways out and in, tried as the command would try them: what the kernel answered, not what was meant.

Runs in a process that is what the command's process will be (same identity, filter, namespaces, environment) before
that one is started. It imports nothing late, changes nothing that lasts, and waits for nobody: what it sends to the
network stays in the boundary's own sockets, where `build` looks for it.
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
import socket
import stat
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sluicegate.boundary import numbers
from sluicegate.posture import DNS_TARGETS, OPEN, SAME, TCP_TARGETS, UDP_TARGETS

CONNECT_SECONDS = 2.0  # the boundary's own listener answers in microseconds
# A question that no resolver of ours would be asked: id, flags, one question, `sluicegate-probe.invalid` A IN.
QUESTION = (
    struct.pack(">6H", 0x5347, 0x0100, 1, 0, 0, 0)
    + b"\x10sluicegate-probe\x07invalid\0"
    + struct.pack(">2H", 1, 1)
)
MAX_SOCKETS = 4096  # host sockets that are tried, some microseconds each; a desktop has some dozens
MAX_NAMED = 256  # paths in the environment that are looked at
MAX_FAMILY = 46  # AF_MCTP is 45, the last one of Linux 6.17
# (family, type) that must open: Unix, both internet families, route netlink.
EXPECTED_FAMILIES = frozenset(
    [(1, 1), (1, 2), (1, 3), (1, 5), (2, 1), (2, 2), (10, 1), (10, 2), (16, 2), (16, 3)]
)
# Streams and datagrams of protocols that no policy judges: MPTCP, SCTP, UDP-Lite.
OTHER_PROTOCOLS = ((1, 262), (1, 132), (5, 132), (2, 136))
MAX_NETLINK = 32  # netlink's protocols are numbered below that
# Programs of util-linux and shadow that are set-id nearly everywhere, and say their version at once.
SET_ID_PROGRAMS = tuple(
    f"{top}/{n}" for n in ("mount", "umount", "su") for top in ("/usr/bin", "/bin")
)
_AF_PACKET, _AF_VSOCK = 17, 40
_GET_SECUREBITS = 27
_SIGCHLD = 17
_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


@dataclass(frozen=True, slots=True)
class Aims:
    """What of the host must not be reached.

    Sockets (abstract ones begin with `@`), paths to read, a directory to write into; the signing key's file; a TCP
    port of the host's loopback and an abstract name, at which somebody listens there.
    """

    sockets: tuple[str, ...]
    hidden: tuple[str, ...]
    packet: str
    key: str = ""
    port: int = 0
    name: str = ""


def tried(work: Callable[..., object], *given: object) -> str:
    """`open` if it succeeds with these arguments, else the name of the error."""
    try:
        work(*given)
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, type(error).__name__)
    return OPEN


def probe(aims: Aims, env: Mapping[str, str] | None = None) -> dict[str, str]:
    """Every way by name: `open`, an error's name, or for facts what they are. `env` is the command's environment."""
    # First what looks for other processes; then there is one.
    own = _self()
    started = _start_set_id()
    return {
        **own,
        **_sockets(),
        **_calls(),
        **_host_sockets(aims, env or {}),
        **_files(aims),
        **_network(),
        "host loopback": tried(_connect, "127.0.0.1", aims.port),
        "exec set-id": _ran_as(started),
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
        "socket protocols": _opened(
            [(2, kind, protocol) for kind, protocol in OTHER_PROTOCOLS]
            + [(16, 3, protocol) for protocol in range(1, MAX_NETLINK)]
        ),
        "socket families": " ".join(f"{f}/{k}" for f, k in more) or "none but the expected",
    }


def _opened(sockets: list[tuple[int, int, int]]) -> str:
    found = [one for one in sockets if tried(_socket, *one) == OPEN]
    return " ".join("/".join(map(str, one)) for one in found) or "none"


def _calls() -> dict[str, str]:
    """System calls with arguments that would be harmless or wrong if they were let through."""
    machine = numbers.MACHINES[os.uname().machine]

    def call(name: str, *given: int) -> str:
        words = [ctypes.c_long(number) for number in given]
        answer = _libc.syscall(ctypes.c_long(machine.number(name)), *words)
        if name == "clone" and answer == 0:
            os._exit(0)  # the filter is not there, and this is the child
        if answer >= 0:
            return OPEN
        return errno.errorcode.get(ctypes.get_errno(), "unknown error")

    user, net = 0x10000000, 0x40000000
    own = os.open("/proc/self/ns/net", os.O_RDONLY)
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
        "call setns own": call("setns", own, 0),
        "call mount": call("mount", 0, 0, 0, 0, 0),
        "call open_by_handle_at": call("open_by_handle_at", -1, 0, 0),
        "call unshare user": call("unshare", user),
        "call unshare net": call("unshare", net),
        "call clone user": call("clone", user | _SIGCHLD, 0, 0, 0, 0),
        "call clone3": call("clone3", 0, 0),
    }


def _reach(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.setblocking(False)
        one.connect("\0" + path[1:] if path.startswith("@") else path)


def _reached(paths: tuple[str, ...]) -> str:
    # EAGAIN: a listener's queue is full, so it was found. EPROTOTYPE: so was a socket, only not one for streams.
    found = {OPEN, "EAGAIN", "EPROTOTYPE"}
    opened = sorted(path for path in paths if tried(_reach, path) in found)
    return " ".join(opened) or "none reachable"


def _host_sockets(aims: Aims, env: Mapping[str, str]) -> dict[str, str]:
    some = aims.sockets[:MAX_SOCKETS]
    return {
        "host sockets tried": f"{len(some)} of {len(aims.sockets)}",
        "host sockets": _reached(some),
        "environment sockets": _reached(_named(env)),
        "host abstract socket": tried(_reach, f"@{aims.name}"),
        "docker socket": tried(_reach, "/var/run/docker.sock"),
    }


def _named(env: Mapping[str, str]) -> tuple[str, ...]:
    """The sockets that variables lead to, as SSH_AUTH_SOCK or DOCKER_HOST do."""
    paths = [path for value in env.values() for path in re.findall(r"/[^\s:,;=]+", value)]
    return tuple(path for path in dict.fromkeys(paths[:MAX_NAMED]) if _is_socket(path))


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.stat(path).st_mode)
    except OSError:
        return False


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
        "read key": tried(_read, aims.key) if aims.key else "no file",
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
        "securebits": hex(_libc.prctl(_GET_SECUREBITS, 0, 0, 0, 0)),
        "signal others": tried(os.kill, -1, 0),
        "regain root": tried(os.setresuid, 0, 0, 0),
        "regain group": tried(os.setresgid, 0, 0, 0),
    }


def _start_set_id() -> tuple[str, int] | None:
    """A set-id program that now runs, and its pid; None where there is none to be had."""
    for path in SET_ID_PROGRAMS:
        try:
            if not os.stat(path).st_mode & (stat.S_ISUID | stat.S_ISGID):
                continue
            actions = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (0, 1, 2)]
            pid = os.posix_spawn(path, [path, "--version"], {}, file_actions=actions)
        except OSError:
            continue
        return path, pid
    return None


def _ran_as(started: tuple[str, int] | None) -> str:
    """What a set-id program that this process started ran as: its identity at its end says it."""
    if started is None:
        return SAME
    path, pid = started
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    with open(f"/proc/{pid}/status", "rb") as file:
        rows = [line.split() for line in file.read().splitlines()]
    os.waitpid(pid, 0)
    ids = {int(word) for row in rows if row[:1] in ([b"Uid:"], [b"Gid:"]) for word in row[1:]}
    if ids <= {os.getuid(), os.getgid()}:
        return SAME
    return f"{path} ran as {' '.join(map(str, sorted(ids)))}"


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
