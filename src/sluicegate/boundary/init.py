"""The first process of the boundary: starts the command, passes signals on, reports the exit, reaps.

It is pid 1 of its namespace: when it ends, whatever way, the kernel kills every process in there. It runs
nothing but this file, imports nothing late (the interpreter is out of reach by then) and trusts only `wire`,
which leads straight to the supervisor.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import select
import signal
import socket
import stat
import termios
from dataclasses import dataclass, replace
from typing import NoReturn

from setproctitle import setproctitle

from sluicegate.boundary import privilege, probe, seccomp, syscalls
from sluicegate.boundary.model import BoundaryError, Command

# What a shell says; 125 is ours: the command was never tried.
NOT_STARTED, NOT_EXECUTABLE, NOT_FOUND = 125, 126, 127
MAX_LINE_BYTES = 4096  # the supervisor's lines are a few words; an error names one path
MAX_PROBE_BYTES = 60_000  # what fits one line to the supervisor; real ones have 3 KB
MAX_ERROR_CHARACTERS = 400  # six bytes each at worst, so that the line stays one piece of a pipe
DEFAULT_PATH = "/usr/local/bin:/usr/bin:/bin"  # for an environment without PATH, as execvp(3)
STANDARD = (0, 1, 2)
NOTHING_TO_TRY = probe.Aims((), (), "")
# Some starters leave them ignored, and every process after them inherits that (glibc: SIGCANCEL, SIGSETXID).
LIBC_SIGNALS = (32, 33)


@dataclass(slots=True)
class _Running:
    """The command's process, and the pipe on which it says why it could not be executed."""

    pid: int
    report: int


def init(
    command: Command, wire: socket.socket, pty_slave: int | None, aims: probe.Aims = NOTHING_TO_TRY
) -> NoReturn:
    """Serve `wire` until it ends; never returns. Call it as pid 1, with everything else in place."""
    code = 1
    try:
        _prepare(wire, pty_slave)
        _serve(command, wire, pty_slave, aims)
        code = 0
    except Exception as error:  # noqa: BLE001 - whatever it was, the supervisor shall read it
        _tell_failure(wire, NOT_STARTED, f"the command was not started: {error}")
    finally:
        os._exit(code)


def _prepare(wire: socket.socket, pty_slave: int | None) -> None:
    """Default signals, no foreign descriptors, nothing of the supervisor's arguments in sight."""
    kept = {wire.fileno()} | ({pty_slave} if pty_slave is not None else set())
    if min(kept) <= max(STANDARD):
        raise BoundaryError("a standard descriptor was closed when the run started")
    setproctitle("sluicegate: init")
    _default_signals()
    syscalls.die_with_parent(signal.SIGKILL)
    low = 3
    for keep in sorted(kept):
        os.closerange(low, keep)
        low = keep + 1
    os.closerange(low, os.sysconf("SC_OPEN_MAX"))


def _default_signals() -> None:
    """Every signal unblocked and with its default action. The kernel lets pid 1 ignore those from inside."""
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_DFL)
    for reserved in LIBC_SIGNALS:
        privilege.default_action(reserved)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _tell(wire: socket.socket, message: dict[str, object]) -> None:
    wire.sendall(json.dumps(message).encode() + b"\n")


def _tell_failure(wire: socket.socket, code: int, error: str) -> None:
    try:
        _tell(wire, {"exit": {"code": code, "error": error}})
    except OSError:
        # The supervisor is gone, so nobody is left to tell; ending is all there is to do.
        return


def _serve(command: Command, wire: socket.socket, pty_slave: int | None, aims: probe.Aims) -> None:
    """Until the wire ends: probe if asked to, launch once, pass signals on, reap, report the exit once."""
    woken, wake = os.pipe()
    os.set_blocking(woken, False)
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    events = select.poll()
    events.register(wire, select.POLLIN)
    events.register(woken, select.POLLIN)
    running: _Running | None = None
    pending = b""
    _tell(wire, {"ready": True})
    while True:
        ready = {fd for fd, _ in events.poll()}
        if woken in ready:
            os.read(woken, MAX_LINE_BYTES)
            for message in _reap(running):
                _tell(wire, message)
        if wire.fileno() not in ready:
            continue
        got = wire.recv(MAX_LINE_BYTES)
        if not got:
            return
        *lines, pending = (pending + got).split(b"\n")
        for line in lines:
            asked = json.loads(line)
            if isinstance(asked.get("probe"), dict) and running is None:
                _tell(wire, {"probe": _probe(command, replace(aims, **asked["probe"]))})
            elif asked.get("launch") and running is None:
                running = _launch(command, pty_slave)
            elif "signal" in asked and running is not None:
                _pass_on(running.pid, int(asked["signal"]))


def _reap(running: _Running | None) -> list[dict[str, object]]:
    """Collect every dead child, adopted ones too; the message to send if the command was among them."""
    found: list[dict[str, object]] = []
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if pid == 0:
            return found
        if running is None or pid != running.pid:
            continue
        said = os.read(running.report, MAX_LINE_BYTES)
        if said:
            found.append({"exit": json.loads(said)})
        elif os.WIFSIGNALED(status):
            found.append({"exit": {"signal": os.WTERMSIG(status)}})
        else:
            found.append({"exit": {"code": os.WEXITSTATUS(status)}})
        running.pid = 0


def _pass_on(pid: int, number: int) -> None:
    """`number` to the command's process group; it is the leader of its session."""
    if pid == 0:
        return
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        # The child has not made its own session yet, or has just ended.
        os.kill(pid, number)


def _probe(command: Command, aims: probe.Aims) -> dict[str, object]:
    """What a process that is confined as the command will be can and can not do, by the way it tried."""
    program = seccomp.program(os.uname().machine)
    report, reporting = os.pipe()
    pid = os.fork()
    if pid == 0:
        said: dict[str, object] = {}
        try:
            _default_signals()
            os.setsid()
            for number in os.listdir("/proc/self/fd"):
                if int(number) not in {*STANDARD, reporting}:
                    with contextlib.suppress(OSError):  # the listing's own is closed already
                        os.close(int(number))
            privilege.confine(command, program)
            said = dict(probe.probe(aims, dict(command.env)))
        except Exception as failed:  # noqa: BLE001 - whatever it was, the supervisor shall read it
            said = {"failed": str(failed)[:MAX_ERROR_CHARACTERS]}
        finally:
            with os.fdopen(reporting, "wb") as out:
                out.write(json.dumps(said).encode())
            os._exit(0)
    os.close(reporting)
    with os.fdopen(report, "rb") as source:
        told = source.read(MAX_PROBE_BYTES)
    os.waitpid(pid, 0)
    found = json.loads(told or b"{}")
    return found if isinstance(found, dict) else {}


def _launch(command: Command, pty_slave: int | None) -> _Running:
    """Fork the command's process, give up our own privilege, and only then let it go on."""
    for number, replaced in zip(STANDARD, command.tty, strict=True):
        if not replaced and stat.S_ISDIR(os.fstat(number).st_mode):
            # A directory of the host, open inside, is a way round every mount.
            raise BoundaryError(f"descriptor {number} is a directory")
    if pty_slave is not None and not command.rootless:
        os.fchown(pty_slave, command.uid, command.gid)
        os.fchmod(pty_slave, stat.S_IRUSR | stat.S_IWUSR | stat.S_IWGRP)
    program = seccomp.program(os.uname().machine)
    nothing = os.open("/dev/null", os.O_RDWR)
    report, reporting = os.pipe()
    allowed, allowing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(allowing)
        _become_the_command(command, program, pty_slave, allowed, reporting)
    for fd in (reporting, allowed, *(() if pty_slave is None else (pty_slave,))):
        os.close(fd)
    # Who holds an end of a pipe decides when the other side sees it close: not this process.
    for number in STANDARD:
        os.dup2(nothing, number)
    os.close(nothing)
    privilege.retire(program)
    os.write(allowing, b"\n")
    os.close(allowing)
    return _Running(pid, report)


def _become_the_command(
    command: Command, program: bytes, pty_slave: int | None, allowed: int, reporting: int
) -> NoReturn:
    """The child's half: session, terminal, descriptors, identity, filter, exec."""
    code, error = NOT_STARTED, ""
    try:
        if os.read(allowed, 1):
            _default_signals()
            for number in command.ignored:
                signal.signal(number, signal.SIG_IGN)
            os.setsid()
            if pty_slave is not None:
                fcntl.ioctl(pty_slave, termios.TIOCSCTTY, 0)
                for number, replaced in zip(STANDARD, command.tty, strict=True):
                    if replaced:
                        os.dup2(pty_slave, number)
            privilege.close_on_exec_from(max(STANDARD) + 1)
            privilege.confine(command, program)
            _enter(command)
            code, error = _execute(command.argv, dict(command.env))
    except Exception as failed:  # noqa: BLE001 - whatever it was, the supervisor shall read it
        error = f"the command was not started: {failed}"
    finally:
        said = {"code": code, "error": error[:MAX_ERROR_CHARACTERS]}
        os.write(reporting, json.dumps(said).encode())
        os._exit(code)


def _enter(command: Command) -> None:
    try:
        os.chdir(command.cwd)
    except OSError as error:
        raise BoundaryError(
            f"{command.cwd} can not be entered as uid {command.uid}: {error.strerror};"
            " every directory above the workspace must be open to that user"
        ) from error


def _execute(argv: tuple[str, ...], env: dict[str, str]) -> tuple[int, str]:
    """Only where it failed: the exit code a shell would give, and why. PATH is the command's own."""
    name = argv[0] if argv else ""
    if not name:
        return NOT_FOUND, "no command"
    places = env.get("PATH", DEFAULT_PATH).split(":")
    paths = [name] if "/" in name else [f"{place or '.'}/{name}" for place in places]
    refused: OSError | None = None
    for path in paths:
        try:
            os.execve(path, argv, env)  # noqa: S606 - what the whole run is for
        except OSError as error:
            if error.errno == errno.ENOEXEC:
                # No interpreter line: a shell script, as execvp(3) and every shell take it.
                return _execute(("/bin/sh", path, *argv[1:]), env)
            if error.errno == errno.EACCES:
                refused = refused or error
            elif error.errno not in (errno.ENOENT, errno.ENOTDIR):
                return NOT_EXECUTABLE, f"cannot execute {name}: {error.strerror}"
    if refused is not None:
        return NOT_EXECUTABLE, f"cannot execute {name}: {refused.strerror}"
    return NOT_FOUND, f"command not found: {name}"
