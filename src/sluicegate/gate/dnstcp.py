"""SHELL. DNS over TCP (RFC 7766): frames in, the resolver's answers out."""

from __future__ import annotations

import socket
from collections.abc import Callable

from sluicegate.gate.dial import reset
from sluicegate.gate.loop import READ, WRITE, Loop

IDLE_S = 10.0  # RFC 7766 section 6.2.3: in the order of seconds
READ_BYTES = 4096
# Questions are a few hundred bytes with every option; a larger frame is another protocol's first bytes.
MAX_QUESTION_BYTES = 4096
# Answers that a client leaves unread; beyond this it is not read either.
MAX_OUT_BYTES = 65_536


class DnsConnection:
    """Answers each question with `answer` until the client ends, is idle, or sends no question.

    A connection that asked nothing whole is put to `answer` as an empty packet: it is on record as malformed.
    """

    def __init__(
        self,
        loop: Loop,
        client: socket.socket,
        answer: Callable[[bytes], bytes],
        gone: Callable[[DnsConnection], None],
    ) -> None:
        self._loop, self._client, self._answer, self._gone = loop, client, answer, gone
        self._in, self._out = b"", b""
        self._ended = self._asked = False
        self._timer = loop.after(IDLE_S, lambda: self.stop("idle"))

    def start(self) -> None:
        """Read what is there; the connection may be over when this returns."""
        self._ready(READ)

    def stop(self, _: str) -> None:
        """Close with a reset."""
        self._part()
        reset(self._client)
        self._gone(self)

    def _part(self) -> None:
        self._timer.cancel()
        self._loop.forget(self._client.fileno())
        if self._in or not self._asked:
            self._answer(b"")

    def _ready(self, events: int) -> None:
        try:
            if events & ~WRITE and not self._ended and len(self._out) < MAX_OUT_BYTES:
                data = self._client.recv(READ_BYTES)
                self._ended = not data
                self._in += data
                self._questions()
            if self._out:
                self._out = self._out[self._client.send(self._out) :]
        except BlockingIOError:
            pass
        except OSError:
            self.stop("reset")
            return
        if self._ended and not self._out:
            self._part()
            self._client.close()
            self._gone(self)
            return
        reads = not self._ended and len(self._out) < MAX_OUT_BYTES
        events = (READ if reads else 0) | (WRITE if self._out else 0)
        self._loop.want(self._client.fileno(), events, self._ready)

    def _questions(self) -> None:
        while len(self._in) >= 2:
            size = int.from_bytes(self._in[:2], "big")
            if size > MAX_QUESTION_BYTES:
                self._ended = True
                return
            if len(self._in) < 2 + size:
                return
            packet, self._in = self._in[2 : 2 + size], self._in[2 + size :]
            self._asked, answer = True, self._answer(packet)
            if not answer:
                self._in, self._ended = b"", True
                return
            self._out += len(answer).to_bytes(2, "big") + answer
            # Renewed by whole questions only: a byte a minute gains nothing.
            self._timer.cancel()
            self._timer = self._loop.after(IDLE_S, lambda: self.stop("idle"))
