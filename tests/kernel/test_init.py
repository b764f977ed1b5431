"""The boundary's first process and its command, for real: sluicegate.boundary.init and .privilege."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import pytest

from sluicegate.boundary import privilege, syscalls
from sluicegate.boundary.init import init
from sluicegate.boundary.model import Command

TIERS = ("netns-root", "netns-rootless") if os.geteuid() == 0 else ("netns-rootless",)
UID, GID = 61500, 61501
PATIENCE_MS = 20_000  # for a loaded machine; a test that waits this long has failed
# Every user's, unlike the interpreter that runs the tests.
PYTHON = "/usr/bin/python3"

tier = pytest.mark.parametrize("tier", TIERS)


@dataclass
class Inside:
    """One boundary without network or file system: the wire to init, and the command's output."""

    wire: socket.socket
    warden: int
    output: int
    master: int | None = None
    pending: bytes = b""
    said: bytes = b""
    messages: list[dict[str, object]] = field(default_factory=list)

    def send(self, **message: object) -> None:
        self.wire.sendall(json.dumps(message).encode() + b"\n")

    def hear(self) -> dict[str, object]:
        """The next message, output collected meanwhile; {} when the wire has ended."""
        while b"\n" not in self.pending:
            if self.wire.fileno() in self.wait():
                try:
                    got = self.wire.recv(4096)
                except ConnectionResetError:
                    got = b""
                if not got:
                    return {}
                self.pending += got
        line, _, self.pending = self.pending.partition(b"\n")
        heard = json.loads(line)
        assert isinstance(heard, dict)
        return heard

    def wait(self) -> set[int]:
        poll = select.poll()
        poll.register(self.wire, select.POLLIN)
        if self.output >= 0:
            poll.register(self.output, select.POLLIN)
        ready = {fd for fd, _ in poll.poll(PATIENCE_MS)}
        assert ready, "nothing happened"
        if self.output in ready:
            with suppress(OSError):  # EIO: the last holder of a terminal is gone
                got = os.read(self.output, 65536)
                self.said += got
                if got:
                    return ready
            self.output = -1
        return ready

    def until(self, text: bytes) -> None:
        while text not in self.said:
            assert self.output >= 0, self.said
            self.wait()

    def finish(self) -> dict[str, object]:
        """The exit message; then the wire is closed and everything inside must be gone."""
        heard = self.hear()
        exited = heard["exit"]
        assert isinstance(exited, dict)
        self.close()
        return exited

    def close(self) -> None:
        self.wire.close()
        if self.warden:
            os.waitpid(self.warden, 0)
            self.warden = 0
        while self.output >= 0:
            poll = select.poll()
            poll.register(self.output, select.POLLIN)
            assert poll.poll(PATIENCE_MS)
            try:
                got = os.read(self.output, 65536)
            except OSError:
                got = b""
            self.said += got
            if not got:
                self.output = -1


def _warden(tier: str, command: Command, wire: socket.socket, slave: int | None) -> NoReturn:
    """A process that makes the namespaces and whose child is init; ends when init does."""
    kinds = syscalls.CLONE_NEWPID | syscalls.CLONE_NEWNS | syscalls.CLONE_NEWIPC
    if tier == "netns-rootless":
        if os.geteuid() == 0:
            os.setgroups(())
            os.setresgid(GID + 7, GID + 7, GID + 7)
            os.setresuid(UID + 7, UID + 7, UID + 7)
            privilege.set_dumpable(True)  # or the files below are root's
        uid, gid = os.geteuid(), os.getegid()
        syscalls.unshare(syscalls.CLONE_NEWUSER)
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
        Path("/proc/self/gid_map").write_text(f"0 {gid} 1")
    syscalls.unshare(kinds)
    pid = os.fork()
    if pid == 0:
        syscalls.mount("none", "/", "", syscalls.MS_REC | syscalls.MS_PRIVATE)
        syscalls.mount("proc", "/proc", "proc")
        init(command, wire, slave)
    wire.close()
    if slave is not None:
        os.close(slave)
    os.waitpid(pid, 0)
    os._exit(0)


@contextmanager
def start(
    tier: str, *argv: str, with_tty: bool = False, cwd: str = "/", launch: bool = True, **env: str
) -> Iterator[Inside]:
    rootless = tier == "netns-rootless"
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"} | env
    groups = () if rootless else (GID, GID + 1)
    command = Command(
        *(argv, tuple(environment.items()), cwd, UID, GID, groups, rootless),
        tty=(with_tty, with_tty, with_tty),
    )
    ours, theirs = socket.socketpair()
    master, slave = pty.openpty() if with_tty else (None, None)
    reading, writing = os.pipe()
    nothing = os.open("/dev/null", os.O_RDONLY)
    if slave is not None and rootless and os.geteuid() == 0:
        os.fchown(slave, UID + 7, GID + 7)
    pid = os.fork()
    if pid == 0:
        with ExitStack() as always:
            always.callback(os._exit, 99)
            ours.close()
            for number, fd in enumerate((nothing, writing, writing)):
                os.dup2(fd, number)
            os.close(reading)
            os.close(writing)
            if master is not None:
                os.close(master)
            _warden(tier, command, theirs, slave)
    theirs.close()
    os.close(nothing)
    os.close(writing)
    if slave is not None:
        os.close(slave)
    inside = Inside(ours, pid, reading if master is None else master, master)
    try:
        assert inside.hear() == {"ready": True}
        if launch:
            inside.send(launch=True)
        yield inside
    finally:
        inside.close()
        os.close(reading)
        if master is not None:
            os.close(master)


def outcome(tier: str, *argv: str, **more: str) -> tuple[dict[str, object], str]:
    with start(tier, *argv, cwd=more.pop("cwd", "/"), **more) as inside:
        exited = inside.finish()
        return exited, inside.said.decode()


@tier
def test_identity_capabilities_and_filter_as_the_kernel_states_them(tier: str) -> None:
    exited, said = outcome(tier, "cat", "/proc/self/status")
    assert exited == {"code": 0}
    status = dict(re.findall(r"^(\w+):\t(.*?)\s*$", said, re.MULTILINE))
    assert status["Uid"].split() == [str(UID)] * 4
    assert status["Gid"].split() == [str(GID)] * 4
    sets = {status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")}
    assert sets == {"0" * 16}
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    assert (status["SigBlk"], status["SigIgn"], status["SigCgt"]) == ("0" * 16,) * 3
    if tier == "netns-root":
        assert status["Groups"].split() == [str(GID), str(GID + 1)]


@tier
def test_init_itself_keeps_one_power(tier: str) -> None:
    _, said = outcome(tier, "cat", "/proc/1/status", "/proc/1/cmdline")
    status = dict(re.findall(r"^(\w+):\t(.*?)\s*$", said, re.MULTILINE))
    for name in ("CapPrm", "CapEff"):
        assert status[name] == f"{1 << 5:016x}"
    assert {status[name] for name in ("CapInh", "CapBnd", "CapAmb")} == {"0" * 16}
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    assert "sluicegate: init" in said
    assert "pytest" not in said


@tier
def test_init_can_not_be_looked_into_or_ended(tier: str) -> None:
    script = "cat /proc/1/environ; ls /proc/1/fd; kill -9 1; kill -TERM 1; kill -CHLD 1; kill -USR1 1; echo on"
    exited, said = outcome(tier, "sh", "-c", script)
    assert exited == {"code": 0}
    assert said.count("ermission denied") >= 2
    assert said.endswith("on\n")


@tier
@pytest.mark.parametrize(
    ("script", "exited"),
    [
        ("exit 0", {"code": 0}),
        ("exit 7", {"code": 7}),
        ("kill -TERM $$", {"signal": 15}),
        ("kill -SEGV $$", {"signal": 11}),
    ],
)
def test_the_exit_is_the_command_s_own(tier: str, script: str, exited: dict[str, int]) -> None:
    assert outcome(tier, "sh", "-c", script)[0] == exited


@tier
def test_what_can_not_be_executed_says_so(tier: str, tmp_path: Path) -> None:
    assert outcome(tier, "no-such-program")[0] == {
        "code": 127,
        "error": "command not found: no-such-program",
    }
    assert outcome(tier, "/no/such")[0]["code"] == 127
    assert outcome(tier, "/etc/passwd")[0] == {
        "code": 126,
        "error": "cannot execute /etc/passwd: Permission denied",
    }
    assert outcome(tier, "/usr")[0]["code"] == 126
    nowhere = outcome(tier, "true", cwd="/no/such/directory")[0]
    assert nowhere["code"] == 125
    assert "/no/such/directory" in str(nowhere["error"])


@tier
def test_the_path_is_the_command_s_own(tier: str) -> None:
    assert outcome(tier, "true", PATH="/no/such")[0]["code"] == 127
    assert outcome(tier, "true", PATH="/no/such:/bin")[0] == {"code": 0}


@tier
def test_umask_directory_and_environment(tier: str) -> None:
    before = os.umask(0o027)
    try:
        _, said = outcome(tier, "sh", "-c", "umask; pwd; env | sort", cwd="/usr", WORD="x y")
    finally:
        os.umask(before)
    lines = said.splitlines()
    assert lines[:2] == ["0027", "/usr"]
    assert "WORD=x y" in lines
    assert {line.partition("=")[0] for line in lines[2:]} <= {
        "PATH",
        "WORD",
        "PWD",
        "_",
        "OLDPWD",
        "SHLVL",
    }


@tier
def test_only_the_standard_descriptors_are_open(tier: str) -> None:
    exited, said = outcome(
        tier, PYTHON, "-c", "import os; print(sorted(os.listdir('/proc/self/fd')))"
    )
    # The fourth is the listing's own.
    assert (exited, said) == ({"code": 0}, "['0', '1', '2', '3']\n")
