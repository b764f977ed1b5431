"""P15 in opened TLS: HTTP/2 as a way round the judge. Whatever the client frames, the server hears what was allowed."""

# ruff: noqa: N802

from __future__ import annotations

import contextlib
import random
import socket
import ssl
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import h2.exceptions
import pytest
from h2.events import StreamEnded
from hpack import Encoder
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    PushPromiseFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from sluicegate.gate import h2guard
from sluicegate.policy.model import Rule
from tests.kernel.test_opened import NAME, House, ask, house
from tests.kernel.twohouse import Client, Site2, inner

EVIL = "evil.example"


def reading(site: Site2) -> Rule:
    return Rule(
        "allow[0] p:0", host=NAME, ports=(site.server.port,), methods=("GET",), paths=("/ok",)
    )


def spoken(place: House, *protocols: str) -> ssl.SSLSocket:
    context = place.context()
    if protocols:
        context.set_alpn_protocols(list(protocols))
    return place.connect(context=context)


def heard(peer: socket.socket) -> bytes:
    """Until the gate ends it."""
    data = b""
    with contextlib.suppress(OSError):
        while piece := peer.recv(65_536):
            data += piece
    return data


def faults(place: House) -> list[str]:
    return [
        m["flow"].get("fault", m["flow"]["rule"])
        for m in place.gate.notary.messages
        if m["verdict"] == "block"
    ]


def test_P15_an_upgrade_to_h2c_within_tls_is_not_passed_on(tmp_path: Path) -> None:
    site = Site2(tmp_path)
    with house(site, reading(site)) as place:
        peer = spoken(place, "http/1.1")
        peer.sendall(
            f"GET /ok HTTP/1.1\r\nHost: {NAME}:{site.server.port}\r\n"
            "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
            "HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n".encode()
        )
        assert peer.recv(65_536).startswith(b"HTTP/1.1 200 ")
        # Frames after it, as of a client that was switched: no request, and so told to nobody.
        peer.sendall(h2guard.PREFACE + SettingsFrame(0).serialize())
        assert b"HTTP/1.1 40" in heard(peer)
        place.gate.stop()
    assert len(site.heard) == 1
    assert b"h2c" not in site.heard[0]
    assert b"http2-settings" not in site.heard[0].lower()


@pytest.mark.parametrize("protocols", [("http/1.1",), ()])
def test_P15_prior_knowledge_without_agreement(tmp_path: Path, protocols: tuple[str, ...]) -> None:
    site = Site2(tmp_path)
    with house(site, reading(site)) as place:
        peer = spoken(place, *protocols)
        peer.sendall(h2guard.PREFACE + SettingsFrame(0).serialize())
        assert b"HTTP/1.1 40" in heard(peer)
        place.gate.stop()
        assert len(faults(place)) == 1
    assert not site.heard
    assert not site.asked


def test_P15_http1_where_http2_was_agreed(tmp_path: Path) -> None:
    site = Site2(tmp_path)
    with house(site, reading(site)) as place:
        peer = spoken(place, "h2")
        peer.sendall(f"GET /ok HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode())
        heard(peer)
        place.gate.stop()
        assert faults(place) == ["the first bytes are not HTTP/2's"]
    assert not site.asked


def test_P15_http1_beside_it_on_another_connection(tmp_path: Path) -> None:
    """The server speaks both: which one was agreed is each connection's own."""
    site = Site2(tmp_path)
    with house(site, reading(site)) as place:
        assert Client(place, site.server.port).get("/ok") == (200, b"/ok 0")
        peer = spoken(place, "http/1.1")
        assert ask(peer, "GET /ok", host=f"{NAME}:{site.server.port}").endswith(b"/ok 0")
        assert ask(peer, "GET /no", host=f"{NAME}:{site.server.port}").startswith(b"HTTP/1.1 403")
        place.gate.stop()


Fields = list[tuple[str, str]]
# Each a request that some reader could take for another than was judged.
ODD: dict[str, Callable[[Fields], Fields]] = {
    "extended connect": lambda f: [(":method", "CONNECT"), (":protocol", "websocket"), *f[1:]],
    "connect": lambda _: [(":method", "CONNECT"), (":authority", f"{EVIL}:443")],
    "authority against host": lambda f: [*f, ("host", EVIL)],
    "host alone": lambda f: [*f[:2], f[3], ("host", EVIL)],
    "another authority": lambda f: [*f[:2], (":authority", EVIL), f[3]],
    "another port": lambda f: [*f[:2], (":authority", f"{NAME}:1"), f[3]],
    "userinfo": lambda f: [*f[:2], (":authority", f"{NAME}@{EVIL}"), f[3]],
    "two authorities": lambda f: [*f[:3], (":authority", EVIL), f[3]],
    "two paths": lambda f: [*f, (":path", "/no")],
    "path after fields": lambda f: [*f[:3], ("x", "y"), f[3]],
    "absolute path": lambda f: [*f[:3], (":path", f"https://{EVIL}/no")],
    "clear scheme": lambda f: [f[0], (":scheme", "http"), *f[2:]],
    "line in path": lambda f: [
        *f[:3],
        (":path", "/ok HTTP/1.1\r\nHost: evil.example\r\n\r\nGET /no"),
    ],
    "line in value": lambda f: [*f, ("x", "y\r\n\r\nGET /no HTTP/1.1\r\nHost: evil.example")],
    "line in name": lambda f: [*f, ("x: y\r\nhost", EVIL)],
    "line in method": lambda f: [(":method", "GET /no HTTP/1.1\r\nX:"), *f[1:]],
    "nul": lambda f: [*f, ("x", "y\0z")],
    "upper case": lambda f: [*f, ("Host", EVIL)],
    "chunked": lambda f: [*f, ("transfer-encoding", "chunked")],
    "chunked by another name": lambda f: [*f, ("transfer_encoding", "chunked")],
    "upgrade": lambda f: [*f, ("connection", "upgrade"), ("upgrade", "h2c")],
    "te": lambda f: [*f, ("te", "chunked")],
    "length without content": lambda f: [*f, ("content-length", "30")],
    "two lengths": lambda f: [*f, ("content-length", "0"), ("content-length", "30")],
    "signed length": lambda f: [*f, ("content-length", "+0")],
    "status": lambda f: [*f, (":status", "200")],
    "no path": lambda f: f[:3],
    "method of another rule": lambda f: [(":method", "POST"), *f[1:]],
    "path of another rule": lambda f: [*f[:3], (":path", "/ok/../no")],
    "escaped path": lambda f: [*f[:3], (":path", "/%6fk%2f..%2fno")],
}


@pytest.mark.parametrize("odd", ODD)
def test_P15_what_could_be_read_otherwise_goes_nowhere(tmp_path: Path, odd: str) -> None:
    site = Site2(tmp_path)
    with house(site, reading(site)) as place:
        client = Client(place, site.server.port)
        number = client.say(ODD[odd](client.head("GET", "/ok")))
        client.wait(number)
        # Of the library's own objections, which end the connection, nobody is left to ask.
        if client.goaway is None:
            assert number in client.resets or client.heads[number][-1][":status"] in {"400", "403"}
            assert client.get("/ok") == (200, b"/ok 0")
        place.gate.stop()
        assert len(faults(place)) == 1
    assert [head[":path"] for head in site.asked] in ([], ["/ok"])


@pytest.mark.parametrize("name", ["host", "content-length", "authorization", ":path", "cookie"])
def test_P15_fields_after_the_content(tmp_path: Path, name: str) -> None:
    site = Site2(tmp_path)
    rule = Rule("allow[0] p:0", host=NAME, ports=(site.server.port,), methods=("POST",))
    with house(site, rule) as place:
        client = Client(place, site.server.port)
        number = client.say(client.head("POST", "/ok"), end=False)
        client.conn.send_data(number, b"x")
        with contextlib.suppress(h2.exceptions.ProtocolError):
            client.conn.send_headers(number, [(name, EVIL)], end_stream=True)
        client.flush()
        client.wait(number)
        assert number in client.resets or client.goaway is not None
        place.gate.stop()
    assert not site.trailers
    assert not any(isinstance(event, StreamEnded) for event in site.events)


def frames(dice: random.Random, encoder: Encoder, port: int, number: int) -> list[Frame]:
    """One turn of a client that keeps no rules."""
    paths = ("/ok", "/no", "/ok/../no", "", "*", f"https://{EVIL}/ok")
    head: list[tuple[str, str]] = [
        (":method", dice.choice(("GET", "GET", "GET", "POST", "CONNECT", ""))),
        (":scheme", dice.choice(("https", "https", "https", "http"))),
        (":authority", dice.choice((f"{NAME}:{port}", f"{NAME}:{port}", NAME, EVIL))),
        (":path", dice.choice(paths)),
    ]
    if dice.random() < 0.2:
        dice.shuffle(head)
    if dice.random() < 0.2:
        head.pop(dice.randrange(len(head)))
    if dice.random() < 0.3:
        more = (("host", EVIL), ("content-length", "3"), ("te", "x"), ("x", "y"), (":path", "/no"))
        head.append(dice.choice(more))
    block = encoder.encode(head)
    first = HeadersFrame(number, block)
    flags = [{"END_HEADERS"}, {"END_HEADERS", "END_STREAM"}, {"END_HEADERS", "END_STREAM"}, set()]
    for flag in dice.choice(flags):
        first.flags.add(flag)
    other = max(1, number - 2 * dice.randrange(4))
    data = DataFrame(other, dice.choice((b"", b"xyz", b"GET /no HTTP/1.1\r\n\r\n")))
    if dice.random() < 0.5:
        data.flags.add("END_STREAM")
    rest = ContinuationFrame(number, encoder.encode([("x-more", "1")]))
    rest.flags.add("END_HEADERS")
    later: tuple[Frame, ...] = (
        *(data, rest, RstStreamFrame(other, 8), PingFrame(0, b"12345678"), SettingsFrame(0)),
        *(WindowUpdateFrame(other, 1000), PriorityFrame(other, depends_on=number + 2)),
        *(GoAwayFrame(0), HeadersFrame(other, encoder.encode([("x", "y")]))),
    )
    return [first, *(dice.choice(later) for _ in range(dice.randrange(3)))]


@pytest.mark.parametrize("seed", range(6))
def test_P15_frames_in_any_order_bring_nothing_else_to_the_server(
    tmp_path: Path, seed: int
) -> None:
    """Every request that the server hears is one whose intent was on record, in the same words."""
    site = Site2(tmp_path)
    dice = random.Random(seed)
    with house(site, reading(site)) as place:
        for _ in range(60):
            peer = spoken(place, "h2")
            encoder, number = Encoder(), 1
            with contextlib.suppress(OSError):
                peer.sendall(h2guard.PREFACE + SettingsFrame(0).serialize())
                for _ in range(dice.randrange(1, 6)):
                    made = frames(dice, encoder, site.server.port, number)
                    peer.sendall(b"".join(frame.serialize() for frame in made))
                    number += 2
            peer.settimeout(0.05)
            heard(peer)
            peer.close()
        assert Client(place, site.server.port).get("/ok") == (200, b"/ok 0")
        place.gate.stop()
        intents = Counter(
            (flow["method"], flow["path"]) for flow in inner(place.gate.notary.messages, "intent")
        )
    came = Counter((head[":method"], head[":path"]) for head in site.asked)
    assert came <= intents, came - intents
    assert set(came) == {("GET", "/ok")}
    assert {head[":authority"] for head in site.asked} <= {NAME, f"{NAME}:{site.server.port}"}


HEADS: tuple[Fields, ...] = (
    [(":status", "200")],
    [(":status", "200"), ("content-length", "3")],
    [(":status", "304"), ("content-length", "5")],
    [(":status", "103")],
    [(":status", "101")],
    [(":status", "abc")],
    [("x", "y")],
    [(":path", "/")],
)


def answers(dice: random.Random, encoder: Encoder) -> bytes:
    """What a server that keeps no rules says next."""
    if dice.random() < 0.1:
        return dice.randbytes(20)
    number = dice.choice((1, 1, 1, 3, 3, 5, 2))
    head = HeadersFrame(number, encoder.encode(dice.choice(HEADS)))
    data = DataFrame(number, dice.choice((b"", b"abc", b"x" * 5000)))
    settings = {dice.randrange(1, 7): dice.choice((0, 1, 16_384, 65_536, 2**31 - 1))}
    push = PushPromiseFrame(number, 2, encoder.encode([(":method", "GET")]))
    others: tuple[Frame, ...] = (
        *(RstStreamFrame(number, dice.choice((0, 7, 8))), SettingsFrame(0, settings=settings)),
        *(GoAwayFrame(0, last_stream_id=dice.choice((0, 1, 2**31 - 1))), push),
        WindowUpdateFrame(dice.choice((0, number)), window_increment=dice.choice((1, 2**31 - 1))),
    )
    frame = dice.choice((head, head, head, data, data, *others))
    if isinstance(frame, HeadersFrame | PushPromiseFrame):
        frame.flags.add("END_HEADERS")
    if isinstance(frame, HeadersFrame | DataFrame) and dice.random() < 0.4:
        frame.flags.add("END_STREAM")
    return frame.serialize()


@pytest.mark.parametrize("seed", range(3))
def test_P15_a_server_that_keeps_no_rules(tmp_path: Path, seed: int) -> None:
    """Every request has an end on record that both verifiers would make again, and the next client is served."""
    site = Site2(tmp_path)
    dice, usual = random.Random(seed), site.server.handle
    rogue = True

    def handle(raw: socket.socket) -> None:
        if not rogue:
            usual(raw)
            return
        with site.context.wrap_socket(raw, server_side=True) as peer:
            encoder = Encoder()
            peer.sendall(SettingsFrame(0).serialize())
            for _ in range(dice.randrange(1, 12)):
                peer.sendall(answers(dice, encoder))

    site.server.handle = handle
    rule = Rule("allow[0] p:0", host=NAME, ports=(site.server.port,), inspect=True)
    with house(site, rule) as place:
        for _ in range(15):
            client = Client(place, site.server.port)
            client.own.settimeout(0.1)
            with contextlib.suppress(OSError, h2.exceptions.ProtocolError):
                for turn in range(dice.randrange(1, 4)):
                    body = dice.choice((None, None, b"x" * 100_000))
                    client.ask("GET" if body is None else "POST", f"/{turn}", body)
                client.until(lambda: False)
            client.own.close()
        rogue = False
        assert Client(place, site.server.port).get("/ok") == (200, b"/ok 0")
        place.gate.stop()
