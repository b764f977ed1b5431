"""SHELL. SHA-256 of programs, by a thread of its own: hashing a large one must not keep the others waiting."""

from __future__ import annotations

import hashlib
import os
import queue
import threading

from sluicegate.boundary.procfs import Program, program

MAX_PROGRAM_BYTES = (
    268_435_456  # a node or a Go toolchain binary is around 100 MB, half a tenth of a second
)
MAX_REMEMBERED = 4096  # programs of one run; a command that makes more has them hashed again
_PIECE_BYTES = 1_048_576
TOO_LARGE = f"larger than {MAX_PROGRAM_BYTES} bytes"
UNREADABLE = "can not be read"
CHANGED = "changed while it was read"
# Programs that wait at a time; each holds a descriptor. Nobody runs as many new ones at once but on purpose.
MAX_WAITING = 256
CROWDED = "too many programs at once"


class Digests:
    """`fd` is readable when a digest has come; `collect` then gives the keys of what is known now.

    A digest is 64 characters of hex; where there can be none, the reason, which is no hex.
    """

    def __init__(self) -> None:
        self.fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._known: dict[Program, str] = {}
        self._waiting: set[Program] = set()
        self._asked: queue.SimpleQueue[tuple[Program, int]] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[tuple[Program, str]] = queue.SimpleQueue()
        threading.Thread(target=self._run, daemon=True).start()

    def get(self, what: Program, descriptor: int) -> str | None:
        """The digest of the open program, or None: it comes later. Takes `descriptor` over."""
        said = self._known.get(what)
        if said is None and what.size > MAX_PROGRAM_BYTES:
            said = TOO_LARGE
        elif said is None and what not in self._waiting:
            if len(self._waiting) < MAX_WAITING:
                self._waiting.add(what)
                self._asked.put((what, descriptor))
                return None
            said = CROWDED
        os.close(descriptor)
        return said

    def collect(self) -> dict[Program, str]:
        """What has come since the last call."""
        os.eventfd_read(self.fd)
        found = dict[Program, str]()
        while not self._done.empty():
            what, said = self._done.get()
            self._waiting.discard(what)
            found[what] = said
            if said not in {CHANGED, UNREADABLE}:
                self._known[what] = said
                while len(self._known) > MAX_REMEMBERED:
                    del self._known[next(iter(self._known))]
        return found

    def _run(self) -> None:
        while True:
            what, descriptor = self._asked.get()
            try:
                said = _digest(what, descriptor)
            except OSError:
                said = UNREADABLE
            finally:
                os.close(descriptor)
            self._done.put((what, said))
            os.eventfd_write(self.fd, 1)


def _digest(what: Program, descriptor: int) -> str:
    whole, piece, at = hashlib.sha256(), bytearray(_PIECE_BYTES), 0
    while at <= what.size and (size := os.preadv(descriptor, [piece], at)):
        whole.update(memoryview(piece)[:size])
        at += size
    return whole.hexdigest() if program(descriptor) == what and at == what.size else CHANGED
