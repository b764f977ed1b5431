"""SHELL. Pipes for splice, kept for the next flow: an idle flow holds none."""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass

CHUNK = 1_048_576  # bytes asked of one splice; the pipe's size is what bounds it
# 64 pipes of this size stay within the kernel's 64 MiB of soft limit per user (pipe-user-pages-soft).
LARGE_BYTES = 1_048_576
KEPT = 64  # beyond this, pipes are closed when a flow gives them back


@dataclass(frozen=True, slots=True)
class Pipe:
    """A pipe that sockets are spliced `into` and `out` of."""

    out: int
    into: int


class Pipes:
    """Empty pipes to take, and to give back."""

    def __init__(self) -> None:
        self._kept: list[Pipe] = []

    def take(self) -> Pipe:
        """An empty pipe.

        Raises:
            OSError: no descriptor is left.
        """
        if self._kept:
            return self._kept.pop()
        out, into = os.pipe2(os.O_CLOEXEC)
        return Pipe(out, into)

    def give(self, pipe: Pipe, *, dirty: bool = False) -> None:
        """Take `pipe` back; one that still holds bytes is closed."""
        if dirty or len(self._kept) >= KEPT:
            os.close(pipe.out)
            os.close(pipe.into)
        else:
            self._kept.append(pipe)

    def close(self) -> None:
        while self._kept:
            self.give(self._kept.pop(), dirty=True)


def enlarge(pipe: Pipe) -> None:
    """Make `pipe` large, where the kernel allows it."""
    try:
        fcntl.fcntl(pipe.into, fcntl.F_SETPIPE_SZ, LARGE_BYTES)
    except OSError:
        return  # over the user's share: the default size works, with more calls
