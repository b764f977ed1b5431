"""The outside that we own: servers that answer a little and write down every byte that reaches them.

Run as `python tests/sink.py LOG CERT KEY [SOCKET...]` inside the test's world; prints `ready` once all listen, the
pathname or abstract (`@name`) Unix SOCKETs included. Each line of LOG is one JSON object: protocol, port, local
address and the first bytes as text (latin-1), at the end their number. A line `settle` on stdin is answered with
the same once every connection made before it has ended and is in LOG; `listen PATH` adds a Unix socket.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import socket
import socketserver
import ssl
import struct
import sys
import threading
from typing import Any

import zone

HTTP_PORTS, TLS_PORTS, BANNER_PORTS = (80, 8080), (443, 8443), (22, 25, 465, 587)
# What a runner's machine may have listening: portmapper, docker, proxies, registries, databases, agents, git://.
ECHO_PORTS = (*(5432, 7000, 111, 2375, 2376, 3128, 5000, 6379, 8888, 9090, 9418, 10250, 20256),)
DNS_PORT = 53
UDP_PORTS = (123, 443, 1900, 3478, 5353, 5355, 6881, 9999)
KEPT_BYTES = 4096
LOCK = threading.Lock()


class Log:
    """Lines of what arrived."""

    def __init__(self, path: str) -> None:
        self.file = open(path, "a", buffering=1)  # noqa: SIM115

    def write(self, **facts: Any) -> None:
        with LOCK:
            self.file.write(json.dumps(facts) + "\n")


class Server(socketserver.ThreadingTCPServer):
    """Dual-stack, one thread per connection."""

    address_family = socket.AF_INET6
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 4096
    log: Log
    tls: ssl.SSLContext | None = None

    def process_request(self, request: Any, client_address: Any) -> None:
        if OPEN.marker(client_address):
            self.shutdown_request(request)
            return
        OPEN.enter()
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            OPEN.leave()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that leaves early is no event here."""


class Unix(Server):
    """A Unix socket that any user may connect to."""

    address_family = socket.AF_UNIX
    allow_reuse_address = False

    def server_bind(self) -> None:
        self.socket.bind(self.server_address)
        self.name = str(self.server_address).replace("\0", "@")
        if not self.name.startswith("@"):
            os.chmod(self.name, 0o777)


class Open:
    """The accepted connections that are still served, and the markers that `settle` waits for."""

    def __init__(self) -> None:
        self.count = 0
        self.markers: set[Any] = set()
        self.changed = threading.Condition()

    def enter(self) -> None:
        with self.changed:
            self.count += 1

    def leave(self) -> None:
        with self.changed:
            self.count -= 1
            self.changed.notify_all()

    def marker(self, client: Any) -> bool:
        key = client[1] if isinstance(client, tuple) else client
        with self.changed:
            found = key in self.markers
            self.markers.discard(key)
            self.changed.notify_all()
        return found

    def settle(self, servers: list[Server]) -> None:
        """Back when all that was connected before has ended: listeners accept in order."""
        for number, server in enumerate(servers):
            unix = isinstance(server, Unix)
            client = socket.socket(server.address_family)
            client.bind(f"\0settle-{os.getpid()}-{number}" if unix else ("::1", 0))
            name = client.getsockname()
            with self.changed:
                self.markers.add(name if unix else name[1])
            client.connect(server.server_address if unix else ("::1", server.server_address[1]))
            client.close()
        with self.changed:
            self.changed.wait_for(lambda: not self.markers and not self.count)


OPEN = Open()


def _big(stream: socket.socket, count: int) -> None:
    block = b"\0" * 1_048_576
    while count > 0:
        stream.sendall(block[: min(count, len(block))])
        count -= len(block)


class Http(socketserver.BaseRequestHandler):
    """HTTP/1.1: `/big/N` gives N bytes, `/slow` never answers, all else an echo of the request line.

    A request for a WebSocket gets one, which echoes.
    """

    def handle(self) -> None:
        stream = self.request
        server: Any = self.server
        port = stream.getsockname()[1]
        if server.tls is not None:
            try:
                stream = server.tls.wrap_socket(stream, server_side=True)
            except (ssl.SSLError, OSError) as error:
                server.log.write(protocol="tls", port=port, error=str(error), bytes=0)
                return
        reader = stream.makefile("rb")
        while line := reader.readline(65_536):
            head = line
            length, chunked, last, key = 0, False, False, b""
            while (field := reader.readline(65_536)) not in {b"\r\n", b""}:
                head += field
                name, _, value = field.partition(b":")
                if name.lower() == b"content-length":
                    length = int(value)
                chunked |= name.lower() == b"transfer-encoding"
                if name.lower() == b"sec-websocket-key":
                    key = value.strip()
                last |= field.lower().split() == [b"connection:", b"close"]
            got, first = _body(reader, length, chunked)
            where = stream.getsockname()[0]
            server.log.write(
                protocol="http",
                port=port,
                local=where,
                head=head.decode("latin-1"),
                body=got,
                content=first.decode("latin-1"),
            )
            if key:
                said = _frames(stream, reader, key)
                server.log.write(protocol="websocket", port=port, local=where, said=said)
                break
            path = line.split()[1].decode()
            if path.startswith("/slow"):
                reader.read()
                break
            body = b"sink " + line.strip() + b" body=%d\n" % got
            size = int(path.split("/")[2]) if path.startswith("/big/") else len(body)
            stream.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
            if line.startswith(b"HEAD"):
                continue
            if path.startswith("/big/"):
                _big(stream, size)
            else:
                stream.sendall(body)
            if last:
                break
        stream.close()


def _frames(stream: socket.socket, reader: Any, key: bytes) -> list[str]:
    """Echo frames until the client closes; what each held."""
    digest = hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
    lines = [b"HTTP/1.1 101 Switching Protocols", b"Upgrade: websocket", b"Connection: Upgrade"]
    lines += [b"Sec-WebSocket-Accept: " + base64.b64encode(digest), b"", b""]
    stream.sendall(b"\r\n".join(lines))
    said: list[str] = []
    while len(head := reader.read(2)) == 2:
        size = head[1] & 127
        more = reader.read({126: 2, 127: 8}.get(size, 0))
        size = int.from_bytes(more, "big") if more else size
        mask, data = reader.read(4), reader.read(size)
        plain = bytes(byte ^ mask[at % 4] for at, byte in enumerate(data))
        said.append(plain[:KEPT_BYTES].decode("latin-1"))
        kind = 0x8A if head[0] == 0x89 else head[0]  # a ping is answered by a pong
        stream.sendall(bytes((kind, head[1] & 127)) + more + plain)
        if head[0] == 0x88:
            break
    return said


def _body(reader: Any, length: int, chunked: bool) -> tuple[int, bytes]:
    """How many bytes of content came, whole or not, and the first of them."""
    got, first = 0, b""
    while chunked:
        # A client that is cut off says no size.
        size = int(reader.readline().split(b";")[0].strip() or b"0", 16)
        piece = reader.read(size)
        got, first = got + len(piece), first + piece[: KEPT_BYTES - len(first)]
        reader.readline()
        if not size:
            return got, first
    while got < length:
        piece = reader.read(min(length - got, 1_048_576))
        if not piece:
            break
        got, first = got + len(piece), first + piece[: KEPT_BYTES - len(first)]
    return got, first


class Echo(socketserver.BaseRequestHandler):
    """Gives back what it gets; BANNER_PORTS speak first."""

    def handle(self) -> None:
        server: Any = self.server
        port = self.request.getsockname()[1]
        if port in BANNER_PORTS:
            self.request.sendall(b"SSH-2.0-sink\r\n" if port == 22 else b"220 sink ready\r\n")
        first, count = b"", 0
        try:
            while data := self.request.recv(65_536):
                first += data[: KEPT_BYTES - len(first)]
                count += len(data)
                self.request.sendall(data)
        except ConnectionError:
            pass
        server.log.write(protocol="tcp", port=port, first=first.decode("latin-1"), bytes=count)


class Canary(socketserver.BaseRequestHandler):
    """A Unix socket of the machine: whoever connects is written down."""

    def handle(self) -> None:
        server: Any = self.server
        first = b""
        with contextlib.suppress(OSError):
            self.request.sendall(b"HTTP/1.0 200 OK\r\n\r\ncanary\n")
        with contextlib.suppress(OSError):
            while data := self.request.recv(65_536):
                first += data[: KEPT_BYTES - len(first)]
        server.log.write(protocol="unix", path=server.name, first=first.decode("latin-1"))


class Dns(socketserver.BaseRequestHandler):
    """Name service over TCP."""

    def handle(self) -> None:
        server: Any = self.server
        reader = self.request.makefile("rb")
        while len(size := reader.read(2)) == 2:
            question = reader.read(int.from_bytes(size, "big"))
            server.log.write(protocol="tcp", port=DNS_PORT, first=question.decode("latin-1"))
            answer = zone.answer(question, server.log)
            self.request.sendall(len(answer).to_bytes(2, "big") + answer)


def _dns(log: Log) -> None:
    """Name service over UDP; answers leave from the address that was asked."""
    listener = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    listener.bind(("::", DNS_PORT))
    while True:
        data, notes, _, peer = listener.recvmsg(4096, 256)
        log.write(protocol="udp", port=DNS_PORT, peer=peer[0], first=data.decode("latin-1"))
        if answer := zone.answer(data, log):
            with contextlib.suppress(OSError):
                listener.sendmsg([answer], notes, 0, peer)


def _udp(log: Log, listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    while True:
        data, peer = listener.recvfrom(65_536)
        log.write(protocol="udp", port=port, peer=peer[0], first=data.decode("latin-1"))


def _icmp(log: Log, listener: socket.socket) -> None:
    while True:
        packet, peer = listener.recvfrom(65_536)
        kind = struct.unpack_from("!B", packet, (packet[0] & 15) * 4)[0]
        if kind == 8:
            log.write(protocol="icmp", peer=peer[0])


def _start(work: Any, *given: Any) -> None:
    threading.Thread(target=work, args=given, daemon=True).start()


def main() -> None:
    log = Log(sys.argv[1])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[2], sys.argv[3])
    plan: list[tuple[int, Any, Any]] = [(port, Http, None) for port in HTTP_PORTS]
    plan += [(port, Http, context) for port in TLS_PORTS]
    plan += [(port, Echo, None) for port in (*ECHO_PORTS, *BANNER_PORTS)]
    plan.append((DNS_PORT, Dns, None))
    servers = []
    for port, handler, tls in plan:
        servers.append(server := Server(("::", port), handler))
        server.tls = tls
    for path in sys.argv[4:]:
        name = "\0" + path[1:] if path.startswith("@") else path
        servers.append(Unix(name, Canary))  # type: ignore[arg-type]
    for server in servers:
        server.log = log
        _start(server.serve_forever)
    for port in UDP_PORTS:
        datagrams = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        datagrams.bind(("::", port))
        _start(_udp, log, datagrams)
    _start(_dns, log)
    _start(_icmp, log, socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP))
    print("ready", flush=True)
    for line in sys.stdin:
        word, _, path = line.strip().partition(" ")
        if word == "listen":
            servers.append(server := Unix(path, Canary))  # type: ignore[arg-type]
            server.log = log
            _start(server.serve_forever)
        else:
            OPEN.settle(servers)
        print(word, flush=True)


if __name__ == "__main__":
    main()
