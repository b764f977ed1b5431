"""WebSocket through the gate, clear and within opened TLS: `sluicegate.gate.websocket`, with `sluicegate.gate.push`.

`wsproto` speaks on both ends.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from wsproto import ConnectionType, WSConnection, events
from wsproto.extensions import PerMessageDeflate
from wsproto.frame_protocol import FrameProtocol

from sluicegate.policy.model import Rule
from sluicegate.wire.websocket import Frame, Opcode, accept, masked, write_head
from tests.kernel.gatehouse import Gate, Server, gate, named, read_all
from tests.kernel.test_opened import NAME, Site, house

VERSION = "Sec-WebSocket-Version: 13"
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
LARGE = 3_000_000


class Echo:
    """A server that sends messages back, fragment by fragment; `heads` are the requests it saw."""

    def __init__(self) -> None:
        self.heads, self.pings = list[bytes](), list[bytes]()

    def __call__(self, peer: socket.socket) -> None:
        connection = WSConnection(ConnectionType.SERVER)
        while data := peer.recv(65_536):
            if not self.heads:
                self.heads.append(data)
            connection.receive_data(data)
            for event in connection.events():
                answer = self.answer(event)
                if answer is not None:
                    peer.sendall(connection.send(answer))
                if isinstance(event, events.CloseConnection):
                    return

    def answer(self, event: events.Event) -> events.Event | None:
        if isinstance(event, events.Request):
            chosen = event.subprotocols[0] if event.subprotocols else None
            # It would agree to compression, if it were offered.
            return events.AcceptConnection(subprotocol=chosen, extensions=[PerMessageDeflate()])
        if isinstance(event, events.Ping):
            self.pings.append(bytes(event.payload))
            return event.response()
        if isinstance(event, events.CloseConnection):
            return event.response()
        if isinstance(event, events.Message):
            return event
        return None


class Client:
    """`wsproto` over a connection to the gate."""

    def __init__(self, peer: socket.socket, host: str, path: str = "/ws", **more: Any) -> None:
        self.peer, self.ws = peer, WSConnection(ConnectionType.CLIENT)
        self.heard = list[events.Event]()
        peer.sendall(self.ws.send(events.Request(host=host, target=path, **more)))

    def send(self, *said: events.Event) -> None:
        self.peer.sendall(b"".join(self.ws.send(event) for event in said))

    def until(self, kind: type[events.Event], count: int = 1) -> list[Any]:
        """The events of `kind`, when there are so many; or the connection is over."""
        while len([one for one in self.heard if isinstance(one, kind)]) < count:
            data = self.peer.recv(65_536)
            self.ws.receive_data(data or None)
            self.heard += self.ws.events()
            if not data:
                break
        return [one for one in self.heard if isinstance(one, kind)]

    def close(self) -> None:
        """The closing handshake, then the end of the connection."""
        self.send(events.CloseConnection(code=1000, reason="done"))
        (closed,) = self.until(events.CloseConnection)
        assert (closed.code, closed.reason) == (1000, "done")
        assert self.peer.recv(1) == b""


@contextlib.contextmanager
def clear(handle: Any) -> Iterator[tuple[Gate, str, Any]]:
    up = Server(handle)
    with gate(named(up.port, "ok.test"), names={"ok.test": "127.0.0.1"}) as place:
        place.to = ("192.0.2.1", up.port)
        yield place, f"ok.test:{up.port}", place.connect


@contextlib.contextmanager
def opened(handle: Any, directory: Path) -> Iterator[tuple[Gate, str, Any]]:
    site = Site(directory)

    def serve(raw: socket.socket) -> None:
        with site.context.wrap_socket(raw, server_side=True) as peer:
            handle(peer)

    site.server.handle = serve
    rule = Rule("allow[0] p:0", host=NAME, ports=(site.server.port,), inspect=True)
    with house(site, rule) as place:
        yield place.gate, f"{NAME}:{site.server.port}", place.connect


@pytest.fixture(params=["clear", "opened"])
def way(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """What a test's server is put behind: a gate that sees clear HTTP, and one that opens TLS."""
    return clear if request.param == "clear" else lambda handle: opened(handle, tmp_path)


def ends(place: Gate) -> list[dict[str, Any]]:
    """The outcomes of requests."""
    place.stop()
    flows = [m["flow"] for m in place.notary.messages if m.get("phase") == "outcome"]
    return [flow for flow in flows if flow["protocol"] in {"http", "https"}]


def test_messages_both_ways(way: Any) -> None:
    echo = Echo()
    with way(echo) as (place, host, connect):
        offers = [PerMessageDeflate()]
        client = Client(connect(), host, extensions=offers, subprotocols=["chat", "other"])
        (accepted,) = client.until(events.AcceptConnection)
        assert accepted.subprotocol == "chat"
        assert not accepted.extensions
        client.send(events.TextMessage("gr\u00fc\u00df"), events.BytesMessage(b"\0\1"))
        texts = client.until(events.TextMessage)
        assert "".join(one.data for one in texts) == "gr\u00fc\u00df"
        assert client.until(events.BytesMessage)[0].data == b"\0\1"
        # A message in fragments, with a ping between them.
        client.send(events.BytesMessage(b"one ", message_finished=False), events.Ping(b"still?"))
        client.send(events.BytesMessage(b"two"))
        assert client.until(events.Pong)[0].payload == b"still?"
        got = client.until(events.BytesMessage, 3)[1:]
        assert [(one.data, one.message_finished) for one in got] == [
            (b"one ", False),
            (b"two", True),
        ]
        assert echo.pings == [b"still?"]
        client.close()
        (end,) = ends(place)
    assert (end["outcome"], end["status"], end["method"]) == ("complete", 101, "GET")
    assert (end["frames_up"], end["frames_down"]) == (6, 6)
    head = echo.heads[0].decode().lower()
    assert head.startswith(f"get /ws http/1.1\r\nhost: {host}\r\n")
    assert "permessage" not in head
    assert "sec-websocket-protocol: chat, other\r\n" in head
    assert "\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n" in head


def test_bytes_are_those_of_the_kernel() -> None:
    with clear(Echo()) as (place, host, connect):
        client = Client(connect(), host)
        client.until(events.AcceptConnection)
        client.send(events.BytesMessage(bytes(LARGE)))
        size = 0
        while size < LARGE:
            client.heard.clear()
            size += sum(len(one.data) for one in client.until(events.BytesMessage))
        client.close()
        counts = place.stop()
        end = place.notary.outcome()["flow"]
    assert LARGE < end["bytes_up"] == end["kernel_up"] < LARGE + 2000
    assert LARGE < end["bytes_down"] == end["kernel_down"]
    assert counts["http_up"] == counts["bytes_up"] == counts["kernel_up"] == end["bytes_up"]


def test_frames_keep_their_borders_and_get_a_mask_of_their_own(way: Any) -> None:
    """A frame that is larger than memory should hold goes through in pieces, with the head that it had."""
    seen, done = list[bytes](), threading.Event()

    def serve(peer: socket.socket) -> None:
        switch(peer)
        data = b""
        while len(data) < 14 + LARGE + 6 + 6:
            data += peer.recv(65_536)
        seen.append(data)
        peer.sendall(write_head(Frame(Opcode.BINARY, True, LARGE)) + bytes(LARGE) + b"\x88\x00")
        done.set()
        read_all(peer)

    with way(serve) as (place, host, connect):
        peer = raw_client(connect, host)
        payload = bytes(range(256)) * (LARGE // 256 + 1)
        mask = b"\x11\x22\x33\x44"
        for body in (payload[:LARGE], b""):
            head = write_head(Frame(Opcode.BINARY, True, len(body), mask))
            peer.sendall(head + masked(body, mask, 0))
        peer.sendall(b"\x88\x80" + mask)
        assert done.wait(20)
        assert read_all(peer).endswith(bytes(1000) + b"\x88\x00")
        (end,) = ends(place)
    assert (end["outcome"], end["frames_up"], end["frames_down"]) == ("complete", 3, 2)
    (data,) = seen
    assert data[:10] == b"\x82\xff" + LARGE.to_bytes(8)
    assert data[10:14] != mask
    assert masked(data[14 : 14 + LARGE], data[10:14], 0) == payload[:LARGE]
    assert data[14 + LARGE :][:2] == b"\x82\x80"
    assert data[14 + LARGE :][2:6] not in {mask, data[10:14]}


def switch(peer: socket.socket, *more: str, key: str = KEY) -> bytes:
    """Read the request and agree to it; the request."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += peer.recv(65_536)
    lines = ("HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade")
    said = (*lines, f"Sec-WebSocket-Accept: {accept(key)}", *more)
    peer.sendall("\r\n".join((*said, "\r\n")).encode())
    return data


def ask(host: str, *more: str, path: str = "/ws") -> bytes:
    lines = (f"GET {path} HTTP/1.1", f"Host: {host}", "Connection: Upgrade", "Upgrade: websocket")
    handshake = (f"Sec-WebSocket-Key: {KEY}", "Sec-WebSocket-Version: 13")
    return "\r\n".join((*lines, *handshake, *more, "\r\n")).encode()


def raw_client(connect: Any, host: str, early: bytes = b"") -> socket.socket:
    """A connection behind its handshake."""
    peer: socket.socket = connect()
    peer.sendall(ask(host) + early)
    data = b""
    while b"\r\n\r\n" not in data:
        data += peer.recv(1)
    assert data.startswith(b"HTTP/1.1 101 ")
    return peer


ACCEPTED = f"Sec-WebSocket-Accept: {accept(KEY)}"
SWITCHED = ("Upgrade: websocket", "Connection: Upgrade")


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        (SWITCHED, b"Accept"),
        ((*SWITCHED, f"Sec-WebSocket-Accept: {accept('x')}"), b"Accept"),
        (("Upgrade: h2c", SWITCHED[1], ACCEPTED), b"does not say"),
        ((*SWITCHED, ACCEPTED, "Sec-WebSocket-Extensions: permessage-deflate"), b"extension"),
        ((*SWITCHED, ACCEPTED, "Sec-WebSocket-Protocol: chat"), b"Protocol"),
    ],
)
def test_a_101_that_is_no_answer_is_not_passed_on(
    way: Any, lines: tuple[str, ...], why: bytes
) -> None:
    def serve(peer: socket.socket) -> None:
        peer.recv(65_536)
        peer.sendall("\r\n".join(("HTTP/1.1 101 Switching", *lines, "\r\n")).encode())
        read_all(peer)

    with way(serve) as (place, host, connect):
        peer = connect()
        peer.sendall(ask(host))
        said = read_all(peer)
        assert said.startswith(b"HTTP/1.1 502 ")
        assert why in said
        (end,) = ends(place)
    assert "frames_up" not in end


def test_any_other_answer_is_a_response(way: Any) -> None:
    """And a server that was offered another protocol is not asked again on that connection."""
    heads = list[bytes]()

    def serve(peer: socket.socket) -> None:
        heads.append(peer.recv(65_536))
        peer.sendall(b"HTTP/1.1 426 Upgrade Required\r\nContent-Length: 3\r\n\r\nno\n")
        heads.append(read_all(peer))

    with way(serve) as (place, host, connect):
        peer = connect()
        # What is behind the request would be frames; so it is a request that somebody judges.
        peer.sendall(ask(host) + ask("other.test", path="/secret"))
        said = read_all(peer)
        assert said.startswith(b"HTTP/1.1 426 ")
        assert b"\r\n\r\nno\nHTTP/1.1 403 " in said
        assert place.notary.verdict("block")["flow"]["path"] == "/secret"
        (end,) = ends(place)
    assert (end["outcome"], end["status"]) == ("complete", 426)
    assert b"/secret" not in b"".join(heads)


def test_a_101_nobody_asked_for(way: Any) -> None:
    with way(lambda peer: (switch(peer), read_all(peer))) as (_, host, connect):
        peer = connect()
        peer.sendall(
            f"GET /ws HTTP/1.1\r\nHost: {host}\r\nSec-WebSocket-Key: {KEY}\r\n\r\n".encode()
        )
        said = read_all(peer)
        assert said.startswith(b"HTTP/1.1 502 ")
        assert b"not asked for" in said


@pytest.mark.parametrize(
    "lines",
    [
        ("Upgrade: h2c, websocket", VERSION, "Sec-WebSocket-Key: " + KEY),
        ("Upgrade: tls/1.0", VERSION, "Sec-WebSocket-Key: " + KEY),
        ("Upgrade: websocket", "Sec-WebSocket-Version: 12", "Sec-WebSocket-Key: " + KEY),
        ("Upgrade: websocket", VERSION, "Sec-WebSocket-Key: short"),
        ("Upgrade: websocket", VERSION),
    ],
)
def test_handshakes_that_do_not_leave(way: Any, lines: tuple[str, ...]) -> None:
    heads = list[bytes]()
    with way(lambda peer: heads.append(peer.recv(65_536))) as (place, host, connect):
        peer = connect()
        said = (f"GET /ws HTTP/1.1\r\nHost: {host}", "Connection: Upgrade", *lines, "\r\n")
        peer.sendall("\r\n".join(said).encode())
        assert read_all(peer).startswith(b"HTTP/1.1 403 ")
        assert place.notary.verdict("block")["pattern"] == "fault"
    assert not any(heads)


def test_frames_of_a_client_that_does_not_wait(way: Any) -> None:
    with way(Echo()) as (place, host, connect):
        early = write_head(Frame(Opcode.TEXT, True, 2, b"\0\0\0\0")) + b"hi"
        peer = raw_client(connect, host, early + b"\x88\x80\0\0\0\0")
        assert read_all(peer) == b"\x81\x02hi\x88\x00"
        (end,) = ends(place)
    assert (end["outcome"], end["frames_up"], end["frames_down"]) == ("complete", 2, 2)


BAD_FRAMES = (
    (b"\x81\x02hi", "a frame without its mask"),
    (b"\xc1\x82\0\0\0\0hi", "bits or of a kind"),
    (b"\x81\x81\0\0\0\0\xff", "not UTF-8"),
    (b"\x80\x81\0\0\0\0x", "the rest of none"),
    (b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n", "bits or of a kind"),
)


@pytest.mark.parametrize(("frame", "why"), BAD_FRAMES)
def test_a_client_that_breaks_the_protocol(way: Any, frame: bytes, why: str) -> None:
    """It is told why; the server gets a reset, and nothing of the frame."""
    heard, ended = list[bytes](), threading.Event()

    def serve(peer: socket.socket) -> None:
        switch(peer)
        try:
            while data := peer.recv(65_536):
                heard.append(data)
        finally:
            ended.set()

    with way(serve) as (place, host, connect):
        peer = raw_client(connect, host)
        peer.sendall(frame)
        said = FrameProtocol(client=True, extensions=[])
        said.receive_bytes(read_all(peer))
        ((code, reason),) = [one.payload for one in said.received_frames()]
        assert code == 1002
        assert reason.startswith("sluicegate: client: ")
        assert why in reason
        (end,) = ends(place)
        assert ended.wait(10)
    assert why in end["outcome"]
    assert not heard


def test_a_server_that_breaks_the_protocol(way: Any) -> None:
    def serve(peer: socket.socket) -> None:
        switch(peer)
        peer.sendall(b"\x81\x82\0\0\0\0hi")
        read_all(peer)

    with way(serve) as (place, host, connect):
        peer = raw_client(connect, host)
        assert b"a server's frame with a mask" in read_all(peer)
        (end,) = ends(place)
    assert end["outcome"] == "upstream: a server's frame with a mask"
    assert end["frames_down"] == 0


def test_no_word_of_ours_within_a_frame(way: Any) -> None:
    """Where half a frame is on its way to the client, it gets a reset and no text that would be taken for the rest."""
    half = threading.Event()

    def serve(peer: socket.socket) -> None:
        switch(peer)
        peer.sendall(b"\x82\x0ahalf ")
        half.wait(10)
        read_all(peer)

    with way(serve) as (place, host, connect):
        peer = raw_client(connect, host)
        assert peer.recv(7, socket.MSG_WAITALL if not isinstance(peer, ssl.SSLSocket) else 0)
        half.set()
        peer.sendall(b"\x81\x02hi")
        with contextlib.suppress(OSError):
            assert read_all(peer) == b""
        (end,) = ends(place)
    assert "without its mask" in end["outcome"]


@pytest.mark.parametrize(
    ("last", "words"),
    [
        (b"\x82\x01x", "upstream ended without a close frame"),
        (b"\x82\x0ahalf", "upstream ended within a frame"),
        (b"\x88\x02\x03\xe9", "complete"),
    ],
)
def test_a_server_that_leaves(way: Any, last: bytes, words: str) -> None:
    def serve(peer: socket.socket) -> None:
        switch(peer)
        peer.sendall(last)
        if isinstance(peer, ssl.SSLSocket):
            peer.unwrap()

    with way(serve) as (place, host, connect):
        peer = raw_client(connect, host)
        assert read_all(peer) == last
        (end,) = ends(place)
    assert end["outcome"] == words


def test_a_client_that_leaves(way: Any) -> None:
    heard, ended = list[bytes](), threading.Event()

    def serve(peer: socket.socket) -> None:
        switch(peer)
        heard.append(read_all(peer))
        peer.sendall(b"\x81\x02so")
        if isinstance(peer, ssl.SSLSocket):
            peer.unwrap()
        ended.set()

    with way(serve) as (place, host, connect):
        peer = raw_client(connect, host)
        peer.sendall(b"\x82\x81\0\0\0\0x")
        if isinstance(peer, ssl.SSLSocket):
            # Its last word is there before it waits for ours.
            with contextlib.suppress(ssl.SSLError):
                peer.unwrap()
        else:
            peer.shutdown(socket.SHUT_WR)
            # What was asked is still answered.
            assert read_all(peer) == b"\x81\x02so"
        assert ended.wait(10)
        (end,) = ends(place)
    assert end["outcome"] == "client ended without a close frame"
    assert len(heard[0]) == 7


def test_a_websocket_that_is_idle(tmp_path: Path) -> None:
    up = Server(lambda peer: (switch(peer), read_all(peer)))
    policy = named(up.port, "ok.test")
    with gate(policy, names={"ok.test": "127.0.0.1"}, idle_opaque_s=0.2) as place:
        place.to = ("192.0.2.1", up.port)
        peer = raw_client(place.connect, f"ok.test:{up.port}")
        with pytest.raises(ConnectionResetError):
            peer.recv(1)
        (end,) = ends(place)
    assert end["outcome"] == "idle for too long"


def test_the_end_of_the_run_resets_both_sides(way: Any) -> None:
    with way(lambda peer: (switch(peer), read_all(peer))) as (place, host, connect):
        peer = raw_client(connect, host)
        place.stop()
        # A stream of TLS that ends like this may also be told as one that was cut.
        with contextlib.suppress(ConnectionResetError):
            assert peer.recv(1) == b""
        end = place.notary.wait(lambda m: "frames_up" in m["flow"])["flow"]
    assert end["status"] == 101


def test_a_slow_side_stops_the_other(way: Any) -> None:
    """A server that does not read makes the gate hold little of what the client would send."""
    go = threading.Event()
    size = list[int]()

    def serve(peer: socket.socket) -> None:
        switch(peer)
        go.wait(20)
        got = 0
        while got < 32_000_014:
            got += len(peer.recv(262_144))
        size.append(got)
        peer.sendall(b"\x88\x00")
        read_all(peer)

    with way(serve) as (place, host, connect):
        peer = raw_client(connect, host)
        data = memoryview(
            write_head(Frame(Opcode.BINARY, True, 32_000_000, bytes(4))) + bytes(32_000_000)
        )
        peer.settimeout(0.5)
        sent = 0
        with contextlib.suppress(TimeoutError):
            while sent < len(data):
                sent += peer.send(data[sent : sent + 65_536])
        assert sent < 24_000_000  # what buffers of the kernel hold
        go.set()
        peer.settimeout(20)
        # What was begun is begun again with the same bytes, as TLS has it.
        peer.sendall(data[sent:])
        peer.sendall(b"\x88\x80\0\0\0\0")
        assert read_all(peer) == b"\x88\x00"
        place.stop()
    assert size


def test_methods_and_paths_hold_for_a_websocket(tmp_path: Path) -> None:
    site = Site(tmp_path)
    echo = Echo()

    def serve(raw: socket.socket) -> None:
        with site.context.wrap_socket(raw, server_side=True) as peer:
            echo(peer)

    site.server.handle = serve
    port = site.server.port
    allowed = Rule("allow[0] p:0", host=NAME, ports=(port,), methods=("GET",), paths=("/ws/**",))
    host = f"{NAME}:{port}"
    with house(site, allowed) as place:
        for path, good in (("/ws/a", True), ("/other", False), ("/ws/../other", False)):
            peer = place.connect()
            peer.sendall(ask(host, path=path))
            assert peer.recv(13) == (b"HTTP/1.1 101 " if good else b"HTTP/1.1 403 ")
        place.gate.stop()
    assert len(echo.heads) == 1
    assert echo.heads[0].startswith(b"GET /ws/a ")


def test_frames_without_content_do_not_pass_a_limit(tmp_path: Path) -> None:
    """Their kinds and number say something, too."""
    echo, site = Echo(), Site(tmp_path)

    def serve(raw: socket.socket) -> None:
        with contextlib.suppress(OSError), site.context.wrap_socket(raw, server_side=True) as own:
            echo(own)

    site.server.handle = serve
    rule = Rule("allow[0] p:0", host=NAME, ports=(site.server.port,), inspect=True)
    with house(site, rule, upload=2000) as place:
        client = Client(place.connect(), f"{NAME}:{site.server.port}")
        client.until(events.AcceptConnection)
        for _ in range(3):
            client.send(*[events.Ping()] * 200)
        (closed,) = client.until(events.CloseConnection)
        assert closed.code == 1008
        (end,) = ends(place.gate)
    assert end["outcome"].startswith("refused: more than 2000 bytes")
    assert end["counted_up"] <= 2000
    assert len(echo.pings) <= 2000 // 6
