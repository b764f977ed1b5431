"""The boundary as the supervisor holds it: started by one call, gone after another."""

from __future__ import annotations

import array
import contextlib
import json
import os
import select
import socket
import time
from dataclasses import replace

from sluicegate.boundary import counters, measure, warden
from sluicegate.boundary.model import ROOTLESS_TIER, BoundaryError, Spec
from sluicegate.boundary.network import Sockets
from sluicegate.boundary.probe import QUESTION
from sluicegate.boundary.streams import Streams
from sluicegate.wire import meminfo
from sluicegate.wire.cursor import WireError

# Building takes well under a second; a kernel that hangs must not hang the run.
_START_SECONDS = 30.0
_MESSAGE_BYTES = 1 << 20
_MAX_DESCRIPTORS = 16
_NEVER_BOUND = ("/proc", "/sys", "/dev/pts")
_TABLE = "sluicegate"
_QUESTION_BYTES = 4096


class Boundary:
    """A namespace with pid 1 waiting for the word to launch. Close it, whatever happens.

    `wire` speaks to pid 1, `lifeline` to the warden (whose pid is `warden`); `plan` is what was done:
    (what, to which path, how it came out).
    """

    def __init__(
        self, pid: int, lifeline: socket.socket, wire: socket.socket, streams: Streams
    ) -> None:
        self.warden = pid
        self.streams = streams
        self.lifeline = lifeline
        self.wire = wire
        self.pty_master: int | None = None
        self.plan: tuple[tuple[str, str, str], ...] = ()
        # For the witness: its socket, and a descriptor of the inner /proc.
        self.windows: dict[str, int] = {}
        self._sockets: Sockets | None = None
        self._stopped = False

    @property
    def sockets(self) -> Sockets:
        if self._sockets is None:
            raise BoundaryError("the boundary has no sockets")
        return self._sockets

    @property
    def tcp(self) -> socket.socket:
        """The listener that every captured connection comes to."""
        return self.sockets.tcp

    @property
    def dns_tcp(self) -> socket.socket:
        return self.sockets.dns_tcp

    @property
    def dns_udp(self) -> socket.socket:
        return self.sockets.dns_udp

    @property
    def nflog(self) -> socket.socket:
        return self.sockets.nflog

    def counters(self) -> dict[str, int]:
        """What the kernel counted so far; also right after `stop`, when nothing lives inside."""
        texts = (os.pread(n, 1 << 16, 0) for n in (self.sockets.snmp, self.sockets.netstat))
        return {
            **self._named(),
            **counters.read_snmp(b"".join(texts).decode()),
            # Our copies of the gate's sockets: what they lost is the kernel's word, not the gate's.
            "log.lost": meminfo.dropped(self.nflog),
            "dns.lost": meminfo.dropped(self.dns_udp),
            "tcp.lost": meminfo.dropped(self.tcp),
            "dns_tcp.lost": meminfo.dropped(self.dns_tcp),
            "lo.lost": counters.read_dev(os.pread(self.sockets.dev, 1 << 16, 0).decode(), "lo"),
        }

    def network(self) -> dict[str, object]:
        """Links, addresses, routes, rules and settings as they are now; also right after `stop`."""
        return measure.network(self.sockets.routes, self.sockets.netfilter)

    def captured(self) -> frozenset[str]:
        """The probe's traffic as it lies in the boundary's own sockets, named as its outcomes are; taken out of them.

        To be called between the probe and the hand-over: what comes later is the gate's.
        """
        found = set[str]()
        with contextlib.suppress(BlockingIOError):
            while True:
                connection, _ = self.tcp.accept()
                with connection:
                    host, port = connection.getsockname()[:2]
                    found.add(f"tcp {host.removeprefix('::ffff:')} {port}")
        with contextlib.suppress(BlockingIOError):
            while True:
                data, notes, _, _ = self.dns_udp.recvmsg(_QUESTION_BYTES, socket.CMSG_SPACE(20))
                if data == QUESTION:
                    found |= {f"dns {host} 53" for host in map(_destination, notes)}
        with contextlib.suppress(BlockingIOError):
            while self.nflog.recv(1 << 16):
                found.add("log")
        return frozenset(found)

    def _named(self) -> dict[str, int]:
        netlink, found, done = self.sockets.netfilter, dict[str, int](), False
        number = time.monotonic_ns() & 0x7FFFFFFF
        try:
            netlink.settimeout(_START_SECONDS)
            netlink.send(counters.request(_TABLE, number))
            while not done:
                some, done = counters.read_reply(netlink.recv(1 << 16))
                found |= some
        except (OSError, WireError) as error:
            raise BoundaryError(f"reading the namespace's counters: {error}") from error
        return found

    def ready(self) -> None:
        """Waits until pid 1 is ready to launch. Raises BoundaryError, leaving nothing, if a step failed."""
        try:
            _await(self)
        except BaseException:
            self.close()
            raise

    def stop(self) -> None:
        """Kills pid 1 and with it everything inside, and waits for that. Idempotent."""
        if self._stopped:
            return
        self._stopped = True
        self.lifeline.close()
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.warden, 0)

    def close(self) -> None:
        """`stop`, and lets go of the sockets, which were the last of the namespace. Idempotent."""
        self.stop()
        self.wire.close()
        self.streams.close()
        if self._sockets is not None:
            self._sockets.close()
        for window in self.windows.values():
            os.close(window)
        self.windows.clear()
        if self.pty_master is not None:
            with contextlib.suppress(OSError):
                os.close(self.pty_master)
            self.pty_master = None

    def take(self, message: dict[str, object], descriptors: list[int]) -> bool:
        """One message of the builders; True when pid 1 has handed over to `init`."""
        if "error" in message:
            raise BoundaryError(str(message["error"]), str(message.get("hint", "")))
        if "sockets" in message:
            self._sockets = Sockets.adopt(descriptors)
        for name in message.keys() & {"diag", "proc"}:
            (self.windows[name],) = descriptors
        if "pty" in message:
            (self.pty_master,) = descriptors
        steps = message.get("plan")
        if isinstance(steps, list):
            self.plan += tuple((what, where, how) for what, where, how in steps)
        return "built" in message


def _destination(note: tuple[int, int, bytes]) -> str:
    """The address in an IPV6_PKTINFO note."""
    return socket.inet_ntop(socket.AF_INET6, note[2][:16]).removeprefix("::ffff:")


def start(spec: Spec) -> Boundary:
    """Makes the boundary of `spec`. Raises BoundaryError, leaving nothing behind, if a step fails."""
    boundary = begin(spec)
    boundary.ready()
    return boundary


def begin(spec: Spec) -> Boundary:
    """Starts making the boundary of `spec`; `ready` waits for it, so that both sides work meanwhile."""
    _check(spec)
    spec = _resolved(spec)
    life, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    wire, inner = socket.socketpair()
    command = spec.command
    streams = Streams(command.tty, None if command.rootless else (command.uid, command.gid))
    pid = os.fork()
    if pid == 0:
        try:
            streams.install()
            warden.run(spec, theirs, inner)
        finally:
            # Whatever fails here must not go on as a second supervisor, which would clean up after the first.
            os._exit(1)
    streams.keep_outer()
    theirs.close()
    inner.close()
    return Boundary(pid, life, wire, streams)


def _resolved(spec: Spec) -> Spec:
    """`spec` with paths that no link can lead elsewhere while mounts are made."""
    real = os.path.realpath
    workspace, binds = real(spec.workspace), tuple(real(path) for path in spec.binds)
    for path in (workspace, *binds):
        if path == "/" or any(path == top or path.startswith(f"{top}/") for top in _NEVER_BOUND):
            raise BoundaryError(f"{path} cannot be writable inside", "choose a directory below it")
    return replace(spec, workspace=workspace, binds=binds, home=real(spec.home))


def _await(boundary: Boundary) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        left = max(0.0, deadline - time.monotonic())
        if not select.select([boundary.lifeline], [], [], left)[0]:
            raise BoundaryError("building the boundary took too long", "see `sluicegate doctor`")
        data, descriptors = _receive(boundary.lifeline)
        if not data:
            raise BoundaryError("the boundary's builder died", "see the kernel's log")
        if boundary.take(json.loads(data), descriptors):
            return


def _receive(lifeline: socket.socket) -> tuple[bytes, list[int]]:
    room = socket.CMSG_SPACE(_MAX_DESCRIPTORS * array.array("i").itemsize)
    data, controls, _, _ = lifeline.recvmsg(_MESSAGE_BYTES, room, socket.MSG_CMSG_CLOEXEC)
    descriptors = array.array("i")
    for level, kind, value in controls:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            descriptors.frombytes(value[: len(value) - len(value) % descriptors.itemsize])
    return data, list(descriptors)


def _check(spec: Spec) -> None:
    root = os.geteuid() == 0
    if spec.tier == ROOTLESS_TIER and root:
        raise BoundaryError(
            f"{ROOTLESS_TIER} was asked for by root",
            "leave the tier out, or start as an ordinary user",
        )
    if spec.tier != ROOTLESS_TIER and not root:
        raise BoundaryError(
            f"{spec.tier} needs root", f"use sudo, or the tier {ROOTLESS_TIER} if doctor offers it"
        )
    if spec.tier != ROOTLESS_TIER and spec.command.uid == 0:
        raise BoundaryError("the command would run as root", "choose another uid with --user")
