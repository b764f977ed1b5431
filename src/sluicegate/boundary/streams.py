"""SHELL. The command's stdin, stdout and stderr where they are no terminal: pipes of our own, copied by threads.

The command never gets what the caller opened. Whoever holds a file's or a pipe's own description can read ahead of
the caller, move its offset, make it non-blocking, or open it again through /proc/self/fd for the other direction: into
the script that an outer shell is reading. Bytes go one way through each pipe, and nothing else does.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import threading
import time
from collections.abc import Callable

COPY_BYTES = 65_536  # what a pipe holds
# How often the end of a run asks whether somebody wants it now, while a slow reader still takes the output.
PATIENCE_SECONDS = 0.25
# How long the output of a run that somebody wanted to end (its time is up, a signal came) may take to get out.
HURRY_SECONDS = 2.0
_NAMES = {1: "stdout", 2: "stderr"}
# Nobody reads any more, or the caller closed it: that was meant, and a closed pipe says it to the command.
_MEANT = {errno.EPIPE, errno.EBADF}


class Streams:
    """Pipes for those of the descriptors 0, 1 and 2 that `tty` does not replace, owned by `owner` (uid, gid).

    `inner` are the command's ends by number. stdout and stderr that lead to the same place share a pipe, so that
    their order is kept. `lost` says of each output that could not be written why.
    """

    def __init__(self, tty: tuple[bool, bool, bool], owner: tuple[int, int] | None) -> None:
        self.inner: dict[int, int] = {}
        self.lost: dict[str, str] = {}
        # How some bytes of the command's are written to a descriptor of the caller's; raises OSError.
        self.write: Callable[[int, bytes], None] = write
        self._outer: dict[int, int] = {}
        self._threads: list[threading.Thread] = []
        for number in (0, 1, 2):
            if tty[number]:
                continue
            if number == 2 and 1 in self.inner and _same_place():
                self.inner[2] = self.inner[1]
                continue
            out, into = os.pipe2(os.O_CLOEXEC)
            self.inner[number], self._outer[number] = (out, into) if number == 0 else (into, out)
            if owner is not None:
                # A program that opens /dev/stdout opens this pipe again.
                os.fchown(out, *owner)

    def install(self) -> None:
        """In the forked child: the command's ends become 0, 1 and 2."""
        for number, end in self.inner.items():
            os.dup2(end, number)

    def keep_outer(self) -> None:
        """In the parent: only the command's side holds the command's ends."""
        for end in set(self.inner.values()):
            os.close(end)
        self.inner.clear()

    def start(self) -> None:
        """Begin to copy. No process may be forked any more."""
        for number, end in self._outer.items():
            work = (0, end) if number == 0 else (end, number)
            thread = threading.Thread(target=self._copy, args=work, daemon=True)
            thread.start()
            if number != 0:
                self._threads.append(thread)
        self._outer.clear()

    def finish(self, impatient: Callable[[], bool], hurried: bool) -> None:
        """Wait until all output is out, or `impatient` says that nobody wants to. The command is gone by now.

        `hurried`: for HURRY_SECONDS at most.
        """
        deadline = time.monotonic() + HURRY_SECONDS
        for thread in self._threads:
            while (
                thread.is_alive()
                and not impatient()
                and not (hurried and time.monotonic() >= deadline)
            ):
                thread.join(PATIENCE_SECONDS)

    def close(self) -> None:
        """Let go of what was never started."""
        for end in {*self.inner.values(), *self._outer.values()}:
            with contextlib.suppress(OSError):
                os.close(end)
        self.inner.clear()
        self._outer.clear()

    def _copy(self, source: int, sink: int) -> None:
        """All of `source` to `sink`; the end that is ours is closed with it, so that the other side hears of it."""
        try:
            while data := _read(source):
                (self.write if sink in _NAMES else write)(sink, data)
        except OSError as error:
            if sink in _NAMES and error.errno not in _MEANT:
                self.lost[_NAMES[sink]] = os.strerror(error.errno or 0)
        finally:
            os.close(sink if source == 0 else source)


def _same_place() -> bool:
    one, other = os.fstat(1), os.fstat(2)
    return (one.st_dev, one.st_ino, one.st_rdev) == (other.st_dev, other.st_ino, other.st_rdev)


def _read(source: int) -> bytes:
    """Some bytes, empty at the end. The caller's descriptors may be non-blocking: its choice, and theirs to keep."""
    while True:
        try:
            return os.read(source, COPY_BYTES)
        except BlockingIOError:
            _until(source, select.POLLIN)


def write(sink: int, data: bytes) -> None:
    """All of `data` to `sink`, which may be non-blocking.

    Raises:
        OSError: it takes no more.
    """
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(sink, view) :]
        except BlockingIOError:
            _until(sink, select.POLLOUT)


def _until(number: int, event: int) -> None:
    poll = select.poll()
    poll.register(number, event)
    poll.poll()
