"""SHELL. What the supervisor says to the gate, and what the gate says back: lines of JSON over one socket."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Mapping

import orjson

from sluicegate.jcs import Json

MAX_BYTES = 4096  # one line from the supervisor is under 100


class Orders:
    """Calls `stop` for `{"stop":true}`; `gone` is set when the supervisor is, or says what has no end.

    `answered`, if there is one, is called with number and word of each `{"answer":{"number":n,"word":text}}`.
    """

    def __init__(self, control: socket.socket, stop: Callable[[], None]) -> None:
        control.setblocking(False)
        self.socket = control
        self.gone = False
        self.answered: Callable[[int, str], None] | None = None
        self._stop = stop
        self._said = b""

    def readable(self, _: int) -> None:
        """Read what has come, and do it."""
        try:
            data = self.socket.recv(MAX_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        *lines, self._said = (self._said + data).split(b"\n")
        if not data or len(self._said) > MAX_BYTES:
            self.gone = True
            return
        for line in lines:
            said = _read(line)
            if said == {"stop": True}:
                self._stop()
            elif isinstance(said, dict) and self.answered is not None and "answer" in said:
                self.answered(said["answer"]["number"], said["answer"]["word"])

    def say(self, message: Mapping[str, Json]) -> None:
        """One line to the supervisor, which reads whenever it waits. If it is gone, we shall see that."""
        with contextlib.suppress(OSError):
            self.socket.send(orjson.dumps(message) + b"\n")

    def last(self, message: Mapping[str, Json]) -> None:
        """As `say`, waiting until it is out."""
        self.socket.setblocking(True)
        self.socket.sendall(orjson.dumps(message) + b"\n")


def _read(line: bytes) -> object:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
