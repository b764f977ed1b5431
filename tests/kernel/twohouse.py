"""HTTP/2 on both sides of a gate: a server that does what its paths say, a client that is told each event."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings

from tests.kernel import gatehouse
from tests.kernel.test_opened import NAME, House, Site

Fields = list[tuple[str, str]]


class Site2(Site):
    """Answers each request with its path and the size of its content; `behave` may do otherwise."""

    def __init__(self, directory: Path, **more: Any) -> None:
        super().__init__(directory, **more)
        self.context.set_alpn_protocols(["h2", "http/1.1"])
        self.asked = list[dict[str, str]]()
        self.fields = list[Fields]()
        self.contents = dict[str, bytes]()
        self.trailers = dict[str, Fields]()
        self.events = list[h2.events.Event]()
        self.settings = dict[Any, int]()
        self.behave: Callable[[Peer, int, dict[str, str]], bool] = lambda *_: False
        self.at_once: Callable[[Peer, int, dict[str, str]], None] = lambda *_: None
        self.peers = list[Peer]()

    def _serve(self, raw: socket.socket) -> None:
        with self.context.wrap_socket(raw, server_side=True, do_handshake_on_connect=False) as own:
            own.do_handshake()
            if own.selected_alpn_protocol() != "h2":
                self._talk(own)
                return
            peer = Peer(own, client=False, settings=self.settings)
            self.peers.append(peer)
            heads = dict[int, dict[str, str]]()
            bodies = dict[int, bytearray]()
            with contextlib.suppress(h2.exceptions.ProtocolError, OSError):
                for event in peer.run():
                    self.events.append(event)
                    self._one(peer, event, heads, bodies)
            for number, head in heads.items():
                self.contents.setdefault(head[":path"], bytes(bodies[number]))

    def _one(
        self,
        peer: Peer,
        event: h2.events.Event,
        heads: dict[int, dict[str, str]],
        bodies: dict[int, bytearray],
    ) -> None:
        number = getattr(event, "stream_id", 0)
        if isinstance(event, h2.events.RequestReceived):
            fields = [(n.decode(), v.decode()) for n, v in event.headers or ()]
            peer.methods[number] = dict(event.headers or ()).get(b":method", b"")
            heads[number] = dict(fields)
            self.asked.append(heads[number])
            self.fields.append(fields)
            bodies[number] = bytearray()
            self.at_once(peer, number, heads[number])
        elif isinstance(event, h2.events.DataReceived):
            bodies[number] += event.data or b""
            peer.conn.acknowledge_received_data(event.flow_controlled_length or 0, number)
        elif isinstance(event, h2.events.TrailersReceived):
            fields = [(n.decode(), v.decode()) for n, v in event.headers or ()]
            self.trailers[heads[number][":path"]] = fields
        elif isinstance(event, h2.events.StreamEnded):
            head = heads[number]
            self.contents[head[":path"]] = bytes(bodies[number])
            if not self.behave(peer, number, head):
                said = f"{head[':path']} {len(bodies[number])}".encode()
                peer.respond(number, said)


class Peer:
    """One end of HTTP/2 over a TLS socket that blocks."""

    def __init__(
        self, own: ssl.SSLSocket, *, client: bool, settings: dict[Any, int] | None = None
    ) -> None:
        self.own = own
        config = h2.config.H2Configuration(
            client_side=client, header_encoding=None, validate_outbound_headers=False
        )
        config.normalize_outbound_headers = False
        self.conn = h2.connection.H2Connection(config)
        if settings:
            self.conn.local_settings = h2.settings.Settings(client=client, initial_values=settings)
        self.conn.initiate_connection()
        self.waiting = dict[int, bytearray]()
        self.methods = dict[int, bytes]()
        self.todo = deque[Callable[[], None]]()
        self.flush()

    def flush(self) -> None:
        self.own.sendall(self.conn.data_to_send())

    def run(self) -> Iterable[h2.events.Event]:
        """Events until the other end is gone. What others want of it is done here: TLS is one thread's."""
        while True:
            while not self.own.pending() and not select.select((self.own,), (), (), 0.02)[0]:
                while self.todo:
                    self.todo.popleft()()
            if not (data := self.own.recv(65536)):
                break
            for event in self.conn.receive_data(data):
                yield event
                if isinstance(event, h2.events.WindowUpdated | h2.events.RemoteSettingsChanged):
                    self.go_on()
            self.flush()
        yield h2.events.ConnectionTerminated()

    def go_on(self) -> None:
        for number, left in list(self.waiting.items()):
            with contextlib.suppress(h2.exceptions.ProtocolError, KeyError):
                while left:
                    room = self.conn.local_flow_control_window(number)
                    room = min(room, self.conn.max_outbound_frame_size)
                    if room <= 0:
                        break
                    self.conn.send_data(number, bytes(left[:room]))
                    del left[:room]
                else:
                    self.conn.end_stream(number)
                    del self.waiting[number]

    def respond(
        self, number: int, body: bytes, status: int = 200, more: Fields | None = None
    ) -> None:
        fields = [(":status", str(status)), *(more or [])]
        bodiless = self.methods.get(number) == b"HEAD"
        self.conn.send_headers(number, fields, end_stream=bodiless)
        if not bodiless:
            self.send(number, body)
        self.flush()

    def send(self, number: int, body: bytes) -> None:
        """All of it, as the window allows, and the end."""
        self.waiting[number] = bytearray(body)
        self.go_on()
        self.flush()


class Client(Peer):
    """A client of the gate; what comes is kept by stream."""

    def __init__(self, place: House, port: int, *, settings: dict[Any, int] | None = None) -> None:
        context = place.context()
        context.set_alpn_protocols(["h2"])
        own = place.connect(context=context)
        assert own.selected_alpn_protocol() == "h2"
        self.port, self.events = port, list[h2.events.Event]()
        self.heads = dict[int, list[dict[str, str]]]()
        self.bodies = dict[int, bytearray]()
        self.ended, self.resets = set[int](), dict[int, int]()
        self.trailers = dict[int, Fields]()
        self.goaway: int | None = None
        self.takes = True
        super().__init__(own, client=True, settings=settings)

    def head(self, method: str, path: str, *more: tuple[str, str]) -> Fields:
        authority = f"{NAME}:{self.port}"
        return [
            (":method", method),
            (":scheme", "https"),
            (":authority", authority),
            (":path", path),
            *more,
        ]

    def ask(self, method: str, path: str, body: bytes | None = None, *more: tuple[str, str]) -> int:
        return self.say(self.head(method, path, *more), body)

    def say(self, fields: Fields, body: bytes | None = None, *, end: bool = True) -> int:
        number = self.conn.get_next_available_stream_id()
        self.conn.send_headers(number, fields, end_stream=body is None and end)
        if body is not None:
            self.send(number, body)
        self.flush()
        return number

    def until(self, done: Callable[[], bool]) -> None:
        """Read until `done`, or the gate closes."""
        while not done():
            try:
                data = self.own.recv(65536)
            except (ConnectionResetError, ssl.SSLEOFError):
                return
            if not data:
                return
            for event in self.conn.receive_data(data):
                self._take(event)
            with contextlib.suppress(OSError):
                self.flush()

    def wait(self, *numbers: int) -> None:
        """Until these streams are over."""
        self.until(lambda: all(n in self.ended or n in self.resets for n in numbers))

    def get(self, path: str, *more: tuple[str, str]) -> tuple[int, bytes]:
        return self.answer(self.ask("GET", path, None, *more))

    def answer(self, number: int) -> tuple[int, bytes]:
        self.wait(number)
        return int(self.heads[number][-1][":status"]), bytes(self.bodies[number])

    def _take(self, event: h2.events.Event) -> None:
        self.events.append(event)
        number = getattr(event, "stream_id", None) or 0
        kinds = (h2.events.ResponseReceived, h2.events.InformationalResponseReceived)
        if isinstance(event, kinds):
            fields = {n.decode(): v.decode() for n, v in event.headers or ()}
            self.heads.setdefault(number, []).append(fields)
            self.bodies.setdefault(number, bytearray())
        elif isinstance(event, h2.events.DataReceived):
            self.bodies[number] += event.data or b""
            if self.takes:
                size = event.flow_controlled_length or 0
                self.conn.acknowledge_received_data(size, number)
        elif isinstance(event, h2.events.TrailersReceived):
            self.trailers[number] = [(n.decode(), v.decode()) for n, v in event.headers or ()]
        elif isinstance(event, h2.events.StreamEnded):
            self.ended.add(number)
        elif isinstance(event, h2.events.StreamReset):
            self.resets[number] = int(event.error_code or 0)
        elif isinstance(event, h2.events.ConnectionTerminated):
            self.goaway = int(event.error_code or 0)
        elif isinstance(event, h2.events.WindowUpdated | h2.events.RemoteSettingsChanged):
            self.go_on()


def port_of(site: Site) -> int:
    return site.server.port


def inner(messages: list[dict[str, Any]], phase: str = "outcome") -> list[dict[str, Any]]:
    """The receipts of requests within TLS."""
    return [
        m["flow"] for m in messages if m.get("phase") == phase and m["flow"]["protocol"] == "https"
    ]


__all__ = ["NAME", "Client", "Peer", "Site2", "gatehouse", "inner", "port_of"]
