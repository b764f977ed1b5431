"""SHELL. Where a connection was made to, and by which program: the witness is asked before anything of it is read."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable

import orjson

from sluicegate.gate.loop import READ, WRITE, Loop
from sluicegate.jcs import Json
from sluicegate.wire import names as wire_names

# As boundary.witness reads it: number, the client's end, the end it connected to.
QUESTION = struct.Struct("!Q16sH16sH")
READ_BYTES = 262_144  # many answers in one call
MAX_ANSWER_BYTES = 65_536  # four processes with eight ancestors each have 20 KiB at worst
# As accept(2) and getsockname(2) give it for either family: address, port, and what else there is.
Peer = tuple[str | int, ...]
Answered = Callable[[Json], None]


class WitnessError(Exception):
    """The witness is gone or out of step: nothing may be decided any more."""


class Asked:
    """A captured connection that waits for the name of its program. `begin` is called with the answer, once."""

    def __init__(
        self,
        origins: Origins,
        number: int,
        question: bytes,
        begin: Callable[[Asked, Json], None],
    ) -> None:
        self.stopped = ""
        self._origins, self._begin = origins, begin
        self._number, self._question = number, question

    def start(self) -> None:
        """Ask."""
        self._origins.ask(self._number, self._question, lambda process: self._begin(self, process))

    def stop(self, reason: str) -> None:
        """End it as soon as it is known: it was captured and counted, so it is put on record."""
        self.stopped = reason


class Origins:
    """Questions out and answers in, by the connection's number. The loop calls `flush` once per turn."""

    def __init__(self, witness: socket.socket, loop: Loop) -> None:
        witness.setblocking(False)
        self.socket = witness
        self._loop = loop
        self._out = bytearray()
        self._heard = b""
        self._waiting: dict[int, Answered] = {}
        loop.watch(witness.fileno(), READ, self._ready)

    def ask(self, number: int, question: bytes, answered: Answered) -> None:
        """Ask on the next `flush`; `answered` is called with what the witness says."""
        self._waiting[number] = answered
        self._out += question

    def flush(self) -> None:
        """Send what is due, as much as the witness takes without blocking.

        Raises:
            WitnessError: the witness is gone.
        """
        try:
            while self._out:
                del self._out[: self.socket.send(self._out)]
        except BlockingIOError:
            pass
        except OSError as error:
            raise WitnessError(f"the witness is gone: {error.strerror}") from error
        self._loop.change(self.socket.fileno(), READ | (WRITE if self._out else 0))

    def _ready(self, events: int) -> None:
        if not events & ~WRITE:
            return
        try:
            data = self.socket.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            raise WitnessError(f"the witness is gone: {error.strerror}") from error
        if not data:
            raise WitnessError("the witness closed its end")
        *lines, self._heard = (self._heard + data).split(b"\n")
        if len(self._heard) > MAX_ANSWER_BYTES:
            raise WitnessError("the witness's answer has no end")
        for line in lines:
            self._answered(line)

    def _answered(self, line: bytes) -> None:
        try:
            answer = orjson.loads(line)
            process, answered = answer["process"], self._waiting.pop(answer["connection"])
        except (ValueError, KeyError, TypeError) as error:
            raise WitnessError("the witness answers what was not asked") from error
        answered(process)


def question_of(number: int, client: Peer, to: Peer) -> bytes:
    """The question for the connection of that number, from `client` to `to`, both as the socket module names them.

    The kernel knows no peer any more of a connection that was reset: `client` is what accept said.
    """
    return QUESTION.pack(number, *_end(client), *_end(to))


def _end(name: Peer) -> tuple[bytes, int]:
    """16 bytes of address, IPv4 as mapped into IPv6, and the port."""
    text = str(name[0]).partition("%")[0]
    mapped = text if ":" in text else f"::ffff:{text}"
    return socket.inet_pton(socket.AF_INET6, mapped), int(name[1])


def original(client: socket.socket) -> tuple[str, int]:
    """Where the client connected to: with TPROXY the accepted socket's own address says it."""
    text, port = client.getsockname()[:2]
    return canonical(text), port


def canonical(text: str) -> str:
    """An address of a dual-stack socket in the form the policy knows."""
    text = text.partition("%")[0]
    if text.startswith("::ffff:") and "." in text:
        return text[7:]
    return wire_names.host(text) if ":" in text else text
