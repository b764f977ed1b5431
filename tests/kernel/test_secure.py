"""TLS over a socket of ours: what is sent, what is left, and what the kernel counts of it."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from subprocess import DEVNULL, PIPE

import pytest

from sluicegate.gate.authority import Authority
from sluicegate.gate.loop import Loop
from sluicegate.gate.secure import Handshake, Secure

NAME = "a.example"
AUTHORITY = Authority(frozenset({("a.example", False)}), "test")


def trusting() -> ssl.SSLContext:
    return ssl.create_default_context(cadata=AUTHORITY.pem.decode())


@contextlib.contextmanager
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A TCP connection over loopback, as the kernel's counts need one."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname())
        theirs, _ = listener.accept()
    with ours, theirs:
        ours.setblocking(False)
        theirs.settimeout(20)
        yield ours, theirs


@contextlib.contextmanager
def joined(peer: Callable[[ssl.SSLSocket], None]) -> Iterator[tuple[Secure, list[int]]]:
    """Our side as the server, its handshake done; `peer` has the other end on a thread. What was told at its close."""
    told = list[int]()
    with ends() as (ours, theirs):

        def serve() -> None:
            with trusting().wrap_socket(theirs, server_hostname=NAME) as far:
                peer(far)

        thread = threading.Thread(target=serve)
        thread.start()
        secure = Secure(ours, AUTHORITY.context(NAME), told=lambda *both: told.extend(both))
        loop, done = Loop(), list[OSError | None]()
        Handshake(loop, secure, 20, done.append).start()
        while not done:
            loop.turn(1.0)
        assert done == [None]
        try:
            yield secure, told
        finally:
            thread.join(20)
            loop.close()


def wait(secure: Secure, *, write: bool = False) -> None:
    poll = select.poll()
    poll.register(secure.fileno(), select.POLLOUT if write else select.POLLIN)
    assert poll.poll(20_000)


def read(secure: Secure, size: int) -> bytes:
    found = b""
    while len(found) < size:
        try:
            piece = secure.recv(65_536)
        except BlockingIOError:
            wait(secure)
            continue
        if not piece:
            break
        found += piece
    return found


def test_more_than_the_peer_takes_is_sent_when_it_does() -> None:
    body, got, go = bytes(range(256)) * 40_000, list[bytes](), threading.Event()

    def peer(far: ssl.SSLSocket) -> None:
        go.wait(20)
        found = b""
        while len(found) < len(body):
            found += far.recv(65_536)
        got.append(found)

    with joined(peer) as (secure, told):
        left, blocked = bytearray(body), 0
        while left:
            try:
                del left[: secure.send(left)]
            except BlockingIOError:
                blocked += 1
                assert secure.blocked
                go.set()
                wait(secure, write=True)
        secure.close()
        sent, kernel = told
        assert sent == kernel > len(body)
        assert blocked
    assert got == [body]


def test_the_end_of_a_stream_is_said_and_its_cutting_off_is_not_taken_for_one() -> None:
    for whole in (True, False):

        def peer(far: ssl.SSLSocket, *, whole: bool = whole) -> None:
            far.sendall(b"all of it")
            if whole:
                with contextlib.suppress(OSError):
                    far.unwrap()
            else:
                far.shutdown(socket.SHUT_RDWR)

        with joined(peer) as (secure, _):
            assert read(secure, 9) == b"all of it"
            if whole:
                assert read(secure, 1) == b""
            else:
                with pytest.raises(ConnectionResetError):
                    read(secure, 1)
            secure.close()


def test_a_peer_that_speaks_no_tls() -> None:
    with ends() as (ours, theirs):
        theirs.sendall(b"GET / HTTP/1.1\r\n\r\n")
        secure = Secure(ours, AUTHORITY.context(NAME), told=lambda *_: None)
        loop, done = Loop(), list[OSError | None]()
        Handshake(loop, secure, 20, done.append).start()
        while not done:
            loop.turn(1.0)
        assert isinstance(done[0], ssl.SSLError)
        loop.close()


@pytest.mark.parametrize("before", [b"", b"hello\n"])
def test_what_openssl_says_by_itself_while_we_read_is_sent(before: bytes) -> None:
    """A client of TLS 1.2 that wants to negotiate again is told that this is not done, or it would wait for ever."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        where = f"127.0.0.1:{listener.getsockname()[1]}"
        argv = ["openssl", "s_client", "-connect", where, "-servername", NAME, "-tls1_2"]
        with subprocess.Popen(argv, stdin=PIPE, stdout=DEVNULL, stderr=DEVNULL, bufsize=0) as peer:
            ours, _ = listener.accept()
            assert peer.stdin is not None
            with ours:
                ours.setblocking(False)
                secure = Secure(ours, AUTHORITY.context(NAME), told=lambda *_: None)
                loop, done = Loop(), list[OSError | None]()
                Handshake(loop, secure, 20, done.append).start()
                while not done:
                    loop.turn(1.0)
                assert done == [None]
                loop.close()
                sent, size = secure.sent, 0
                if before:
                    peer.stdin.write(before)
                    size = arrived(ours, 0)
                peer.stdin.write(b"R\n")  # its command for that
                arrived(ours, size)
                if before:
                    assert secure.recv(65_536) == before
                else:
                    # Nothing; or the client has given up by now, and says so.
                    with pytest.raises(OSError, match=r"unavailable|ALERT"):
                        secure.recv(65_536)
                # One alert: its record's head, two bytes, and what encryption adds.
                assert 0 < secure.sent - sent < 64
            peer.stdin.close()


def arrived(peer: socket.socket, size: int) -> int:
    """How many bytes wait to be read, once they are more than `size`."""
    while True:
        select.select((peer,), (), (), 20)
        with contextlib.suppress(BlockingIOError):
            if (found := len(peer.recv(65_536, socket.MSG_PEEK))) > size:
                return found
