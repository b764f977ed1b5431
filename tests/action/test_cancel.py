"""A job that is cancelled: the run ends, and the packet is whole (sluicegate.cli.actionrun)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence

import pytest

from sluicegate.cli import actionrun
from tests.action.house import HouseJob
from tests.action.test_run import messages, packet, use

TOLD = "import signal, sys; signal.pthread_sigmask(0, {2}); open('ready', 'w'); signal.sigwait({2}); sys.exit(9)"
# It will not hear of it.
DEAF = "trap '' INT TERM; mkfifo pipe; touch ready; exec cat pipe"


def cancel(job: HouseJob, *numbers: signal.Signals) -> None:
    """Once the command has made the file `ready`, the step's first process gets each of `numbers`."""

    def started(process: subprocess.Popen[bytes]) -> None:
        def send() -> None:
            seen.wait()
            for number in numbers:
                process.send_signal(number)

        threading.Thread(target=send, daemon=True).start()

    seen = threading.Event()
    job.started = started
    watch(job, seen)


def watch(job: HouseJob, seen: threading.Event) -> None:
    """Sets `seen` when `ready` appears in the workspace: told by the kernel."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.inotify_init1(os.O_CLOEXEC)
    assert libc.inotify_add_watch(descriptor, os.fsencode(job.workspace), 0x100) > 0  # IN_CREATE

    def read() -> None:
        while b"ready\0" not in os.read(descriptor, 4096):
            pass
        os.close(descriptor)
        seen.set()

    threading.Thread(target=read, daemon=True).start()


def test_the_command_is_told_and_ends(job: HouseJob) -> None:
    cancel(job, signal.SIGINT)
    done = use(job, run=f'exec python3 -c "{TOLD}"')
    assert done.code == 9, done.log
    assert "the job was cancelled" in messages(done, "warning")
    assert done.outputs["verifier-verdict"] == "self_consistent_only"
    assert packet(job)["run"]["agent_exit_code"] == 9


def test_a_command_that_does_not_listen_is_killed_and_the_packet_is_whole(job: HouseJob) -> None:
    """The runner's own order: SIGINT, then SIGTERM, and SIGKILL is still to come."""
    cancel(job, signal.SIGINT, signal.SIGTERM)
    done = use(job, run=DEAF)
    assert done.code == 137, done.log
    assert done.outputs["verifier-verdict"] == "self_consistent_only"
    assert "the job was cancelled" in messages(done, "warning")


def test_after_the_grace_the_second_signal_is_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actionrun, "GRACE_SECONDS", 0.01)
    script = (
        "import os, signal; signal.pthread_sigmask(0, {2, 15}); os.kill(os.getppid(), 2);"
        "first = signal.sigwait({2, 15}); second = signal.sigwait({2, 15}); raise SystemExit(first * 10 + second)"
    )
    code, stopped = actionrun.run([sys.executable, "-c", script], dict(os.environ))
    assert (code, stopped) == (2 * 10 + 15, True)


def test_what_ended_by_itself_was_not_stopped() -> None:
    assert actionrun.run(["sh", "-c", "exit 4"], {}) == (4, False)
    assert actionrun.run(["sh", "-c", "kill -9 $$"], {}) == (137, False)
    with pytest.raises(actionrun.StartError, match="none can not be started"):
        actionrun.run(["/none"], {})


def test_a_signal_that_comes_while_one_is_passed_on_is_passed_on_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    passed: list[int] = []
    kill = actionrun._kill

    def slow(pid: int, number: int, *, sudo: Sequence[str]) -> None:
        if not passed:
            signal.raise_signal(signal.SIGTERM)
        passed.append(number)
        kill(pid, number, sudo=sudo)

    monkeypatch.setattr(actionrun, "_kill", slow)
    script = (
        "import os, signal; signal.pthread_sigmask(0, {2, 15}); os.kill(os.getppid(), 2);"
        "signal.sigwait({2}); signal.sigwait({15})"
    )
    code, stopped = actionrun.run([sys.executable, "-c", script], dict(os.environ))
    assert (code, stopped, passed) == (0, True, [2, 15])
