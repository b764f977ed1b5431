"""An open proxy that believes its clients: where the attacks on the gate succeed. For the positive controls.

Run as `python naive.py ADDRESS PORT` inside the world; prints `ready`. Speaks CONNECT, absolute-form, SOCKS4a, SOCKS5.
"""

from __future__ import annotations

import contextlib
import select
import socket
import socketserver
import struct
import sys
from urllib.parse import urlsplit

PATIENCE_SECONDS = 3.0


def target(stream: socket.socket) -> tuple[str, int, bytes, bytes]:
    """Host, port, the reply to give, and what to pass on."""
    first = stream.recv(65_536)
    if first[:1] == b"\x05":
        stream.sendall(b"\x05\x00")
        asked = stream.recv(65_536)
        if asked[3] == 3:
            host, rest = asked[5 : 5 + asked[4]].decode(), asked[5 + asked[4] :]
        else:
            size, family = (4, socket.AF_INET) if asked[3] == 1 else (16, socket.AF_INET6)
            host, rest = socket.inet_ntop(family, asked[4 : 4 + size]), asked[4 + size :]
        return host, struct.unpack_from(">H", rest)[0], b"\x05\x00\x00\x01" + bytes(6), rest[2:]
    if first[:1] == b"\x04":
        names = first[8:].split(b"\0")
        host = names[1].decode() if first[4:7] == bytes(3) else socket.inet_ntoa(first[4:8])
        return host, struct.unpack_from(">H", first, 2)[0], b"\x00\x5a" + bytes(6), b""
    line = first.split(b"\n", 1)[0].split()
    if line[0] == b"PROXY":
        first = first.split(b"\n", 1)[1]
        line = first.split(b"\n", 1)[0].split()
    if line[0] == b"CONNECT":
        host_, _, port = line[1].decode().rpartition(":")
        body = first.partition(b"\r\n\r\n")[2]
        return host_.strip("[]"), int(port), b"HTTP/1.1 200 OK\r\n\r\n", body
    url = urlsplit(line[1].decode("utf-8", "replace"))
    return url.hostname or "allowed.test", url.port or 80, b"", first


class Proxy(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        with contextlib.suppress(OSError, ValueError, IndexError, struct.error, UnicodeError):
            host, port, reply, first = target(self.request)
            with socket.create_connection((host, port), PATIENCE_SECONDS) as out:
                self.request.sendall(reply)
                out.sendall(first)
                open_ = [self.request, out]
                while open_ and (ready := select.select(open_, [], [], PATIENCE_SECONDS)[0]):
                    for side in ready:
                        other = out if side is self.request else self.request
                        if data := side.recv(65_536):
                            other.sendall(data)
                        else:
                            open_.remove(side)
                            other.shutdown(socket.SHUT_WR)


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Attackers leave early."""


if __name__ == "__main__":
    with Server((sys.argv[1], int(sys.argv[2])), Proxy) as server:
        print("ready", flush=True)
        server.serve_forever()
