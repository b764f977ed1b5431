"""A client's TLS whose stream can be ended while the answer is still to come, as `ssl.SSLSocket` can not."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class Tunnel:
    """Over a connected socket; the handshake is done when it is made."""

    def __init__(self, peer: socket.socket, context: ssl.SSLContext, name: str) -> None:
        self._peer, self._in, self._out = peer, ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_hostname=name)
        self._done(self._tls.do_handshake)

    def sendall(self, data: bytes) -> None:
        self._done(lambda: self._tls.write(data))

    def recv(self, size: int) -> bytes:
        try:
            return self._done(lambda: self._tls.read(size))
        except ssl.SSLZeroReturnError:
            return b""

    def shutdown(self, _: int) -> None:
        """Nothing follows. Nothing is read for it, so that no answer is lost."""
        with contextlib.suppress(ssl.SSLError):
            self._tls.unwrap()
        self._peer.sendall(self._out.read())

    def close(self) -> None:
        self._peer.close()

    def _done(self, step: Callable[[], T]) -> T:
        while True:
            try:
                result = step()
            except ssl.SSLWantReadError:
                self._peer.sendall(self._out.read())
                data = self._peer.recv(65_536)
                if data:
                    self._in.write(data)
                else:
                    self._in.write_eof()
                continue
            self._peer.sendall(self._out.read())
            return result
