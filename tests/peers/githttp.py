"""HTTPS as a forge serves it: `git http-backend`, and a registry of packages.

Run as `python githttp.py REPOSITORIES CERT KEY`; prints `ready` once port 443 listens, on both families.
"""

from __future__ import annotations

import http.server
import os
import socket
import ssl
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import amazon
import private
import registry


class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6
    tls: ssl.SSLContext

    def get_request(self) -> tuple[socket.socket, object]:
        stream, peer = super().get_request()
        # The handshake happens at the first read, in the connection's own thread.
        return self.tls.wrap_socket(stream, True, do_handshake_on_connect=False), peer

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that leaves early is no event here."""


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        found = registry.answer(self.headers.get("Host", ""), self.path)
        if found is None:
            self._backend(b"")
            return
        kind, body = found
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self._backend(body)

    def do_PUT(self) -> None:
        self.do_POST()

    def _backend(self, body: bytes) -> None:
        told = self.command, self.path, self.headers.items(), body
        if (said := amazon.answer(Path(sys.argv[1]), *told)) is not None:
            self._say(said[0], said[2], said[1])
            return
        if private.refused(self.path, self.headers.get("Authorization", "")):
            self._say(401, b"")
            return
        if (found := private.answer(self.path, self.headers)) is not None:
            self._say(*found)
            return
        url = urlsplit(self.path)
        asked = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": sys.argv[1],
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "REQUEST_METHOD": self.command,
            "PATH_INFO": url.path,
            "QUERY_STRING": url.query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
        }
        done = subprocess.run(
            ["git", "http-backend"], input=body, env=asked, capture_output=True, check=False
        )
        head, _, answer = done.stdout.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().splitlines())
        self.send_response(int(fields.pop("Status", "200").split()[0]))
        for name, value in fields.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def _say(self, status: int, body: bytes, kind: str = "application/json") -> None:
        self.send_response(status)
        if status == 401:
            self.send_header("WWW-Authenticate", 'Basic realm="forge"')
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


def main() -> None:
    server = Server(("::", 443), Handler)
    server.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.tls.load_cert_chain(sys.argv[2], sys.argv[3])
    print("ready", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
