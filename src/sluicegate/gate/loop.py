"""SHELL. The gate's one thread: descriptors that are ready, and things that are due."""

from __future__ import annotations

import heapq
import select
import time
from collections.abc import Callable

Handler = Callable[[int], None]

READ, WRITE = select.EPOLLIN, select.EPOLLOUT
# The kernel reports these whether asked or not.
BROKEN = select.EPOLLERR | select.EPOLLHUP
MAX_EVENTS = 512  # per turn: the ledger is flushed between turns, so a turn must stay short
SECOND = 1_000_000_000


class Timer:
    """Something due at `when`; `cancel` makes it never happen."""

    __slots__ = ("call", "when")

    def __init__(self, when: int, call: Callable[[], None]) -> None:
        self.when = when
        self.call: Callable[[], None] | None = call

    def cancel(self) -> None:
        self.call = None


class Alarm:
    """One thing at a time that may be due, put off again and again: to set it later than before costs no timer."""

    __slots__ = ("_at", "_call", "_loop", "_timer")

    def __init__(self, loop: Loop) -> None:
        self._loop, self._at = loop, 0
        self._call: Callable[[], None] | None = None
        self._timer: Timer | None = None

    def set(self, seconds: float, call: Callable[[], None]) -> None:
        """`call` once, `seconds` from now, and not what it was set for before."""
        self._at, self._call = self._loop.now + int(seconds * SECOND), call
        if self._timer is None or self._at < self._timer.when:
            self._start()

    def stop(self) -> None:
        """Nothing is called until it is set again, which is soon: its timer waits for that."""
        self._call = None

    def close(self) -> None:
        """As `stop`, and its timer holds nothing any more."""
        self._call = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _start(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.at(self._at, self._due)

    def _due(self) -> None:
        call, self._timer = self._call, None
        if call is None:
            return
        if self._at > self._loop.now:
            self._start()
            return
        self._call = None
        call()


class Loop:
    """Handlers by descriptor, level-triggered; `now` is the turn's time in nanoseconds."""

    def __init__(self) -> None:
        self.now = time.monotonic_ns()
        self._epoll = select.epoll()
        self._handlers: dict[int, Handler] = {}
        self._masks: dict[int, int] = {}
        # Descriptors watched during this turn: an event of this turn is not theirs but that of a closed
        # descriptor with the same number.
        self._fresh: set[int] = set()
        self._due: list[tuple[int, int, Timer]] = []
        self._order = 0

    def watch(self, descriptor: int, events: int, handler: Handler) -> None:
        """Call `handler` with the events of `descriptor` until `forget`."""
        self._epoll.register(descriptor, events)
        self._handlers[descriptor] = handler
        self._masks[descriptor] = events
        self._fresh.add(descriptor)

    def change(self, descriptor: int, events: int) -> None:
        if self._masks[descriptor] != events:
            self._epoll.modify(descriptor, events)
            self._masks[descriptor] = events

    def want(self, descriptor: int, events: int, handler: Handler) -> None:
        """As `watch` or `change`; no events means `forget`.

        A descriptor nobody wants anything from is not watched at all: its hang-up would wake every turn.
        """
        if not events:
            self.forget(descriptor)
        elif descriptor in self._masks:
            self._handlers[descriptor] = handler
            self.change(descriptor, events)
        else:
            self.watch(descriptor, events, handler)

    def rest(self, descriptor: int) -> None:
        """No handler until the next `want`, which comes soon: the kernel is told nothing meanwhile.

        Only for one that is open, and that nobody closes without `forget` or `drop`: another descriptor with its
        number would be taken for it.
        """
        self._handlers.pop(descriptor, None)

    def forget(self, descriptor: int) -> None:
        """No more events; also right for one that was never watched."""
        self._handlers.pop(descriptor, None)
        if self._masks.pop(descriptor, None) is not None:
            self._epoll.unregister(descriptor)

    def drop(self, descriptor: int) -> None:
        """As `forget`, for one that is closed right after: the kernel forgets it by itself."""
        self._handlers.pop(descriptor, None)
        self._masks.pop(descriptor, None)

    def after(self, seconds: float, call: Callable[[], None]) -> Timer:
        """`call` once, `seconds` from now."""
        return self.at(self.now + int(seconds * SECOND), call)

    def at(self, when: int, call: Callable[[], None]) -> Timer:
        """`call` once, when `now` is `when`."""
        timer = Timer(when, call)
        self._order += 1
        heapq.heappush(self._due, (timer.when, self._order, timer))
        return timer

    def turn(self, longest: float, eager_ns: int = 0) -> None:
        """Wait for events, at most `longest` seconds, and do what is due. For `eager_ns` it asks without sleeping."""
        while self._due and self._due[0][2].call is None:
            heapq.heappop(self._due)
        wait = longest
        if self._due:
            wait = min(wait, max(0, self._due[0][0] - time.monotonic_ns()) / SECOND)
        ready = self._epoll.poll(0, MAX_EVENTS) if eager_ns or not wait else []
        if eager_ns:
            until = time.monotonic_ns() + eager_ns
            while not ready and time.monotonic_ns() < until:
                ready = self._epoll.poll(0, MAX_EVENTS)
        if not ready and wait:
            # Rounded up: a timer must be due when the wait is over, or the loop would spin.
            ready = self._epoll.poll(wait + 0.001, MAX_EVENTS)
        self.now = time.monotonic_ns()
        self._fresh.clear()
        for descriptor, events in ready:
            handler = self._handlers.get(descriptor)
            if descriptor in self._fresh:
                continue
            if handler is not None:
                handler(events)
            else:
                self.forget(descriptor)  # it rests, and would wake every turn
        while self._due and self._due[0][0] <= self.now:
            call = heapq.heappop(self._due)[2].call
            if call is not None:
                call()
        if len(self._due) > 64 and len(self._due) > 8 * len(self._handlers):
            # Cancelled timers of short connections must not pile up.
            self._due = [entry for entry in self._due if entry[2].call is not None]
            heapq.heapify(self._due)

    def close(self) -> None:
        self._handlers.clear()
        self._epoll.close()
