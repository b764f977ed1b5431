"""The inside of the network namespace: routes, ruleset, and the sockets that are born there."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import select
import socket
import struct
import time
from dataclasses import dataclass

from sluicegate.boundary import rules
from sluicegate.boundary.model import BoundaryError
from sluicegate.wire import changes, nflog, sockdiag
from sluicegate.wire.cursor import WireError

# Not PATH: under sudo it is the caller's, and these run with every capability.
TOOL_DIRECTORIES = ("/usr/sbin", "/sbin", "/usr/bin", "/bin", "/usr/local/sbin", "/usr/local/bin")
# 2,000 connections at once must wait for the gate, not be dropped by a full queue.
_BACKLOG = 4096
# A flood of refused packets is summed up, not lost, while the gate writes a receipt.
_LOG_BUFFER_BYTES = 16 << 20
_DNS_BUFFER_BYTES = 4 << 20
_DNS_PORT = 53
_IP_TRANSPARENT, _IPV6_TRANSPARENT = 19, 75
_IP_PKTINFO, _IPV6_RECVPKTINFO = 8, 49
_SO_RCVBUFFORCE = 33
_NETLINK_ROUTE, _NETLINK_SOCK_DIAG, _NETLINK_NETFILTER = 0, 4, 12
# The kernel tells of the second address from a worker of its own, microseconds after `ip` has ended.
_SETTLE_SECONDS = 5.0
_NLMSG_ERROR = 2
_SYSCTLS = (
    # Nobody may open an ICMP socket.
    ("net/ipv4/ping_group_range", "1 0"),
    ("net/core/somaxconn", str(_BACKLOG)),
    ("net/ipv6/conf/all/disable_ipv6", "0"),
    ("net/ipv6/conf/lo/disable_ipv6", "0"),
)


@dataclass(frozen=True, slots=True)
class Sockets:
    """What is handed out of the namespace; `snmp`, `netstat` and `dev` are open files of its /proc/net.

    `netfilter` and `routes` are to ask the kernel with, `watch_rules` and `watch_routes` are told of every change.
    """

    snmp: int
    netstat: int
    dev: int
    tcp: socket.socket
    dns_tcp: socket.socket
    dns_udp: socket.socket
    nflog: socket.socket
    netfilter: socket.socket
    routes: socket.socket
    watch_rules: socket.socket
    watch_routes: socket.socket

    def _held(self) -> tuple[socket.socket, ...]:
        return (
            *(self.tcp, self.dns_tcp, self.dns_udp, self.nflog, self.netfilter),
            *(self.routes, self.watch_rules, self.watch_routes),
        )

    def descriptors(self) -> list[int]:
        return [self.snmp, self.netstat, self.dev, *(s.fileno() for s in self._held())]

    @staticmethod
    def adopt(descriptors: list[int]) -> Sockets:
        """The same value on the other side of SCM_RIGHTS."""
        snmp, netstat, dev, *sockets = descriptors
        return Sockets(snmp, netstat, dev, *(socket.socket(fileno=fd) for fd in sockets))

    def close(self) -> None:
        for held in self._held():
            held.close()
        for file in (self.snmp, self.netstat, self.dev):
            with contextlib.suppress(OSError):
                os.close(file)


def find_tool(name: str) -> str | None:
    """The absolute path of a system tool, or None."""
    for directory in TOOL_DIRECTORIES:
        path = f"{directory}/{name}"
        if os.access(path, os.X_OK):
            return path
    return None


def configure() -> list[tuple[str, str, str]]:
    """Sets routes, ruleset and sysctls of the network namespace this process is in.

    What was done, to what, how it came out; texts by their hash.
    """
    done = list[tuple[str, str, str]]()
    for name, value in _SYSCTLS:
        # Absent without IPv6 or in an older kernel's user namespace; the routes and rules judge.
        with contextlib.suppress(OSError), open(f"/proc/sys/{name}", "w") as file:
            file.write(value)
        with contextlib.suppress(OSError), open(f"/proc/sys/{name}") as file:
            done.append(("sysctl", name.replace("/", "."), " ".join(file.read().split())))
    with _netlink(_NETLINK_ROUTE, changes.ROUTE_GROUPS) as told:
        # Together: neither needs the other, and starting them is most of the cost.
        running = [
            _start("ip", ["-batch", "-"], rules.ip_batch(), "install iproute2"),
            _start("nft", ["-f", "-"], rules.ruleset(), "install nftables"),
        ]
        for tool in running:
            tool.finish()
        _settle(told)
    done.append(("routes", "lo", _digest(rules.ip_batch())))
    done.append(("ruleset", "inet sluicegate", _digest(rules.ruleset())))
    return done


def _settle(told: socket.socket) -> None:
    """Waits for the last of what `ip` began: from then on every change is somebody else's."""
    poll, deadline = select.poll(), time.monotonic() + _SETTLE_SECONDS
    poll.register(told, select.POLLIN)
    while poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
        try:
            if changes.has_local_route(told.recv(changes.READ_BYTES), rules.SOURCE6):
                return
        except (OSError, WireError) as error:
            raise BoundaryError(f"the kernel's account of the routes: {error}") from error
    raise BoundaryError(
        f"the kernel never made the route of {rules.SOURCE6}",
        "is IPv6 in this kernel, and not switched off?",
    )


def _netlink(protocol: int, groups: int = 0) -> socket.socket:
    """A netlink socket that hears the groups of this bit mask."""
    held = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol)
    held.bind((0, groups))
    return held


def _watching(protocol: int, groups: int) -> socket.socket:
    held = _netlink(protocol, groups)
    held.setblocking(False)
    return held


def _digest(text: str) -> str:
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def open_sockets() -> Sockets:
    """The listener, the resolver's two, the drop log, and the counters; all of this namespace."""
    tcp = _tcp(rules.LISTENER_PORT, transparent=True)
    dns_tcp = _tcp(_DNS_PORT, transparent=False)
    dns_udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    dns_udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    dns_udp.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVPKTINFO, 1)
    dns_udp.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
    _enlarge(dns_udp, _DNS_BUFFER_BYTES)
    dns_udp.bind(("::", _DNS_PORT))
    dns_udp.setblocking(False)
    snmp, netstat, dev = (
        os.open(f"/proc/thread-self/net/{name}", os.O_RDONLY) for name in ("snmp", "netstat", "dev")
    )
    return Sockets(
        *(snmp, netstat, dev),
        *(tcp, dns_tcp, dns_udp, _drop_log()),
        netfilter=_netlink(_NETLINK_NETFILTER),
        routes=_netlink(_NETLINK_ROUTE),
        watch_rules=_watching(_NETLINK_NETFILTER, changes.RULE_GROUPS),
        watch_routes=_watching(_NETLINK_ROUTE, changes.ROUTE_GROUPS),
    )


def open_diag() -> socket.socket:
    """A socket that finds this namespace's TCP sockets (sock_diag(7)).

    Raises:
        OSError: the kernel does not tell of TCP sockets.
    """
    diag = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG)
    diag.bind((0, 0))
    # It answers "no such socket" also where it knows of no TCP: so it is asked for one that is there.
    here, nowhere = sockdiag.End(bytes(16), rules.LISTENER_PORT), sockdiag.End(bytes(16), 0)
    diag.send(sockdiag.request(here, nowhere, 1))
    if not sockdiag.is_socket(diag.recv(8192)):
        raise OSError(errno.EPROTONOSUPPORT, "no answer about TCP sockets", "sock_diag")
    return diag


def _tcp(port: int, transparent: bool) -> socket.socket:
    listener = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
    listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, rules.GATE_MARK)
    if transparent:
        listener.setsockopt(socket.IPPROTO_IP, _IP_TRANSPARENT, 1)
        listener.setsockopt(socket.IPPROTO_IPV6, _IPV6_TRANSPARENT, 1)
    listener.bind(("::", port))
    listener.listen(_BACKLOG)
    listener.setblocking(False)
    return listener


def _drop_log() -> socket.socket:
    log = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER)
    _enlarge(log, _LOG_BUFFER_BYTES)
    log.bind((0, 0))
    for message in nflog.subscribe(rules.LOG_GROUP):
        log.send(message)
        reply = log.recv(4096)
        kind, (error,) = int.from_bytes(reply[4:6], "little"), struct.unpack_from("=i", reply, 16)
        if kind != _NLMSG_ERROR or error:
            raise OSError(-error, os.strerror(-error), "NFLOG")
    log.setblocking(False)
    return log


def _enlarge(held: socket.socket, size: int) -> None:
    try:
        held.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, size)
    except OSError:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)


@dataclass(frozen=True, slots=True)
class _Running:
    """A tool that was started with text as its input."""

    name: str
    pid: int
    complaints: int

    def finish(self) -> None:
        _, status = os.waitpid(self.pid, 0)
        said = os.pread(self.complaints, 4096, 0).decode("utf-8", "replace").strip()
        os.close(self.complaints)
        if os.waitstatus_to_exitcode(status) != 0:
            raise BoundaryError(
                f"{self.name} failed: {said or 'without a word'}",
                "`sluicegate doctor` names the kernel module or package that is missing",
            )


def _start(name: str, arguments: list[str], text: str, remedy: str) -> _Running:
    path = find_tool(name)
    if path is None:
        raise BoundaryError(f"{name} was not found", remedy)
    given, complaints = os.memfd_create("input"), os.memfd_create("complaints")
    os.pwrite(given, text.encode(), 0)
    actions = [
        (os.POSIX_SPAWN_DUP2, given, 0),
        (os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0),
        (os.POSIX_SPAWN_DUP2, complaints, 2),
    ]
    environment = {"PATH": ":".join(TOOL_DIRECTORIES), "LC_ALL": "C"}
    pid = os.posix_spawn(path, [path, *arguments], environment, file_actions=actions)
    os.close(given)
    return _Running(name, pid, complaints)
