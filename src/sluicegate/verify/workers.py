"""SHELL. Signatures checked beside the reading, on every processor: most of a verification's time is in them.

Workers are forked copies of this process that read batches from a pipe and answer with one number each. They are
trusted as this process is: one that is gone, or finds a fault, has its batch checked here.
"""

from __future__ import annotations

import contextlib
import os
import select
from collections import Counter, deque
from dataclasses import dataclass
from typing import Self

from sluicegate.evidence import keys
from sluicegate.verify.signatures import FAILED, Signatures
from sluicegate.verify.strict import VerificationError

KEY, SIGNATURE, DIGEST = 32, 64, 32
ONE = KEY + SIGNATURE + DIGEST
BATCH = (
    128  # signatures: some milliseconds of work, and far below what a pipe holds (64 KiB, pipe(7))
)
AHEAD = 2  # batches given to one worker and not answered: it never waits for us
MOST = 16  # workers; reading feeds no more
FIRST = 128  # signatures checked here before it pays to fork
ANSWER = 2  # bytes: GOOD where all hold, else where one does not, which is then looked at here
GOOD = 0xFFFF


@dataclass(frozen=True, slots=True)
class _Worker:
    """A process, and our ends of its pipes."""

    pid: int
    asks: int
    answers: int


@dataclass(frozen=True, slots=True)
class _Batch:
    """What one worker was given and has not answered, and what each signature is called."""

    worker: _Worker
    data: bytes
    names: list[str]


class Workers(Signatures):
    """Keeps batches under way; use as a context manager, or the processes stay."""

    def __init__(self, count: int | None = None) -> None:
        """`count`: how many; None is one for each processor that this process does not use itself."""
        self._count = len(os.sched_getaffinity(0)) - 1 if count is None else count
        self._workers: list[_Worker] = []
        self._open = deque[_Batch]()  # in the order of the record, and so are the answers heard
        self._data, self._names = bytearray(), list[str]()
        self._seen = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            os.close(worker.asks)
            os.close(worker.answers)
            os.waitpid(worker.pid, 0)
        self._workers.clear()

    def add(self, key: bytes, signature: bytes, message: bytes, what: str) -> None:
        """As of `Signatures`; an error may come with a later call, but none after `settle`."""
        self._seen += 1
        if self._count < 1 or self._seen <= FIRST or len(message) != DIGEST:
            super().add(key, signature, message, what)
            return
        self._data += key + signature + message
        self._names.append(what)
        if len(self._names) == BATCH:
            data, names = bytes(self._data), self._names
            self._data, self._names = bytearray(), []
            self._share(data, names)

    def settle(self) -> None:
        """As of `Signatures`: nothing is left open."""
        while self._open:
            self._hear()
        data, names = bytes(self._data), self._names
        self._data, self._names = bytearray(), []
        self._here(data, names)

    def _share(self, data: bytes, names: list[str]) -> None:
        """To a worker, or where all are busy, done here: nobody waits."""
        while len(self._workers) < min(self._count, MOST):
            self._workers.append(self._start())
        while self._open and _ready(self._open[0].worker.answers):
            self._hear()
        busy = Counter(batch.worker.pid for batch in self._open)
        worker = min(self._workers, key=lambda one: busy[one.pid])
        if busy[worker.pid] >= AHEAD:
            self._here(data, names)
            return
        self._open.append(_Batch(worker, data, names))
        # A worker that is gone is noticed when its answer is missing.
        with contextlib.suppress(BrokenPipeError):
            os.write(worker.asks, data)

    def _hear(self) -> None:
        batch = self._open.popleft()
        if self._answer(batch) == GOOD:
            return
        if (bad := _first_bad(batch.data)) != GOOD:
            while self._open:
                self._answer(self._open.popleft())  # what came after it does not matter any more
            raise VerificationError(f"{batch.names[bad]}: {FAILED}")

    def _answer(self, batch: _Batch) -> int:
        """What its worker says; 0 where it is gone."""
        return int.from_bytes(os.read(batch.worker.answers, ANSWER), "big")

    def _here(self, data: bytes, names: list[str]) -> None:
        if (bad := _first_bad(data)) != GOOD:
            while self._open:
                self._hear()  # one that was given before may be wrong too, and is the one to name
            raise VerificationError(f"{names[bad]}: {FAILED}")

    def _start(self) -> _Worker:
        theirs, asks = os.pipe()
        answers, ours = os.pipe()
        pid = os.fork()
        if pid:
            os.close(theirs)
            os.close(ours)
            return _Worker(pid, asks, answers)
        try:
            for other in (*self._workers, _Worker(0, asks, answers)):
                os.close(other.asks)  # or its pipe would outlive the one who writes to it
                os.close(other.answers)
            _work(theirs, ours)
        finally:
            os._exit(0)


def _ready(descriptor: int) -> bool:
    """Whether something can be read; not by select(2), which knows no descriptor above 1023 and whose caller may."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))


def _work(asked: int, answers: int) -> None:
    """Until the other end is closed."""
    while True:
        data = b""
        while len(data) < ONE * BATCH:
            piece = os.read(asked, ONE * BATCH - len(data))
            if not piece:
                return
            data += piece
        os.write(answers, _first_bad(data).to_bytes(ANSWER, "big"))


def _first_bad(data: bytes) -> int:
    """The place of the first signature that does not hold, or GOOD."""
    for at in range(0, len(data), ONE):
        key, signature = data[at : at + KEY], data[at + KEY : at + KEY + SIGNATURE]
        if not keys.verifies(key, signature, data[at + KEY + SIGNATURE : at + ONE]):
            return at // ONE
    return GOOD
