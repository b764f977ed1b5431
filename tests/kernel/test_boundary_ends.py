"""A boundary ends with its supervisor, leaves nothing, and says which step failed.

Proves `sluicegate.boundary.build` and `sluicegate.boundary.warden`.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sluicegate.boundary import build, network
from sluicegate.boundary.build import Boundary
from sluicegate.boundary.model import ROOT_TIER, ROOTLESS_TIER, BoundaryError
from tests.kernel.host import TIERS, become_ordinary, ground, run, spec

both = pytest.mark.parametrize("tier", TIERS)


def in_namespace(inode: int) -> list[str]:
    """Processes of this machine that live in a network namespace."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "ns" / "net").stat().st_ino == inode:
                found.append(process.name)
        except OSError:
            continue
    return found


def supervisor(tier: str, top: Path, told: int) -> None:
    """A process that starts a boundary whose command stays, says so, and waits for its end."""
    if tier == ROOTLESS_TIER:
        become_ordinary()
    script = "setsid sh -c 'exec sleep 500' & echo up > up; wait"
    boundary = build.start(spec(tier, top, script, packet=str(top / "work" / "packet")))
    boundary.wire.sendall(b'{"launch":true}\n')
    os.write(told, f"{boundary.warden}\n".encode())
    select.select([], [], [])


@both
def test_killed_supervisor_leaves_nothing(tier: str) -> None:
    with ground() as top:
        (top / "work" / "packet").mkdir()
        os.chown(top / "work" / "packet", *(os.stat(top / "work").st_uid,) * 2)
        out, into = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                supervisor(tier, top, into)
            finally:
                os._exit(1)
        os.close(into)
        warden = int(os.read(out, 100))
        ended = os.pidfd_open(warden)
        inode = os.stat(f"/proc/{warden}/ns/net").st_ino
        for _ in range(1000):
            if len(in_namespace(inode)) >= 4 and (top / "work" / "up").exists():
                break
            select.select([], [], [], 0.01)
        # The warden, pid 1, the shell, and the sleeper in its own session.
        assert len(in_namespace(inode)) >= 4
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        assert select.select([ended], [], [], 10)[0]
        assert in_namespace(inode) == []
        assert list((top / "work" / "packet").iterdir()) == []
        assert str(top) not in Path("/proc/self/mountinfo").read_text()
        os.close(out)
        os.close(ended)


@both
def test_killed_warden_takes_everything_along(tier: str) -> None:
    def meanwhile(boundary: Boundary) -> bool:
        os.kill(boundary.warden, signal.SIGKILL)
        boundary.wire.settimeout(10)
        select.select([boundary.wire], [], [], 10)
        return True

    with ground() as top:
        found = run(spec(tier, top, "sleep 500"), meanwhile)
        # There was no exit to read, only the end of the wire, or its reset where init had not read.
        assert "JSONDecodeError" in found.error or "ConnectionResetError" in found.error


@both
def test_terminal_is_the_private_one(tier: str) -> None:
    def meanwhile(boundary: Boundary) -> str:
        assert boundary.pty_master is not None
        assert select.select([boundary.pty_master], [], [], 10)[0]
        return os.read(boundary.pty_master, 1000).decode()

    with ground() as top:
        asked = spec(tier, top, "tty; ls /dev/pts >&2", tty=(True, True, False))
        found = run(asked, meanwhile)
        assert found.extra.strip() == "/dev/pts/0"
        assert found.said.split() == ["0", "ptmx"]


def error_of(asked: Any) -> BoundaryError:
    with pytest.raises(BoundaryError) as caught:
        build.start(asked)
    return caught.value


def test_steps_that_fail_are_named_and_leave_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with ground() as top:
        asked = spec(ROOT_TIER, top, "true")
        before = Path("/proc/self/mountinfo").read_text(), os.listdir("/proc/self/fd")
        assert "asked for by root" in error_of(replace(asked, tier=ROOTLESS_TIER)).message
        as_root = replace(asked, command=replace(asked.command, uid=0))
        assert "as root" in error_of(as_root).message
        assert "survey" in error_of(replace(asked, workspace="/nonexistent")).message
        assert "/nonexistent" in error_of(replace(asked, binds=("/nonexistent",))).message
        monkeypatch.setattr(network, "TOOL_DIRECTORIES", ("/nonexistent",))
        failed = error_of(asked)
        assert (failed.message, failed.hint) == ("ip was not found", "install iproute2")
        assert before == (
            Path("/proc/self/mountinfo").read_text(),
            os.listdir("/proc/self/fd"),
        )


def test_ruleset_that_the_kernel_refuses_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sluicegate.boundary.rules.ruleset", lambda: "nonsense")
    with ground() as top:
        assert error_of(spec(ROOT_TIER, top, "true")).message.startswith("nft failed: ")


def test_two_runs_at_once_do_not_meet() -> None:
    with ground() as one, ground() as two:
        first = build.start(spec(ROOT_TIER, one, "true"))
        second = build.start(spec(ROOT_TIER, two, "true"))
        spaces = {os.stat(f"/proc/{b.warden}/ns/net").st_ino for b in (first, second)}
        assert len(spaces) == 2
        first.close()
        first.close()
        second.wire.sendall(b'{"launch":true}\n')
        said = second.wire.makefile("rb")
        assert json.loads(said.readline()) == {"ready": True}
        assert json.loads(said.readline()) == {"exit": {"code": 0}}
        second.close()
    assert subprocess.run(["ip", "netns"], capture_output=True, check=True).stdout == b""


def test_a_child_that_fails_before_it_is_the_warden_is_no_second_supervisor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(_: object) -> None:
        raise OSError("no descriptor is left")

    with ground() as top:
        monkeypatch.setattr(build.Streams, "install", fails)
        # Raised in the parent alone: a child that came back would leave this block as well.
        ours = os.getpid()
        try:
            with pytest.raises(BoundaryError):
                build.start(spec(ROOT_TIER, top, "true"))
        finally:
            if os.getpid() != ours:
                (top / "second").touch()
                os._exit(0)
        assert not (top / "second").exists()
