"""Clear HTTP through the gate: `sluicegate.gate.exchange`, with `sluicegate.gate.linger`."""

from __future__ import annotations

import contextlib
import http.server
import json
import socket
import socketserver
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest

from sluicegate.facts import Decision, Facts, Protocol, Verdict
from sluicegate.gate.exchange import Exchange, Result
from sluicegate.gate.limits import Limits
from sluicegate.gate.loop import Loop
from sluicegate.gate.machine import MAX_WORK_BYTES
from sluicegate.gate.passage import Barred, Passage
from sluicegate.gate.vault import Vault
from sluicegate.policy.allowance import Allowance
from sluicegate.policy.model import Policy, Rule
from sluicegate.wire.http import read_request_head
from tests.kernel.gatehouse import Gate, Server, gate, local, named, read_all


@dataclass
class Shared:
    allowance: Allowance = field(default_factory=Allowance)
    digests: bool = False
    vault: Vault | None = None


NAMES = {"ok.test": "127.0.0.1", "also.test": "127.0.0.1"}
BLOB = bytes(range(256)) * 4096


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    seen: list[tuple[str, str, str, bytes]]

    def log_request(self, *_: object) -> None:
        pass

    def log_error(self, *_: object) -> None:
        pass

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def do_GET(self) -> None:
        body = self._body()
        self.seen.append((self.command, self.path, str(self.headers), body))
        self.send_response(204 if self.path == "/none" else 200)
        if self.path == "/chunked":
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for at in range(0, len(BLOB), 100_000):
                piece = BLOB[at : at + 100_000]
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            self.wfile.write(b"0\r\n\r\n")
        elif self.path == "/close":
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(BLOB)
            self.close_connection = True
        elif self.path == "/none":
            self.end_headers()
        else:
            data = BLOB if self.path == "/blob" else b"got " + self.path.encode() + body[:9]
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

    def do_POST(self) -> None:
        self.do_GET()

    def do_PUT(self) -> None:
        self.do_GET()

    def do_HEAD(self) -> None:
        self.do_GET()


class Web(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 1024
    connections = 0

    def get_request(self) -> tuple[socket.socket, object]:
        self.connections += 1
        return super().get_request()

    def handle_error(self, request: object, client_address: object) -> None:
        pass


@pytest.fixture
def web() -> Iterator[Web]:
    Handler.seen = []
    server = Web(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def to(house: Gate, web: Web) -> socket.socket:
    house.to = ("192.0.2.1", web.server_port)
    return house.connect()


def response(client: socket.socket, rest: bytes = b"") -> tuple[bytes, bytes, bytes]:
    """Head, body, and what follows, of a response with a length."""
    data = rest
    while b"\r\n\r\n" not in data:
        got = client.recv(65536)
        assert got, data
        data += got
    head, _, data = data.partition(b"\r\n\r\n")
    size = 0
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            size = int(line.split(b":")[1])
    while len(data) < size:
        got = client.recv(65536)
        assert got, (head, len(data))
        data += got
    return head, data[:size], data[size:]


def ask(path: str, port: int, more: str = "", method: str = "GET", body: bytes = b"") -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nHost: ok.test:{port}\r\n{more}\r\n"
    return head.encode() + body


def test_requests_of_one_connection_are_judged_one_by_one(web: Web) -> None:
    port = web.server_port
    with gate(named(port, "ok.test"), names=NAMES) as house:
        client = to(house, web)
        client.sendall(ask("/a", port, "X-One: 1\r\nConnection: x-two\r\nX-Two: 2\r\n"))
        head, body, rest = response(client)
        assert (head.split(b"\r\n")[0], body, rest) == (b"HTTP/1.1 200 OK", b"got /a", b"")
        client.sendall(ask("/b", port) + ask("/c", port, "Content-Length: 3\r\n", "POST", b"xyz"))
        _, body, rest = response(client)
        assert body == b"got /b"
        assert response(client, rest)[1] == b"got /cxyz"
        client.sendall(b"GET / HTTP/1.1\r\nHost: no.test\r\n\r\n")
        assert b"403 Forbidden" in read_all(client)
        assert web.connections == 1
        assert "X-One: 1" in Handler.seen[0][2]
        assert "X-Two" not in Handler.seen[0][2]
        client.close()
        counts = house.stop()
        assert (counts["allowed"], counts["denied"]) == (3, 1)
        verdicts = [(m["verdict"], m.get("phase")) for m in house.notary.messages]
        assert verdicts == [("allow", "intent"), ("allow", "outcome")] * 3 + [("block", None)]
        assert house.notary.messages[-2]["flow"]["status"] == 200
        assert [m["action_type"] for m in house.notary.messages[3:5]] == ["read", "write"]


@pytest.mark.parametrize("path", ["/blob", "/close", "/chunked"])
def test_every_framing_of_a_response(web: Web, path: str) -> None:
    with gate(named(web.server_port, "ok.test"), names=NAMES) as house:
        client = to(house, web)
        client.sendall(ask(path, web.server_port, "Connection: close\r\n"))
        head, _, body = read_all(client).partition(b"\r\n\r\n")
        if path == "/chunked":
            assert b"Transfer-Encoding: chunked" in head
            whole, data = b"", body
            while size := int(data.partition(b"\r\n")[0], 16):
                data = data.partition(b"\r\n")[2]
                whole, data = whole + data[:size], data[size + 2 :]
            body = whole
        assert body == BLOB
        client = to(house, web)
        client.sendall(
            b"GET %b HTTP/1.0\r\nHost: ok.test:%d\r\n\r\n" % (path.encode(), web.server_port)
        )
        assert read_all(client).partition(b"\r\n\r\n")[2] == BLOB


def test_no_body_where_there_is_none(web: Web) -> None:
    with gate(named(web.server_port, "ok.test"), names=NAMES) as house:
        client = to(house, web)
        for method, path in (("HEAD", "/blob"), ("GET", "/none"), ("GET", "/a")):
            client.sendall(ask(path, web.server_port, method=method))
            if method == "HEAD":
                head = client.recv(65536)
                assert b"Content-Length: %d" % len(BLOB) in head
                assert head.endswith(b"\r\n\r\n")
            else:
                response(client)


def test_an_upload_in_chunks_and_one_that_asks_first(web: Web) -> None:
    port = web.server_port
    with gate(named(port, "ok.test"), names=NAMES) as house:
        client = to(house, web)
        client.sendall(ask("/up", port, "Transfer-Encoding: chunked\r\n", "PUT"))
        for at in range(0, len(BLOB), 50_000):
            piece = BLOB[at : at + 50_000]
            client.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
        client.sendall(b"0\r\n\r\n")
        assert response(client)[1] == b"got /up" + BLOB[:9]
        assert Handler.seen[0][3] == BLOB
        more = f"Expect: 100-continue\r\nContent-Length: {len(BLOB)}\r\n"
        client.sendall(ask("/up", port, more, "PUT"))
        head, _, rest = response(client)
        assert head == b"HTTP/1.1 100 Continue"
        client.sendall(BLOB)
        assert response(client, rest)[1] == b"got /up" + BLOB[:9]
        assert Handler.seen[1][3] == BLOB


@pytest.mark.parametrize(
    ("method", "more", "body", "reused"),
    [
        ("GET", "Content-Length: 1\r\n", b"x", False),
        ("DELETE", "Content-Length: 1\r\n", b"x", False),
        ("OPTIONS", "Transfer-Encoding: chunked\r\n", b"1\r\nx\r\n0\r\n\r\n", False),
        ("SEARCH", "Content-Length: 1\r\n", b"x", False),
        ("GET", "Content-Length: 0\r\n", b"", True),
        ("DELETE", "", b"", True),
        ("POST", "Content-Length: 1\r\n", b"x", False),
        ("POST", "Content-Length: 0\r\n", b"", True),
    ],
)
def test_a_body_that_servers_may_leave_unread_is_the_last_of_its_upstream(
    method: str, more: str, body: bytes, reused: bool
) -> None:
    heads = list[bytes]()

    def careless(peer: socket.socket) -> None:
        data = b""
        while True:
            while b"\r\n\r\n" not in data:
                got = peer.recv(65536)
                if not got:
                    return
                data += got
            head, _, data = data.partition(b"\r\n\r\n")
            heads.append(head)
            peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
            data = b"" if b"POST" in head else data
            if b"Connection: close" in head:
                return

    up = Server(careless)
    rule = named(up.port, "ok.test").allow[0]
    every = replace(rule, methods=("GET", "DELETE", "OPTIONS", "SEARCH", "POST"))
    with gate(Policy("p", allow=(every, local(up.port))), names=NAMES) as house:
        house.to = ("192.0.2.1", up.port)
        client = house.connect()
        client.sendall(ask("/one", up.port, more, method, body))
        assert response(client)[1] == b"hi"
        client.sendall(ask("/two", up.port))
        assert response(client)[1] == b"hi"
        assert up.accepted == (1 if reused else 2)
        assert (b"Connection: close" in heads[0]) is not reused
        assert [head.split()[1] for head in heads] == [b"/one", b"/two"]


def test_methods_and_paths_of_the_policy(web: Web) -> None:
    rule = Rule("allow[0] p:1", host="ok.test", ports=(web.server_port,))
    narrow = Rule(rule.label, host="ok.test", ports=rule.ports, methods=("GET",), paths=("/a/**",))
    inside = Rule("allow[1] p:2", network="127.0.0.0/8", ports=rule.ports)
    with gate(Policy("p", allow=(narrow, inside)), names=NAMES, grace_s=0.05) as house:
        client = to(house, web)
        threading.Event().wait(0.2)  # a slow client of a rule with paths is waited for
        client.sendall(ask("/a/b?q=1", web.server_port))
        assert response(client)[1] == b"got /a/b?q=1"
        client.sendall(ask("/a/../b", web.server_port))
        assert b" 403 " in read_all(client)
        client = to(house, web)
        client.sendall(ask("/a/b", web.server_port, "Content-Length: 0\r\n", "POST"))
        assert b" 403 " in read_all(client)
        assert [path for _, path, _, _ in Handler.seen] == ["/a/b?q=1"]


@pytest.mark.parametrize(
    "raw",
    [
        b"GET / HTTP/1.1\r\nHost: ok.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: no.test\r\n\r\n",
        b"GET http://no.test/ HTTP/1.1\r\nHost: ok.test\r\n\r\n",
        b"GET https://ok.test/ HTTP/1.1\r\nHost: ok.test\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: ok.test\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET / HTTP/1.1\nHost: ok.test\n\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
def test_what_is_never_forwarded(web: Web, raw: bytes) -> None:
    raw = raw.replace(b".test", b".test:%d" % web.server_port)
    with gate(named(web.server_port, "ok.test"), names=NAMES) as house:
        client = to(house, web)
        client.sendall(raw)
        answer = read_all(client)
        assert answer.startswith((b"HTTP/1.1 403 ", b"HTTP/1.1 400 "))
        house.notary.verdict("block")
        assert web.connections == 0


def test_an_offer_of_http2_is_not_taken_up(web: Web) -> None:
    with gate(named(web.server_port, "ok.test"), names=NAMES) as house:
        client = to(house, web)
        offer = (
            "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
        )
        client.sendall(b"\r\n" + ask("/a", web.server_port, offer))
        assert response(client)[1] == b"got /a"
        assert "Upgrade" not in Handler.seen[0][2]


def test_an_upstream_that_can_not_be_used() -> None:
    def silent(peer: socket.socket) -> None:
        peer.recv(100)

    up = Server(silent)
    with gate(named(up.port, "ok.test"), names=NAMES) as house:
        house.to = ("192.0.2.1", up.port)
        client = house.connect()
        client.sendall(ask("/", up.port))
        answer = read_all(client)
        assert answer.startswith(b"HTTP/1.1 502 ")
        assert b"ended before a response" in answer
        assert house.notary.outcome()["flow"]["status"] == 502
        up.listener.shutdown(socket.SHUT_RDWR)
        client = house.connect()
        client.sendall(ask("/", up.port))
        assert b"refused" in read_all(client)


def test_a_kept_upstream_that_closes_is_replaced() -> None:
    def once(peer: socket.socket) -> None:
        data = b""
        while b"\r\n\r\n" not in data:
            data += peer.recv(1000)
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
        # Closes on the next request without an answer.
        peer.recv(1)

    up = Server(once)
    with gate(named(up.port, "ok.test"), names=NAMES) as house:
        house.to = ("192.0.2.1", up.port)
        client = house.connect()
        for _ in range(3):
            client.sendall(ask("/", up.port))
            assert response(client)[1] == b"hi"
        assert up.accepted == 3
        client.sendall(ask("/", up.port, "Content-Length: 1\r\n", "POST", b"x"))
        assert b" 502 " in read_all(client)


def test_a_request_that_comes_after_the_grace_uses_what_was_connected(web: Web) -> None:
    port = web.server_port
    inside = Rule("allow[0] p:1", network="127.0.0.0/8", ports=(port,))
    with gate(Policy("p", allow=(inside,), connections=1), grace_s=0.05) as house:
        house.to = ("127.0.0.1", port)
        client = house.connect()
        house.notary.verdict("allow", "intent")
        client.sendall(b"GET /late HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % port)
        assert response(client)[1] == b"got /late"
        client.close()
        assert house.stop()["allowed"] == 2
        assert web.connections == 1
        ends = [m["flow"]["outcome"] for m in house.notary.messages if m["phase"] == "outcome"]
        assert ends == ["became an HTTP connection", "complete"]


def joined() -> tuple[socket.socket, socket.socket]:
    """Both ends of one TCP connection, whose buffers are small."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        one = socket.create_connection(listener.getsockname())
        other, _ = listener.accept()
    for end in (one, other):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65_536)
    return one, other


def free(facts: Facts) -> Passage:
    """A passage without limits."""
    allowed = Decision(Verdict.ALLOW, "allow[0] p:1", "it is allowed", 80, name=facts.host)
    return Passage(Shared(), facts, allowed)


def test_a_client_that_reads_nothing_makes_the_gate_hold_little() -> None:
    (ours, theirs), (gate_side, client) = joined(), joined()
    sent = bytearray(8_388_608)
    with ours, theirs, gate_side, client:
        loop = Loop()
        for peer in (ours, gate_side, theirs):
            peer.setblocking(False)
        request = read_request_head(b"GET / HTTP/1.1\r\nHost: ok.test\r\n\r\n")
        assert request is not None
        facts = Facts(Protocol.HTTP, "192.0.2.1", 80, host="ok.test")
        one = Exchange(
            loop, gate_side, ours, request, facts, free(facts), b"", Limits(), lambda _: None
        )
        one.start()
        sent[:0] = b"HTTP/1.1 200 OK\r\nContent-Length: 8388608\r\n\r\n"
        idle = 0
        while idle < 3:
            with contextlib.suppress(BlockingIOError):
                del sent[: theirs.send(sent)]
            before = len(sent)
            loop.turn(0)
            with contextlib.suppress(BlockingIOError):
                del sent[: theirs.send(sent)]
            idle = idle + 1 if len(sent) == before else 0
        assert 0 < len(one._down) <= 2 * 65_536
        loop.close()


class Left:
    """An upstream that has answered and left: nothing can be sent to it."""

    def __init__(self, own: socket.socket, said: bytes) -> None:
        self.own, self.said = own, said

    def send(self, _: bytes | bytearray) -> int:
        raise BrokenPipeError

    def recv(self, _: int) -> bytes:
        said, self.said = self.said, b""
        return said

    def fileno(self) -> int:
        return self.own.fileno()

    def setsockopt(self, *_: object) -> None:
        pass

    def getsockopt(self, level: int, name: int, size: int) -> bytes:
        return self.own.getsockopt(level, name, size)

    def close(self) -> None:
        self.own.close()


class Shut(Passage):
    """Lets nothing of a response through."""

    def answer(self, data: bytes) -> None:
        raise Barred(replace(self.decision, verdict=Verdict.DENY, rule="secret", reason="no"))


def test_what_an_upstream_said_before_it_left_may_be_barred_as_well() -> None:
    (ours, theirs), (gate_side, client) = joined(), joined()
    ended = list[Result]()
    with ours, theirs, gate_side, client:
        loop, facts = Loop(), Facts(Protocol.HTTP, "192.0.2.1", 80, host="ok.test")
        request = read_request_head(b"GET / HTTP/1.1\r\nHost: ok.test\r\n\r\n")
        assert request is not None
        upstream = Left(ours, b"HTTP/1.1 200 OK\r\nX-Echo: value\r\nContent-Length: 0\r\n\r\n")
        passage = Shut(Shared(), facts, free(facts).decision)
        known = (loop, gate_side, upstream, request, facts, passage, b"", Limits(), ended.append)
        Exchange(*known).start()  # type: ignore[arg-type]
        (result,) = ended
        assert result.barred is not None
        assert (result.reason, result.again, result.bytes_down) == ("refused: no", False, 0)
        client.setblocking(False)
        with pytest.raises(BlockingIOError):
            client.recv(1)
        loop.close()


def test_a_response_head_in_too_many_pieces() -> None:
    (ours, theirs), (gate_side, client) = joined(), joined()
    ended = list[Result]()
    with ours, theirs, gate_side, client:
        loop = Loop()
        for peer in (ours, gate_side):
            peer.setblocking(False)
        request = read_request_head(b"GET / HTTP/1.1\r\nHost: ok.test\r\n\r\n")
        assert request is not None
        facts = Facts(Protocol.HTTP, "192.0.2.1", 80, host="ok.test")
        one = Exchange(
            loop, gate_side, ours, request, facts, free(facts), b"", Limits(), ended.append
        )
        one.start()
        theirs.sendall(b"HTTP/1.1 200 OK\r\nX: ")
        sent = 0
        while not ended and sent < 8000:
            theirs.send(b"x")
            sent += 1
            loop.turn(0)
        assert ended[0].status == 502
        assert "too many pieces" in ended[0].reason
        assert sent**2 < 2.1 * MAX_WORK_BYTES
        loop.close()


def test_a_client_that_says_more_before_its_answer_wakes_the_gate_once() -> None:
    (ours, theirs), (gate_side, client) = joined(), joined()
    ended = list[Result]()
    with ours, theirs, gate_side, client:
        loop = Loop()
        for peer in (ours, gate_side):
            peer.setblocking(False)
        request = read_request_head(b"GET / HTTP/1.1\r\nHost: ok.test\r\n\r\n")
        assert request is not None
        facts = Facts(Protocol.HTTP, "192.0.2.1", 80, host="ok.test")
        Exchange(
            loop, gate_side, ours, request, facts, free(facts), b"", Limits(), ended.append
        ).start()
        client.sendall(b"GET /next HTTP/1.1\r\n")
        loop.turn(1)
        assert not loop._epoll.poll(0)  # the next turn sleeps until somebody else speaks
        theirs.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        loop.turn(1)
        assert ended[0].reason == "complete"
        assert gate_side.recv(99) == b"GET /next HTTP/1.1\r\n"
        loop.close()


def test_a_full_record_begins_nothing_new_and_counts_what_it_refused(web: Web) -> None:
    with gate(named(web.server_port, "ok.test"), names=NAMES, record_bytes=9000) as house:
        kept, served = to(house, web), 0
        while served < 100:
            kept.sendall(ask("/a", web.server_port))
            head, body, _ = response(kept)
            if not head.startswith(b"HTTP/1.1 200 "):
                break
            served += 1
        assert head.startswith(b"HTTP/1.1 503 ")
        assert b"record" in body
        first = house.notary.wait(lambda m: m["flow"].get("limit") == "requests")
        assert first["flow"]["count"] == 1
        for _ in range(50):
            with contextlib.suppress(ConnectionResetError):
                assert to(house, web).recv(1) == b""
        size = sum(len(json.dumps(m)) for m in house.notary.messages)
        assert size < 9000 + 3000
        counts = house.stop()
        assert (counts["allowed"], counts["overload"], counts["connections"]) == (served, 50, 51)
        told = [m["flow"]["count"] for m in house.notary.messages if "limit" in m["flow"]]
        assert sorted(told) == [1, 50]
        assert len(Handler.seen) == served
