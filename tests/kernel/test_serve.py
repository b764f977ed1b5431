"""The gate with real sockets: sluicegate.gate.serve, sluicegate.gate.relay, sluicegate.gate.loop."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import threading

import pytest

from sluicegate.policy.model import Policy, Rule
from sluicegate.wire import netlink, tls
from tests.hellos import hello
from tests.kernel.gatehouse import Server, gate, local, named, read_all, until
from tests.wire import test_tls as raw


def echo(peer: socket.socket) -> None:
    while data := peer.recv(65536):
        peer.sendall(data)


def answering(peer: socket.socket) -> None:
    """Every request without a body is well."""
    data = b""
    while piece := peer.recv(65536):
        data += piece
        while b"\r\n\r\n" in data:
            _, _, data = data.partition(b"\r\n\r\n")
            peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


def is_reset(client: socket.socket) -> bool:
    try:
        return client.recv(1) == b"?"
    except ConnectionResetError:
        return True


NAMES = {"ok.test": "127.0.0.1", "far.test": "192.0.2.9"}


def test_tls_is_relayed_by_its_name_and_the_address_ignored() -> None:
    up = Server(echo)
    with gate(named(up.port, "ok.test"), names=NAMES) as house:
        house.to = ("192.0.2.1", up.port)
        client, first = house.connect(), hello("ok.test")
        client.sendall(first[:100])
        client.sendall(first[100:])
        got = b""
        while len(got) < len(first):
            got += client.recv(65536)
        assert got == first
        client.sendall(b"more")
        client.shutdown(socket.SHUT_WR)
        assert read_all(client) == b"more"
        flow = house.notary.outcome()["flow"]
        assert (flow["sni"], flow["protocol"], flow["peer"]) == ("ok.test", "tls", "127.0.0.1")
        assert flow["bytes_up"] == flow["bytes_down"] == len(first) + 4
        intent = house.notary.verdict("allow", "intent")
        assert intent["target"] == f"tls://ok.test:{up.port}"
        assert house.stop()["allowed"] == 1


def test_tls_to_another_name_gets_an_alert() -> None:
    up = Server(echo)
    with gate(named(up.port, "ok.test"), names=NAMES) as house:
        house.to = ("192.0.2.1", up.port)
        client = house.connect()
        client.sendall(hello("no.test"))
        assert read_all(client) == tls.ACCESS_DENIED
        block = house.notary.verdict("block")
        assert block["flow"]["remedy"].startswith("- host: no.test")
        assert up.accepted == 0


@pytest.mark.parametrize("name", ["ok.test", "no.test"])
def test_a_hello_that_hides_another_name_is_judged_by_the_one_it_shows(name: str) -> None:
    """With the extension of ECH, as a browser sends it that has no configuration for it: byte for byte."""
    up = Server(echo)
    shown = raw.sni(name.encode()) + raw.extension(0xFE0D, bytes(64))
    sent = raw.records(raw.hello(shown))
    with gate(named(up.port, "ok.test"), names=NAMES) as house:
        house.to = ("192.0.2.1", up.port)
        client = house.connect()
        client.sendall(sent)
        if name == "no.test":
            assert read_all(client) == tls.ACCESS_DENIED
        else:
            client.shutdown(socket.SHUT_WR)
            assert read_all(client) == sent
        known = ("block", None) if name == "no.test" else ("allow", "intent")
        assert house.notary.verdict(*known)["flow"]["ech"] is True


def test_opaque_is_allowed_by_ip_and_reset_otherwise() -> None:
    up = Server(echo)
    with gate(Policy("p", allow=(local(up.port),))) as house:
        house.to = ("127.0.0.1", up.port)
        client = house.connect()
        client.sendall(b"\0\1\2 hello")
        assert client.recv(100) == b"\0\1\2 hello"
        client.close()
        house.to = ("127.0.0.1", up.port + 1)
        client = house.connect()
        client.sendall(b"\0\1\2 hello")
        assert is_reset(client)
        assert house.notary.verdict("block")["target"] == f"tcp://127.0.0.1:{up.port + 1}"


def test_a_server_that_speaks_first() -> None:
    def banner(peer: socket.socket) -> None:
        peer.sendall(b"220 ready\r\n")
        echo(peer)

    up = Server(banner)
    evil = Rule("deny[0] p:1", host="evil.test", ports=())
    with gate(Policy("p", allow=(local(up.port),), deny=(evil,)), grace_s=0.05) as house:
        house.to = ("127.0.0.1", up.port)
        client = house.connect()
        assert client.recv(100) == b"220 ready\r\n"
        client.sendall(b"EHLO\n")
        assert client.recv(100) == b"EHLO\n"
        client.shutdown(socket.SHUT_WR)
        assert read_all(client) == b""
        assert house.notary.outcome()["flow"]["reason"]
        client = house.connect()
        assert client.recv(100) == b"220 ready\r\n"
        client.sendall(hello("evil.test"))
        assert is_reset(client)
        assert "evil.test" in str(house.notary.verdict("block")["flow"])
        house.to = ("127.0.0.1", 1)
        assert is_reset(house.connect())


def test_http_denied_is_told_why() -> None:
    with gate(named(80, "ok.test"), names=NAMES) as house:
        house.to = ("192.0.2.1", 80)
        client = house.connect()
        client.sendall(
            b"POST /a?token=x HTTP/1.1\r\nHost: no.test\r\nContent-Length: 5\r\n\r\nabcde"
        )
        answer = read_all(client)
        assert answer.startswith(b"HTTP/1.1 403 ")
        assert b"- host: no.test" in answer
        assert b"Connection: close" in answer
        block = house.notary.verdict("block")
        assert (block["method"], block["target"]) == ("POST", "http://no.test/a")
        assert "token" not in str(block)
        client = house.connect()
        client.sendall(b"GET / HTTP/1.1\r\nHost: ok.test\r\nHost: b\r\n\r\n")
        assert read_all(client).startswith(b"HTTP/1.1 400 ")


def test_conditions_are_about_each_request() -> None:
    up = Server(answering)
    asked = {"query": (("mode", "read"),), "headers": (("x-mode", "a*"),)}
    rule = Rule("allow[0] p:0", host="ok.test", ports=(up.port,), **asked)  # type: ignore[arg-type]
    with gate(Policy("p", allow=(rule, local(up.port))), names=NAMES) as house:
        house.to = ("192.0.2.1", up.port)
        client, where = house.connect(), f"Host: ok.test:{up.port}\r\n".encode()
        good = b"GET /?mode=read&token=t HTTP/1.1\r\n" + where + b"X-Mode: ab\r\nX-Key: k\r\n\r\n"
        client.sendall(good)
        assert client.recv(1000).startswith(b"HTTP/1.1 200 ")
        client.sendall(good.replace(b"X-Mode: ab", b"X-Mode: ba"))
        assert read_all(client).startswith(b"HTTP/1.1 403 ")
        for bad in (
            good.replace(b"read", b"read&mode=write"),
            good.replace(b"read", b"r%2561d"),
            good.replace(b"X-Mode: ab\r\n", b""),
        ):
            client = house.connect()
            client.sendall(bad)
            assert read_all(client).startswith(b"HTTP/1.1 403 ")
        intent, block = house.notary.verdict("allow", "intent"), house.notary.verdict("block")
        assert intent["flow"]["query"] == block["flow"]["query"] == [["mode", "read"]]
        assert intent["flow"]["headers"] == [["x-mode", "ab"]]
        assert block["flow"]["headers"] == [["x-mode", "ba"]]
        assert not any(word in str(house.notary.messages) for word in ("token", "X-Key", "x-key"))


def test_nothing_leaves_before_committed() -> None:
    up = Server(echo)
    with gate(named(up.port, "ok.test"), names=NAMES) as house:
        house.to = ("192.0.2.1", up.port)
        house.notary.answering.clear()
        client = house.connect()
        client.sendall(hello("ok.test"))
        house.notary.verdict("allow", "intent")
        threading.Event().wait(0.2)
        assert up.accepted == 0
        house.notary.answering.set()
        assert client.recv(1) == b"\x16"
        assert up.accepted == 1


def test_the_notarys_end_is_the_gates() -> None:
    with gate(named(443, "ok.test")) as house:
        client = house.connect()
        assert until(lambda: house.notary.peer.fileno() >= 0)
        house.notary.peer.shutdown(socket.SHUT_RDWR)
        assert is_reset(client)
        house.thread.join(5)
        assert house.code == 1


@pytest.mark.parametrize("stopped", [False, True])
def test_without_descriptors_connections_wait_or_are_refused_and_the_gate_goes_on(
    monkeypatch: pytest.MonkeyPatch, stopped: bool
) -> None:
    up, starved = Server(echo), threading.Event()
    opened, accept = os.open, socket.socket.accept

    def no_reserve(path: str, flags: int, *more: int) -> int:
        if path == os.devnull and starved.is_set():
            raise OSError(errno.EMFILE, "too many open files")
        return opened(path, flags, *more)

    def no_accept(listener: socket.socket) -> tuple[socket.socket, object]:
        if listener.getsockname() == where and starved.is_set() and not used.is_set():
            used.set()
            raise OSError(errno.EMFILE, "too many open files")
        return accept(listener)

    used, where = threading.Event(), ("", 0)
    monkeypatch.setattr(os, "open", no_reserve)
    monkeypatch.setattr(socket.socket, "accept", no_accept)
    with gate(named(up.port, "ok.test"), names=NAMES) as house:
        house.to, where = ("192.0.2.1", up.port), house.listener.getsockname()
        first = house.connect()
        first.sendall(hello("no.test"))
        assert read_all(first) == tls.ACCESS_DENIED
        starved.set()
        with contextlib.suppress(ConnectionResetError):
            assert is_reset(house.connect())
        waiting = house.connect()  # the reserve is gone now
        waiting.sendall(hello("ok.test"))
        assert house.notary.wait(lambda m: m["flow"].get("limit") == "descriptors")
        assert up.accepted == 0
        if stopped:
            counts = house.stop()
            assert (counts["overload"], counts["connections"]) == (1, 3)
            with contextlib.suppress(ConnectionResetError):
                assert read_all(waiting) == b""
            return
        starved.clear()
        assert waiting.recv(1) == b"\x16"
        waiting.close()
        counts = house.stop()
        assert (counts["overload"], counts["allowed"]) == (1, 1)


def test_after_a_change_of_the_boundary_nothing_goes_on() -> None:
    up = Server(echo)
    with gate(named(up.port, "ok.test"), names=NAMES) as house:
        house.to = ("192.0.2.1", up.port)
        client, first = house.connect(), hello("ok.test")
        client.sendall(first)
        assert client.recv(1) == first[:1]
        house.notary.answering.clear()
        house.kernel.send(netlink.request(80, b"\2\0\0\0", 0, 0))
        receipt = house.notary.wait(lambda m: m["transport"] == "boundary-change")
        assert (receipt["verdict"], receipt["flow"]["kind"]) == ("block", "change")
        # The flow is cut at once; the supervisor is told only when the change is on record.
        with contextlib.suppress(ConnectionResetError):
            while client.recv(65536):
                pass
        house.control.setblocking(False)
        with pytest.raises(BlockingIOError):
            house.control.recv(1)
        house.control.setblocking(True)
        house.notary.answering.set()
        told = house.control.recv(4096)
        assert told == b'{"changed":{"what":"new setting"}}\n'
        assert house.notary.outcome()["flow"]["outcome"] == "the boundary changed"
        late = house.connect()
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            late.sendall(first)
        counts = house.stop()
        assert (counts["changes"], counts["allowed"], up.accepted) == (1, 1, 1)
        assert house.notary.verdict("block")["flow"]["kind"] == "change"
        refused = house.notary.wait(lambda m: m.get("layer") == "limit")
        assert refused["flow"] == {"kind": "overload", "count": 1, "limit": "boundary-change"}
