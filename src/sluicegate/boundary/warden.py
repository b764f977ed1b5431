"""The process between supervisor and pid 1: makes the namespaces, then ends them with its line.

It lives as long as the supervisor holds the other end of its lifeline. When that end is gone,
however the supervisor died, pid 1 is killed and with it every process inside.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
from collections.abc import Iterator
from typing import NoReturn

from setproctitle import setproctitle

from sluicegate.boundary import mounts, network, plan, probe, survey
from sluicegate.boundary import syscalls as sys_
from sluicegate.boundary.init import init
from sluicegate.boundary.model import ROOTLESS_TIER, BoundaryError, Spec

# Steps in one message; a message must fit the socket's buffer.
_STEPS_A_MESSAGE = 200
_IDS = 2**32 - 1
_INNER = ("pid", "mnt")
_KINDS = ("user", "net", "ipc", "uts", "cgroup")


def run(spec: Spec, life: socket.socket, wire: socket.socket) -> NoReturn:
    """The warden's whole life. Called in the forked child; never returns."""
    status = 1
    try:
        setproctitle("sluicegate: warden")
        os.setsid()
        wake = _wake_on_term()
        _close_but(life.fileno(), wire.fileno(), *wake)
        # What the supervisor hides is closed here; without this its own id maps would be root's to write (proc(5)).
        sys_.dumpable(True)
        with _told(life):
            pid = _begin(spec, life, wire)
            wire.close()
            _be_silent()
            status = _watch(pid, life, wake[0])
    finally:
        os._exit(status)


def _wake_on_term() -> tuple[int, int]:
    """A pipe that becomes readable when SIGTERM comes, be it from the parent's death."""
    out, into = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGPIPE, signal.SIGTSTP):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, lambda *_: None)
    signal.set_wakeup_fd(into, warn_on_full_buffer=False)
    return out, into


@contextlib.contextmanager
def _told(life: socket.socket) -> Iterator[None]:
    """Whatever goes wrong inside is said on the lifeline before this process ends."""
    try:
        yield
    except BoundaryError as error:
        _say(life, {"error": error.message, "hint": error.hint})
        os._exit(1)
    except OSError as error:
        _say(life, {"error": str(error), "hint": "`sluicegate doctor` says what is missing"})
        os._exit(1)


def _say(life: socket.socket, message: dict[str, object]) -> None:
    with contextlib.suppress(OSError):
        life.send(json.dumps(message).encode())


def _close_but(*kept: int) -> None:
    """Closes every descriptor above 2 that is not `kept`."""
    for number in sorted({int(name) for name in os.listdir("/proc/self/fd")} - {0, 1, 2, *kept}):
        # The listing's own is closed already.
        with contextlib.suppress(OSError):
            os.close(number)


@contextlib.contextmanager
def _step(name: str, hint: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BoundaryError(f"{name}: {error.strerror or error}", hint) from error


def _begin(spec: Spec, life: socket.socket, wire: socket.socket) -> int:
    """Everything up to the fork of pid 1; its pid as seen from here."""
    with _step("survey of the host", "is /proc mounted, and does the workspace exist?"):
        host = survey.survey(spec)
    steps = plan.mount_plan(spec, host)
    with _step("id-mapping", "the kernel must allow user namespaces (user.max_user_namespaces)"):
        userns = _id_maps(spec)
    _unshare(spec)
    # Only now: a change of credentials clears it.
    sys_.die_with_parent(signal.SIGTERM)
    done = [(f"{kind} namespace", os.readlink(f"/proc/self/ns/{kind}"), "done") for kind in _KINDS]
    done += network.configure()
    with _step("sockets of the namespace", "TPROXY, IPv6 and NFLOG must be in the kernel"):
        sockets = network.open_sockets()
        socket.send_fds(life, [b'{"sockets":true}'], sockets.descriptors())
        sockets.close()
        done.append(("sockets", "tcp, dns, nflog, counters", "handed out"))
    with _step("sock_diag", "inet_diag and tcp_diag must be in the kernel"):
        with network.open_diag() as diag:
            socket.send_fds(life, [b'{"diag":true}'], [diag.fileno()])
        _say(life, {"plan": done})
    with _step("pid namespace", "the kernel must allow pid namespaces"):
        sys_.unshare(sys_.CLONE_NEWPID)
        pid = os.fork()
    if pid == 0:
        _be_first(spec, steps, _aims(spec, steps, host), userns, life, wire)
    return pid


def _unshare(spec: Spec) -> None:
    with _step(
        "user namespace",
        "allow unprivileged user namespaces (`sluicegate doctor` says how), or run with sudo",
    ):
        if spec.tier == ROOTLESS_TIER:
            sys_.own_user_namespace()
    with _step("namespaces", "root needs CAP_SYS_ADMIN; a container takes it away by default"):
        kinds = sys_.CLONE_NEWNET | sys_.CLONE_NEWIPC | sys_.CLONE_NEWUTS | sys_.CLONE_NEWCGROUP
        sys_.unshare(kinds)
        socket.sethostname(plan.HOSTNAME)


def _id_maps(spec: Spec) -> dict[tuple[int, int], int]:
    """User namespaces that swap the owner on disk with the command's ids, by that owner."""
    maps = dict[tuple[int, int], int]()
    if spec.tier == ROOTLESS_TIER:
        return maps
    for path in (spec.workspace, *spec.binds, spec.home):
        with contextlib.suppress(FileNotFoundError):
            found = os.stat(path)
            owner = (found.st_uid, found.st_gid)
            if owner[0] != spec.command.uid and owner not in maps:
                maps[owner] = user_namespace(
                    swap(owner[0], spec.command.uid), swap(owner[1], spec.command.gid)
                )
    return maps


def swap(ours: int, theirs: int) -> str:
    """An id map over all ids that exchanges two; every other file keeps its owner."""
    if ours == theirs:
        return f"0 0 {_IDS}"
    low, high = sorted((ours, theirs))
    rows = [
        (0, 0, low),
        (low, high, 1),
        (low + 1, low + 1, high - low - 1),
        (high, low, 1),
        (high + 1, high + 1, _IDS - high - 1),
    ]
    return "\n".join(f"{a} {b} {n}" for a, b, n in rows if n)


def user_namespace(uid_map: str, gid_map: str) -> int:
    """A descriptor of a new user namespace with these maps; nobody lives in it."""
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        with contextlib.suppress(OSError):
            ours.close()
            sys_.unshare(sys_.CLONE_NEWUSER)
            theirs.send(b"!")
            theirs.recv(1)
        os._exit(0)
    theirs.close()
    try:
        if not ours.recv(1):
            raise OSError("no user namespace could be made")
        for name, text in (("uid_map", uid_map), ("gid_map", gid_map)):
            with open(f"/proc/{pid}/{name}", "w") as file:
                file.write(text)
        return os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        ours.close()
        os.waitpid(pid, 0)


def _be_first(
    spec: Spec,
    steps: tuple[plan.Step, ...],
    aims: probe.Aims,
    userns: dict[tuple[int, int], int],
    life: socket.socket,
    wire: socket.socket,
) -> NoReturn:
    """Pid 1 until `init` takes over."""
    try:
        with _told(life):
            signal.set_wakeup_fd(-1)
            sys_.die_with_parent(signal.SIGKILL)
            with _step("mount namespace", "the kernel must allow mount namespaces"):
                sys_.unshare(sys_.CLONE_NEWNS)
            done = [(f"{k} namespace", os.readlink(f"/proc/self/ns/{k}"), "done") for k in _INNER]
            done += mounts.Builder(spec, userns).build(steps)
            for at in range(0, len(done), _STEPS_A_MESSAGE):
                _say(life, {"plan": done[at : at + _STEPS_A_MESSAGE]})
            # Of this mount and so of this pid namespace: whoever holds it sees the processes inside and no others.
            proc = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            socket.send_fds(life, [b'{"proc":true}'], [proc])
            os.close(proc)
            slave = _terminal(spec, life)
            _say(life, {"built": True})
        kept = [wire.fileno()] + ([slave] if slave is not None else [])
        _close_but(*kept)
        init(spec.command, wire, slave, aims)
    finally:
        os._exit(1)


def _aims(spec: Spec, steps: tuple[plan.Step, ...], host: plan.Host) -> probe.Aims:
    """What the plan put out of reach; the probe finds out whether it is."""
    empty = {plan.Do.COVER, plan.Do.EMPTY_DIRECTORY}
    hidden = [step.target for step in steps if step.do in empty and not step.text]
    return probe.Aims((*host.sockets, *host.abstract), tuple(hidden), spec.packet)


def _terminal(spec: Spec, life: socket.socket) -> int | None:
    """The inner end of a new pty of the private devpts, if the command wants one."""
    if not any(spec.command.tty):
        return None
    with _step("pseudo terminal", "the kernel must allow devpts in namespaces"):
        master, slave = os.openpty()
        if spec.tier != ROOTLESS_TIER:
            os.fchown(slave, spec.command.uid, -1)
        socket.send_fds(life, [b'{"pty":true}'], [master])
        os.close(master)
    return slave


def _be_silent() -> None:
    """The warden must not hold the command's output open after the command is gone."""
    null = os.open("/dev/null", os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    os.close(null)


def _watch(pid: int, life: socket.socket, wake: int) -> int:
    """Waits for pid 1's end and for the line's, then sees to it that nothing is left."""
    ended = os.pidfd_open(pid)
    poll = select.poll()
    for descriptor in (ended, life.fileno(), wake):
        poll.register(descriptor, select.POLLIN)
    ready = {descriptor for descriptor, _ in poll.poll()}
    if ended in ready:
        # The supervisor is told by its wire; the line says when it has taken note.
        poll.unregister(ended)
        poll.poll()
    else:
        os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return 0
