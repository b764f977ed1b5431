"""TLS that the gate opens: real handshakes on both sides, requests judged one by one."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from sluicegate.gate.authority import Authority
from sluicegate.gate.limits import Limits
from sluicegate.gate.opened import Opener
from sluicegate.gate.upstream import Upstream
from sluicegate.gate.vault import Vault
from sluicegate.policy.model import Policy, Rule
from tests.kernel import gatehouse

NAME = "api.example"


class Site:
    """A TLS server on loopback that echoes requests, and its own root."""

    def __init__(
        self,
        directory: Path,
        names: tuple[str, ...] = (NAME,),
        days: int = 1,
        host: str = "127.0.0.1",
    ) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, names[0])])
        now = datetime.now(UTC)
        made = (
            x509.CertificateBuilder(
                subject,
                subject,
                key.public_key(),
                7,
                now - timedelta(days=2),
                now + timedelta(days),
            )
            .add_extension(x509.SubjectAlternativeName(map(x509.DNSName, names)), critical=False)
            .sign(key, hashes.SHA256())
        )
        self.root = made.public_bytes(Encoding.DER)
        self.pem = pem = directory / "site.pem"
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        pem.write_bytes(private + made.public_bytes(Encoding.PEM))
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(pem)
        self.heard, self.resumed = list[bytes](), list[bool]()
        self.server = gatehouse.Server(self._serve, host)

    def _serve(self, raw: socket.socket) -> None:
        # Closed here whatever comes of the handshake.
        with self.context.wrap_socket(raw, server_side=True, do_handshake_on_connect=False) as peer:
            peer.do_handshake()
            self.resumed.append(bool(peer.session_reused))
            self._talk(peer)

    def _talk(self, peer: ssl.SSLSocket) -> None:
        data = b""
        while piece := peer.recv(65536):
            data += piece
            while b"\r\n\r\n" in data:
                head, _, data = data.partition(b"\r\n\r\n")
                size = 0
                for line in head.split(b"\r\n"):
                    if line.lower().startswith(b"content-length:"):
                        size = int(line.split(b":")[1])
                while len(data) < size:
                    data += peer.recv(65536)
                body, data = data[:size], data[size:]
                self.heard.append(head + b"\r\n\r\n" + body)
                answer = head.split(b" ")[1] + b" " + str(len(body)).encode()
                peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(answer))
                peer.sendall(answer)


class House:
    def __init__(self, gate: gatehouse.Gate, opener: Opener) -> None:
        self.gate, self.opener = gate, opener

    def context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cadata=self.opener.authority.pem.decode())

    def connect(
        self, name: str = NAME, context: ssl.SSLContext | None = None, **more: Any
    ) -> ssl.SSLSocket:
        raw = self.gate.connect()
        peer = (context or self.context()).wrap_socket(raw, server_hostname=name, **more)
        gatehouse.OPENED.append(peer)
        return peer


@contextlib.contextmanager
def house(
    site: Site,
    *rules: Rule,
    trusted: bool = True,
    vault: Vault | None = None,
    head_s: float = Limits().head_s,
    h2_bytes: int = Limits().h2_bytes,
    connect_s: float = Limits().connect_s,
    **more: Any,
) -> Iterator[House]:
    policy = Policy("p", allow=(*rules, gatehouse.local(site.server.port)), **more)
    opener = Opener(
        Authority(frozenset({("example", True)}), "test"),
        Upstream((site.root,) if trusted else ()),
    )
    names = {NAME: "127.0.0.1"}
    limits = {"head_s": head_s, "h2_bytes": h2_bytes, "connect_s": connect_s}
    with gatehouse.gate(policy, names=names, opener=opener, vault=vault, **limits) as gate:
        gate.to = ("192.0.2.1", site.server.port)
        yield House(gate, opener)


def ask(peer: ssl.SSLSocket, line: str, body: bytes = b"", host: str = NAME) -> bytes:
    """Send one request, and read its answer."""
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    peer.sendall(f"{line} HTTP/1.1\r\nHost: {host}\r\n{length}\r\n".encode() + body)
    return answer(peer)


def answer(peer: ssl.SSLSocket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = peer.recv(65536)
        if not piece:
            return data
        data += piece
    head, _, rest = data.partition(b"\r\n\r\n")
    size = next(
        int(x.split(b":")[1])
        for x in head.split(b"\r\n")
        if x.lower().startswith(b"content-length")
    )
    while len(rest) < size:
        rest += peer.recv(65536)
    return head + b"\r\n\r\n" + rest


def reading(site: Site) -> Rule:
    return Rule("allow[0] p:0", host=NAME, ports=(site.server.port,), methods=("GET",))


def test_requests_are_judged_one_by_one(tmp_path: Path) -> None:
    site = Site(tmp_path)
    with house(site, reading(site)) as place:
        peer = place.connect()
        port = site.server.port
        host = f"{NAME}:{port}"
        assert ask(peer, "GET /a", host=host).endswith(b"/a 0")
        assert ask(peer, "GET /b", host=host).endswith(b"/b 0")
        said = ask(peer, "POST /c", b"x" * 10, host=host)
        assert said.startswith(b"HTTP/1.1 403 ")
        assert b"sluicegate: denied https://api.example" in said
        messages = place.gate.notary.messages
        place.gate.stop()
    assert [one.split(b" ")[1] for one in site.heard] == [b"/a", b"/b"]
    assert site.server.accepted == 1
    first = messages[0]
    assert (first["phase"], first["flow"]["opened"]) == ("intent", True)
    assert first["target"] == f"tls://{NAME}:{port}"
    targets = [m["target"] for m in messages if m.get("phase") != "outcome"][1:]
    base = f"https://{NAME}:{port}"
    assert targets == [f"{base}/a", f"{base}/b", f"{base}/c"]
    whole = next(
        m["flow"] for m in messages if m["flow"].get("opened") and m.get("phase") == "outcome"
    )
    assert whole["bytes_up"] == whole["kernel_up"] > 500
    assert whole["bytes_down"] == whole["kernel_down"] > 500
    inner = [
        m["flow"] for m in messages if m.get("phase") == "outcome" and "opened" not in m["flow"]
    ]
    assert all("kernel_up" not in flow and flow["status"] == 200 for flow in inner)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_sessions_are_resumed_on_both_sides(tmp_path: Path, version: ssl.TLSVersion) -> None:
    """Each content has an upstream of its own; a ticket is kept as long as its server takes it."""
    site = Site(tmp_path)
    site.context.maximum_version = version
    host = f"{NAME}:{site.server.port}"
    with house(site, replace(reading(site), methods=("POST",))) as place:
        context = place.context()
        context.maximum_version = version
        one = place.connect(context=context)
        for number in range(3):
            assert ask(one, f"POST /{number}", b"x", host=host).endswith(b" 1")
        (kept,) = place.opener._sessions.values()
        assert ask(one, "POST /3", b"x", host=host).endswith(b" 1")
        assert [*place.opener._sessions.values()] == [kept]
        two = place.connect(context=context, session=one.session)
        assert ask(two, "POST /4", b"x", host=host).endswith(b" 1")
        assert (one.session_reused, two.session_reused) == (False, True)
        place.gate.stop()
    assert site.resumed == [False, True, True, True, True]


def test_conditions_inside_tls(tmp_path: Path) -> None:
    site = Site(tmp_path)
    ports = (site.server.port,)
    anything = Rule("allow[0] p:0", host=NAME, ports=ports)
    with house(site, replace(anything, query=(("mode", "read"),))) as place:
        host = f"{NAME}:{site.server.port}"
        peer = place.connect()
        assert ask(peer, "GET /a?mode=read&token=t", host=host).startswith(b"HTTP/1.1 200 ")
        assert ask(peer, "GET /b?mode=%72ead", host=host).startswith(b"HTTP/1.1 200 ")
        assert ask(peer, "GET /c?mode=read&mode=x", host=host).startswith(b"HTTP/1.1 403 ")
        messages = place.gate.notary.messages
        place.gate.stop()
    assert [one.split(b" ")[1][:2] for one in site.heard] == [b"/a", b"/b"]
    asked = [m["flow"].get("query") for m in messages if m.get("phase") != "outcome"]
    both = [["mode", "read"], ["mode", "x"]]
    assert asked == [None, [["mode", "read"]], [["mode", "%72ead"]], both]
    assert "token" not in str(messages)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_large_bodies_both_ways(tmp_path: Path, version: ssl.TLSVersion) -> None:
    site = Site(tmp_path)
    rule = Rule("allow[0] p:0", host=NAME, ports=(site.server.port,), inspect=True)
    with house(site, rule) as place:
        context = place.context()
        context.maximum_version = version
        peer = place.connect(context=context)
        body = bytes(range(256)) * 20_000
        said = ask(peer, "POST /up", body, host=f"{NAME}:{site.server.port}")
        assert said.endswith(b"/up %d" % len(body))
        place.gate.stop()
    assert site.heard[0].endswith(body)


def test_a_server_without_a_proof_of_its_name(tmp_path: Path) -> None:
    for trusted, names, days, why in (
        (False, (NAME,), 1, b"signed by itself"),
        (True, ("other.example",), 1, b"for another host"),
        (True, (NAME,), -1, b"has expired"),
    ):
        site = Site(tmp_path, names, days)
        with house(site, reading(site), trusted=trusted) as place:
            said = ask(place.connect(), "GET /a", host=f"{NAME}:{site.server.port}")
            assert said.startswith(b"HTTP/1.1 403 "), said
            assert why in said
            place.gate.stop()
            block = place.gate.notary.verdict("block")
        assert block["pattern"] == "certificate"
        assert not site.heard


def test_a_client_that_does_not_trust_us(tmp_path: Path) -> None:
    site = Site(tmp_path)
    with house(site, reading(site)) as place:
        peer = place.connect(context=ssl.create_default_context(), do_handshake_on_connect=False)
        with pytest.raises(ssl.SSLCertVerificationError):
            peer.do_handshake()
        ended = place.gate.notary.wait(lambda m: m.get("phase") == "outcome")
        place.gate.stop()
    assert "does not trust our certificate" in ended["flow"]["outcome"]
    assert "inspect: false in allow[0] p:0" in ended["flow"]["outcome"]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_server_that_wants_a_certificate_of_its_client(
    tmp_path: Path, version: ssl.TLSVersion
) -> None:
    """The gate has none: the client is told which rule to change, and a rule that says so leaves it closed."""
    site = Site(tmp_path)
    site.context.verify_mode = ssl.CERT_REQUIRED
    site.context.load_verify_locations(cadata=site.root)
    site.context.maximum_version = version
    host = f"{NAME}:{site.server.port}"
    with house(site, reading(site)) as place:
        said = ask(place.connect(), "GET /a", host=host)
        assert said.startswith(b"HTTP/1.1 502 ")
        assert b"wants a certificate of the client" in said
        assert b"inspect: false on its rule leaves it closed" in said
        place.gate.stop()
    assert not site.heard
    shut = Rule("allow[0] p:0", host=NAME, ports=(site.server.port,), inspect=False)
    again = Site(tmp_path)
    again.context.verify_mode = ssl.CERT_REQUIRED
    again.context.load_verify_locations(cadata=again.root)
    with house(again, replace(shut, ports=(again.server.port,)), inspect="all") as place:
        context = ssl.create_default_context(cadata=ssl.DER_cert_to_PEM_cert(again.root))
        context.load_cert_chain(tmp_path / "site.pem")
        peer = place.connect(context=context)
        assert ask(peer, "GET /a", host=f"{NAME}:{again.server.port}").endswith(b"/a 0")
        place.gate.stop()
        assert all("opened" not in m["flow"] for m in place.gate.notary.messages)


def test_a_client_that_leaves_without_a_word(tmp_path: Path) -> None:
    """Its library took the certificate, and it did not: no alert says so."""
    site = Site(tmp_path)
    with house(site, reading(site)) as place:
        place.connect().close()
        ended = place.gate.notary.wait(lambda m: m.get("phase") == "outcome")
        place.gate.stop()
    assert "left without a word" in ended["flow"]["outcome"]
    assert "inspect: false in allow[0] p:0" in ended["flow"]["outcome"]


@pytest.mark.parametrize("reset", [False, True])
def test_a_client_that_leaves_in_the_handshake(tmp_path: Path, reset: bool) -> None:
    """It has seen the certificate, and sends no alert either: some libraries with roots of their own do that."""
    site = Site(tmp_path)
    with house(site, reading(site)) as place:
        into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
        with contextlib.suppress(ssl.SSLWantReadError):
            place.context().wrap_bio(into, out, server_hostname=NAME).do_handshake()
        raw = place.gate.connect()
        raw.sendall(out.read())
        assert raw.recv(65_536)
        if reset:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raw.close()
        ended = place.gate.notary.wait(lambda m: m.get("phase") == "outcome")
        place.gate.stop()
    assert "left when it had our certificate" in ended["flow"]["outcome"]
    assert "inspect: false in allow[0] p:0" in ended["flow"]["outcome"]


def test_what_is_not_http_goes_nowhere(tmp_path: Path) -> None:
    site = Site(tmp_path)
    with house(site, reading(site)) as place:
        peer = place.connect()
        peer.sendall(b"\0\1\2 not a request\r\n\r\n")
        assert answer(peer).startswith(b"HTTP/1.1 40")
        place.gate.stop()
        fault = place.gate.notary.verdict("block")
    assert fault["flow"]["protocol"] == "https"
    assert not site.heard


def test_another_host_inside(tmp_path: Path) -> None:
    site = Site(tmp_path)
    with house(site, reading(site)) as place:
        said = ask(place.connect(), "GET /a", host="evil.example")
        assert said.startswith(b"HTTP/1.1 403 ")
        place.gate.stop()
        assert place.gate.notary.verdict("block")["pattern"] == "mismatch"
    assert not site.heard


def test_a_rule_that_needs_no_look_inside_leaves_it_closed(tmp_path: Path) -> None:
    site = Site(tmp_path)
    rule = Rule("allow[0] p:0", host=NAME, ports=(site.server.port,))
    with house(site, rule) as place:
        context = ssl.create_default_context()
        context.load_verify_locations(cadata=site.root)
        peer = place.connect(context=context)
        assert ask(peer, "POST /c", b"x" * 10).endswith(b"/c 10")
        peer.close()
        place.gate.stop()
        assert all("opened" not in m["flow"] for m in place.gate.notary.messages)


def test_a_client_that_speaks_something_else_within_tls(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.server.handle = lambda _: None  # it is left before a word
    with house(site, reading(site)) as place:
        context = place.context()
        context.set_alpn_protocols(["spdy/3"])
        out = ssl.MemoryBIO()
        half = context.wrap_bio(ssl.MemoryBIO(), out, server_hostname=NAME)
        with pytest.raises(ssl.SSLWantReadError):
            half.do_handshake()
        raw = place.gate.connect()
        raw.sendall(out.read())
        with pytest.raises(ConnectionResetError):
            raw.recv(1)
        ended = place.gate.notary.outcome()
        place.gate.stop()
    assert "speaks neither h2 nor http/1.1" in ended["flow"]["outcome"]
    assert "inspect: false in allow[0] p:0" in ended["flow"]["outcome"]
    assert ended["flow"]["bytes_up"] == 0


@pytest.mark.parametrize("spoken", [["http/1.1"], []])
def test_http1_is_agreed_where_the_server_has_no_other(tmp_path: Path, spoken: list[str]) -> None:
    site = Site(tmp_path)
    if spoken:
        site.context.set_alpn_protocols(spoken)
    with house(site, reading(site)) as place:
        context = place.context()
        context.set_alpn_protocols(["h2", "http/1.1"])
        peer = place.connect(context=context)
        assert peer.selected_alpn_protocol() == "http/1.1"
        assert ask(peer, "GET /a", host=f"{NAME}:{site.server.port}").endswith(b"/a 0")
        place.gate.stop()


def test_a_server_without_http2_and_a_client_with_nothing_else(tmp_path: Path) -> None:
    site = Site(tmp_path)
    with house(site, reading(site)) as place:
        context = place.context()
        context.set_alpn_protocols(["h2"])
        with pytest.raises(OSError, match=r"EOF|reset"):
            place.connect(context=context)
        ended = place.gate.notary.outcome()
        place.gate.stop()
    assert "the server does not speak h2, and the client nothing else" in ended["flow"]["outcome"]
    assert not site.heard


def test_a_response_that_is_cut_short_does_not_look_whole(tmp_path: Path) -> None:
    site = Site(tmp_path)

    def cut(raw: socket.socket) -> None:
        with site.context.wrap_socket(raw, server_side=True) as peer:
            peer.recv(65536)
            peer.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhalf of")
            peer.shutdown(socket.SHUT_RDWR)

    site.server.handle = cut
    with house(site, reading(site)) as place:
        # A client that minds how a stream ends.
        peer = place.connect(suppress_ragged_eofs=False)
        peer.sendall(f"GET /a HTTP/1.1\r\nHost: {NAME}:{site.server.port}\r\n\r\n".encode())
        ended = place.gate.notary.wait(
            lambda m: m.get("phase") == "outcome" and m["flow"]["protocol"] == "https"
        )
        place.gate.stop()
        assert ended["flow"]["outcome"] == "upstream: ended without a closing alert"
        with pytest.raises(OSError, match=r"EOF|reset"):
            gatehouse.read_all(peer)


def test_a_name_that_is_inside_is_not_opened(tmp_path: Path) -> None:
    """Its look-up is refused after the intent: the denial is of a connection that was never opened."""
    site = Site(tmp_path)
    opener = Opener(Authority(frozenset({("example", True)}), "test"), Upstream((site.root,)))
    policy = Policy("p", allow=(reading(site),))
    with gatehouse.gate(policy, names={NAME: "127.0.0.1"}, opener=opener) as gate:
        gate.to = ("192.0.2.1", site.server.port)
        place = House(gate, opener)
        peer = place.connect(do_handshake_on_connect=False)
        with pytest.raises(ssl.SSLError, match="ACCESS_DENIED"):
            peer.do_handshake()
        gate.stop()
        block = gate.notary.verdict("block")
    assert block["pattern"] == "internal-address"
    assert "opened" not in block["flow"]
    assert not site.heard
