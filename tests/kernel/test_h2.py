"""HTTP/2 inside TLS that the gate opens: streams judged one by one, carried with flow control, bounded.

Shells: sluicegate.gate.h2call, sluicegate.gate.h2inside, sluicegate.gate.h2side, sluicegate.gate.h2up.
"""

from __future__ import annotations

import contextlib
import gc
import socket
import threading
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from h2.errors import ErrorCodes
from h2.events import PingAckReceived, StreamEnded, StreamReset
from h2.settings import SettingCodes
from hpack import Encoder
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from sluicegate.gate import h2guard
from sluicegate.gate.desk import Deed
from sluicegate.gate.h2call import Call
from sluicegate.gate.h2pipe import FIRST_WINDOW
from sluicegate.gate.h2side import FRAME_BYTES, MAX_STREAMS
from sluicegate.gate.vault import Held, Vault
from sluicegate.policy.model import Rule, Secret
from tests.kernel import gatehouse
from tests.kernel.test_opened import NAME, House, house, reading
from tests.kernel.twohouse import Client, Peer, Site2, inner


def open_to(site: Site2) -> Rule:
    return Rule("allow[0] p:0", host=NAME, ports=(site.server.port,), inspect=True)


def test_streams_are_judged_one_by_one(tmp_path: Path) -> None:
    site = Site2(tmp_path)
    with house(site, reading(site)) as place:
        client = Client(place, site.server.port)
        first, second = client.ask("GET", "/a"), client.ask("POST", "/b", b"x" * 10)
        third = client.ask("GET", "/c")
        assert client.answer(first) == (200, b"/a 0")
        status, said = client.answer(second)
        assert status == 403
        assert said.startswith(b"sluicegate: denied https://api.example")
        assert client.answer(third) == (200, b"/c 0")
        client.own.close()
        place.gate.notary.wait(lambda m: m.get("phase") == "outcome" and "opened" in m["flow"])
        place.gate.stop()
        messages = place.gate.notary.messages
    assert sorted(head[":path"] for head in site.asked) == ["/a", "/c"]
    assert site.server.accepted == 1
    ended = inner(messages)
    assert {(f["status"], f["outcome"]) for f in ended} == {(200, "complete")}
    assert all("kernel_up" not in f and f["bytes_up"] > 0 and f["bytes_down"] > 0 for f in ended)
    whole = next(
        m["flow"] for m in messages if m["flow"].get("opened") and m.get("phase") == "outcome"
    )
    assert whole["bytes_up"] == whole["kernel_up"] > 500
    assert whole["bytes_down"] == whole["kernel_down"] > 500
    assert whole["outcome"] == "complete"


def test_large_bodies_both_ways(tmp_path: Path) -> None:
    site = Site2(tmp_path)
    body = bytes(range(256)) * 20_000

    def echo(peer: Peer, number: int, head: dict[str, str]) -> bool:
        peer.respond(number, site.contents[head[":path"]])
        return True

    site.behave = echo
    with house(site, open_to(site)) as place:
        client = Client(place, site.server.port)
        number = client.ask("POST", "/up", body, ("content-length", str(len(body))))
        status, said = client.answer(number)
        assert (status, said == body) == (200, True)
        client.own.close()
        place.gate.stop()
        (flow,) = inner(place.gate.notary.messages)
    assert flow["bytes_up"] > len(body) < flow["bytes_down"]


def test_a_thousand_parallel_streams(tmp_path: Path) -> None:
    """All are open at once: the server answers none before it has heard the last."""
    site = Site2(tmp_path)
    site.settings = {SettingCodes.MAX_CONCURRENT_STREAMS: 2000}
    held = list[tuple[int, str]]()

    def hold(peer: Peer, number: int, head: dict[str, str]) -> bool:
        held.append((number, head[":path"]))
        if len(held) == 1000:
            for one, path in held:
                peer.respond(one, path.encode())
        return True

    site.behave = hold
    with house(site, open_to(site)) as place:
        client = Client(place, site.server.port)
        client.until(lambda: bool(client.events))
        numbers = {client.ask("GET", f"/{i}"): f"/{i}".encode() for i in range(1000)}
        client.wait(*numbers)
        assert all(client.answer(n) == (200, path) for n, path in numbers.items())
        client.own.close()
        place.gate.stop()
        ended = inner(place.gate.notary.messages)
    assert len(ended) == 1000
    assert all(flow["outcome"] == "complete" for flow in ended)
    assert site.server.accepted == 1


def test_rounds_of_a_thousand_streams_leave_nothing_behind(tmp_path: Path) -> None:
    """Of 3,000 requests over one connection nothing is held on to."""
    site, held = Site2(tmp_path), list[tuple[int, str]]()
    site.settings = {SettingCodes.MAX_CONCURRENT_STREAMS: 2000}

    def hold(peer: Peer, number: int, head: dict[str, str]) -> bool:
        held.append((number, head[":path"]))
        if len(held) == 1000:
            for one, path in held:
                peer.respond(one, path.encode())
            held.clear()
        return True

    site.behave = hold
    with house(site, open_to(site)) as place:
        client = Client(place, site.server.port)
        client.until(lambda: bool(client.events))
        for _ in range(3):
            numbers = [client.ask("GET", f"/{i}") for i in range(1000)]
            client.wait(*numbers)
            # The connection's own deed stays.
            assert gatehouse.until(lambda: alive(Call, Deed) == {Deed: 1}), alive(Call, Deed)
        client.own.close()
        place.gate.stop()


def alive(*kinds: type) -> Counter[type]:
    """How many objects of `kinds` somebody holds."""
    gc.collect()
    return Counter(type(one) for one in gc.get_objects() if type(one) in kinds)


def test_a_server_that_takes_few_streams_at_once_gets_few(tmp_path: Path) -> None:
    site = Site2(tmp_path)
    site.settings = {SettingCodes.MAX_CONCURRENT_STREAMS: 3}
    with house(site, open_to(site)) as place:
        client = Client(place, site.server.port)
        numbers = [client.ask("GET", f"/{i}") for i in range(200)]
        client.wait(*numbers)
        assert [client.answer(n)[0] for n in numbers] == [200] * 200
        place.gate.stop()


def test_trailers_and_interim_responses_go_through(tmp_path: Path) -> None:
    site = Site2(tmp_path)

    def behave(peer: Peer, number: int, head: dict[str, str]) -> bool:
        peer.conn.send_headers(number, [(":status", "103"), ("link", "</x>")])
        peer.conn.send_headers(number, [(":status", "200"), ("alt-svc", 'h3=":443"')])
        peer.conn.send_data(number, b"some")
        peer.conn.send_headers(number, [("grpc-status", "0")], end_stream=True)
        peer.flush()
        return True

    site.behave = behave
    with house(site, open_to(site)) as place:
        client = Client(place, site.server.port)
        number = client.say(client.head("POST", "/a"), end=False)
        client.conn.send_data(number, b"content")
        client.conn.send_headers(number, [("x-checksum", "7")], end_stream=True)
        client.flush()
        client.wait(number)
        place.gate.stop()
    assert [head[":status"] for head in client.heads[number]] == ["103", "200"]
    assert "alt-svc" not in client.heads[number][1]
    assert client.trailers[number] == [("grpc-status", "0")]
    assert client.bodies[number] == b"some"
    assert site.contents["/a"] == b"content"
    assert site.trailers["/a"] == [("x-checksum", "7")]


def test_nothing_goes_up_before_its_receipt_is_committed(tmp_path: Path) -> None:
    site = Site2(tmp_path)
    with house(site, open_to(site)) as place:
        client = Client(place, site.server.port)
        notary = place.gate.notary
        assert client.get("/before")[0] == 200
        notary.answering.clear()
        client.ask("POST", "/held", b"x" * 1000)
        notary.wait(lambda m: m["flow"].get("path") == "/held")
        # The server is there and asks: whatever it is sent would come before the answer to this.
        before = len(site.events)
        peer = site.peers[0]
        peer.todo.append(lambda: (peer.conn.ping(b"12345678"), peer.flush())[0])
        assert gatehouse.until(lambda: len(site.events) > before)
        assert isinstance(site.events[-1], PingAckReceived)
        assert [head[":path"] for head in site.asked] == ["/before"]
        notary.answering.set()
        assert gatehouse.until(lambda: site.contents.get("/held") == b"x" * 1000)
        place.gate.stop()


def flooded(place: House, client: Client, bytes_: bytes, why: str) -> None:
    """The gate ends the connection with ENHANCE_YOUR_CALM, and says why on record."""
    with contextlib.suppress(OSError):
        client.own.sendall(bytes_)
    client.until(lambda: client.goaway is not None)
    block = place.gate.notary.verdict("block")
    assert why in block["flow"]["fault"]
    place.gate.stop()
    ended = next(m["flow"] for m in place.gate.notary.messages if m["flow"].get("bytes_up"))
    assert ended["outcome"] == f"refused: {block['flow']['fault']}"
    assert client.goaway == ErrorCodes.ENHANCE_YOUR_CALM


@pytest.mark.parametrize(
    ("frame", "why"),
    [
        (PingFrame(0, b"12345678"), "too many frames that carry nothing"),
        (SettingsFrame(0), "too many frames that carry nothing"),
        (PriorityFrame(99), "too many frames that carry nothing"),
        (DataFrame(1, b""), "too many frames that carry nothing"),
        (WindowUpdateFrame(0, window_increment=1), "too many window updates"),
    ],
)
def test_floods(tmp_path: Path, frame: Frame, why: str) -> None:
    site = Site2(tmp_path)
    with house(site, open_to(site)) as place:
        client = Client(place, site.server.port)
        client.say(client.head("POST", "/a"), end=False)
        flooded(place, client, frame.serialize() * 5000, why)


def test_rapid_reset(tmp_path: Path) -> None:
    site = Site2(tmp_path)
    with house(site, open_to(site)) as place:
        client = Client(place, site.server.port)
        with contextlib.suppress(OSError):
            for _ in range(2500):
                number = client.conn.get_next_available_stream_id()
                client.conn.send_headers(number, client.head("GET", "/a"), end_stream=True)
                client.conn.reset_stream(number, ErrorCodes.CANCEL)
        flooded(place, client, client.conn.data_to_send(), "too many streams that are reset")


def test_continuation_flood(tmp_path: Path) -> None:
    site = Site2(tmp_path)
    with house(site, open_to(site)) as place:
        client = Client(place, site.server.port)
        more = ContinuationFrame(1, b"").serialize() * 5000
        flooded(place, client, HeadersFrame(1, b"\x82").serialize() + more, "continuations")
    assert not site.asked


def test_a_header_list_that_unpacks_to_much(tmp_path: Path) -> None:
    site = Site2(tmp_path)
    with house(site, open_to(site)) as place:
        client = Client(place, site.server.port)
        # One entry of 4 KB in the table, then a thousand references to it.
        encoder = Encoder()
        head = encoder.encode([*client.head("GET", "/a"), ("x", "y" * 3000)])
        again = bytes([0x80 | 62]) * 1000
        frame = HeadersFrame(1, head + again)
        frame.flags |= {"END_HEADERS", "END_STREAM"}
        flooded(place, client, frame.serialize(), "Oversized header block")
    assert not site.asked


def test_what_breaks_the_protocol_is_on_record(tmp_path: Path) -> None:
    site = Site2(tmp_path)
    with house(site, open_to(site)) as place:
        client = Client(place, site.server.port)
        assert client.get("/a")[0] == 200
        client.own.sendall(bytes((0, 0, 1, 0, 0, 0, 0, 0, 0)) + b"x")  # DATA on stream 0
        client.until(lambda: client.goaway is not None)
        assert client.goaway == ErrorCodes.PROTOCOL_ERROR
        place.gate.stop()
        assert "HTTP/2" in place.gate.notary.verdict("block")["flow"]["fault"]


def test_malformed_requests_end_their_stream_alone(tmp_path: Path) -> None:
    site = Site2(tmp_path)
    with house(site, open_to(site)) as place:
        client = Client(place, site.server.port)
        bad = client.say([*client.head("GET", "/a"), ("connection", "close")])
        other = client.say([*client.head("GET", "/a"), ("host", "evil.example")])
        client.wait(bad, other)
        assert client.resets == {bad: ErrorCodes.PROTOCOL_ERROR, other: ErrorCodes.PROTOCOL_ERROR}
        tunnel = client.say([(":method", "CONNECT"), (":authority", "evil.example:443")])
        status, said = client.answer(tunnel)
        assert (status, b"CONNECT inside opened TLS" in said) == (400, True)
        assert client.get("/b") == (200, b"/b 0")
        place.gate.stop()
        blocks = [m for m in place.gate.notary.messages if m["verdict"] == "block"]
    assert {m["pattern"] for m in blocks} == {"fault"}
    assert len(blocks) == 3
    assert [head[":path"] for head in site.asked] == ["/b"]


def test_another_authority_is_a_mismatch(tmp_path: Path) -> None:
    site = Site2(tmp_path)
    with house(site, open_to(site)) as place:
        client = Client(place, site.server.port)
        fields = client.head("GET", "/a")
        fields[2] = (":authority", "evil.example")
        assert client.answer(client.say(fields))[0] == 403
        place.gate.stop()
        assert place.gate.notary.verdict("block")["pattern"] == "mismatch"
    assert not site.asked


@pytest.mark.parametrize("length", ["5", "7"])
def test_content_of_another_length_than_was_said(tmp_path: Path, length: str) -> None:
    site = Site2(tmp_path)
    with house(site, open_to(site)) as place:
        client = Client(place, site.server.port)
        number = client.ask("POST", "/a", b"sixsix", ("content-length", length))
        client.wait(number)
        assert client.resets[number] == ErrorCodes.PROTOCOL_ERROR
        assert client.get("/b") == (200, b"/b 0")
        place.gate.stop()
        (flow,) = [f for f in inner(place.gate.notary.messages) if f["path"] == "/a"]
    assert "content-length" in flow["outcome"]
    assert "/a" not in {path for path, said in site.contents.items() if len(said) == 6}


def test_a_reader_that_takes_nothing_stops_only_its_own_stream(tmp_path: Path) -> None:
    """What waits for it is what its window lets through, and the server is given back no more than was taken."""
    site = Site2(tmp_path)
    left = dict[str, Peer]()

    def behave(peer: Peer, number: int, head: dict[str, str]) -> bool:
        if head[":path"] == "/quick":
            return False
        left[head[":path"]] = peer
        peer.respond(number, b"x" * 1_000_000)
        return True

    site.behave = behave
    few = {SettingCodes.INITIAL_WINDOW_SIZE: 1000}
    with house(site, open_to(site)) as place:
        client = Client(place, site.server.port, settings=few)
        client.conn.increment_flow_control_window(10_000_000)
        client.takes = False
        slow = [client.ask("GET", f"/{n}") for n in range(40)]
        client.until(lambda: all(len(client.bodies.get(n, b"")) == 1000 for n in slow))
        assert client.get("/quick") == (200, b"/quick 0")
        peer = left["/0"]
        # What it was let through is out of the server's hands, and nothing else.
        given = [1_000_000 - len(rest) for rest in peer.waiting.values()]
        assert (len(given), max(given)) == (40, FIRST_WINDOW)
        client.own.close()
        place.gate.stop()
    assert len(inner(place.gate.notary.messages)) == 41


def test_a_server_that_takes_nothing_stops_only_its_own_stream(tmp_path: Path) -> None:
    site = Site2(tmp_path)
    site.settings = {SettingCodes.INITIAL_WINDOW_SIZE: 0}
    with house(site, open_to(site)) as place:
        client = Client(place, site.server.port)
        slow = client.ask("POST", "/slow", b"x" * 1_000_000)
        assert client.get("/quick") == (200, b"/quick 0")
        assert 1_000_000 - len(client.waiting[slow]) <= 65_535
        client.own.close()
        place.gate.notary.wait(lambda m: m["flow"].get("outcome") == "client reset")
        place.gate.stop()
        (flow,) = [f for f in inner(place.gate.notary.messages) if f["path"] == "/slow"]
    assert flow["outcome"] == "client reset"


def test_a_client_that_does_not_acknowledge_our_settings(tmp_path: Path) -> None:
    """Until it does, each of its streams may send four times as much before anybody takes it."""
    site = Site2(tmp_path)
    with house(site, open_to(site), head_s=1.5) as place:
        context = place.context()
        context.set_alpn_protocols(["h2"])
        own = place.connect(context=context)
        own.sendall(h2guard.PREFACE + SettingsFrame(0).serialize())
        said = b""
        with contextlib.suppress(OSError):
            while piece := own.recv(65_536):
                said += piece
        assert said.endswith(h2guard.goaway(0, h2guard.SETTINGS_TIMEOUT))
        place.gate.stop()
        block = place.gate.notary.verdict("block")["flow"]
    assert block["fault"] == "the client did not acknowledge our SETTINGS in time"


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"", "the server does not begin to speak HTTP/2"),
        (SettingsFrame(0).serialize(), "the server does not acknowledge our SETTINGS"),
    ],
)
def test_a_server_that_does_not_agree_on_settings(tmp_path: Path, said: bytes, why: str) -> None:
    """Whoever is silent is left, and the client told why: until it acknowledges, it may send more than we said."""
    site = Site2(tmp_path)

    def handle(raw: socket.socket) -> None:
        with site.context.wrap_socket(raw, server_side=True) as peer:
            peer.sendall(said)
            while peer.recv(65_536):
                pass

    site.server.handle = handle
    with house(site, open_to(site), connect_s=1) as place:
        status, words = Client(place, site.server.port).get("/a")
        assert status == 502
        assert why in words.decode()
        place.gate.stop()
        (flow,) = inner(place.gate.notary.messages)
    assert flow["outcome"] == why


def test_no_stream_waits_for_another_one(tmp_path: Path) -> None:
    """Large responses take turns: a small one that is asked for later is there long before their end."""
    site = Site2(tmp_path)

    def behave(peer: Peer, number: int, head: dict[str, str]) -> bool:
        peer.respond(number, b"x" * (20_000_000 if head[":path"] == "/large" else 10))
        return True

    site.behave = behave
    with house(site, open_to(site)) as place:
        client = Client(place, site.server.port)
        large = client.ask("GET", "/large")
        client.until(lambda: len(client.bodies.get(large, b"")) > 100_000)
        assert client.get("/small") == (200, b"x" * 10)
        assert len(client.bodies[large]) < 10_000_000
        client.wait(large)
        assert len(client.bodies[large]) == 20_000_000
        place.gate.stop()


def test_resets_are_passed_on_both_ways(tmp_path: Path) -> None:
    site = Site2(tmp_path)

    def behave(peer: Peer, number: int, head: dict[str, str]) -> bool:
        if head[":path"] == "/refused":
            peer.conn.reset_stream(number, ErrorCodes.REFUSED_STREAM)
        elif head[":path"] == "/old":
            peer.conn.reset_stream(number, ErrorCodes.HTTP_1_1_REQUIRED)
        elif head[":path"] == "/half":
            peer.conn.send_headers(number, [(":status", "200")])
            peer.conn.send_data(number, b"half")
            peer.conn.reset_stream(number, ErrorCodes.INADEQUATE_SECURITY)
        elif head[":path"] == "/none":
            peer.conn.reset_stream(number, ErrorCodes.INTERNAL_ERROR)
        peer.flush()
        return True

    site.behave = behave
    with house(site, open_to(site)) as place:
        client = Client(place, site.server.port)
        refused, half = client.ask("GET", "/refused"), client.ask("GET", "/half")
        status, said = client.get("/none")
        assert (status, b"it reset the stream (error 2)" in said) == (502, True)
        old = client.ask("GET", "/old")
        client.wait(refused, half, old)
        assert client.resets == {
            old: ErrorCodes.HTTP_1_1_REQUIRED,
            refused: ErrorCodes.REFUSED_STREAM,
            half: ErrorCodes.INADEQUATE_SECURITY,
        }
        held = client.ask("GET", "/held")
        assert gatehouse.until(lambda: "/held" in site.contents)
        client.conn.reset_stream(held, ErrorCodes.CANCEL)
        client.flush()
        assert gatehouse.until(lambda: isinstance(site.events[-1], StreamReset))
        assert site.events[-1].error_code == ErrorCodes.CANCEL
        place.gate.stop()
        ended = {f["path"]: f["outcome"] for f in inner(place.gate.notary.messages)}
    assert ended == {
        "/refused": "upstream: it reset the stream (error 7)",
        "/old": "upstream: it reset the stream (error 13)",
        "/half": "upstream: it reset the stream (error 12)",
        "/none": "upstream: it reset the stream (error 2)",
        "/held": "client reset",
    }


def test_a_server_that_ends_its_connection_finishes_what_it_has_taken(tmp_path: Path) -> None:
    site = Site2(tmp_path)
    first = list[tuple[Peer, int]]()

    def at_once(peer: Peer, number: int, head: dict[str, str]) -> None:
        if head[":path"] == "/first":
            first.append((peer, number))
        elif head[":path"] == "/late":
            # By hand: what h2 would do after its own leaves no way to finish.
            peer.own.sendall(h2guard.goaway(first[0][1], 0))

    site.at_once = at_once
    site.behave = lambda peer, number, head: head[":path"] in {"/first", "/late"}
    with house(site, open_to(site)) as place:
        client = Client(place, site.server.port)
        one, late = client.ask("GET", "/first"), client.ask("GET", "/late")
        client.wait(late)
        assert client.resets[late] == ErrorCodes.REFUSED_STREAM
        assert client.get("/next") == (200, b"/next 0")
        peer, number = first[0]
        peer.todo.append(lambda: peer.respond(number, b"finished"))
        assert client.answer(one) == (200, b"finished")
        place.gate.stop()
    assert site.server.accepted == 2


def test_a_server_that_closes_while_nobody_asks_is_connected_again(tmp_path: Path) -> None:
    site = Site2(tmp_path)

    def behave(peer: Peer, number: int, head: dict[str, str]) -> bool:
        if head[":path"] != "/a":
            return False
        peer.respond(number, b"the last")
        peer.own.shutdown(socket.SHUT_RDWR)
        return True

    site.behave = behave
    with house(site, open_to(site)) as place:
        client = Client(place, site.server.port)
        assert client.get("/a")[0] == 200
        # It may be on its way before the end is seen.
        assert client.get("/b")[0] in {200, 502}
        assert client.get("/c") == (200, b"/c 0")
        place.gate.stop()
    assert site.server.accepted == 2


def test_a_server_that_fails_in_the_middle(tmp_path: Path) -> None:
    site = Site2(tmp_path)

    def behave(peer: Peer, number: int, head: dict[str, str]) -> bool:
        peer.conn.send_headers(number, [(":status", "200")])
        peer.conn.send_data(number, b"half")
        peer.flush()
        peer.own.shutdown(socket.SHUT_RDWR)
        return True

    site.behave = behave
    with house(site, open_to(site)) as place:
        client = Client(place, site.server.port)
        number = client.ask("GET", "/a")
        client.wait(number)
        assert client.resets[number] == ErrorCodes.INTERNAL_ERROR
        place.gate.stop()
        (flow,) = inner(place.gate.notary.messages)
    assert flow["outcome"].startswith("upstream: ended")


def test_a_server_that_can_not_prove_its_name(tmp_path: Path) -> None:
    site = Site2(tmp_path)
    with house(site, open_to(site), trusted=False) as place:
        client = Client(place, site.server.port)
        numbers = [client.ask("GET", f"/{n}") for n in range(3)]
        for number in numbers:
            status, said = client.answer(number)
            assert (status, b"signed by itself" in said) == (403, True)
        place.gate.stop()
        blocks = [m for m in place.gate.notary.messages if m["verdict"] == "block"]
    assert [m["pattern"] for m in blocks] == ["certificate"] * 3


@pytest.mark.parametrize(
    "fields",
    [
        [(":status", "200"), ("connection", "close")],
        [(":status", "200"), ("Upper", "x")],
        [("x", "y")],
    ],
)
def test_a_malformed_response_does_not_reach_the_client(
    tmp_path: Path, fields: list[tuple[str, str]]
) -> None:
    site = Site2(tmp_path)

    def behave(peer: Peer, number: int, head: dict[str, str]) -> bool:
        peer.conn.send_headers(number, fields, end_stream=True)
        peer.flush()
        return True

    site.behave = behave
    with house(site, open_to(site)) as place:
        client = Client(place, site.server.port)
        status, said = client.get("/a")
        assert (status, b"sluicegate: allowed" in said) == (502, True)
        place.gate.stop()


def test_more_streams_than_there_may_be(tmp_path: Path) -> None:
    site = Site2(tmp_path)
    site.behave = lambda *_: True
    with house(site, open_to(site)) as place:
        client = Client(place, site.server.port)
        with contextlib.suppress(OSError):
            for _ in range(MAX_STREAMS + 1):
                client.ask("GET", "/a")
        client.until(lambda: client.goaway is not None)
        assert client.goaway == ErrorCodes.PROTOCOL_ERROR
        place.gate.stop()
        assert "Max inbound streams" in place.gate.notary.verdict("block")["flow"]["fault"]
    assert len(site.asked) <= MAX_STREAMS


def test_an_upload_is_cut_at_its_limit(tmp_path: Path) -> None:
    site = Site2(tmp_path)
    with house(site, open_to(site), upload=100_000) as place:
        client = Client(place, site.server.port)
        status, said = client.answer(client.ask("POST", "/over", b"x" * 300_000))
        assert (status, b"rule: limits.upload" in said) == (403, True)
        assert client.get("/next") == (200, b"/next 0")
        place.gate.stop()
        block = place.gate.notary.verdict("block")
        (flow,) = [f for f in inner(place.gate.notary.messages) if f["path"] == "/over"]
    assert block["flow"]["rule"] == "limits.upload"
    assert flow["outcome"].startswith("refused: more than 100000 bytes")
    assert 100_000 - 2 * FRAME_BYTES < flow["bytes_up"] < 101_000
    assert isinstance(next(e for e in site.events if isinstance(e, StreamReset)), StreamReset)
    assert "/over" not in {p for p, c in site.contents.items() if len(c) > 100_000}


def test_a_head_that_is_over_the_limit_does_not_go(tmp_path: Path) -> None:
    site = Site2(tmp_path)
    with house(site, open_to(site), upload=1000) as place:
        client = Client(place, site.server.port)
        status, _ = client.get("/over", ("x", "y" * 1000))
        assert status == 403
        number = client.say(client.head("POST", "/trailers"), end=False)
        client.conn.send_headers(number, [("x", "y" * 1000)], end_stream=True)
        client.flush()
        assert client.answer(number)[0] == 403
        # At once with the head: they are there before its receipt is.
        number = client.conn.get_next_available_stream_id()
        client.conn.send_headers(number, client.head("POST", "/trailers"))
        client.conn.send_headers(number, [("x", "y" * 1000)], end_stream=True)
        client.flush()
        assert client.answer(number)[0] == 403
        place.gate.stop()
    assert {head[":path"] for head in site.asked} == {"/trailers"}
    assert not site.trailers
    assert not any(isinstance(event, StreamEnded) for event in site.events)


def test_conditions_hold(tmp_path: Path) -> None:
    site = Site2(tmp_path)
    rule = replace(open_to(site), headers=(("x-team", "core"),), query=(("a", "1"),))
    with house(site, rule) as place:
        client = Client(place, site.server.port)
        assert client.get("/good?a=1", ("x-team", "core"))[0] == 200
        assert client.get("/bad?a=2", ("x-team", "core"))[0] == 403
        assert client.get("/bad?a=1", ("x-team", "core"), ("x_team", "other"))[0] == 403
        place.gate.stop()
    assert {head[":path"] for head in site.asked} == {"/good?a=1"}


def test_a_server_that_is_gone_when_it_is_wanted_again(tmp_path: Path) -> None:
    site = Site2(tmp_path)

    def behave(peer: Peer, number: int, head: dict[str, str]) -> bool:
        site.server.listener.shutdown(socket.SHUT_RDWR)
        site.server.listener.close()
        peer.own.sendall(h2guard.goaway(number, 0))
        peer.respond(number, b"the last")
        return True

    site.behave = behave
    with house(site, open_to(site)) as place:
        client = Client(place, site.server.port)
        assert client.get("/a") == (200, b"the last")
        numbers = [client.ask("GET", f"/{n}") for n in range(3)]
        for number in numbers:
            status, said = client.answer(number)
            assert (status, b"can not be reached" in said) == (502, True)
        place.gate.stop()
        ended = [f for f in inner(place.gate.notary.messages) if f["path"] != "/a"]
    assert len(ended) == 3
    assert all("status" not in flow and "peer" not in flow for flow in ended)


def test_a_request_is_given_up_while_the_server_is_dialled_for_it(tmp_path: Path) -> None:
    """The next one has the same connection, and its record the address of that."""
    site = Site2(tmp_path)
    accepted = site.server.handle
    held = threading.Event()

    def late(raw: socket.socket) -> None:
        if site.server.accepted > 1:
            held.wait(8)
        accepted(raw)

    site.server.handle = late

    def behave(peer: Peer, number: int, head: dict[str, str]) -> bool:
        if head[":path"] == "/a":
            peer.own.sendall(h2guard.goaway(number, 0))
        return False

    site.behave = behave
    with house(site, open_to(site)) as place:
        client = Client(place, site.server.port)
        assert client.get("/a")[0] == 200
        first, second = client.ask("GET", "/first"), client.ask("GET", "/second")
        assert gatehouse.until(lambda: site.server.accepted == 2)
        client.conn.reset_stream(first, ErrorCodes.CANCEL)
        client.flush()
        place.gate.notary.wait(lambda m: m["flow"].get("outcome") == "client reset")
        held.set()
        assert client.answer(second) == (200, b"/second 0")
        place.gate.stop()
        ended = {f["path"]: f for f in inner(place.gate.notary.messages)}
    assert ended["/second"]["peer"] == "127.0.0.1"
    assert [head[":path"] for head in site.asked] == ["/a", "/second"]


def test_a_peer_of_many_small_frames_leaves_others_their_turn(tmp_path: Path) -> None:
    """Every byte of them arrives, and another connection is answered meanwhile."""
    site = Site2(tmp_path)
    with house(site, open_to(site)) as place:
        busy, other = Client(place, site.server.port), Client(place, site.server.port)
        number = busy.say(busy.head("POST", "/small"), end=False)
        pieces = b"".join(DataFrame(number, b"x").serialize() for _ in range(12_000))
        busy.own.sendall(pieces)
        assert other.get("/other") == (200, b"/other 0")
        busy.conn.end_stream(number)
        assert busy.answer(number) == (200, b"/small 12000")
        place.gate.stop()


VALUE, PLACEHOLDER = "sk-live-7Gq2Vw9Zt4Kd1Xp8", "sk-live-3Rb6Ny0Hc5Mf2Js7"
SECRET = Secret("API_KEY", ("env", "API_KEY"), (NAME,), (), "header", "x-api-key")


def vault() -> Vault:
    return Vault((Held(SECRET, PLACEHOLDER, VALUE),), {})


def test_a_secret_is_put_in_and_found_everywhere_else(tmp_path: Path) -> None:
    site = Site2(tmp_path)
    with house(site, open_to(site), vault=vault(), secrets=(SECRET,)) as place:
        client = Client(place, site.server.port)
        assert client.get("/good", ("x-api-key", PLACEHOLDER))[0] == 200
        assert client.get(f"/path/{PLACEHOLDER}")[0] == 403
        assert client.get("/other", ("x-other", PLACEHOLDER))[0] == 403
        body = b"x" * 20_000 + PLACEHOLDER.encode()
        assert client.answer(client.ask("POST", "/content", body))[0] == 403
        number = client.say(client.head("POST", "/trailers"), end=False)
        client.conn.send_data(number, b"x")
        client.conn.send_headers(number, [("x-last", PLACEHOLDER)], end_stream=True)
        client.flush()
        assert client.answer(number)[0] == 403
        place.gate.stop()
        said = str(place.gate.notary.messages)
    assert ("x-api-key", VALUE) in site.fields[0]
    heard = str((site.fields, site.contents, site.trailers))
    assert PLACEHOLDER not in heard
    assert VALUE not in said
    assert PLACEHOLDER not in said


@pytest.mark.parametrize("where", ["head", "interim", "content", "trailers"])
def test_a_server_that_sends_a_secret_back(tmp_path: Path, where: str) -> None:
    site = Site2(tmp_path)
    told = [("x-told", VALUE)]

    def behave(peer: Peer, number: int, head: dict[str, str]) -> bool:
        if where == "interim":
            peer.conn.send_headers(number, [(":status", "103"), *told])
        peer.conn.send_headers(number, [(":status", "200"), *(told if where == "head" else [])])
        content = VALUE.encode() if where == "content" else b"content"
        peer.conn.send_data(number, content)
        peer.conn.send_headers(number, told if where == "trailers" else [("x", "y")], True)
        peer.flush()
        return True

    site.behave = behave
    with house(site, open_to(site), vault=vault(), secrets=(SECRET,)) as place:
        client = Client(place, site.server.port)
        number = client.ask("GET", "/a", None, ("x-api-key", PLACEHOLDER))
        client.wait(number)
        place.gate.stop()
        block = place.gate.notary.verdict("block")
    assert block["flow"]["rule"] == "secret"
    assert VALUE not in str((client.heads, client.bodies, client.trailers))
    assert number in client.resets or client.heads[number][-1][":status"] == "403"


def test_a_denial_of_what_has_no_content(tmp_path: Path) -> None:
    site = Site2(tmp_path)
    with house(site, reading(site)) as place:
        client = Client(place, site.server.port)
        assert client.answer(client.ask("HEAD", "/a")) == (403, b"")
        assert client.get("/b") == (200, b"/b 0")
        place.gate.stop()
