"""The outside that we own: servers that answer a little and write down every byte that reaches them.

Run as `python tests/sink.py LOG CERT KEY` inside the test's world; prints `ready` once all listen. Each line of
LOG is one JSON object: protocol, port, local address and the first bytes as text (latin-1), at the end their number.
"""

from __future__ import annotations

import json
import socket
import socketserver
import ssl
import struct
import sys
import threading
from typing import Any

HTTP_PORTS, TLS_PORTS, ECHO_PORTS, BANNER_PORTS = (80, 8080), (443, 8443), (5432, 7000), (22, 25)
UDP_PORTS = (53, 123, 443, 9999)
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


def _big(stream: socket.socket, count: int) -> None:
    block = b"\0" * 1_048_576
    while count > 0:
        stream.sendall(block[: min(count, len(block))])
        count -= len(block)


class Http(socketserver.BaseRequestHandler):
    """HTTP/1.1: `/big/N` gives N bytes, `/slow` never answers, all else an echo of the request line."""

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
            length, chunked = 0, False
            while (field := reader.readline(65_536)) not in {b"\r\n", b""}:
                head += field
                name, _, value = field.partition(b":")
                if name.lower() == b"content-length":
                    length = int(value)
                chunked |= name.lower() == b"transfer-encoding"
            got = _body(reader, length, chunked)
            where = stream.getsockname()[0]
            server.log.write(
                protocol="http", port=port, local=where, head=head.decode("latin-1"), body=got
            )
            path = line.split()[1].decode()
            if path.startswith("/slow"):
                threading.Event().wait()
            body = b"sink " + line.strip() + b" body=%d\n" % got
            size = int(path.split("/")[2]) if path.startswith("/big/") else len(body)
            stream.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
            if line.startswith(b"HEAD"):
                continue
            if path.startswith("/big/"):
                _big(stream, size)
            else:
                stream.sendall(body)
        stream.close()


def _body(reader: Any, length: int, chunked: bool) -> int:
    got = 0
    while chunked:
        size = int(reader.readline().split(b";")[0], 16)
        got += len(reader.read(size))
        reader.readline()
        if not size:
            return got
    while got < length:
        piece = reader.read(min(length - got, 1_048_576))
        if not piece:
            break
        got += len(piece)
    return got


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
    plan = [(port, Http, None) for port in HTTP_PORTS]
    plan += [(port, Http, context) for port in TLS_PORTS]  # type: ignore[misc]
    plan += [(port, Echo, None) for port in (*ECHO_PORTS, *BANNER_PORTS)]  # type: ignore[misc]
    for port, handler, tls in plan:
        server = Server(("::", port), handler)
        server.log, server.tls = log, tls
        _start(server.serve_forever)
    for port in UDP_PORTS:
        datagrams = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        datagrams.bind(("::", port))
        _start(_udp, log, datagrams)
    _start(_icmp, log, socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP))
    print("ready", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
