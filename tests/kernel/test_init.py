"""The boundary's first process and its command, for real: sluicegate.boundary.init and .privilege."""

from __future__ import annotations

import ctypes
import json
import os
import pty
import re
import resource
import select
import signal
import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import NoReturn

import pytest

from sluicegate.boundary import privilege, syscalls
from sluicegate.boundary.init import LIBC_SIGNALS, init
from sluicegate.boundary.model import Command
from sluicegate.boundary.numbers import MACHINES

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
    tier: str,
    *argv: str,
    with_tty: bool = False,
    cwd: str = "/",
    launch: bool = True,
    stdin: str = "/dev/null",
    env: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[Inside]:
    rootless = tier == "netns-rootless"
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"} | dict(env)
    groups = () if rootless else (GID, GID + 1)
    command = Command(
        *(argv, tuple(environment.items()), cwd, UID, GID, groups, rootless),
        tty=(with_tty, with_tty, with_tty),
    )
    ours, theirs = socket.socketpair()
    master, slave = pty.openpty() if with_tty else (None, None)
    reading, writing = os.pipe()
    given = os.open(stdin, os.O_RDONLY)
    if slave is not None and rootless and os.geteuid() == 0:
        os.fchown(slave, UID + 7, GID + 7)
    pid = os.fork()
    if pid == 0:
        with ExitStack() as always:
            always.callback(os._exit, 99)
            ours.close()
            for number, fd in enumerate((given, writing, writing)):
                os.dup2(fd, number)
            os.close(reading)
            os.close(writing)
            if master is not None:
                os.close(master)
            _warden(tier, command, theirs, slave)
    theirs.close()
    os.close(given)
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


def outcome(tier: str, *argv: str, cwd: str = "/", **env: str) -> tuple[dict[str, object], str]:
    with start(tier, *argv, cwd=cwd, env=env) as inside:
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
def test_no_core_dump_reaches_the_host(tier: str) -> None:
    """A limit of 1, not 0: with 0 the kernel still starts a core handler that takes dumps by pipe."""
    _, said = outcome(tier, "grep", "^Max core file size", "/proc/self/limits")
    # Unless somebody set 0 for good, as sudo does, and this root may not raise it.
    allowed = "0" if resource.getrlimit(resource.RLIMIT_CORE)[1] == 0 else "1"
    assert said.split()[4:6] in (["1", "1"], [allowed] * 2)


@tier
def test_signals_that_a_starter_ignored_are_the_command_s_again(tier: str) -> None:
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (1, 2, 3, 13, 15)}
    ignore_reserved()
    try:
        _, said = outcome(tier, "grep", "^SigIgn", "/proc/self/status")
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for number in LIBC_SIGNALS:
            privilege.default_action(number)
    assert said.split() == ["SigIgn:", "0" * 16]


def ignore_reserved() -> None:
    """What no library call does: SIG_IGN for the signals that libc keeps for itself."""
    libc, action = ctypes.CDLL(None, use_errno=True), bytes([1]) + bytes(63)
    call = MACHINES[os.uname().machine].number("rt_sigaction")
    for number in LIBC_SIGNALS:
        assert libc.syscall(call, number, action, None, 8) == 0


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


@tier
def test_orphans_are_reaped_and_end_with_the_run(tier: str) -> None:
    script = (
        "(setsid sh -c 'echo $$ > /dev/null; sleep 600' &) ;"
        "(sh -c 'exit 3' &) ; (sh -c 'kill -9 $$' &) ; echo up; read -r never < /dev/null; sleep 0.2;"
        "grep -l '^State:.Z' /proc/[0-9]*/status; echo checked; sleep 0.1; exit 5"
    )
    with start(tier, "sh", "-c", script) as inside:
        assert inside.hear() == {"exit": {"code": 5}}
        assert b"/status" not in inside.said
        # The daemon still holds the pipe: only the end of the wire takes it away.
        inside.close()
        assert inside.output == -1
        assert inside.said.endswith(b"checked\n")


@tier
def test_the_supervisor_s_death_is_everybody_s(tier: str) -> None:
    with start(
        tier, "sh", "-c", "trap '' TERM HUP INT; echo up; while :; do sleep 600; done"
    ) as it:
        it.until(b"up\n")
        it.close()
        assert it.output == -1


@tier
def test_nothing_starts_before_it_is_launched(tier: str) -> None:
    with start(tier, "sh", "-c", "echo ran", launch=False) as inside:
        inside.send(signal=15)
        inside.close()
        assert inside.said == b""


# The parent stays, and tells how the signal ended its child.
GROUP = """
import os, signal
signal.signal(10, lambda *_: None)
child = os.fork()
if child == 0:
    signal.signal(10, lambda *_: os._exit(4))
    os.write(1, b"up\\n")
    while True:
        signal.pause()
os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@tier
def test_signals_reach_the_command_s_group(tier: str) -> None:
    with start(tier, PYTHON, "-c", GROUP) as inside:
        inside.until(b"up\n")
        inside.send(signal=10)
        assert inside.finish() == {"code": 4}
    with start(tier, "sh", "-c", "echo up; exec sleep 600") as inside:
        inside.until(b"up\n")
        inside.send(signal=2)
        assert inside.finish() == {"signal": 2}


DIRECTORY = "the command was not started: descriptor 0 is a directory"


@tier
def test_a_directory_of_the_host_is_not_handed_in(tier: str) -> None:
    with start(tier, "ls", stdin="/") as inside:
        assert inside.finish() == {"code": 125, "error": DIRECTORY}


REFUSALS = """
import ctypes, errno, os, socket
libc = ctypes.CDLL(None, use_errno=True)
def call(name, number, *args):
    ctypes.set_errno(0)
    result = libc.syscall(number, *args)
    print(name, "done" if result >= 0 else errno.errorcode[ctypes.get_errno()])
def sock(name, *args):
    try:
        socket.socket(*args).close()
        print(name, "done")
    except OSError as error:
        print(name, errno.errorcode[error.errno])
arm = os.uname().machine == "aarch64"
call("io_uring_setup", 425, 8, None)
call("ptrace", 117 if arm else 101, 0, 0, 0, 0)
call("unshare", 97 if arm else 272, 0x10000000)
call("setns", 268 if arm else 308, 0, 0)
call("clone3", 435, None, 0)
call("bpf", 280 if arm else 321, 0, None, 0)
call("keyctl", 219 if arm else 250, 0, -3, 0)
call("mount", 40 if arm else 165, None, None, None, 0, None)
call("pidfd_getfd", 438, 0, 0, 0)
call("unknown", 9999)
call("setuid", 146 if arm else 105, 0)
sock("packet", 17, socket.SOCK_RAW)
sock("vsock", 40, socket.SOCK_STREAM)
sock("alg", 38, socket.SOCK_SEQPACKET)
sock("raw", socket.AF_INET, socket.SOCK_RAW, 1)
sock("ping", socket.AF_INET, socket.SOCK_DGRAM, 1)
sock("mptcp", socket.AF_INET, socket.SOCK_STREAM, 262)
sock("sctp", socket.AF_INET6, socket.SOCK_STREAM, 132)
sock("udplite", socket.AF_INET, socket.SOCK_DGRAM, 136)
sock("nflog", socket.AF_NETLINK, socket.SOCK_RAW, 12)
sock("tcp", socket.AF_INET, socket.SOCK_STREAM)
sock("udp6", socket.AF_INET6, socket.SOCK_DGRAM)
sock("unix", socket.AF_UNIX, socket.SOCK_SEQPACKET)
sock("route", socket.AF_NETLINK, socket.SOCK_RAW, 0)
import threading
threading.Thread(target=print, args=("thread", "done")).start()
"""


@tier
def test_the_filter_as_the_command_meets_it(tier: str) -> None:
    exited, said = outcome(tier, PYTHON, "-c", REFUSALS)
    assert exited == {"code": 0}
    answers = dict(line.split() for line in said.splitlines())
    zero = answers.pop("setuid")
    by_answer: dict[str, set[str]] = {}
    for name, answer in answers.items():
        by_answer.setdefault(answer, set()).add(name)
    assert by_answer == {
        "done": {"tcp", "udp6", "unix", "route", "thread"},
        "ENOSYS": {"clone3", "unknown"},
        "EAFNOSUPPORT": {"packet", "vsock", "alg"},
        "EPROTONOSUPPORT": {"mptcp", "sctp", "udplite", "nflog"},
        "EPERM": {
            *("io_uring_setup", "ptrace", "unshare", "setns", "bpf", "keyctl", "mount"),
            *("pidfd_getfd", "raw", "ping"),
        },
    }
    # In the nested namespace 0 stands for nobody, so it is not even a number to ask for.
    assert zero == ("EPERM" if tier == "netns-root" else "EINVAL")


@tier
def test_a_setuid_program_gains_nothing(tier: str) -> None:
    exited, said = outcome(
        tier, "sh", "-c", "unshare -Ur id; su -c id </dev/null; sudo -n id; id -u"
    )
    assert exited == {"code": 0}
    assert "uid=0" not in said
    assert said.endswith(f"{UID}\n")


@tier
def test_a_terminal_of_its_own(tier: str) -> None:
    with start(
        tier, "sh", "-c", "tty; ps -o tty= -p $$; read -r x; echo got $x", with_tty=True
    ) as it:
        it.until(b"\n")
        assert it.master is not None
        os.write(it.master, b"word\n")
        assert it.finish() == {"code": 0}
        assert b"got word\r\n" in it.said


@tier
def test_control_c_is_for_the_foreground_of_the_inner_terminal(tier: str) -> None:
    with start(tier, "sh", "-c", "echo up; exec sleep 600", with_tty=True) as it:
        it.until(b"up\r\n")
        assert it.master is not None
        os.write(it.master, b"\x03")
        assert it.finish() == {"signal": 2}


@tier
def test_job_control_works(tier: str) -> None:
    with start(tier, "bash", "--norc", "--noediting", "-i", with_tty=True, env={"PS1": "$ "}) as it:
        it.until(b"$ ")
        assert it.master is not None
        os.write(it.master, b"cat | cat\n")
        os.write(it.master, b"through\n")
        it.until(b"through\r\nthrough\r\n")
        os.write(it.master, b"\x1a")
        it.until(b"Stopped")
        os.write(it.master, b"echo here; fg\n")
        it.until(b"here\r\ncat | cat\r\n")
        os.write(it.master, b"again\n")
        it.until(b"again\r\nagain\r\n")
        os.write(it.master, b"\x03")
        it.until(b"^C\r\n$ ")
        os.write(it.master, b"exit 6\n")
        assert it.finish() == {"code": 6}
        assert b"no job control" not in it.said


@tier
def test_the_last_words_on_a_terminal_are_not_lost(tier: str) -> None:
    script = "seq 1 30000; sleep 600 & echo end"
    with start(tier, "sh", "-c", script, with_tty=True) as it:
        it.until(b"end\r\n")
        assert it.finish() == {"code": 0}
        assert it.said.split() == [str(n).encode() for n in range(1, 30001)] + [b"end"]
