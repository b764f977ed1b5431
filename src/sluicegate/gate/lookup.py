"""SHELL. The real look-up of an allowed name, off the loop's thread."""

from __future__ import annotations

import os
import queue
import socket
import threading
from collections import OrderedDict
from collections.abc import Callable

from sluicegate.gate.bell import Bell
from sluicegate.wire import names

THREADS = 8  # getaddrinfo blocks; a few slow names must not hold up all others
CACHE_NAMES = 1024  # bounded memory
CACHE_NS = 5_000_000_000  # 5 s: long enough for one page, short enough for a moved host

Answer = tuple[str, ...]
Done = Callable[[Answer], None]


def only_as_written() -> None:
    """Make the system's resolver ask for each name as it is, never with a suffix of the machine's search list.

    Another name than the allowed one would be looked up. To be called before the process's first look-up.
    A final dot would do the same, but /etc/hosts knows no such name. resolv.conf(5), glibc: LOCALDOMAIN replaces
    the list; with so many ndots the empty list comes first, and the name is not asked for again after it.
    """
    os.environ["LOCALDOMAIN"] = ""
    os.environ["RES_OPTIONS"] = f"{os.environ.get('RES_OPTIONS', '')} ndots:15".strip()


def system(name: str) -> Answer:
    """The addresses of `name` by the system's resolver, in its order; empty if there are none."""
    try:
        # As bytes: names are A-labels by now, and text would pass through the idna codec, whose module
        # the gate's own identity may not be able to read.
        found = socket.getaddrinfo(name.encode("ascii"), None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return ()
    return tuple(dict.fromkeys(_canonical(str(entry[4][0])) for entry in found))


def _canonical(text: str) -> str:
    """One spelling of an address: the C library has others of those with IPv4 inside. A zone is kept."""
    return names.host(text) if ":" in text and "%" not in text else text


class Lookup:
    """Answers come back through `collect`, which the loop calls when `fd` is readable."""

    def __init__(self, resolve: Callable[[str], Answer] = system) -> None:
        self._bell = Bell()
        self.fd = self._bell.fd
        self._resolve = resolve
        self._asked: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._answered: queue.SimpleQueue[tuple[str, Answer]] = queue.SimpleQueue()
        self._waiting: dict[str, list[Done]] = {}
        self._cache: OrderedDict[str, tuple[int, Answer]] = OrderedDict()
        for _ in range(THREADS):
            threading.Thread(target=self._work, daemon=True).start()

    def ask(self, name: str, now: int, done: Done) -> None:
        """Call `done` with the answer: at once from the cache, else from a later `collect`."""
        known = self._cache.get(name)
        if known is not None and now - known[0] < CACHE_NS:
            done(known[1])
        elif name in self._waiting:
            self._waiting[name].append(done)
        else:
            self._waiting[name] = [done]
            self._asked.put(name)

    def collect(self, now: int) -> None:
        """Hand every answer that has arrived to those who wait for it."""
        if not self._bell.heard():
            return
        while not self._answered.empty():
            name, answer = self._answered.get()
            self._cache[name] = (now, answer)
            self._cache.move_to_end(name)
            if len(self._cache) > CACHE_NAMES:
                self._cache.popitem(last=False)
            for done in self._waiting.pop(name):
                done(answer)

    def close(self) -> None:
        """Nobody waits any more: the threads end when they have their answers."""
        self._bell.close()
        for _ in range(THREADS):
            self._asked.put(None)

    def _work(self) -> None:
        while (name := self._asked.get()) is not None:
            self._answered.put((name, self._resolve(name)))
            self._bell.ring()
