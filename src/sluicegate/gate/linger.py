"""SHELL. Last words: sent whole, and read by the client before the connection is gone."""

from __future__ import annotations

import socket
from collections.abc import Callable

from sluicegate.gate.dial import reset
from sluicegate.gate.loop import READ, WRITE, Loop
from sluicegate.gate.meter import Stream

LINGER_S = 2.0  # a client that has not taken a refusal by then will not
# What is read and thrown away, so that unread bytes do not turn the close into a reset.
DISCARD_BYTES = 4_194_304
READ_BYTES = 65_536


class Linger:
    """Sends `data`, ends the stream, reads until the client ends its own; then `done`."""

    def __init__(self, loop: Loop, peer: Stream, data: bytes, done: Callable[[], None]) -> None:
        self._loop, self._peer, self._data, self._done = loop, peer, data, done
        self._discarded = 0
        self._said = False
        self._timer = loop.after(LINGER_S, self._over)

    def start(self) -> None:
        """Begin; `done` may be called before this returns."""
        self._step(WRITE)

    def cancel(self) -> None:
        """No call to `done` any more."""
        self._timer.cancel()
        if self._peer.fileno() >= 0:
            self._loop.forget(self._peer.fileno())

    def _step(self, _: int) -> None:
        try:
            while self._data:
                self._data = self._data[self._peer.send(self._data) :]
            if not self._said:
                self._said = True
                self._peer.shutdown(socket.SHUT_WR)
            while got := len(self._peer.recv(READ_BYTES)):
                self._discarded += got
                if self._discarded > DISCARD_BYTES:
                    break
        except BlockingIOError:
            events = READ | WRITE if self._data else READ
            self._loop.want(self._peer.fileno(), events, self._step)
            return
        except OSError:
            pass  # the client has gone, which ends it as well
        self._over()

    def _over(self) -> None:
        self.cancel()
        if self._data or self._discarded > DISCARD_BYTES:
            reset(self._peer)
        self._done()
