"""SHELL. Large flows on threads of their own: a blocking splice waits in the kernel, not on the loop."""

from __future__ import annotations

import errno
import os
import queue
import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from sluicegate.gate.bell import Bell
from sluicegate.gate.pipes import CHUNK, enlarge

if TYPE_CHECKING:
    from sluicegate.gate.relay import Way

MAX_FLOWS = 32  # two threads each; beyond this flows stay on the loop
STACK_BYTES = 262_144  # the threads call splice and little else
Returned = Callable[[int, "Way | None"], None]


class _Pair:
    __slots__ = ("code", "failed", "left", "returned")

    def __init__(self, returned: Returned) -> None:
        self.returned = returned
        self.left = 2
        self.code = 0
        self.failed: Way | None = None


class Threads:
    """Starts flows; `collect`, called when `fd` is readable, hands back those that have ended."""

    def __init__(self) -> None:
        self._bell = Bell()
        self.fd = self._bell.fd
        self._flows = 0
        self._ended: queue.SimpleQueue[tuple[_Pair, Way, int]] = queue.SimpleQueue()

    @property
    def free(self) -> bool:
        """Whether another flow may be started."""
        return self._flows < MAX_FLOWS

    def start(self, up: Way, down: Way, returned: Returned) -> bool:
        """Run both ways; `returned(errno, way that failed or None)` comes from `collect`.

        False: the system gives no thread, and nothing has happened.
        """
        pair, before = _Pair(returned), threading.stack_size(STACK_BYTES)
        started = 0
        try:
            for way in (up, down):
                if way.pipe is not None:
                    enlarge(way.pipe)
                threading.Thread(target=self._run, args=(pair, way), daemon=True).start()
                started += 1
        except RuntimeError:
            if not started:
                return False
            self._end(pair, down, errno.EAGAIN)
        finally:
            threading.stack_size(before)
        self._flows += 1
        return True

    def stop(self, up: Way, down: Way) -> None:
        """Wake both threads for good."""
        for way in (up, down):
            _shut(way.src)

    def close(self) -> None:
        """Nobody waits for an end any more."""
        self._bell.close()

    def collect(self) -> None:
        if not self._bell.heard():
            return
        while not self._ended.empty():
            pair, way, code = self._ended.get()
            pair.left -= 1
            if code and pair.failed is None:
                pair.failed, pair.code = way, code
                self.stop(way, way)
                _shut(way.dst)
            if not pair.left:
                self._flows -= 1
                pair.returned(pair.code, pair.failed)

    def _run(self, pair: _Pair, way: Way) -> None:
        code = 0
        try:
            _copy(way)
        except OSError as error:
            code = error.errno or 1
        self._end(pair, way, code)

    def _end(self, pair: _Pair, way: Way, code: int) -> None:
        self._ended.put((pair, way, code))
        self._bell.ring()


def _copy(way: Way) -> None:
    pipe, source, sink = way.pipe, way.src.fileno(), way.dst.fileno()
    if pipe is None:
        raise RuntimeError("a way without a pipe")
    while True:
        while way.inside:
            sent = os.splice(pipe.out, sink, way.inside)
            way.inside -= sent
            way.moved += sent
        if way.ended:
            break
        way.inside = os.splice(source, pipe.into, CHUNK)
        way.ended = not way.inside
    way.over = True
    way.dst.shutdown(socket.SHUT_WR)


def _shut(peer: socket.socket) -> None:
    try:
        peer.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # already disconnected, which is what was wanted
