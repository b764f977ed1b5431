"""SHELL. The line to the notary: receipts out, `committed` back, in order and never dropped."""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Callable, Mapping

import orjson

from sluicegate import moments
from sluicegate.gate.limits import RECORD_BYTES
from sluicegate.jcs import Json

# How long an outcome, for which no byte waits, may wait for a receipt that is urgent: one message then wakes the
# notary once. A gate that dies takes these few milliseconds of outcomes along, and the run is evidence failure.
LAZY_NS = 5_000_000
HIGH_WATER_BYTES = 4_194_304  # beyond this the gate stops accepting until the notary has caught up
MAX_ANSWER_BYTES = 4096  # `{"committed": n}` is under 40 bytes; more without a newline is not ours
READ_BYTES = 65_536  # many answers in one call


class LedgerError(Exception):
    """The notary is gone or out of step: nothing may leave any more."""


class Ledger:
    """Receipts in the order of `submit`; each callback is called once its receipt is written.

    The loop calls `flush` once per turn, watches for writability while `blocked`, and calls
    `readable` when the socket is. `submitted` and `committed` are counts of receipts.
    """

    def __init__(self, notary: socket.socket, most_bytes: int = RECORD_BYTES) -> None:
        notary.setblocking(False)
        self.socket = notary
        self.submitted = 0
        self.committed = 0
        self.blocked = False
        self._due = self._urgent = self._bytes = 0
        self._most_bytes = most_bytes
        self._out = bytearray()
        self._later = bytearray()
        self._after = deque[Callable[[], None]]()
        self._heard = b""
        self._waiting: deque[Callable[[], None]] = deque()

    @property
    def waiting(self) -> bool:
        """Whether there are receipts that only `flush` after LAZY_NS will send."""
        return bool(self._later)

    @property
    def pressing(self) -> bool:
        """Whether one client waits for an answer that is under way, and no other."""
        return self._urgent - self.committed == 1

    @property
    def congested(self) -> bool:
        """Whether so much waits that the gate must not accept more."""
        return len(self._out) + len(self._later) > HIGH_WATER_BYTES

    @property
    def full(self) -> bool:
        """Whether the record is as long as it may become: only what was begun is still to be finished."""
        return self._bytes >= self._most_bytes

    def submit(
        self, record: Mapping[str, Json], callback: Callable[[], None], lazy_at: int | None = None
    ) -> None:
        """Queue `record`; `callback` runs when the notary has written it.

        With `lazy_at` (the time now, in nanoseconds) nobody waits for it: it goes behind what others wait for,
        LAZY_NS later at most.
        """
        self.submitted += 1
        line = orjson.dumps(record) + b"\n"
        self._bytes += len(line)
        if lazy_at is None:
            self._out += line
            self._waiting.append(callback)
            self._urgent = self.committed + len(self._waiting)
            return
        if not self._later:
            self._due = lazy_at + LAZY_NS
        moments.reached("gate: outcome queued")
        self._later += line
        self._after.append(callback)

    def flush(self, now_ns: int) -> None:
        """Send what is due, as much as the notary takes without blocking.

        Raises:
            LedgerError: the notary is gone.
        """
        if self._later and (self._out or self._due <= now_ns):
            self._out += self._later
            self._waiting += self._after
            self._later.clear()
            self._after.clear()
        try:
            while self._out:
                del self._out[: self.socket.send(self._out)]
                moments.reached("gate: receipts sent")
        except BlockingIOError:
            self.blocked = True
            return
        except OSError as error:
            raise LedgerError(f"the notary is gone: {error.strerror}") from error
        self.blocked = False

    def readable(self) -> None:
        """Take the notary's answers and run the callbacks they release.

        Raises:
            LedgerError: end of stream, or an answer that cannot be.
        """
        try:
            data = self.socket.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            raise LedgerError(f"the notary is gone: {error.strerror}") from error
        if not data:
            raise LedgerError("the notary closed its end")
        *lines, self._heard = (self._heard + data).split(b"\n")
        if len(self._heard) > MAX_ANSWER_BYTES:
            raise LedgerError("the notary's answer has no end")
        if lines:
            self._release(_count(lines[-1]))

    def _release(self, count: int) -> None:
        if not self.committed <= count <= self.submitted:
            raise LedgerError(f"want a count in {self.committed}..{self.submitted}, got {count}")
        while self.committed < count:
            self.committed += 1
            moments.reached("gate: committed")
            self._waiting.popleft()()


def _count(line: bytes) -> int:
    try:
        answer = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise LedgerError("the notary's answer is not JSON") from error
    count = answer.get("committed") if isinstance(answer, dict) else None
    if type(count) is not int:
        raise LedgerError("the notary's answer has no count")
    return count
