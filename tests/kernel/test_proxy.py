"""Proxy forms, limits, and ends.

Proves sluicegate.gate.flow, sluicegate.gate.second, sluicegate.gate.reach, sluicegate.gate.dial, sluicegate.gate.desk,
sluicegate.gate.linger, sluicegate.gate.threads and sluicegate.gate.pipes.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from dataclasses import replace

import pytest

from sluicegate.evidence.records import MAX_ADDRESSES
from sluicegate.gate.dial import MAX_TRIES, Dial
from sluicegate.gate.limits import Limits
from sluicegate.gate.loop import Loop
from sluicegate.policy.model import Policy
from tests.hellos import hello
from tests.kernel.gatehouse import Server, gate, local, named, read_all, until
from tests.kernel.test_serve import NAMES, echo, is_reset


def socks5(name: str, port: int) -> bytes:
    raw = name.encode()
    return b"\x05\x01\0\x03" + bytes([len(raw)]) + raw + struct.pack(">H", port)


def exactly(client: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size and (got := client.recv(size - len(data))):
        data += got
    return data


def test_connect_then_the_tunnel_is_judged_too() -> None:
    up = Server(echo)
    with gate(named(up.port, "ok.test"), names=NAMES) as house:
        house.to = ("192.0.2.1", 3128)
        for inner, fits in (
            (hello("ok.test"), True),
            (b"\0opaque", True),
            (hello("no.test"), False),
        ):
            client = house.connect()
            client.sendall(
                b"CONNECT ok.test:%d HTTP/1.1\r\nHost: ok.test:%d\r\n\r\n" % ((up.port,) * 2)
            )
            assert b" 200 " in client.recv(1000)
            client.sendall(inner)
            if fits:
                assert exactly(client, len(inner)) == inner
            else:
                assert read_all(client) == b"\x15\x03\x03\x00\x02\x02\x31"
            client.close()
        client = house.connect()
        client.sendall(b"CONNECT no.test:443 HTTP/1.1\r\nHost: no.test:443\r\n\r\n")
        answer = read_all(client)
        assert answer.startswith(b"HTTP/1.1 403 ")
        assert b"- host: no.test" in answer
        client = house.connect()
        client.sendall(
            b"CONNECT ok.test:%d HTTP/1.1\r\nHost: ok.test:%d\r\n\r\n" % ((up.port,) * 2)
        )
        assert b" 200 " in client.recv(1000)
        client.sendall(b"\x05\x01\x00")
        assert is_reset(client)
        assert house.notary.verdict("allow", "intent")["transport"] == "connect"
        assert house.stop()["denied"] == 3


def test_socks() -> None:
    up = Server(echo)
    with gate(named(up.port, "ok.test"), names=NAMES) as house:
        house.to = ("192.0.2.1", 1080)
        client = house.connect()
        client.sendall(b"\x05\x02\x00\x02")
        assert exactly(client, 2) == b"\x05\x00"
        client.sendall(socks5("ok.test", up.port))
        assert exactly(client, 10)[:2] == b"\x05\x00"
        client.sendall(b"\0data")
        assert exactly(client, 5) == b"\0data"
        client = house.connect()
        client.sendall(b"\x05\x01\x00" + socks5("no.test", 443))
        assert read_all(client)[2:4] == b"\x05\x02"
        client = house.connect()
        client.sendall(b"\x05\x01\x02")
        assert read_all(client) == b"\x05\xff"
        client = house.connect()
        client.sendall(b"\x04\x01" + struct.pack(">H", up.port) + b"\0\0\0\1me\0ok.test\0\0data")
        assert exactly(client, 13)[8:] == b"\0data"
        client = house.connect()
        client.sendall(b"\x04\x01\x01\xbb\0\0\0\1\0no.test\0")
        assert read_all(client)[1] == 91


def test_a_silent_tunnel_to_a_server_that_speaks_first() -> None:
    def banner(peer: socket.socket) -> None:
        peer.sendall(b"SSH-2.0-x\r\n")
        echo(peer)

    up = Server(banner)
    with gate(named(up.port, "ok.test"), names=NAMES, grace_s=0.05) as house:
        house.to = ("192.0.2.1", 1080)
        client = house.connect()
        client.sendall(b"\x05\x01\x00" + socks5("ok.test", up.port))
        assert exactly(client, 12 + 11)[12:] == b"SSH-2.0-x\r\n"
        client.sendall(b"GET / HTTP/1.1\r\nHost: ok.test\r\n\r\n")
        assert is_reset(client)
        assert "after other bytes of the connection" in str(house.notary.verdict("block")["flow"])


def test_an_internal_answer_is_refused_and_a_missing_one_told() -> None:
    names = {"in.test": "127.0.0.1"}
    up = Server(echo)
    rule = named(up.port, "in.test", "gone.test").allow[:2]
    with gate(Policy("p", allow=rule), names=names) as house:
        house.to = ("192.0.2.1", up.port)
        client = house.connect()
        client.sendall(b"GET / HTTP/1.1\r\nHost: in.test\r\n\r\n")
        answer = read_all(client)
        assert b" 403 " in answer
        assert b"- ip: 127.0.0.1/32" in answer
        assert house.notary.verdict("block")["layer"] == "ssrf"
        client = house.connect()
        client.sendall(hello("gone.test"))
        assert read_all(client)[-1] == 40
        assert up.accepted == 0


@pytest.mark.parametrize("inside", [False, True])
def test_of_thousands_of_addresses_all_are_judged_and_a_few_recorded(inside: bool) -> None:
    up = Server(echo)
    many = tuple(f"127.0.{n // 250}.{n % 250 + 1}" for n in range(3900))
    last = "10.0.0.1" if inside else "127.0.200.1"
    with gate(named(up.port, "many.test"), names={"many.test": (*many, last)}) as house:
        house.to = ("192.0.2.1", up.port)
        client = house.connect()
        client.sendall(hello("many.test"))
        if inside:
            assert read_all(client)[-1] == 49
            assert "10.0.0.1 is internal" in house.notary.verdict("block")["flow"]["reason"]
        else:
            assert client.recv(1) == b"\x16"
            client.close()
        flow = house.notary.outcome()["flow"]
        # Of an answer that is refused, the address that decided.
        shown = (last, *many) if inside else many
        assert flow["addresses"] == list(shown[:MAX_ADDRESSES])
        assert flow["address_count"] == 3901


def test_three_attempts_to_connect_at_once_and_the_oldest_makes_room() -> None:
    loop, got = Loop(), list[socket.socket | None]()
    with contextlib.ExitStack() as open_:
        deaf = open_.enter_context(socket.create_server(("127.0.0.2", 0), backlog=0))
        port = deaf.getsockname()[1]
        for _ in range(2):  # what fits in its queue; further attempts are not answered
            filler = open_.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(deaf.getsockname())
        up = open_.enter_context(socket.create_server(("127.0.0.1", port)))
        dial = Dial(
            *(loop, ("127.0.0.2",) * 6 + ("127.0.0.1",), port),
            *(Limits(stagger_s=0.01), lambda peer, _: got.append(peer)),
        )
        dial.start()
        most = 0
        while not got:
            most = max(most, len(dial._tries))
            loop.turn(1)
        assert most == MAX_TRIES
        assert got[0] is not None
        assert got[0].getpeername() == up.getsockname()
        got[0].close()
        loop.close()


def test_observe_mode_lets_through_and_says_so() -> None:
    up = Server(echo)
    quiet = Policy("p", observe=True, allow=(local(up.port),))
    with gate(quiet, names=NAMES) as house:
        house.to = ("192.0.2.1", up.port)
        client = house.connect()
        client.sendall(hello("ok.test"))
        assert client.recv(1) == b"\x16"
        assert house.notary.verdict("warn")["flow"]["observed"] is True
        client.close()
        house.notary.outcome()


@pytest.mark.parametrize("observe", [False, True])
@pytest.mark.parametrize("word", [hello("ok.test"), b"SSH-2.0-tunnel\r\n", b"WORD\n"])
def test_what_is_said_after_the_grace_is_on_record_before_it_leaves(
    observe: bool, word: bytes
) -> None:
    arrived = list[bytes]()

    def banner(peer: socket.socket) -> None:
        peer.sendall(b"220\r\n")
        while data := peer.recv(65536):
            arrived.append(data)
            peer.sendall(data)

    up = Server(banner)
    both = replace(named(up.port, "ok.test"), observe=observe)
    if observe:
        both = replace(both, allow=both.allow[1:])
    with gate(both, names=NAMES, grace_s=0.05) as house:
        house.to = ("192.0.2.1", 3128)
        client = house.connect()
        client.sendall(b"\x05\x01\x00" + socks5("ok.test", up.port))
        assert exactly(client, 12 + 5)[12:] == b"220\r\n"
        house.notary.answering.clear()
        client.sendall(word)
        protocol = "tls" if word[0] == 22 else "opaque"
        intent = house.notary.wait(
            lambda m: m.get("phase") == "intent" and m["flow"]["protocol"] == protocol
        )
        assert not arrived
        house.notary.answering.set()
        client.shutdown(socket.SHUT_WR)
        assert read_all(client) == word
        house.stop()
        kinds = [
            (m["verdict"], m.get("phase"), m["flow"]["protocol"], m["flow"].get("outcome"))
            for m in house.notary.messages
            if m["verdict"] != "warn"
        ]
        name = "a TLS" if protocol == "tls" else "an opaque"
        assert kinds == [
            ("allow", "intent", "server-first", None),
            ("allow", "outcome", "server-first", f"became {name} connection"),
            ("allow", "intent", protocol, None),
            ("allow", "outcome", protocol, "complete"),
        ]
        assert intent["flow"].get("sni") == ("ok.test" if protocol == "tls" else None)
        ends = [m["flow"] for m in house.notary.messages if m.get("phase") == "outcome"]
        assert [flow["bytes_up"] for flow in ends] == [0, sum(map(len, arrived))]
        assert [flow["bytes_down"] for flow in ends] == [5, sum(map(len, arrived))]
        assert {flow["peer"] for flow in ends} == {"127.0.0.1"}
        warned = [m["flow"]["protocol"] for m in house.notary.messages if m["verdict"] == "warn"]
        assert warned == (["server-first", protocol] if observe else [])


@pytest.mark.parametrize("begin", [b"GET / HT", b"\x16\x03\x01\x02\0\x01\0\x01", b"\x05"])
def test_a_client_that_never_finishes_is_ended_in_time(begin: bytes) -> None:
    with gate(named(443, "ok.test"), head_s=0.3) as house:
        client, started = house.connect(), time.monotonic()
        client.sendall(begin)
        for _ in range(3):
            threading.Event().wait(0.05)
            client.sendall(b"x")
        with contextlib.suppress(ConnectionResetError):
            read_all(client)
        assert time.monotonic() - started < 2
        assert "in time" in house.notary.verdict("block")["flow"]["fault"] or begin == b"\x05"


def test_a_client_that_says_nothing_is_on_record() -> None:
    with gate(named(443, "ok.test"), first_bytes_s=0.2, grace_s=0.05) as house:
        assert is_reset(house.connect())
        house.connect().close()
        client = house.connect()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        assert until(lambda: len(house.notary.messages) == 3)
        assert house.stop()["denied"] == 3


def test_connections_above_the_limit_are_reset_and_counted() -> None:
    with gate(named(443, "ok.test"), connections=5) as house:
        clients = [house.connect() for _ in range(5)]
        refused = 0
        for _ in range(7):
            # The reset may come while connect still looks at the socket.
            with contextlib.suppress(ConnectionResetError):
                refused += is_reset(house.connect())
                continue
            refused += 1
        assert refused == 7
        assert house.stop()["overload"] == 7
        groups = [m["flow"] for m in house.notary.messages if m["flow"]["kind"] == "overload"]
        assert sum(flow["count"] for flow in groups) == 7
        assert all(map(is_reset, clients))


def test_many_connections_at_once_and_a_stop_in_the_middle() -> None:
    up = Server(echo)
    with gate(Policy("p", allow=(local(up.port),)), connections=3000, grace_s=60) as house:
        house.to = ("127.0.0.1", up.port)
        clients = [house.connect() for _ in range(1000)]
        for client in clients:
            client.sendall(b"\0ping")
        for client in clients:
            assert exactly(client, 5) == b"\0ping"
        for client in clients[:500]:
            client.close()
        counts = house.stop()
        assert counts["allowed"] == counts["connections"] == 1000
        assert counts["bytes_up"] == 5000


def test_a_large_transfer_goes_to_threads_both_ways() -> None:
    size = 64 * 1_048_576
    got = list[int]()

    def sink(peer: socket.socket) -> None:
        total, piece = 0, bytes(1_048_576)
        buffer = bytearray(1_048_576)
        while count := peer.recv_into(buffer):
            total += count
        got.append(total)
        for _ in range(64):
            peer.sendall(piece)

    up = Server(sink)
    with gate(Policy("p", allow=(local(up.port),))) as house:
        house.to = ("127.0.0.1", up.port)
        client, piece = house.connect(), bytes(1_048_576)
        for _ in range(64):
            client.sendall(piece)
        client.shutdown(socket.SHUT_WR)
        total = 0
        while data := client.recv(1_048_576):
            total += len(data)
        assert (got, total) == ([size], size)
        flow = house.notary.outcome()["flow"]
        assert (flow["bytes_up"], flow["bytes_down"], flow["outcome"]) == (size, size, "complete")


def test_a_reset_upstream_reaches_the_client() -> None:
    def slam(peer: socket.socket) -> None:
        peer.recv(10)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    up = Server(slam)
    with gate(Policy("p", allow=(local(up.port),)), idle_opaque_s=0.4) as house:
        house.to = ("127.0.0.1", up.port)
        client = house.connect()
        client.sendall(b"\0ping")
        assert is_reset(client)
        assert "reset" in house.notary.outcome()["flow"]["outcome"]


def test_idle_flows_end() -> None:
    up = Server(echo)
    with gate(Policy("p", allow=(local(up.port),)), idle_opaque_s=0.2) as house:
        house.to = ("127.0.0.1", up.port)
        client = house.connect()
        client.sendall(b"\0ping")
        assert exactly(client, 5) == b"\0ping"
        assert is_reset(client)
        assert house.notary.outcome()["flow"]["outcome"] == "idle for too long"


def test_a_stop_in_the_middle_of_a_large_transfer() -> None:
    def endless(peer: socket.socket) -> None:
        while True:
            peer.sendall(bytes(1_048_576))

    up = Server(endless)
    with gate(Policy("p", allow=(local(up.port),))) as house:
        house.to = ("127.0.0.1", up.port)
        client = house.connect()
        client.sendall(b"\0")
        got = 0
        while got < 8 * 1_048_576:
            got += len(client.recv(1_048_576))
        counts = house.stop()
        assert counts["bytes_down"] >= got
        assert house.notary.outcome()["flow"]["outcome"] == "the run ended"
