"""SHELL. A WebSocket after its handshake: frames read, checked and written again, both ways, as they come."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from sluicegate.evidence import records
from sluicegate.facts import Decision
from sluicegate.gate.loop import BROKEN, READ, WRITE, Loop
from sluicegate.gate.meter import Stream
from sluicegate.gate.passage import Barred, Passage
from sluicegate.gate.push import push, words
from sluicegate.wire import websocket
from sluicegate.wire.cursor import WireError
from sluicegate.wire.websocket import FrameReader, Opcode, Part

READ_BYTES = 65_536
HIGH_WATER = 65_536  # as for an exchange: what may wait for a slow side before the other one is no longer read


@dataclass(slots=True)
class Way:
    """One direction: what was read of `source`, and what waits for the other side. `frames` are whole ones."""

    source: str
    reader: FrameReader
    out: bytearray
    frames: int = 0
    moved: int = 0
    ended: bool = False  # the source sends nothing more
    open: bool = False  # the last frame in line is not whole yet
    closed: bool = False  # the last frame in line is a close frame
    key: bytes = field(default=b"", repr=False)

    def written(self, parts: list[Part]) -> None:
        """Put `parts` in line; what goes to a server has a mask of ours, new for each frame (section 5.3)."""
        for part in parts:
            if part.begins:
                self.key = os.urandom(websocket.MASK_BYTES) if self.reader.client else b""
                self.out += websocket.write_head(replace(part.frame, key=self.key))
            self.out += websocket.masked(part.payload, self.key, part.at)
            self.frames, self.open = self.frames + part.ends, not part.ends
            self.closed = part.frame.opcode is Opcode.CLOSE


@dataclass(frozen=True, slots=True)
class Ended:
    """How it ended. `last`: words for the client that fit in; `broken`: both sides must be reset, else closed.

    `barred`: the passage let no more through, and nothing of what it barred went on.
    """

    reason: str
    last: bytes = b""
    broken: bool = False
    barred: Decision | None = None


class WebSocket:
    """After `start`, `done` is called once; both sockets are open then, and watched.

    `heard`: what client and server have sent already, `waiting`: what each of the ways has still to send first.
    """

    def __init__(
        self,
        loop: Loop,
        client: Stream,
        upstream: Stream,
        waiting: tuple[bytearray, bytearray],
        passage: Passage,
        idle_s: float,
        done: Callable[[Ended], None],
    ) -> None:
        self._loop, self._client, self._upstream = loop, client, upstream
        self.up = Way("client", FrameReader(client=True), waiting[0])
        self.down = Way("upstream", FrameReader(client=False), waiting[1])
        self._done, self._over, self._passed = done, False, False
        self._passage = passage
        self._idle_s, self._seen = idle_s, -1
        self._timer = loop.after(idle_s, self._check)

    def start(self, heard: tuple[bytes, bytes]) -> None:
        """Begin with what both sides have said; `done` may be called before this returns."""
        for way, data in zip((self.up, self.down), heard, strict=True):
            if data and not self._take(way, data):
                return
        self._step()

    def cancel(self) -> None:
        """No call to `done` any more."""
        self._over = True
        self._timer.cancel()

    def _take(self, way: Way, data: bytes) -> bool:
        """Whether `data` from the source of `way` is good, and on its way then."""
        try:
            parts = way.reader.feed(data)
            up = way is self.up
            look = self._passage.up if up else self._passage.down
            look(b"".join(part.payload for part in parts if not part.frame.opcode.control))
            if up:
                # Their heads say something, too: empty frames without end would be a way out that no limit sees.
                self._passage.take(sum(part.head_bytes for part in parts))
            beside = b"".join(part.payload for part in parts if part.frame.opcode.control)
            self._passage.beside(beside, up=up)
            way.written(parts)
        except Barred as refusal:
            why = f"refused: {refusal.decision.reason}"
            self._fault(why, websocket.POLICY_VIOLATION, refusal.decision)
            return False
        except WireError as error:
            self._fault(f"{way.source}: {error}", websocket.PROTOCOL_ERROR)
            return False
        return True

    def _ready(self, way: Way, peer: Stream, events: int) -> None:
        if events & ~WRITE and self._reads(way):
            try:
                data = peer.recv(READ_BYTES)
            except BlockingIOError:
                pass
            except OSError as error:
                self._finish(Ended(f"{way.source}: {words(error)}", broken=True))
                return
            else:
                way.ended = not data
                if not self._take(way, data):
                    return
        elif events & BROKEN:
            self._finish(Ended(f"{way.source} reset", broken=True))
            return
        self._step()

    def _reads(self, way: Way) -> bool:
        return not (way.ended or self.down.ended) and len(way.out) < HIGH_WATER

    def _step(self) -> None:
        """Send what can be sent; end, or wait."""
        try:
            self.up.moved += push(self._upstream, self.up.out)
        except OSError as error:
            self.up.out.clear()
            if not self._late_word():
                self._finish(Ended(f"upstream: {words(error)}", broken=True))
                return
        try:
            self.down.moved += push(self._client, self.down.out)
        except OSError as error:
            self._finish(Ended(f"client: {words(error)}", broken=True))
            return
        both = self.up.closed and self.down.closed and not self.up.out
        if (both or self.down.ended) and not self.down.out:
            self._finish(Ended(self._reason()))
            return
        if self.up.ended and not (self.up.closed or self.up.out or self._passed):
            # It may wait for answers. Behind a close frame the server needs no other word, and one of TLS that it
            # has not read when it closes would make that a reset, which takes its last frame along.
            self._passed = True
            with contextlib.suppress(OSError):
                self._upstream.shutdown(socket.SHUT_WR)
        for way, peer, other, handler in (
            (self.up, self._client, self.down, self._client_ready),
            (self.down, self._upstream, self.up, self._upstream_ready),
        ):
            events = (READ if self._reads(way) else 0) | (WRITE if other.out else 0)
            # One that has left is not watched: its hang-up would be told on every turn.
            self._loop.want(peer.fileno(), 0 if way.ended else events | BROKEN, handler)

    def _client_ready(self, events: int) -> None:
        self._ready(self.up, self._client, events)

    def _upstream_ready(self, events: int) -> None:
        self._ready(self.down, self._upstream, events)

    def _late_word(self) -> bool:
        """Whether the upstream said something before it left, as why it did."""
        if self.down.ended:
            return True
        try:
            data = self._upstream.recv(READ_BYTES)
        except OSError:
            return False
        self.down.ended = True
        return bool(data) and self._take(self.down, data)

    def _reason(self) -> str:
        if self.up.closed or self.down.closed:
            return records.COMPLETE
        left = self.up if self.up.ended else self.down
        where = "within a frame" if left.reader.begun else "without a close frame"
        return f"{left.source} ended {where}"

    def _fault(self, why: str, code: int, barred: Decision | None = None) -> None:
        """End both sides, and tell the client why, where no frame or other word is under way to it."""
        down = self.down
        with contextlib.suppress(OSError):
            down.moved += push(self._client, down.out)
        free = not (down.out or down.open or down.closed)
        last = websocket.write_close(code, f"sluicegate: {why}") if free else b""
        self._finish(Ended(why, last, broken=not last, barred=barred))

    def _check(self) -> None:
        moved = self.up.moved + self.down.moved
        if moved == self._seen:
            self._finish(Ended("idle for too long", broken=True))
            return
        self._seen = moved
        self._timer = self._loop.after(self._idle_s / 2, self._check)

    def _finish(self, end: Ended) -> None:
        if not self._over:
            self.cancel()
            self._done(end)
