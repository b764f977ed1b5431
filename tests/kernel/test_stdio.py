"""The command's stdin, stdout and stderr: pipes of ours, never what the caller opened (sluicegate.boundary.streams)."""

from __future__ import annotations

import os
import pty
import socket
import subprocess
import termios
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.conftest import Tier

READS = "import os; print(os.read(0, 99))"


@pytest.fixture
def held() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def start(tier: Tier, script: str, **streams: int) -> subprocess.Popen[str]:
    argv, _ = tier.argv(["/usr/bin/python3", "-c", script], "version: 1\n", "--quiet")
    given = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(
        [*tier.world.enter(tier.user, tier.work), *argv],
        text=True,
        env={"PATH": os.environ["PATH"], "HOME": str(tier.world.directory)},
        **(given | streams),
    )


def run(tier: Tier, script: str, **streams: int) -> tuple[int, str, str]:
    process = start(tier, script, **streams)
    out, err = process.communicate()
    return process.returncode, out, err


def owned(tier: Tier, text: bytes) -> Path:
    """A file that the command may write, were it inside."""
    path = tier.work.parent / "given"
    path.write_bytes(text)
    os.chown(path, tier.work.stat().st_uid, tier.work.stat().st_gid)
    return path


def test_whatever_stdin_is_its_bytes_come_in(tier: Tier, held: ExitStack) -> None:
    out, into = os.pipe()
    one, other = socket.socketpair()
    server = held.enter_context(socket.create_server(("127.0.0.1", 0)))
    client = held.enter_context(socket.create_connection(server.getsockname()))
    peer = held.enter_context(server.accept()[0])
    descriptor = os.open(owned(tier, b"bytes"), os.O_RDONLY)
    for end in (into, other.fileno(), peer.fileno()):
        os.write(end, b"bytes")
    for number in (out, into, descriptor):
        held.callback(os.close, number)
    held.enter_context(one)
    held.enter_context(other)
    for number in (out, one.fileno(), descriptor, client.fileno()):
        assert run(tier, READS, stdin=number) == (0, "b'bytes'\n", "")
    assert run(tier, READS) == (0, "b''\n", "")


KINDS = "import os, stat; print([stat.S_ISFIFO(os.fstat(n).st_mode) for n in (0, 1, 2)])"


def test_the_command_gets_pipes_of_ours(tier: Tier, held: ExitStack) -> None:
    path = owned(tier, b"")
    descriptor = os.open(path, os.O_RDWR)
    held.callback(os.close, descriptor)
    code, _, _ = run(tier, KINDS, stdin=descriptor, stdout=descriptor, stderr=descriptor)
    assert code == 0
    assert path.read_text() == "[True, True, True]\n"


OVER = """
import os
for number in (0, 1, 2):
    for how in (os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_TRUNC):
        try:
            os.write(os.open(f"/proc/self/fd/{number}", how), b"echo taken over\\n")
        except OSError:
            pass
try:
    os.lseek(0, 0, os.SEEK_SET)
except OSError:
    pass
os.set_blocking(0, False)
os.set_blocking(1, False)
"""


def test_a_script_that_an_outer_shell_reads_can_not_be_rewritten(tier: Tier) -> None:
    """`bash < ci.sh`, with the run as one of its lines: neither its text nor its offset is the command's."""
    argv, _ = tier.argv(["/usr/bin/python3", "-c", OVER], "version: 1\n", "--quiet")
    command = " ".join("'" + word.replace("'", "'\\''") + "'" for word in argv)
    text = f"{command} >/dev/null\necho next-$?\n".encode()
    path = owned(tier, text)
    for source in (os.open(path, os.O_RDONLY), os.open(path, os.O_RDWR)):
        done = subprocess.run(
            [*tier.world.enter(tier.user, tier.work), "bash"],
            stdin=source, capture_output=True, text=True, check=False,
            env={"PATH": os.environ["PATH"], "HOME": str(tier.world.directory)},
        )  # fmt: skip
        os.close(source)
        assert "taken over" not in done.stdout, done.stdout
        assert path.read_bytes() == text


def test_a_terminal_that_is_not_stdin_is_not_handed_in(tier: Tier, held: ExitStack) -> None:
    master, slave = pty.openpty()
    for number in (master, slave):
        held.callback(os.close, number)
    before = termios.tcgetattr(slave)
    script = KINDS + "\nos.set_blocking(1, False)\nprint([os.isatty(n) for n in (0, 1, 2)])"
    code, _, _ = run(tier, script, stdout=slave, stderr=slave)
    assert code == 0
    assert os.read(master, 999).split(b"\r\n") == [
        b"[True, True, True]",
        b"[False, False, False]",
        b"",
    ]
    assert termios.tcgetattr(slave) == before
    assert os.get_blocking(slave)


def test_output_is_whole_ordered_and_ends_with_its_reader(tier: Tier) -> None:
    script = "import sys\nfor n in range(20000):\n  print(n); print(n, file=sys.stderr)"
    _, out, err = run(tier, script)
    assert [int(line) for line in out.splitlines()] == list(range(20_000))
    assert [int(line) for line in err.splitlines()] == list(range(20_000))
    # To one place: in the order in which it was written.
    script = "import os\nfor n in range(2000):\n  os.write(1 + n % 2, b'%d\\n' % n)"
    _, both, _ = run(tier, script, stderr=subprocess.STDOUT)
    assert [int(line) for line in both.splitlines()] == list(range(2000))
    process = start(tier, "while True: print('x' * 1000)", stdin=subprocess.DEVNULL)
    assert process.stdout is not None
    assert process.stdout.readline()
    process.stdout.close()
    process.communicate()
    assert process.returncode != 0


def test_programs_may_open_their_streams_by_name(tier: Tier) -> None:
    script = "open('/dev/stdout', 'w').write('out'); open('/dev/stderr', 'w').write('err')"
    assert run(tier, script) == (0, "out", "err")


def test_non_blocking_descriptors_of_the_caller_lose_nothing(tier: Tier, held: ExitStack) -> None:
    out, into = os.pipe()
    given, feed = os.pipe()
    for number in (into, given):
        os.set_blocking(number, False)
    script = "import sys; print('?', flush=True); sys.stdout.write(input() * 300_000)"
    with start(tier, script, stdin=given, stdout=into) as process:
        os.close(given)
        os.close(into)
        # Asked for while there is nothing to read, and written once the pipe is full.
        assert os.read(out, 2) == b"?\n"
        os.write(feed, b"four\n")
        os.close(feed)
        got = bytearray()
        while data := os.read(out, 100):
            got += data
        os.close(out)
    assert process.returncode == 0
    assert got == b"four" * 300_000


@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_output_that_could_not_be_written_is_a_failure(tier: Tier, name: str) -> None:
    number = 1 if name == "stdout" else 2
    with open("/dev/full", "wb") as full:
        code, _, err = run(tier, f"import os; os.write({number}, b'x')", **{name: full.fileno()})
    assert code == 1
    if name == "stdout":
        assert "stdout could not be written: no space left on device" in err


def test_output_that_nobody_wants_is_none(tier: Tier, held: ExitStack) -> None:
    out, into = os.pipe()
    os.close(out)
    held.callback(os.close, into)
    assert (
        run(tier, "import os, signal; signal.signal(13, 1); os.write(1, b'x')", stdout=into)[0] == 0
    )


def test_a_run_whose_time_is_up_does_not_wait_for_a_reader(tier: Tier, held: ExitStack) -> None:
    out, into = os.pipe()
    for number in (out, into):
        held.callback(os.close, number)
    argv, packet = tier.argv(["yes"], "version: 1\n", "--timeout", "1")
    process = subprocess.Popen(
        [*tier.world.enter(tier.user, tier.work), *argv],
        stdin=subprocess.DEVNULL, stdout=into, stderr=subprocess.PIPE, text=True,
        env={"PATH": os.environ["PATH"], "HOME": str(tier.world.directory)},
    )  # fmt: skip
    # Nothing reads `out`: without an end of the wait this would never come back.
    _, err = process.communicate(timeout=60)
    assert process.returncode == 124, err
    assert (packet / "packet.json").exists()
