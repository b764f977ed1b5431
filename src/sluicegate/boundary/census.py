"""Which of the boundary's processes hold a socket: a search that looks where something has changed. Pure.

A process gains a descriptor by opening it, by being born with it, or from a Unix socket. The first and the last change
the number of its descriptors, which one call tells; the second makes a new process. So a pass reads every new process,
every one whose number changed, and those that held the last sockets looked for; all others it reads only where that
found nobody.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

# Links of descriptors read in one pass, about 30 ms of work: thousands of processes with thousands of descriptors
# must not stop the gate. A pass that is cut says so, and the next one goes on where it ended.
MAX_LINKS = 20_000
# Processes known at a time; more are not looked at, and every answer says that it is not whole.
MAX_PROCESSES = 4096
# Numbers are given out upwards, so new processes are those above the highest one known. Only where they start again
# from the bottom must all be listed.
LIST_NS = 50_000_000
RECENT = 8  # processes that held the last sockets: most programs make many connections
# The first process of the boundary is ours: it holds no socket but ours, and nobody may look into it.
FIRST = 1


class Depth(enum.IntEnum):
    """How much of a process is read: what is new of it; every link; those of threads with a table of their own too."""

    QUICK = 1
    FULL = 2
    THREADS = 3


@dataclass(frozen=True, slots=True)
class Table:
    """The sockets that one process has open, by inode; `links` read for it. `whole`: none was left out."""

    inodes: frozenset[int]
    links: int
    whole: bool = True


class Reader(Protocol):
    """What a search needs of /proc. A process that is gone has an empty table."""

    def pids(self, above: int) -> list[int]:
        """The processes with a number from `above` up."""

    def counts(self, pids: Iterable[int]) -> list[int]:
        """Of each, a number that changes with how many descriptors it has; 0 where the kernel does not say that.

        A process that is gone has -1.
        """

    def activity(self, pid: int) -> int:
        """A number that changes when its first thread runs; 0 where the kernel does not say."""

    def table(self, pid: int, most: int, depth: Depth) -> Table:
        """Its sockets, after at most `most` links."""

    def forget(self, pid: int) -> None:
        """It will not be asked for any more."""


@dataclass(slots=True)
class _Known:
    count: int
    activity: int
    table: Table


class Census:
    """The search, and what it knows from one pass to the next."""

    def __init__(self, reader: Reader, most_links: int = MAX_LINKS) -> None:
        self._reader, self._most = reader, most_links
        self._known: dict[int, _Known | None] = {}
        self._by_inode: dict[int, set[int]] = {}
        self._recent: list[int] = []
        self._highest = 0
        self._due = 0
        self._left = 0
        self._read: dict[int, Depth] = {}
        self._crowded = False

    def holders(self, inodes: Iterable[int], now_ns: int) -> tuple[dict[int, list[int]], bool]:
        """The processes that hold each of `inodes`, lowest first; and whether there can be no others."""
        wanted = set(inodes)
        self._left, self._read = self._most, {}
        earlier = {pid for pids in self._seen(wanted).values() for pid in pids}
        self._list(now_ns)
        cut = not self._look(self._changed(), Depth.QUICK)
        if wanted - self._by_inode.keys():
            self._due = 0
            self._list(now_ns)
            cut |= not self._look(self._ran(), Depth.FULL)
        for depth in (Depth.FULL, Depth.THREADS):
            if wanted - self._by_inode.keys():
                cut |= not self._look(list(self._known), depth)
        # Who held one of them at an earlier pass may have let go.
        cut |= not self._look(earlier, Depth.FULL)
        found = self._seen(wanted)
        self._recall(found)
        return found, not cut and not self._crowded

    def _list(self, now_ns: int) -> None:
        everything = now_ns >= self._due
        pids = [p for p in self._reader.pids(0 if everything else self._highest + 1) if p != FIRST]
        if everything:
            self._due = now_ns + LIST_NS
            for pid in self._known.keys() - set(pids):
                self._drop(pid)
            self._crowded = False
        for pid in pids:
            if pid not in self._known:
                if len(self._known) >= MAX_PROCESSES:
                    self._crowded = True
                    return
                self._known[pid] = None
        self._highest = max(pids, default=self._highest)

    def _changed(self) -> list[int]:
        """Whom to read first: recent holders, new ones, those whose number of descriptors is another."""
        found, gone = [pid for pid in self._recent if pid in self._known], list[int]()
        counts = self._reader.counts(self._known)
        for (pid, known), now in zip(self._known.items(), counts, strict=True):
            if now < 0:
                gone.append(pid)
            elif known is None or now != known.count or not now or not known.table.whole:
                found.append(pid)
        for pid in gone:
            self._drop(pid)
        return found

    def _ran(self) -> list[int]:
        activity = self._reader.activity
        return [
            pid
            for pid, known in self._known.items()
            if pid in self._read or known is None or activity(pid) != known.activity
        ]

    def _look(self, pids: Iterable[int], depth: Depth) -> bool:
        """Read those that were not read as deep in this pass; whether all of them could be, to the end."""
        whole, reader = True, self._reader
        for pid in pids:
            if pid not in self._known or self._read.get(pid, 0) >= depth:
                continue
            if self._left <= 0:
                return False
            # Before the table: what changes meanwhile is then seen as a change.
            (count,), activity = reader.counts((pid,)), reader.activity(pid)
            if count < 0:
                self._drop(pid)
                continue
            table = reader.table(pid, self._left, depth)
            self._left -= table.links
            self._read[pid] = depth
            self._index(pid, table.inodes)
            self._known[pid] = _Known(count, activity, table)
            whole = whole and table.whole
        return whole

    def _seen(self, wanted: set[int]) -> dict[int, list[int]]:
        held = self._by_inode
        return {inode: sorted(held[inode]) for inode in wanted & held.keys()}

    def _index(self, pid: int, inodes: frozenset[int]) -> None:
        """Have `pid` hold these sockets and no others."""
        known, held = self._known[pid], self._by_inode
        before = frozenset[int]() if known is None else known.table.inodes
        for inode in before - inodes:
            held[inode].discard(pid)
            if not held[inode]:
                del held[inode]
        for inode in inodes - before:
            held.setdefault(inode, set()).add(pid)

    def _recall(self, found: dict[int, list[int]]) -> None:
        for pids in found.values():
            for pid in pids[:RECENT]:
                if pid in self._recent:
                    self._recent.remove(pid)
                self._recent.insert(0, pid)
        del self._recent[RECENT:]

    def _drop(self, pid: int) -> None:
        if pid in self._known:
            self._index(pid, frozenset())
            del self._known[pid]
        if pid in self._recent:
            self._recent.remove(pid)
        self._reader.forget(pid)
