"""A TLS client that says a second hello: sluicegate.gate.retry."""

from __future__ import annotations

import socket
import ssl
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from sluicegate.gate.vault import Held, Vault
from sluicegate.policy.model import Secret
from sluicegate.wire.tls import read_client_hello
from tests.hellos import hello
from tests.kernel.gatehouse import Server, gate, named, until
from tests.kernel.test_serve import NAMES, is_reset


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    where = tmp_path_factory.mktemp("tls")
    files = where / "cert.pem", where / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-keyout", files[1], "-out", files[0], "-subj", "/CN=ok.test"),
        ],
        check=True,
        capture_output=True,
    )
    return files


@pytest.mark.parametrize("retried", [False, True])
def test_a_server_that_asks_for_a_second_hello(
    certificate: tuple[Path, Path], retried: bool
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    if retried:
        context.set_ecdh_curve("secp521r1")  # no client sends a share of it unasked

    def serve(peer: socket.socket) -> None:
        with context.wrap_socket(peer, server_side=True) as stream:
            while data := stream.recv(65536):
                stream.sendall(data)

    up = Server(serve)
    with gate(named(up.port, "ok.test"), names=NAMES) as house:
        house.to = ("192.0.2.1", up.port)
        trust = ssl._create_unverified_context()
        with trust.wrap_socket(house.connect(), server_hostname="ok.test") as client:
            for size in (1, 100_000, 4_000_000):
                sent, got = bytes(size), 0
                while sent:
                    done = client.send(sent[:100_000])
                    sent = sent[done:]
                    while got < size - len(sent):
                        got += len(client.recv(65536))
                assert got == size
        flow = house.notary.outcome()["flow"]
        assert flow["bytes_up"] > 4_000_000 < flow["bytes_down"]


@pytest.mark.parametrize("together", [False, True])
def test_a_second_hello_for_another_server_is_not_sent(together: bool) -> None:
    seen, ends = list[bytes](), list[bool]()

    def serve(peer: socket.socket) -> None:
        try:
            while data := peer.recv(65536):
                seen.append(data)
                peer.sendall(b"?")
        finally:
            ends.append(True)

    up, first, second = Server(serve), hello("ok.test"), hello("no.test")
    with gate(named(up.port, "ok.test"), names=NAMES) as house:
        house.to = ("192.0.2.1", up.port)
        client = house.connect()
        if together:
            client.sendall(first + b"\x14\x03\x03\0\x01\x01" + second)
        else:
            client.sendall(first)
            assert client.recv(1) == b"?"
            client.sendall(second[:60])
            client.sendall(second[60:])
        assert is_reset(client) or is_reset(client)
        block = house.notary.verdict("block")
        assert (block["flow"]["rule"], block["flow"]["sni"]) == ("fault", "no.test")
        assert "refused" in house.notary.outcome()["flow"]["outcome"]
        assert until(lambda: bool(ends))
        found = read_client_hello(b"".join(seen) or first)
        assert found is not None
        assert found.sni == "ok.test"
        assert b"no.test" not in b"".join(seen)


def test_a_second_hello_with_a_secret_for_its_server_is_an_alarm() -> None:
    def serve(peer: socket.socket) -> None:
        while peer.recv(65536):
            peer.sendall(b"?")

    value = "sk-live-7gq2vw9zt4kd1xp8"
    up, kept = Server(serve), Secret("A_KEY", ("env", "A_KEY"), ("no.test",), (), "bearer")
    vault = Vault((Held(kept, "sk-live-3rb6ny0hc5mf2js7", value),), {})
    policy = replace(named(up.port, "ok.test"), secrets=(kept,))
    with gate(policy, names=NAMES, vault=vault) as house:
        house.to = ("192.0.2.1", up.port)
        client = house.connect()
        client.sendall(hello("ok.test"))
        assert client.recv(1) == b"?"
        client.sendall(hello(f"{value}.no.test"))
        assert is_reset(client)
        block = house.notary.verdict("block")
        assert (block["severity"], block["flow"]["sni"]) == ("high", "redacted.invalid")
        assert value not in str(house.notary.messages)


def test_a_client_that_ends_after_its_hello() -> None:
    def serve(peer: socket.socket) -> None:
        peer.recv(65536)
        peer.sendall(b"?")
        peer.recv(1)

    up = Server(serve)
    with gate(named(up.port, "ok.test"), names=NAMES) as house:
        house.to = ("192.0.2.1", up.port)
        client = house.connect()
        client.sendall(hello("ok.test"))
        assert client.recv(1) == b"?"
        client.shutdown(socket.SHUT_WR)
        assert client.recv(1) == b""
        assert house.notary.outcome()["flow"]["outcome"] == "complete"
