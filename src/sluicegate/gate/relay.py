"""SHELL. Opaque flows: bytes go from socket to socket in the kernel, never through Python."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass

from sluicegate.evidence import records
from sluicegate.facts import Decision
from sluicegate.gate.dial import reset
from sluicegate.gate.loop import BROKEN, READ, WRITE, Loop
from sluicegate.gate.meter import Meter
from sluicegate.gate.passage import Barred, Passage
from sluicegate.gate.pipes import CHUNK, Pipe, Pipes
from sluicegate.gate.threads import Threads

# Below this a flow's two threads cost more than they save.
PROMOTE_BYTES = 1_048_576
READ_BYTES = 65_536  # of a held client, whose bytes are looked at
# What one flow may move before others have their turn.
TURN_BYTES = 1_048_576
PIPE_BYTES = 65_536  # what a pipe of the default size holds
NONBLOCK = os.SPLICE_F_NONBLOCK | os.SPLICE_F_MOVE


@dataclass(frozen=True, slots=True)
class End:
    """How a relayed flow ended."""

    reason: str
    bytes_up: int
    bytes_down: int
    kernel: tuple[int, int]


class Way:
    """One direction. `moved` counts bytes that the destination's kernel took."""

    __slots__ = ("blocked", "dst", "ended", "held", "inside", "moved", "over", "pipe", "src")

    def __init__(self, src: socket.socket, dst: socket.socket) -> None:
        self.src, self.dst = src, dst
        self.pipe: Pipe | None = None
        self.inside = 0
        self.moved = 0
        self.blocked = False  # the destination takes no more
        self.ended = False  # the source has ended
        self.over = False  # and the destination knows
        self.held = False  # nothing may be read yet


def _end(peer: socket.socket) -> None:
    try:
        peer.shutdown(socket.SHUT_WR)
    except OSError as error:
        # Gone already, as a client that has all it wanted: nothing that was sent is lost by that.
        if error.errno != errno.ENOTCONN:
            raise


class Relay:
    """Both directions of one flow until both have ended, one fails, or it is idle.

    `head` goes upstream first. Closes both sockets, then calls `done`; `over` tells that it was called.
    """

    def __init__(
        self,
        loop: Loop,
        pipes: Pipes,
        threads: Threads,
        client: socket.socket,
        upstream: socket.socket,
        head: bytes,
        idle_s: float,
        done: Callable[[End], None],
        passage: Passage,
        barred: Callable[[Relay, Decision], None],
    ) -> None:
        self._loop, self._pipes, self._threads = loop, pipes, threads
        self.client, self.upstream = client, upstream
        self._up, self._down = Way(client, upstream), Way(upstream, client)
        self._head, self._done = head, done
        self._first: Callable[[], None] | None = None
        self.over = False
        # Of what went up, and who is told when it may be no more; the head counts when it is about to go.
        self._passage, self._barred = passage, barred
        self._uncounted = len(head)
        self._promoted = False
        self._reason = ""
        self._idle_s, self._seen = idle_s, -1
        self._told = (0, 0)
        self._meter = Meter(upstream, client)
        passage.moved = self.moved
        self._timer = loop.after(idle_s / 2, self._check)

    def start(self) -> None:
        """Begin; `done` may be called before this returns."""
        self._pump(self._up)

    def hold(self, first: Callable[[], None]) -> None:
        """Read nothing of the client's: call `first` when there is something, until `release`."""
        self._first, self._up.held = first, True

    @property
    def bytes_down(self) -> int:
        """What the client's side was given so far."""
        return self._down.moved + self._down.inside

    def moved(self) -> tuple[int, int]:
        """Bytes up and down since the last `settle`."""
        up, down = self._told
        return self._up.moved - up, self._down.moved - down

    def settle(self) -> tuple[int, int, tuple[int, int]]:
        """Bytes up and down so far, and the kernel's counts of them; the end's begin after them."""
        self._told = up, down = self._up.moved, self._down.moved
        return up, down, self._meter.settle()

    def heard(self) -> bytes | None:
        """What the held client said, empty at its end; None: nothing, or it is gone and the flow aborted."""
        try:
            return self.client.recv(READ_BYTES)
        except BlockingIOError:
            return None
        except OSError:
            self.abort("client reset")
            return None

    def release(self, head: bytes) -> None:
        """The client's bytes may flow, `head` first."""
        if self._reason:
            return  # refused meanwhile
        self._head, self._first, self._up.held = head, None, False
        self._uncounted += len(head)
        self._pump(self._up)

    def pass_on(self, data: bytes) -> None:
        """Send `data` as the client's; what follows is still held."""
        if self._reason:
            return
        self._head += data
        self._uncounted += len(data)
        self._pump(self._up)

    def pause(self) -> None:
        """While the first bytes are judged, nothing is called and nothing is read."""
        self._first = None
        self._watch()

    def abort(self, reason: str) -> None:
        """Reset both sides."""
        if self._promoted:
            # The threads hold the sockets; they come back at once, through `_returned`.
            self._reason = reason
            self._threads.stop(self._up, self._down)
            return
        self._finish(reason, broken=True)

    def detach(self) -> tuple[socket.socket, socket.socket]:
        """Give the sockets back, unwatched; `done` is not called."""
        self.over, self._first = True, None
        self._timer.cancel()
        for peer in (self.client, self.upstream):
            self._loop.forget(peer.fileno())
        self._recycle()
        return self.client, self.upstream

    def _events(self, own: Way, other: Way, events: int) -> None:
        """`own` reads the ready socket, `other` writes to it."""
        if events & (WRITE | BROKEN) and other.blocked:
            other.blocked = False
            self._pump(other)
        if own.ended or self.over or self._promoted or not events & ~WRITE:
            return
        # After a reset too: what came before it is still to be read, then the error.
        if own.held:
            if self._first is not None:
                self._first()
        elif not own.blocked:
            self._pump(own)

    def _pump(self, way: Way) -> None:
        try:
            if self._flow(way) and self._up.over and self._down.over:
                self._finish(records.COMPLETE, broken=False)
                return
        except Barred as refusal:
            self._bar(refusal.decision)
            return
        except BlockingIOError:
            way.blocked = True
        except OSError as error:
            self._broken(way, error.errno or 0)
            return
        moved = self._up.moved + self._down.moved
        large = moved > PROMOTE_BYTES and not self._head and not self._up.held
        # Threads ask nobody how much may go up.
        if large and self._passage.left is None and self._promote():
            return
        self._watch()

    def _flow(self, way: Way) -> bool:
        """Move what there is; BlockingIOError: the destination is full. Whether the way is over."""
        if way is self._up:
            begun = bool(self._head)
            self._passage.take(self._uncounted)
            self._uncounted = 0
            while self._head:
                sent = way.dst.send(self._head)
                way.moved += sent
                self._head = self._head[sent:]
            if way.held or begun:
                return False  # what follows the head is seldom there yet
        budget = TURN_BYTES
        while budget > 0:
            while way.inside and way.pipe is not None:
                way.inside -= self._out_of(way)
            if way.ended:
                break
            if way.pipe is None:
                way.pipe = self._pipes.take()
            try:
                most = self._most(way)
                got = os.splice(way.src.fileno(), way.pipe.into, most, flags=NONBLOCK)
            except BlockingIOError:
                break
            way.inside, way.ended = got, not got
            if way is self._up:
                self._passage.take(got)
            # Less than a pipe holds was all there was: epoll says when there is more.
            budget = 0 if got < PIPE_BYTES else budget - got
        while way.inside and way.pipe is not None:
            way.inside -= self._out_of(way)
        if not way.inside and way.pipe is not None:
            self._pipes.give(way.pipe)
            way.pipe = None
        if way.ended and not way.over:
            way.over = True
            if not (
                self._up.over and self._down.over
            ):  # else both are closed now, which says it too
                _end(way.dst)
        return way.over

    def _most(self, way: Way) -> int:
        """Bytes that may be taken from the source of `way`.

        Raises:
            Barred: none, and there are some.
            BlockingIOError: none, and there are none yet.
            OSError: the source broke.
        """
        left = self._passage.left if way is self._up else None
        if left == 0:
            self._passage.take(len(way.src.recv(1, socket.MSG_PEEK)))
        return min(CHUNK, left or CHUNK)

    def _bar(self, denied: Decision) -> None:
        """Nothing more goes up; the denial's receipt ends it, as whatever may come first."""
        self._reason = f"refused: {denied.reason}"
        self._head, self._up.held = b"", True
        self.pause()
        self._barred(self, denied)

    @staticmethod
    def _out_of(way: Way) -> int:
        """Bytes that went from the pipe of `way` to its destination."""
        if way.pipe is None:
            raise RuntimeError("bytes inside no pipe")
        sent = os.splice(way.pipe.out, way.dst.fileno(), way.inside, flags=NONBLOCK)
        way.moved += sent
        return sent

    def _watch(self) -> None:
        for own, other in ((self._up, self._down), (self._down, self._up)):
            reading = not (own.blocked or own.ended) and (not own.held or self._first is not None)
            events = (READ if reading else 0) | (WRITE if other.blocked else 0)

            def handler(ready: int, own: Way = own, other: Way = other) -> None:
                self._events(own, other, ready)

            self._loop.want(own.src.fileno(), events, handler)

    def _promote(self) -> bool:
        if self._up.over or self._down.over or not self._threads.free:
            return False
        try:
            for way in (self._up, self._down):
                if way.pipe is None:
                    way.pipe = self._pipes.take()
        except OSError:
            return False
        for way in (self._up, self._down):
            self._loop.forget(way.src.fileno())
            way.src.setblocking(True)
        self._promoted = self._threads.start(self._up, self._down, self._returned)
        if not self._promoted:
            for way in (self._up, self._down):
                way.src.setblocking(False)
        return self._promoted

    def _returned(self, code: int, failed: Way | None) -> None:
        self._promoted = False
        if self._reason:
            self._finish(self._reason, broken=True)
        elif failed is not None:
            self._broken(failed, code)
        else:
            self._finish(records.COMPLETE, broken=False)

    def _broken(self, way: Way, code: int) -> None:
        # The kernel does not say whether it was the source or the destination that broke.
        which = "up" if way is self._up else "down"
        self._finish(f"broken on the way {which}: {os.strerror(code).lower()}", broken=True)

    def _check(self) -> None:
        moved = self._up.moved + self._down.moved
        if moved == self._seen:
            self.abort("idle for too long")
            return
        self._seen = moved
        self._timer = self._loop.after(self._idle_s / 2, self._check)

    def _recycle(self) -> None:
        for way in (self._up, self._down):
            if way.pipe is not None:
                self._pipes.give(way.pipe, dirty=bool(way.inside))
                way.pipe = None

    def _finish(self, reason: str, *, broken: bool) -> None:
        # What was refused is on record as that, whatever ended it first.
        reason = self._reason = self._reason or reason
        self.over, self._first = True, None
        self._timer.cancel()
        kernel = self._meter.settle()
        self._recycle()
        for peer in (self.client, self.upstream):
            self._loop.drop(peer.fileno())
            if broken:
                reset(peer)
            else:
                peer.close()
        up, down = self._told
        self._done(End(reason, self._up.moved - up, self._down.moved - down, kernel))
