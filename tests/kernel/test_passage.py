"""Limits through a running gate: `sluicegate.gate.passage` in the carriers' hands, and `sluicegate.gate.cut`."""

from __future__ import annotations

import contextlib
import socket
import threading
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from wsproto import events

from sluicegate.policy.model import Rule
from tests.kernel.gatehouse import Gate, Server, gate, named, read_all
from tests.kernel.test_opened import NAME, Site, ask, house, reading
from tests.kernel.test_websocket import Client, Echo
from tests.kernel.twohouse import Client as Client2
from tests.kernel.twohouse import Site2, inner

MIB = 1_048_576
HOSTS = {"ok.test": "127.0.0.1", "also.test": "127.0.0.1"}


class Sink:
    """Takes all, answers nothing until `answers` bytes of content are there."""

    def __init__(self, answers: int | None = None) -> None:
        self.held, self.answers = bytearray(), answers
        self.server = Server(self._take)

    def _take(self, peer: socket.socket) -> None:
        begun, start = False, -1
        while data := peer.recv(262_144):
            self.held += data
            if start < 0:
                start = self.held.find(b"\r\n\r\n")
            content = len(self.held) - start - 4 if start >= 0 else 0
            if self.answers is not None and content >= self.answers and not begun:
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
    assert end["outcome"] == f"refused: more than {limit} bytes would go up in this run"
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


class Opaque:
    """Takes all; ended or reset, it says so."""

    def __init__(self, greeting: bytes = b"") -> None:
        self.held, self.greeting, self.ended = bytearray(), greeting, threading.Event()
        self.server = Server(self._take)

    def _take(self, peer: socket.socket) -> None:
        with contextlib.suppress(OSError):
            peer.sendall(self.greeting)
            while data := peer.recv(262_144):
                self.held += data
            peer.sendall(b"bye")
        self.ended.set()


@pytest.mark.parametrize("size", [3, 100_000, 5 * MIB])
def test_an_opaque_flow_is_cut_at_its_limit_exactly(size: int) -> None:
    sink = Opaque()
    with gate(named(sink.server.port, "ok.test", upload=size), names=HOSTS) as place:
        place.to = ("127.0.0.1", sink.server.port)
        client = place.connect()
        with contextlib.suppress(OSError):
            client.sendall(b"\0" * (size + MIB))
        assert answer(client) == b""
        assert sink.ended.wait(8)
        block, end = told(place)
    assert len(sink.held) <= size
    # The first bytes are held until they are judged, and are one piece; what follows them is not held.
    held = size < 65_536
    assert (block["rule"], block["counted"] == size + 1) == ("limits.upload", not held)
    assert end["bytes_up"] == (0 if held else size)


def test_an_opaque_flow_within_its_limit_ends_as_any_other() -> None:
    sink = Opaque(b"hello")
    with gate(named(sink.server.port, "ok.test", upload=2 * MIB), names=HOSTS) as place:
        place.to = ("127.0.0.1", sink.server.port)
        client = place.connect()
        assert client.recv(5) == b"hello"
        client.sendall(b"\0" * (2 * MIB))
        client.shutdown(socket.SHUT_WR)
        assert read_all(client) == b"bye"
        assert place.notary.outcome()["flow"]["outcome"].startswith("became")
    assert len(sink.held) == 2 * MIB


def test_opaque_flows_share_what_their_host_has_left() -> None:
    sink = Opaque()
    with gate(named(sink.server.port, "ok.test", upload_per_host=MIB), names=HOSTS) as place:
        place.to = ("127.0.0.1", sink.server.port)
        first = place.connect()
        first.sendall(b"\0" * (MIB - 10))
        first.shutdown(socket.SHUT_WR)
        assert read_all(first) == b"bye"
        second = place.connect()
        second.sendall(b"\0" * 11)
        assert answer(second) == b""
        block, end = told(place)
    assert (block["rule"], block["counted"]) == ("limits.upload_per_host", MIB + 1)
    assert end["bytes_up"] == 0


def request(place: Gate, host: str, port: int) -> bytes:
    client = place.connect()
    client.sendall(f"GET / HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode())
    return read_all(client)


def ok(peer: socket.socket) -> None:
    while data := peer.recv(65_536):
        for _ in range(data.count(b"\r\n\r\n")):
            peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


def test_requests_of_a_minute_are_counted_over_all_connections() -> None:
    server = Server(ok)
    policy = named(server.port, "ok.test", "also.test", requests_per_minute=3)
    with gate(policy, names=HOSTS) as place:
        place.to = ("192.0.2.1", server.port)
        said = [request(place, host, server.port)[:12] for host in ("ok.test", "also.test") * 2]
        place.stop()
        block = place.notary.verdict("block")["flow"]
    assert said == [b"HTTP/1.1 200"] * 3 + [b"HTTP/1.1 403"]
    assert (block["rule"], block["counted"]) == ("limits.requests_per_minute", 4)


def test_names_below_a_wildcard_are_counted_over_the_run_and_no_more_are_looked_up() -> None:
    server = Server(ok)
    wild = Rule("allow[8] p:8", host="wild.test", wildcard=True, ports=(server.port,))
    policy = named(server.port, "own.wild.test", names_per_wildcard=2)
    names = {f"{name}.wild.test": "127.0.0.1" for name in ("a", "b", "c", "own")}
    with gate(replace(policy, allow=(*policy.allow, wild)), names=names) as place:
        place.to = ("192.0.2.1", server.port)
        order = ("a", "b", "c", "own", "b", "c")
        said = [request(place, f"{name}.wild.test", server.port)[9:12] for name in order]
        place.stop()
        intents = [m["flow"]["host"] for m in place.notary.messages if m.get("phase") == "intent"]
        block = place.notary.verdict("block")["flow"]
    assert said == [b"200", b"200", b"403", b"200", b"200", b"403"]
    assert intents == [f"{name}.wild.test" for name in ("a", "b", "own", "b")]
    assert (block["rule"], block["counted"]) == ("limits.names_per_wildcard", 3)


def test_digests_of_what_passed_are_on_record_where_the_policy_asks(tmp_path: Path) -> None:
    sink = Sink(answers=10)
    with gate(named(sink.server.port, "ok.test", digests=True), names=HOSTS) as place:
        place.to = ("192.0.2.1", sink.server.port)
        client = place.connect()
        head = f"PUT / HTTP/1.1\r\nHost: ok.test:{sink.server.port}\r\nTransfer-Encoding: chunked"
        client.sendall(head.encode() + b"\r\n\r\n5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n")
        while b"begun" not in client.recv(65_536):
            pass
        client.close()
        place.stop()
        clear = place.notary.outcome()["flow"]
    site = Site(tmp_path)
    with house(site, reading(site), digests=True) as opened:
        peer = opened.connect()
        host = f"{NAME}:{site.server.port}"
        assert ask(peer, "GET /a", b"x" * 70_000, host=host).endswith(b"/a 70000")
        peer.close()
        opened.gate.stop()
        ends = [m["flow"] for m in opened.gate.notary.messages if m.get("phase") == "outcome"]
    inside = next(end for end in ends if end["protocol"] == "https")
    for end, up, down in ((clear, b"0123456789", b"begun"), (inside, b"x" * 70_000, b"/a 70000")):
        assert (end["sha256_up"], end["content_up"]) == (sha256(up).hexdigest(), len(up))
        assert (end["sha256_down"], end["content_down"]) == (sha256(down).hexdigest(), len(down))
    assert not any("sha256_up" in end for end in ends if end is not inside)


def test_streams_of_http2_have_the_limits_and_digests_of_requests(tmp_path: Path) -> None:
    site = Site2(tmp_path)
    rule = Rule("allow[0] p:0", host=NAME, ports=(site.server.port,), inspect=True)
    limits = {"upload_per_host": 30_000, "requests_per_minute": 3}
    with house(site, rule, digests=True, **limits) as place:
        client = Client2(place, site.server.port)
        said = [
            client.answer(client.ask("POST", f"/{number}", b"x" * 20_000))[0] for number in (1, 2)
        ]
        said += [client.answer(client.ask("GET", f"/{number}"))[0] for number in (3, 4)]
        client.own.close()
        place.gate.notary.wait(lambda m: m.get("phase") == "outcome" and "opened" in m["flow"])
        place.gate.stop()
        messages = place.gate.notary.messages
    assert said == [200, 403, 200, 403]
    rules = [m["flow"]["rule"] for m in messages if m["verdict"] == "block"]
    assert rules == [f"limits.{name}" for name in limits]
    end = next(one for one in inner(messages) if one["path"] == "/1")
    for way, content in (("up", b"x" * 20_000), ("down", b"/1 20000")):
        assert end[f"sha256_{way}"] == sha256(content).hexdigest()
        assert end[f"content_{way}"] == len(content)
    assert 20_000 < end["counted_up"] < 21_000
