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
