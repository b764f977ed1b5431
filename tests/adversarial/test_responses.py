"""P11 and P24 from the other side: a server whose answers can be read in two ways, and what a client makes of them.

The client reads with `h11`. It asks a second time on the same connection: the answer must be the server's answer to
that, never what the first one had in its tail. Clear, and in opened TLS.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from typing import Any

import h11
import pytest

from tests.adversarial.test_smuggling import WAITING, way
from tests.kernel.gatehouse import read_all

__all__ = ["way"]
EVIL = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nX-Evil: 1\r\n\r\nevil"
_START, _OK = b"HTTP/1.1 200 OK\r\n", b"Content-Length: 2\r\n\r\nok"
# Name -> method of the first request, and the answer to it.
ANSWERS = {
    "a second answer": ("GET", _START + _OK + EVIL),
    "a second answer behind chunks": (
        "GET",
        _START + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n" + EVIL,
    ),
    "a second answer behind none": ("GET", b"HTTP/1.1 204 No\r\n\r\n" + EVIL),
    "a 204 with a length": ("GET", b"HTTP/1.1 204 No\r\nContent-Length: 4\r\n\r\nevil" + EVIL),
    "a 304 with a body": ("GET", b"HTTP/1.1 304 No\r\nContent-Length: 4\r\n\r\nevil" + EVIL),
    "a body for HEAD": ("HEAD", _START + _OK + EVIL),
    "chunks for HEAD": (
        "HEAD",
        _START + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n" + EVIL,
    ),
    "two lengths": ("GET", _START + b"Content-Length: 60\r\n" + _OK + EVIL),
    "two lengths turned": (
        "GET",
        _START + b"Content-Length: 2\r\nContent-Length: 60\r\n\r\nok" + EVIL,
    ),
    "a list of lengths": ("GET", _START + b"Content-Length: 2, 60\r\n\r\nok" + EVIL),
    "a length with a sign": ("GET", _START + b"Content-Length: +2\r\n\r\nok" + EVIL),
    "a length that is none": ("GET", _START + b"Content-Length: two\r\n\r\nok" + EVIL),
    "a length with an underscore": ("GET", _START + b"Content_Length: 60\r\n" + _OK + EVIL),
    "a length with a space": ("GET", _START + b"Content-Length : 60\r\n" + _OK + EVIL),
    "chunks and a length": (
        "GET",
        _START + b"Transfer-Encoding: chunked\r\nContent-Length: 7\r\n\r\n0\r\n\r\nok" + EVIL,
    ),
    "chunks twice": (
        "GET",
        _START + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n" + EVIL,
    ),
    "chunks last of two": (
        "GET",
        _START + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" + EVIL,
    ),
    "chunks that are none": ("GET", _START + b"Transfer-Encoding: xchunked\r\n" + _OK + EVIL),
    "a size beyond all": (
        "GET",
        _START + b"Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\n" + EVIL,
    ),
    "a chunk that is too long": (
        "GET",
        _START + b"Transfer-Encoding: chunked\r\n\r\n1\r\nok\r\n0\r\n\r\n" + EVIL,
    ),
    "trailers": (
        "GET",
        _START
        + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX-Evil: 1\r\nContent-Length: 60\r\n\r\n"
        + EVIL,
    ),
    "a bare lf": ("GET", b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok" + EVIL),
    "a bare lf in a value": ("GET", _START + b"X: a\nContent-Length: 60\r\n" + _OK + EVIL),
    "a bare cr in a value": ("GET", _START + b"X: a\rX-Evil: 1\r\n" + _OK + EVIL),
    "a nul": ("GET", _START + b"X: \0\r\n" + _OK),
    "a folded line": ("GET", _START + b"X: a\r\n Content-Length: 60\r\n" + _OK + EVIL),
    "no colon": ("GET", _START + b"X\r\n" + _OK + EVIL),
    "a status of four digits": ("GET", b"HTTP/1.1 2000 OK\r\n" + _OK),
    "a status of two": ("GET", b"HTTP/1.1 20 OK\r\n" + _OK),
    "another version": ("GET", b"HTTP/2 200 OK\r\n" + _OK + EVIL),
    "no head at all": ("GET", b"ok" + EVIL),
    "an interim answer with a body": (
        "GET",
        b"HTTP/1.1 103 Early\r\nContent-Length: 4\r\n\r\nevil" + _START + _OK,
    ),
    "a 101": (
        "GET",
        b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n" + EVIL,
    ),
    "many interim answers": ("GET", b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\n" * 5000 + _START + _OK),
    "an endless head": ("GET", _START + b"X: y\r\n" * 20_000 + _OK),
    "a head in one line": ("GET", _START + b"X: " + b"y" * 200_000 + b"\r\n" + _OK),
    "half an answer": ("GET", _START + b"Content-Length: 10\r\n\r\nhalf"),
    "half a chunk": ("GET", _START + b"Transfer-Encoding: chunked\r\n\r\na\r\nhalf"),
    "up to the end": ("GET", _START + b"\r\nok" + EVIL),
    "where else to ask": ("GET", _START + b'Alt-Svc: h3=":443"\r\n' + _OK),
}
# What ends the connection with the answer half said.
CUT = {"half an answer", "half a chunk", "a chunk that is too long", "a size beyond all"}
OWN = b"the second one's own"


def serve(answer: bytes, seen: list[bytes]) -> Any:
    def work(peer: socket.socket) -> None:
        data = b""
        while piece := peer.recv(65_536):
            data += piece
            while b"\r\n\r\n" in data:
                head, _, data = data.partition(b"\r\n\r\n")
                seen.append(head.split(b" ")[1])
                if seen[-1] == b"/ok/second":
                    peer.sendall(_START + b"Content-Length: %d\r\n\r\n" % len(OWN) + OWN)
                else:
                    peer.sendall(answer)
                    if answer[-4:] == b"half":
                        return
                    if answer.startswith(_START + b"\r\n"):
                        if isinstance(peer, ssl.SSLSocket):
                            peer.unwrap()
                        return

    return work


def told(peer: socket.socket, host: str, method: str) -> list[tuple[int, bytes, list[bytes]]]:
    """Status, body and names of headers of each answer, final ones alone; and how it ended, if not well, as 0."""
    connection, found = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20), []
    for path in ("/ok/first", "/ok/second"):
        ask = h11.Request(method=method, target=path, headers=[("Host", host)])
        method = "GET"
        peer.sendall((connection.send(ask) or b"") + (connection.send(h11.EndOfMessage()) or b""))
        body, head = b"", None
        try:
            while not isinstance(event := connection.next_event(), h11.EndOfMessage):
                if isinstance(event, h11.Response):
                    head = event
                elif isinstance(event, h11.Data):
                    body += bytes(event.data)
                elif event in WAITING or isinstance(event, h11.ConnectionClosed):
                    if isinstance(event, h11.ConnectionClosed):
                        return found
                    connection.receive_data(peer.recv(65_536))
        except (h11.RemoteProtocolError, OSError) as error:
            found.append((0, f"{error}".encode() + body, []))
            return found
        assert head is not None
        found.append((head.status_code, body, [name for name, _ in head.headers]))
        if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
            return found
        connection.start_next_cycle()
    return found


@pytest.mark.parametrize("name", ANSWERS)
def test_each_request_has_its_own_answer(way: Any, name: str) -> None:
    method, answer = ANSWERS[name]
    seen = list[bytes]()
    with way(serve(answer, seen)) as (place, host, connect):
        peer = connect()
        first, *rest = told(peer, host, method)
        with contextlib.suppress(OSError):
            peer.close()
        place.stop()
        ends = [m["flow"] for m in place.notary.messages if m.get("phase") == "outcome"]
        ends = [flow for flow in ends if flow["protocol"] in {"http", "https"}]
    if name in CUT:
        assert first[0] in {0, 502}, first
    else:
        assert first[0] in {200, 204, 304, 502}, first
    if name != "up to the end" and first[0] != 502:
        assert b"evil" not in first[1]
    assert b"x-evil" not in first[2]
    assert b"alt-svc" not in first[2]
    for status, body, _ in rest:
        assert (status, body) == (200, OWN), (status, body)
    # What failed says so on record.
    assert (first[0] in {0, 502}) == (ends[0]["outcome"] != "complete"), ends[0]
    assert len(answer) < 10_000 or first[0] == 502


def test_an_answer_before_its_request(way: Any) -> None:
    """It waits in the upstream's connection; the request that comes then gets none of it."""
    go, said, first = threading.Event(), threading.Event(), list[bool]()
    whole = _START + b"Content-Length: %d\r\n\r\n" % len(OWN) + OWN

    def work(peer: socket.socket) -> None:
        peer.recv(65_536)
        if first:
            peer.sendall(whole)
        else:
            first.append(True)
            peer.sendall(_START + _OK)
            go.wait(10)
            peer.sendall(EVIL)
            said.set()
        read_all(peer)

    with way(work) as (place, host, connect):
        peer = connect()
        ask = f"GET /ok/a HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
        peer.sendall(ask)
        assert until(peer, b"ok").endswith(b"\r\n\r\nok")
        go.set()
        assert said.wait(10)
        peer.sendall(ask)
        assert until(peer, OWN).endswith(OWN)
        place.stop()


def until(peer: socket.socket, last: bytes) -> bytes:
    """What comes, up to `last` or the end."""
    data = b""
    while not data.endswith(last) and (piece := peer.recv(65_536)):
        data += piece
    return data
