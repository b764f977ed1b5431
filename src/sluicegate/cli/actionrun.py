"""SHELL. Starts `sluicegate run` for the action, with sudo where there is one; passes on that the job was cancelled."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType

from sluicegate.action import plan
from sluicegate.cli import ownpath

# A cancelled job's step gets SIGINT, 7.5 s later SIGTERM, and 2.5 s later SIGKILL (actions/runner, ProcessInvoker).
# The command has this long after the first; then it is killed, so that the packet is whole before ours comes.
GRACE_SECONDS = 4.0
PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# An answer of sudo, which may look up names first.
SUDO_SECONDS = 30
# kill(1) is no part of every image, and root's processes take signals from root alone.
_KILL = "import os, sys; os.kill(int(sys.argv[1]), int(sys.argv[2]))"


class StartError(Exception):
    """The machine is at fault: the run could not be started."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


def root() -> tuple[str, ...]:
    """The words of `plan.sudo`, if sudo starts programs without a question and keeps the job's variables; else none.

    None too where we are root.
    """
    words = (ownpath.program("sudo"), *plan.sudo(os.environ)[1:])
    if os.geteuid() == 0:
        return ()
    try:
        done = subprocess.run(
            [*words, "true"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SUDO_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return words if done.returncode == 0 else ()


def run(
    argv: Sequence[str], env: Mapping[str, str], *, sudo: Sequence[str] = ()
) -> tuple[int, bool]:
    """The exit code of `argv` as a shell has it, and whether a signal told us to end it.

    `sudo`: the words that `argv` begins with where it is root's.

    Raises:
        StartError: it could not be started.
    """
    with _signals() as (heard, wakeup):
        try:
            # A session of its own: sudo passes on no signal that comes from its own group of processes (sudo(8)).
            child = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, env=env, start_new_session=True
            )
        except OSError as error:
            said = f"{argv[0]} can not be started: {error.strerror}"
            raise StartError(said, "is the script's argument list too long?") from error
        code = _wait(child, heard, wakeup, sudo=sudo)
    return (code if code >= 0 else 128 - code), bool(heard)


def _wait(
    child: subprocess.Popen[bytes], heard: list[int], wakeup: int, *, sudo: Sequence[str]
) -> int:
    ended = os.pidfd_open(child.pid)
    try:
        poll = select.poll()
        for descriptor in (ended, wakeup):
            poll.register(descriptor, select.POLLIN)
        done, hurried = 0, False
        while True:
            left = GRACE_SECONDS * 1000 if done and not hurried else None
            ready = {descriptor for descriptor, _ in poll.poll(left)}
            if ended in ready:
                return child.wait()
            if wakeup in ready:
                os.read(wakeup, 4096)
            if not ready:
                hurried = True
                _kill(child.pid, signal.SIGTERM, sudo=sudo)
            # One more may come while one is passed on.
            while done < len(heard):
                _kill(child.pid, heard[done], sudo=sudo)
                done += 1
            hurried = hurried or done > 1
    finally:
        os.close(ended)


def _kill(pid: int, number: int, *, sudo: Sequence[str]) -> None:
    """`pid` is a child that was not waited for: it is nobody else's number yet."""
    if not sudo:
        os.kill(pid, number)
        return
    argv = [*sudo, sys.executable, "-I", "-S", "-c", _KILL, str(pid), str(int(number))]
    subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=False)


@contextmanager
def _signals() -> Iterator[tuple[list[int], int]]:
    """What came so far, growing, and a descriptor that is readable when something came."""
    heard: list[int] = []

    def handle(number: int, _frame: FrameType | None) -> None:
        heard.append(number)

    reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    before = {number: signal.signal(number, handle) for number in PASSED_ON}
    woken = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    try:
        yield heard, reader
    finally:
        signal.set_wakeup_fd(woken)
        for number, old in before.items():
            signal.signal(number, old)
        os.close(reader)
        os.close(writer)
