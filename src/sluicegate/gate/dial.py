"""SHELL. Connecting to the pinned answers: both families, staggered, the first one wins."""

from __future__ import annotations

import errno
import itertools
import os
import socket
import struct
from collections.abc import Callable

from sluicegate.evidence.records import MAX_ADDRESSES
from sluicegate.gate.limits import Limits
from sluicegate.gate.loop import BROKEN, WRITE, Loop, Timer
from sluicegate.gate.meter import Stream

# At once: two of one family and one of the other. More would only hold descriptors; the oldest makes room, and
# so each has three times the stagger at least.
MAX_TRIES = 3
RESET = struct.pack("ii", 1, 0)  # SO_LINGER on, 0 s: close sends RST
Done = Callable[[socket.socket | None, str], None]


def reset(peer: Stream) -> None:
    """Close `peer` so that the other end sees a reset."""
    try:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    except OSError:
        pass  # it is being closed either way
    finally:
        peer.close()


def interleaved(addresses: tuple[str, ...]) -> tuple[str, ...]:
    """The first few, with families taking turns, the first one's family first (RFC 8305 section 4)."""
    first = ":" in addresses[0] if addresses else False
    mine = [a for a in addresses if (":" in a) is first]
    other = [a for a in addresses if (":" in a) is not first]
    pairs = itertools.zip_longest(mine, other)
    return tuple(a for pair in pairs for a in pair if a is not None)[:MAX_ADDRESSES]


class Dial:
    """One attempt to connect: after `start`, `done(socket, address)` or `done(None, reason)`, once.

    `done` may be called before `start` returns. `cancel` ends it without a call.
    """

    def __init__(
        self, loop: Loop, addresses: tuple[str, ...], port: int, limits: Limits, done: Done
    ) -> None:
        self._loop, self._port, self._done = loop, port, done
        self._left = list(interleaved(addresses))
        self._stagger_s = limits.stagger_s
        self._tries: dict[int, tuple[socket.socket, str]] = {}
        self._reason = "no address"
        self._total = loop.after(limits.connect_s, self._late)
        self._next: Timer | None = None
        self._over = False

    def cancel(self) -> None:
        self._over = True
        self._total.cancel()
        self._rest()
        for descriptor, (peer, _) in self._tries.items():
            self._loop.forget(descriptor)
            peer.close()
        self._tries.clear()

    def _late(self) -> None:
        self._finish(None, "no answer in time")

    def _finish(self, peer: socket.socket | None, what: str) -> None:
        self.cancel()
        self._done(peer, what)

    def _rest(self) -> None:
        if self._next is not None:
            self._next.cancel()

    def start(self) -> None:
        """Begin with the next address."""
        self._rest()
        if self._left and len(self._tries) >= MAX_TRIES:
            oldest = next(iter(self._tries))
            self._loop.forget(oldest)
            self._tries.pop(oldest)[0].close()
            self._reason = "no answer in time"
        while self._left:
            address = self._left.pop(0)
            if self._begin(address):
                if not self._over:
                    self._next = self._loop.after(self._stagger_s, self.start)
                return
        if not self._tries:
            self._finish(None, self._reason)

    def _begin(self, address: str) -> bool:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        try:
            peer = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        except OSError as error:
            self._reason = _words(error.errno)
            return False
        try:
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            code = peer.connect_ex((address, self._port))
            if code not in {0, errno.EINPROGRESS}:
                self._reason = _words(code)
                peer.close()
                return False
            if not _connected(peer):
                self._tries[peer.fileno()] = (peer, address)
                descriptor = peer.fileno()
                self._loop.watch(descriptor, WRITE, lambda events: self._ready(descriptor, events))
                return True
        except OSError as error:
            self._reason = _words(error.errno)
            self._tries.pop(peer.fileno(), None)
            peer.close()
            return False
        self._finish(peer, address)  # at once, as on loopback
        return True

    def _ready(self, descriptor: int, events: int) -> None:
        peer, address = self._tries.pop(descriptor)
        self._loop.forget(descriptor)
        code = peer.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code == 0 and not events & BROKEN:
            self._finish(peer, address)
            return
        peer.close()
        self._reason = _words(code or errno.ECONNRESET)
        self.start()


def _connected(peer: socket.socket) -> bool:
    try:
        peer.getpeername()
    except OSError:
        return False
    return True


def _words(code: int | None) -> str:
    return os.strerror(code or 0).lower()
