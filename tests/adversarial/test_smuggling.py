"""P11 at length: what a lax server behind the gate believes it saw is what the gate judged, and nothing else.

Against servers that take whatever they can for a request, and one that takes nothing odd (`h11`); clear and in opened
TLS.
"""

from __future__ import annotations

import contextlib
import re
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import h11
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sluicegate.facts import Facts, Protocol
from sluicegate.gate.bodies import Body
from sluicegate.gate.head import head
from sluicegate.gate.machine import Judge, Machine
from sluicegate.policy.model import Policy, Rule
from sluicegate.wire.cursor import WireError
from sluicegate.wire.http import Framing
from tests.adversarial.lax import READERS, Lax
from tests.adversarial.smuggled import requests, second
from tests.adversarial.tunnel import Tunnel
from tests.kernel import gatehouse
from tests.kernel.gatehouse import Server, gate
from tests.kernel.test_opened import NAME, Site, house

STATUS = re.compile(rb"HTTP/1\.1 [0-9]{3} ")
# Compared in order: its events have no hash.
WAITING = (h11.NEED_DATA, h11.PAUSED)
CORPUS = requests(b"a.test")
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Upstream:
    """Answers each request that `reader` believes it saw, as soon as it does."""

    def __init__(self, reader: Lax) -> None:
        self.reader = reader
        self.seen = list[tuple[str, str]]()
        self.raw = list[bytes]()

    def __call__(self, peer: socket.socket) -> None:
        data, answered = b"", 0
        try:
            while piece := peer.recv(65_536):
                data += piece
                found = self.reader.read(data)
                for one in found[answered:]:
                    self.seen.append((one.method, one.target))
                    body = b"" if one.method == "HEAD" else b"ok"
                    peer.sendall(ANSWER[: len(ANSWER) - 2] + body)
                answered = len(found)
                if found and found[-1].last:
                    break
        finally:
            self.raw.append(data)


class Strict:
    """The same of `h11`: what it can not read it writes down in `faults`."""

    def __init__(self) -> None:
        self.seen, self.faults = list[tuple[str, str]](), list[str]()

    def __call__(self, peer: socket.socket) -> None:
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
        while data := peer.recv(65_536):
            connection.receive_data(data)
            try:
                self._serve(connection, peer)
            except h11.RemoteProtocolError as error:
                self.faults.append(str(error))
                return
            if (
                connection.our_state is not h11.IDLE
                and connection.our_state is not h11.SEND_RESPONSE
            ):
                return

    def _serve(self, connection: h11.Connection, peer: socket.socket) -> None:
        while (event := connection.next_event()) not in WAITING:
            if isinstance(event, h11.Request):
                self.seen.append((event.method.decode(), event.target.decode()))
            if isinstance(event, h11.EndOfMessage):
                peer.sendall(
                    connection.send(
                        h11.Response(status_code=200, headers=[("Content-Length", "0")])
                    )
                    or b""
                )
                connection.send(h11.EndOfMessage())
                if connection.our_state is not h11.DONE:
                    return
                connection.start_next_cycle()


def rule(host: str, port: int) -> Rule:
    return Rule("allow[0] p:0", host=host, ports=(port,), paths=("/ok/**",), inspect=True)


@contextlib.contextmanager
def clear(serve: Callable[[socket.socket], None]) -> Iterator[tuple[Any, str, Any]]:
    up = Server(serve)
    policy = Policy("p", allow=(rule("ok.test", up.port), gatehouse.local(up.port)))
    with gate(policy, names={"ok.test": "127.0.0.1"}) as place:
        place.to = ("192.0.2.1", up.port)
        yield place, f"ok.test:{up.port}", place.connect


@contextlib.contextmanager
def opened(
    serve: Callable[[socket.socket], None], directory: Path
) -> Iterator[tuple[Any, str, Any]]:
    site = Site(directory)

    def handle(raw: socket.socket) -> None:
        with site.context.wrap_socket(raw, server_side=True) as peer:
            serve(peer)

    site.server.handle = handle
    with house(site, rule(NAME, site.server.port)) as place:
        context = place.context()
        yield (
            place.gate,
            f"{NAME}:{site.server.port}",
            lambda: Tunnel(place.gate.connect(), context, NAME),
        )


@pytest.fixture(params=["clear", "opened"])
def way(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    return clear if request.param == "clear" else lambda serve: opened(serve, tmp_path)


def talk(peer: socket.socket | Tunnel, data: bytes) -> bytes:
    """Say `data` and that nothing follows; all that comes back, up to a reset."""
    said = b""
    with contextlib.suppress(OSError):
        peer.sendall(data)
        peer.shutdown(socket.SHUT_WR)
        while piece := peer.recv(65_536):
            said += piece
    return said


def all_said(place: Any, host: str, connect: Any) -> dict[str, bytes]:
    """The whole corpus, each on a connection of its own; what was answered."""
    # Handshakes one after the other: the gate's place is one listener's.
    corpus = requests(host.encode())
    peers = {name: connect() for name in corpus}
    with ThreadPoolExecutor(16) as pool:
        said = {name: pool.submit(talk, peers[name], data) for name, data in corpus.items()}
        answers = {name: future.result() for name, future in said.items()}
    place.stop()
    return answers


def allowed(place: Any) -> Counter[tuple[str, str]]:
    """Method and path of each request with an allow receipt."""
    flows = [m["flow"] for m in place.notary.messages if m.get("phase") == "intent"]
    return Counter((f["method"], f["path"]) for f in flows if f["protocol"] in {"http", "https"})


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_a_lax_server_sees_what_was_judged(way: Any, reader: Lax) -> None:
    up = Upstream(reader)
    with way(up) as (place, host, connect):
        answers = all_said(place, host, connect)
        judged = allowed(place)
    assert Counter(up.seen) <= judged, Counter(up.seen) - judged
    assert not [one for one in up.seen if "smuggled" in one[1]]
    # Something is let through, and what is behind it is judged by itself.
    assert ("GET", "/ok/a") in judged
    assert b"HTTP/1.1 403 " in answers["pipelined"]
    assert answers["cl.te"].startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_without_a_gate_the_corpus_is_an_attack(reader: Lax) -> None:
    """Each of these readers is fooled by some of it, and no two by the same."""
    fooled = {
        name
        for name, data in CORPUS.items()
        if any("smuggled" in one.target for one in reader.read(data)[1:])
    }
    others = {
        name
        for name, data in CORPUS.items()
        for other in READERS
        if any("smuggled" in one.target for one in other.read(data)[1:])
    }
    assert len(fooled) > 30
    assert fooled < others


def test_a_strict_server_is_given_nothing_odd(way: Any) -> None:
    up = Strict()
    with way(up) as (place, host, connect):
        all_said(place, host, connect)
        judged = allowed(place)
    assert not up.faults
    assert Counter(up.seen) <= judged
    assert ("POST", "/ok/a") in up.seen


def test_a_refusal_ends_the_connection(way: Any) -> None:
    """Whatever could not be read, nothing behind it is: one answer, and the end."""
    up = Upstream(READERS[0])
    with way(up) as (place, host, connect):
        answers = all_said(place, host, connect)
        faults = [m["flow"] for m in place.notary.messages if m["flow"]["rule"] == "fault"]
    bad = {name: said for name, said in answers.items() if said.startswith(b"HTTP/1.1 400 ")}
    assert len(bad) > 100
    assert not [name for name, said in bad.items() if len(STATUS.findall(said)) != 1]
    assert faults


# The same without sockets, on requests nobody thought of: what goes up for what comes in.


def relayed(stream: bytes) -> tuple[list[bytes], list[tuple[str, str, bytes]]]:
    """What each connection to the server would be given, and the requests that were judged, with their bodies."""
    base = Facts(Protocol.HTTP, "192.0.2.1", 80)
    ups, judged, resumed = [b""], list[tuple[str, str, bytes]](), False
    while stream:
        machine = Machine(base, resumed=resumed)
        step = machine.received(stream)
        request = machine.request
        if not isinstance(step, Judge) or step.facts.fault is not None or request is None:
            break
        if step.facts.protocol is not Protocol.HTTP:
            break
        rest, resumed = machine.buffer[request.size :], True
        body = Body(request.framing, request.length)
        single = not body.done or request.upgrade is not None
        ups[-1] += head(replace(request, keep_alive=False) if single else request, step.facts)
        try:
            content = body.feed(rest)
        except WireError:
            # The head may have been on its way before these bytes came.
            judged.append((request.method, request.path, b""))
            break
        ups[-1] += content
        chunked = request.framing is Framing.CHUNKED
        judged.append((request.method, request.path, plain(content) if chunked else content))
        if not body.done:
            break
        stream = body.rest if rest else b""
        if single:
            ups.append(b"")
        if not request.keep_alive:
            break
    return ups, judged


PIECES = (
    *(
        b"GET ",
        b"POST ",
        b"HEAD ",
        b"/ok/a",
        b" HTTP/1.1",
        b" HTTP/1.0",
        b"\r\n",
        b"\r\n",
        b"\r\n\r\n",
    ),
    *(
        b"Host: a.test\r\n",
        b"Host: a.test\r\n",
        b"\n",
        b"\r",
        b" ",
        b"\t",
        b":",
        b"\0",
        b"x",
        b"0",
        b"5",
    ),
    *(b"Content-Length: 0\r\n", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b","),
    *(
        b"Connection: close\r\n",
        b"Connection: keep-alive\r\n",
        b"chunked",
        b"0\r\n\r\n",
        b"5\r\nhello\r\n",
    ),
    *(
        b"GET /ok/b HTTP/1.1\r\nHost: a.test\r\n\r\n",
        second(b"a.test"),
        b"_",
        b"-",
    ),
    *(
        b"POST /ok/c HTTP/1.1\r\nHost: a.test\r\n",
        b"Expect: 100-continue\r\n",
        b"http://a.test/ok/d",
    ),
)
BASES = tuple(data for data in CORPUS.values() if len(data) < 1000)
changes = st.lists(
    st.tuples(st.integers(0, 1 << 16), st.integers(0, 12), st.sampled_from((b"", *PIECES))),
    max_size=4,
)


def changed(base: bytes, edits: list[tuple[int, int, bytes]]) -> bytes:
    for place, size, piece in edits:
        at = place % (len(base) + 1)
        base = base[:at] + piece + base[at + size :]
    return base


streams = st.one_of(
    st.lists(st.sampled_from(PIECES), max_size=24).map(b"".join),
    st.builds(changed, st.sampled_from(BASES), changes),
    st.builds(bytes.__add__, *(st.builds(changed, st.sampled_from(BASES), changes),) * 2),
)
MANY = settings(deadline=None, max_examples=600, suppress_health_check=list(HealthCheck))


@MANY
@given(streams)
@example(BASES[0])
def test_lax_readers_agree_about_what_goes_up(stream: bytes) -> None:
    ups, judged = relayed(stream)
    wanted = [(method, path) for method, path, _ in judged]
    for reader in READERS:
        seen = [(one.method, one.target) for up in ups for one in reader.read(up)]
        assert seen == wanted, (reader.name, ups)


@MANY
@given(streams)
def test_h11_reads_the_same_requests(stream: bytes) -> None:
    ups, judged = relayed(stream)
    assert [one for up in filter(None, ups) for one in by_h11(up)] == [
        *judged,
    ]


def by_h11(up: bytes) -> list[tuple[str, str, bytes]]:
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    connection.receive_data(up)
    found = list[tuple[str, str, bytes]]()
    while (event := connection.next_event()) not in WAITING:
        if isinstance(event, h11.Request):
            found.append((event.method.decode(), event.target.decode(), b""))
        elif isinstance(event, h11.Data):
            method, target, body = found[-1]
            found[-1] = method, target, body + bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            connection.send(h11.Response(status_code=204, headers=[]))
            connection.send(h11.EndOfMessage())
            if connection.our_state is not h11.DONE:
                break
            connection.start_next_cycle()
    return found


def plain(content: bytes) -> bytes:
    """Chunks as the gate writes them, without their lines."""
    body, at = b"", 0
    while chunk := re.compile(rb"([0-9a-f]+)\r\n").match(content, at):
        size = int(chunk[1], 16)
        body, at = body + content[chunk.end() : chunk.end() + size], chunk.end() + size + 2
    return body
