"""Limits of what may go up, through a running gate: `sluicegate.gate.passage` in the carriers' hands."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path
from typing import Any

import pytest
from wsproto import events

from tests.kernel.gatehouse import Gate, Server, gate, named, read_all
from tests.kernel.test_opened import NAME, Site, house, reading
from tests.kernel.test_websocket import Client, Echo

MIB = 1_048_576
HOSTS = {"ok.test": "127.0.0.1", "also.test": "127.0.0.1"}


class Sink:
    """Takes all, answers nothing until `answers` bytes of content are there."""

    def __init__(self, answers: int | None = None) -> None:
        self.held, self.answers = bytearray(), answers
        self.server = Server(self._take)

    def _take(self, peer: socket.socket) -> None:
        begun = False
        while data := peer.recv(262_144):
            self.held += data
            content = self.held.partition(b"\r\n\r\n")[2]
            if self.answers is not None and len(content) >= self.answers and not begun:
                begun = True
                peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegun")


def put(client: socket.socket, port: int, size: int, body: bytes, host: str = "ok.test") -> None:
    """A request that states `size` bytes of content; `body` is what it sends of them."""
    head = f"PUT /up HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Length: {size}\r\n\r\n"
    client.sendall(head.encode())
    with contextlib.suppress(OSError):  # refused in the middle
        client.sendall(body)


def answer(client: socket.socket) -> bytes:
    """All that comes, a reset at its end or not."""
    data = bytearray()
    with contextlib.suppress(OSError):
        while piece := client.recv(65_536):
            data += piece
    return bytes(data)


def told(house: Gate) -> tuple[dict[str, Any], dict[str, Any]]:
    """The facts of the denial, and those of the outcome of what it ended."""
    house.stop()
    block = house.notary.verdict("block")["flow"]
    ends = [m["flow"] for m in house.notary.messages if m.get("phase") == "outcome"]
    return block, next(end for end in ends if end["outcome"].startswith("refused: "))


def test_an_upload_of_2_gib_is_cut_at_its_limit_and_both_sides_are_told() -> None:
    sink, limit = Sink(), 50 * MIB
    with gate(named(sink.server.port, "ok.test", upload=limit), names=HOSTS) as place:
        place.to = ("192.0.2.1", sink.server.port)
        client = place.connect()
        put(client, sink.server.port, 2 << 30, bytes(limit + MIB))
        assert answer(client).startswith(b"HTTP/1.1 403 ")
        block, end = told(place)
    assert len(sink.held) <= limit
    assert (block["rule"], block["url"]) == ("limits.upload", end["url"])
    assert limit < block["counted"] <= limit + 65_536
    assert end["outcome"] == f"refused: more than {limit} bytes would go up in one flow or request"
    assert end["bytes_up"] <= limit


def test_what_is_within_the_limit_goes_up_to_its_last_byte() -> None:
    sink = Sink(answers=1000)
    with gate(named(sink.server.port, "ok.test", upload=1200), names=HOSTS) as place:
        place.to = ("192.0.2.1", sink.server.port)
        client = place.connect()
        put(client, sink.server.port, 1000, bytes(1000))
        assert client.recv(65_536).startswith(b"HTTP/1.1 200 ")
    assert sink.held.endswith(bytes(1000))


def test_a_client_that_has_part_of_a_response_is_reset() -> None:
    sink = Sink(answers=10)
    with gate(named(sink.server.port, "ok.test", upload=1000), names=HOSTS) as place:
        place.to = ("192.0.2.1", sink.server.port)
        client = place.connect()
        put(client, sink.server.port, 5000, bytes(10))
        begun = b""
        while b"begun" not in begun:
            begun += client.recv(65_536)
        client.sendall(bytes(4000))
        with pytest.raises(ConnectionResetError):
            read_all(client)
        block, end = told(place)
    assert (block["rule"], end["status"]) == ("limits.upload", 200)


def test_a_client_that_asked_first_is_told_to_go_on_and_then_refused() -> None:
    sink = Sink()
    with gate(named(sink.server.port, "ok.test", upload=1000), names=HOSTS) as place:
        place.to = ("192.0.2.1", sink.server.port)
        client = place.connect()
        head = f"PUT /up HTTP/1.1\r\nHost: ok.test:{sink.server.port}\r\nExpect: 100-continue\r\n"
        client.sendall(head.encode() + b"Transfer-Encoding: chunked\r\n\r\n")
        assert client.recv(65_536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"7d0\r\n" + bytes(2000) + b"\r\n")
        assert answer(client).startswith(b"HTTP/1.1 403 ")
        block, _ = told(place)
    assert block["counted"] > 2000
    assert bytes(10) not in sink.held


def test_a_host_has_its_limit_over_all_its_requests_and_others_have_theirs() -> None:
    sink = Sink(answers=600)
    policy = named(sink.server.port, "ok.test", "also.test", upload_per_host=1000)
    with gate(policy, names=HOSTS) as place:
        place.to = ("192.0.2.1", sink.server.port)
        for host, status in (("ok.test", b"200"), ("ok.test", b"403"), ("also.test", b"200")):
            sink.held.clear()
            client = place.connect()
            put(client, sink.server.port, 600, bytes(600), host)
            assert client.recv(65_536).startswith(b"HTTP/1.1 " + status)
            client.close()
        block, _ = told(place)
    assert (block["rule"], block["host"]) == ("limits.upload_per_host", "ok.test")


def test_inside_opened_tls_it_is_cut_as_well(tmp_path: Path) -> None:
    site = Site(tmp_path)
    rule = reading(site)
    with house(site, rule, upload=MIB) as place:
        peer = place.connect()
        head = f"GET /up HTTP/1.1\r\nHost: {NAME}:{site.server.port}\r\nContent-Length: 2147483648"
        with contextlib.suppress(OSError):  # refused in the middle
            peer.sendall(head.encode() + b"\r\n\r\n" + bytes(MIB + 300_000))
        said = answer(peer)
        assert said.startswith(b"HTTP/1.1 403 ")
        assert b"rule: limits.upload\n" in said
        block, end = told(place.gate)
    assert block["protocol"] == end["protocol"] == "https"
    assert not site.heard
    assert end["bytes_up"] <= MIB


def test_a_websocket_is_cut_as_well() -> None:
    server = Server(Echo())
    with gate(named(server.port, "ok.test", upload=10_000), names=HOSTS) as place:
        place.to = ("192.0.2.1", server.port)
        client = Client(place.connect(), f"ok.test:{server.port}")
        client.until(events.AcceptConnection)
        client.send(events.BytesMessage(bytes(5000)))
        client.until(events.BytesMessage)
        client.send(events.BytesMessage(bytes(5000)))
        said = answer(client.peer)
        # A close frame: 1008 is a policy's violation (RFC 6455 section 7.4.1).
        assert (said[0], said[2:4]) == (0x88, (1008).to_bytes(2))
        assert said[4:].startswith(b"sluicegate: refused: ")
        block, end = told(place)
    assert (block["rule"], block["counted"] > 10_000) == ("limits.upload", True)
    assert (end["status"], end["frames_up"]) == (101, 1)
