"""What may be the command's stdin, stdout and stderr, and what would be a way out."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.conftest import Tier

READS = "import os; print(os.read(0, 99))"


@pytest.fixture
def held() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def run(tier: Tier, stdin: int, script: str = READS) -> tuple[int, str, str]:
    argv, _ = tier.argv(["/usr/bin/python3", "-c", script], "version: 1\n")
    done = subprocess.run(
        [*tier.world.enter(tier.user, tier.work), *argv],
        stdin=stdin,
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"], "HOME": str(tier.world.directory)},
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def refused(tier: Tier, stdin: int) -> None:
    code, out, err = run(tier, stdin)
    assert code == 125
    assert out == ""
    assert "descriptor 0 is" in err
    assert "a way round the wall" in err


def test_pipes_files_and_local_pairs_are_streams(tier: Tier, held: ExitStack) -> None:
    out, into = os.pipe()
    one, other = socket.socketpair()
    file = tier.work.parent / "given"
    file.write_bytes(b"bytes")
    for end in (into, other.fileno()):
        os.write(end, b"bytes")
    descriptor = os.open(file, os.O_RDONLY)
    for number in (out, into, descriptor):
        held.callback(os.close, number)
    held.enter_context(one)
    held.enter_context(other)
    for number in (out, one.fileno(), descriptor):
        assert run(tier, number)[:2] == (0, "b'bytes'\n")


def test_a_connection_to_the_network_is_not_handed_in(tier: Tier, held: ExitStack) -> None:
    server = held.enter_context(socket.create_server(("127.0.0.1", 0)))
    client = held.enter_context(socket.create_connection(server.getsockname()))
    for sock in (client, server, held.enter_context(socket.socket(type=socket.SOCK_DGRAM))):
        refused(tier, sock.fileno())


def test_a_local_socket_that_may_choose_its_peer_is_not_handed_in(
    tier: Tier, held: ExitStack
) -> None:
    pair = socket.socketpair(type=socket.SOCK_DGRAM)
    loose = socket.socket(socket.AF_UNIX)
    for sock in (*pair, loose):
        held.enter_context(sock)
        refused(tier, sock.fileno())


def test_handles_of_the_kernel_are_not_handed_in(tier: Tier, held: ExitStack) -> None:
    namespace = os.open("/proc/self/ns/net", os.O_RDONLY)
    for number in (namespace, os.pidfd_open(os.getpid()), os.eventfd(0)):
        held.callback(os.close, number)
        refused(tier, number)
