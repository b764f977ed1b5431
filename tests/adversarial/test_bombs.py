"""P24 and P26: what is large, endless, or unpacks to much. The gate keeps none of it, and looks into none of it.

In opened TLS, with a secret that is looked for in all that passes; the gate's memory is measured from outside.
"""

# ruff: noqa: N802

from __future__ import annotations

import gzip
import hashlib
import json
import socket
import ssl
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from sluicegate.gate.authority import Authority
from sluicegate.gate.opened import Opener
from sluicegate.gate.upstream import Upstream
from sluicegate.gate.vault import Held, Vault
from sluicegate.policy.model import Policy, Rule, Secret
from tests.kernel.gatehouse import Server, local
from tests.kernel.test_long import apart, resident, secured
from tests.kernel.test_opened import NAME, Site

# Of a body that is 50 MB when it is unpacked, and of one that is nested: the least of which would show in memory.
UNPACKED = 50_000_000
KEPT = 4 << 20  # bytes: buffers of both ways, and what allocators keep of them
SECRET = Secret("API_KEY", ("env", "API_KEY"), (NAME,), (), "bearer")
HELD = Held(SECRET, "sk-live-3Rb6Ny0Hc5Mf2Js7", "sk-live-7Gq2Vw9Zt4Kd1Xp8")
PIECE = 65_536


def zipped() -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    blank = bytes(1 << 20)
    pieces = [packer.compress(blank) for _ in range(UNPACKED >> 20)]
    return b"".join((*pieces, packer.flush()))


def multipart() -> bytes:
    parts = [
        b"--b%d\r\nContent-Type: multipart/mixed; boundary=b%d\r\n\r\n" % (n, n + 1)
        for n in range(20_000)
    ]
    return b"".join(parts)


BOMBS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "gzip": ("Content-Encoding: gzip", zipped),
    "gzip of gzip": ("Content-Encoding: gzip, gzip", lambda: gzip.compress(zipped())),
    "json": ("Content-Type: application/json", lambda: b"[" * 200_000 + b"]" * 200_000),
    "multipart": ("Content-Type: multipart/mixed; boundary=b0", multipart),
}


@dataclass
class Echo:
    """Answers each POST with its own body, in the encoding that it came in."""

    heard: list[str] = field(default_factory=list)
    sizes: int = 0

    def __call__(self, peer: socket.socket) -> None:
        data = b""
        while piece := peer.recv(PIECE):
            data += piece
            head, found, body = data.partition(b"\r\n\r\n")
            if not found:
                continue
            fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:])
            if fields.get(b"Transfer-Encoding") == b"chunked":
                self._endless(peer, body)
                return
            size = int(fields.get(b"Content-Length", b"0"))
            while len(body) < size:
                body += peer.recv(PIECE)
            self.heard.append(hashlib.sha256(body).hexdigest())
            kind = b"".join(
                b"%b: %b\r\n" % pair for pair in fields.items() if pair[0].startswith(b"Content-")
            )
            peer.sendall(b"HTTP/1.1 200 OK\r\n" + kind + b"\r\n" + body)
            return

    def _endless(self, peer: socket.socket, body: bytes) -> None:
        self.sizes += len(body)
        while piece := peer.recv(PIECE):
            self.sizes += len(piece)


@dataclass
class Place:
    connect: Callable[[], ssl.SSLSocket]
    pid: int
    host: str
    up: Echo


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    up, site = Echo(), Site(tmp_path)
    server = Server(secured(site, up))
    opener = Opener(Authority(frozenset({("example", True)}), "test"), Upstream((site.root,)))
    rule = Rule("allow[0] p:0", host=NAME, ports=(server.port,), inspect=True)
    policy = Policy("p", allow=(rule, local(server.port)), secrets=(SECRET,))
    vault = Vault((HELD,), {})
    context = ssl.create_default_context(cadata=opener.authority.pem.decode())
    with apart(policy, server.port, opener, vault) as (connect, pid):
        yield Place(
            lambda: context.wrap_socket(connect(), server_hostname=NAME),
            pid,
            f"{NAME}:{server.port}",
            up,
        )


def post(place: Place, kind: str, body: bytes) -> bytes:
    """The body that comes back."""
    lines = ("POST / HTTP/1.1", f"Host: {place.host}", kind, "Connection: close")
    head = "\r\n".join((*lines, f"Content-Length: {len(body)}", "", ""))
    with place.connect() as client:
        # The server hears it whole before it answers; one object of OpenSSL's is not for two threads.
        client.sendall(head.encode() + body)
        said = b""
        while piece := client.recv(PIECE):
            said += piece
    first, _, back = said.partition(b"\r\n\r\n")
    assert first.startswith(b"HTTP/1.1 200 "), first
    return back


def test_P26_what_unpacks_to_much_passes_as_it_is(place: Place) -> None:
    before = 0
    for _ in range(2):
        for name, (kind, make) in BOMBS.items():
            body = make()
            assert post(place, kind, body) == body, name
            assert place.up.heard[-1] == hashlib.sha256(body).hexdigest(), name
        # The first time, what any body takes: buffers, and the pages that they are the first to write.
        before = before or resident(place.pid)
    assert resident(place.pid) - before < KEPT


def test_P24_endless_chunks_are_kept_by_nobody(place: Place) -> None:
    """The server has them all; who asks meanwhile is served."""
    assert post(place, "X: y", b"first") == b"first"
    before = resident(place.pid)
    with place.connect() as client:
        client.sendall(
            f"POST / HTTP/1.1\r\nHost: {place.host}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        )
        many = b"1\r\nA\r\n" * 5000
        for number in range(60):
            client.sendall(many)
            if number % 20 == 0:
                beside = json.dumps(number).encode()
                assert post(place, "X: y", beside) == beside
        grown = resident(place.pid) - before
    assert grown < KEPT
