"""What goes on for long: many requests over one connection, events one by one, a stream of a day, open ends.

`sluicegate.gate.exchange` and `sluicegate.gate.opened`. The gate whose memory is measured is a process of its own.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import ssl
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from sluicegate.facts import Facts, Protocol
from sluicegate.gate import loop as looping
from sluicegate.gate.authority import Authority
from sluicegate.gate.exchange import Exchange, Result
from sluicegate.gate.limits import Limits
from sluicegate.gate.lookup import Lookup
from sluicegate.gate.loop import SECOND, Loop
from sluicegate.gate.opened import Opener
from sluicegate.gate.serve import serve_from
from sluicegate.gate.upstream import Upstream
from sluicegate.gate.vault import Vault
from sluicegate.policy.model import Policy, Rule
from sluicegate.wire.http import read_request_head
from tests.kernel.gatehouse import Server, gate, local, named, read_all
from tests.kernel.test_exchange import free, joined
from tests.kernel.test_opened import NAME, Site, house
from tests.kernel.test_passage import HOSTS

REQUESTS = 10_000
WARM = 2_000
# Allocators give back in their own time; what were kept of 8,000 requests would be more, at a hundredth of a receipt.
FLAT_BYTES = 1_048_576
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"


def resident(pid: int) -> int:
    """Bytes of the process that are in memory, but for its files: those of libraries come whenever they are used."""
    (line,) = (x for x in Path(f"/proc/{pid}/status").read_text().splitlines() if "RssAnon" in x)
    return int(line.split()[1]) * 1024


def commit(peer: socket.socket) -> None:
    """A notary that keeps nothing."""
    count = 0
    with contextlib.suppress(OSError):
        while data := peer.recv(262_144):
            count += data.count(b"\n")
            peer.sendall(b'{"committed":%d}\n' % count)


@contextlib.contextmanager
def apart(
    policy: Policy, port: int, opener: Opener | None, vault: Vault | None = None
) -> Iterator[tuple[Callable[[], socket.socket], int]]:
    """How to connect to a gate in a process of its own, and its pid; all leads to `port` of loopback."""
    listener = socket.create_server(("127.0.0.1", 0))
    (ours, theirs), (control, its) = socket.socketpair(), socket.socketpair()
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", DeprecationWarning
        )  # the other threads serve, and hold no lock of the gate's
        pid = os.fork()
    if not pid:
        try:
            names = Lookup(lambda _: ("127.0.0.1",))
            ends = (listener, None, None, None, theirs, its)
            known = (names, ends, (policy,), Limits(), (), None, opener, vault)
            serve_from(lambda _: ("192.0.2.1", port), *known)
        finally:
            os._exit(0)
    with listener, ours, theirs, control, its:
        threading.Thread(target=commit, args=(ours,), daemon=True).start()
        try:
            yield lambda: socket.create_connection(listener.getsockname(), timeout=20), pid
        finally:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def echo(asked: list[bytes]) -> Callable[[socket.socket], None]:
    """Answers each request with its path."""

    def handle(peer: socket.socket) -> None:
        data = b""
        while piece := peer.recv(65_536):
            *heads, data = (data + piece).split(b"\r\n\r\n")
            for head in heads:
                path = head.split(b" ", 2)[1]
                asked.append(path)
                peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(path), path))

    return handle


def secured(site: Site, handle: Callable[[socket.socket], None]) -> Callable[[socket.socket], None]:
    """`handle` behind the TLS of `site`."""

    def serve(raw: socket.socket) -> None:
        with site.context.wrap_socket(raw, server_side=True) as peer:
            handle(peer)
            with contextlib.suppress(OSError):
                peer.unwrap()  # says that this is the end, which `close` does not

    return serve


@pytest.mark.parametrize("opened", [False, True], ids=["clear", "opened"])
def test_10_000_requests_over_one_connection_in_order_and_flat_memory(
    opened: bool, tmp_path: Path
) -> None:
    asked, opener, host = list[bytes](), None, "ok.test"
    handle = echo(asked)
    if opened:
        site, host = Site(tmp_path), NAME
        handle = secured(site, handle)
        opener = Opener(Authority(frozenset({("example", True)}), "test"), Upstream((site.root,)))
    server = Server(handle)
    rule = Rule("allow[0] p:0", host=host, ports=(server.port,), inspect=True)
    with apart(Policy("p", allow=(rule, local(server.port))), server.port, opener) as (
        connect,
        pid,
    ):
        client = connect()
        if opener is not None:
            context = ssl.create_default_context(cadata=opener.authority.pem.decode())
            client = context.wrap_socket(client, server_hostname=host)
        before = 0
        with client:
            for number in range(REQUESTS):
                client.sendall(
                    b"GET /%d HTTP/1.1\r\nHost: %b:%d\r\n\r\n"
                    % (number, host.encode(), server.port)
                )
                path, said = b"/%d" % number, b""
                while not said.endswith(b"\r\n\r\n" + path):
                    said += client.recv(65_536)
                if number == WARM:
                    before = resident(pid)
            grown = resident(pid) - before
    assert asked == [b"/%d" % number for number in range(REQUESTS)]
    assert server.accepted == 1
    assert grown < FLAT_BYTES


class Events:
    """A server that sends the next event when it is told that the last one was received."""

    def __init__(self, framing: bytes, count: int) -> None:
        self.framing, self.count, self.heard = framing, count, threading.Semaphore(0)

    def __call__(self, peer: socket.socket) -> None:
        peer.recv(65_536)
        peer.sendall(HEAD + self.framing + b"\r\n")
        chunked = bool(self.framing)
        for number in range(self.count):
            assert self.heard.acquire(timeout=20)
            event = b"data: %d\n\n" % number
            peer.sendall(b"%x\r\n%b\r\n" % (len(event), event) if chunked else event)
        if chunked:
            peer.sendall(b"0\r\n\r\n")


@pytest.mark.parametrize(
    "framing", [b"", b"Transfer-Encoding: chunked\r\n"], ids=["close", "chunks"]
)
@pytest.mark.parametrize("opened", [False, True], ids=["clear", "opened"])
def test_events_come_one_by_one(opened: bool, framing: bytes, tmp_path: Path) -> None:
    """Each is sent only when the one before has arrived: with any buffering the first would be the last."""
    events, count = Events(framing, 500), 500

    def follow(client: socket.socket, host: str, port: int) -> None:
        client.sendall(f"GET /events HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
        said = b""
        while not said.endswith(b"\r\n\r\n"):
            said += client.recv(65_536)
        for number in range(count):
            events.heard.release()
            event, said = b"data: %d\n\n" % number, b""
            while event not in said:
                said += client.recv(65_536)
        if framing:
            while not said.endswith(b"\r\n0\r\n\r\n"):
                said += client.recv(65_536)
        else:
            assert read_all(client) == b""

    if not opened:
        server = Server(events)
        with gate(named(server.port, "ok.test"), names=HOSTS) as place:
            place.to = ("192.0.2.1", server.port)
            follow(place.connect(), "ok.test", server.port)
            assert place.notary.outcome()["flow"]["outcome"] == "complete"
        return
    site = Site(tmp_path)
    site.server = Server(secured(site, events))
    rule = Rule("allow[0] p:0", host=NAME, ports=(site.server.port,), inspect=True)
    with house(site, rule) as within:
        follow(within.connect(), NAME, site.server.port)
        end = within.gate.notary.outcome()["flow"]
        assert (end["protocol"], end["outcome"]) == ("https", "complete")


def test_a_stream_of_a_day_is_not_idle_and_its_silence_is(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=0)
    monkeypatch.setattr(looping, "time", SimpleNamespace(monotonic_ns=lambda: clock.now))
    (ours, theirs), (gate_side, client) = joined(), joined()
    ended = list[Result]()
    with ours, theirs, gate_side, client:
        loop = Loop()
        for peer in (ours, gate_side, client):
            peer.setblocking(False)
        request = read_request_head(b"GET / HTTP/1.1\r\nHost: ok.test\r\n\r\n")
        assert request is not None
        facts = Facts(Protocol.HTTP, "192.0.2.1", 80, host="ok.test")
        limits = Limits()
        known = (loop, gate_side, ours, request, facts, free(facts), b"", limits)
        Exchange(*known, ended.append).start()
        theirs.sendall(HEAD + b"\r\n")
        pause = limits.idle_http_s / 3
        for number in range(int(24 * 3600 / pause)):
            event, said = b"data: %d\n\n" % number, b""
            theirs.sendall(event)
            while event not in said:
                loop.turn(0)
                with contextlib.suppress(BlockingIOError):
                    said += client.recv(65_536)
            clock.now += int(pause * SECOND)
            loop.turn(0)
            assert not ended, number
        clock.now += int(2 * limits.idle_http_s * SECOND)
        loop.turn(0)
        clock.now += int(2 * limits.idle_http_s * SECOND)
        loop.turn(0)
        assert [end.reason for end in ended] == ["idle for too long"]
        loop.close()


def test_bodies_of_every_kind_within_opened_tls(tmp_path: Path) -> None:
    """HEAD, 204, 304, trailers, 100-continue, and at last one that ends with the connection."""
    answers = {
        b"HEAD /h": b"200 OK\r\nContent-Length: 5\r\n\r\n",
        b"GET /n": b"204 No Content\r\n\r\n",
        b"GET /m": b"304 Not Modified\r\nContent-Length: 9\r\n\r\n",
        b"GET /t": b"200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n",
        b"GET /c": b"200 OK\r\nConnection: close\r\n\r\nuntil the end",
    }
    heads, bodies = list[bytes](), list[bytes]()

    def serve(peer: socket.socket) -> None:
        data = b""
        while piece := peer.recv(65_536):
            data += piece
            while b"\r\n\r\n" in data:
                head, _, data = data.partition(b"\r\n\r\n")
                heads.append(head)
                asked = head.partition(b" HTTP")[0]
                if asked == b"POST /x":
                    while len(data) < 5:
                        data += peer.recv(65_536)
                    bodies.append(data[:5])
                    data = data[5:]
                peer.sendall(
                    b"HTTP/1.1 " + answers.get(asked, b"200 OK\r\nContent-Length: 0\r\n\r\n")
                )
                if asked == b"GET /c":
                    return

    site = Site(tmp_path)
    site.server = Server(secured(site, serve))
    rule = Rule("allow[0] p:0", host=NAME, ports=(site.server.port,), inspect=True)
    with house(site, rule) as place:
        peer = place.connect(suppress_ragged_eofs=False)
        host = f"Host: {NAME}:{site.server.port}\r\n".encode()

        def told(line: bytes, ending: bytes) -> bytes:
            peer.sendall(line + b" HTTP/1.1\r\n" + host + b"\r\n")
            said = b""
            while not said.endswith(ending):
                piece = peer.recv(65_536)
                assert piece, said
                said += piece
            return said

        for line, status in ((b"HEAD /h", b"200"), (b"GET /n", b"204"), (b"GET /m", b"304")):
            assert told(line, b"\r\n\r\n").startswith(b"HTTP/1.1 " + status)
        assert told(b"GET /t", b"0\r\n\r\n").endswith(b"3\r\nabc\r\n0\r\n\r\n")
        peer.sendall(
            b"POST /x HTTP/1.1\r\n" + host + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n"
        )
        assert peer.recv(65_536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        peer.sendall(b"hello")
        assert peer.recv(65_536).startswith(b"HTTP/1.1 200")
        assert told(b"GET /c", b"until the end")
        # Its end is TLS's own, so that nobody can take a cut for it.
        assert peer.recv(65_536) == b""
        place.gate.stop()
        ends = [m["flow"] for m in place.gate.notary.messages if m.get("phase") == "outcome"]
    assert bodies == [b"hello"]
    assert not any(b"expect" in head.lower() for head in heads)
    inside = [end for end in ends if end["protocol"] == "https"]
    assert [end["status"] for end in inside] == [200, 204, 304, 200, 200, 200]
    assert {end["outcome"] for end in inside} == {"complete"}


def test_a_body_that_is_cut_within_tls_is_not_passed_on_as_a_whole(tmp_path: Path) -> None:
    site = Site(tmp_path)

    def serve(raw: socket.socket) -> None:
        with site.context.wrap_socket(raw, server_side=True) as peer:
            peer.recv(65_536)
            peer.sendall(b"HTTP/1.1 200 OK\r\n\r\nnot all")

    site.server = Server(serve)
    rule = Rule("allow[0] p:0", host=NAME, ports=(site.server.port,), inspect=True)
    with house(site, rule) as place:
        peer = place.connect(suppress_ragged_eofs=False)
        peer.sendall(f"GET / HTTP/1.1\r\nHost: {NAME}:{site.server.port}\r\n\r\n".encode())
        with pytest.raises(OSError):  # noqa: PT011 (a reset, or an end without TLS's own)
            read_all(peer)
        end = place.gate.notary.outcome()["flow"]
        assert (end["status"], end["outcome"] == "complete") == (200, False)


def test_a_client_that_ended_its_side_of_tls_still_gets_its_answer(tmp_path: Path) -> None:
    asked, site = list[bytes](), Site(tmp_path)
    site.server = Server(secured(site, echo(asked)))
    rule = Rule("allow[0] p:0", host=NAME, ports=(site.server.port,), inspect=True)
    with house(site, rule) as place:
        raw, heard, out = place.gate.connect(), ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = place.context().wrap_bio(heard, out, server_hostname=NAME)

        def until(call: Callable[[], bytes | None]) -> bytes:
            while True:
                try:
                    return call() or b""
                except ssl.SSLWantReadError:
                    if out.pending:
                        raw.sendall(out.read())
                    heard.write(raw.recv(65_536))

        until(tls.do_handshake)
        tls.write(f"GET /half HTTP/1.1\r\nHost: {NAME}:{site.server.port}\r\n\r\n".encode())
        with contextlib.suppress(ssl.SSLWantReadError):
            tls.unwrap()
        raw.sendall(out.read())
        raw.shutdown(socket.SHUT_WR)
        said = b""
        while not said.endswith(b"\r\n\r\n/half"):
            said += until(lambda: tls.read(65_536))
        end = place.gate.notary.outcome()["flow"]
        assert (end["protocol"], end["status"], end["outcome"]) == ("https", 200, "complete")
    assert asked == [b"/half"]
