"""Counts of things too many to sign one by one, cut into lines of bounded size, number and rate."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from sluicegate import jcs
from sluicegate.evidence.counts import PER_LINE

INTERVAL_NS = 1_000_000_000  # a new group is on record within a second or so
LINE_BYTES = 57_344  # the notary takes 65,535; the rest is for the message around the groups
PENDING = 16_384  # distinct groups held; beyond that only their sum is kept
BURST_LINES = 1024  # a quarter of a million names at once, then one line a second

Line = list[dict[str, jcs.Json]]
K = TypeVar("K", bound=Hashable)


class Groups(Generic[K]):
    """Counts by key. Nothing is ever uncounted: what finds no room is added to `other(key)`.

    `render` makes the members of one group on a line, its `count` excepted.
    """

    def __init__(
        self, render: Callable[[K], dict[str, jcs.Json]], other: Callable[[K], K], now_ns: int = 0
    ) -> None:
        self._render, self._other = render, other
        self._counts: dict[K, int] = {}
        self._due_ns = now_ns + INTERVAL_NS
        self._budget, self._filled_ns = float(BURST_LINES), now_ns

    @property
    def pending(self) -> int:
        """How many distinct groups wait for a line."""
        return len(self._counts)

    def add(self, key: K, count: int = 1) -> None:
        """Count `key`."""
        if key not in self._counts and len(self._counts) >= PENDING:
            key = self._other(key)
        self._counts[key] = self._counts.get(key, 0) + count

    def lines(self, now_ns: int) -> list[Line]:
        """The lines that are due: each second, or a full line's worth; as the budget allows."""
        if now_ns < self._due_ns and len(self._counts) < PER_LINE:
            return []
        passed, self._filled_ns = now_ns - self._filled_ns, now_ns
        self._budget = min(BURST_LINES, self._budget + passed / INTERVAL_NS)
        if now_ns >= self._due_ns:
            self._due_ns = now_ns + INTERVAL_NS
        lines = self._cut(int(self._budget))
        self._budget -= len(lines)
        return lines

    def drain(self) -> list[Line]:
        """All that is left, whatever the budget: for the end of the run."""
        return self._cut(PENDING)

    def _cut(self, most: int) -> list[Line]:
        lines, line, size, left = list[Line](), Line(), 0, dict[K, int]()
        for key, count in self._counts.items():
            if len(lines) >= most:
                left[key] = count
                continue
            group = self._render(key) | {"count": count}
            weight = len(jcs.encode(group)) + 1
            if line and (len(line) >= PER_LINE or size + weight > LINE_BYTES):
                lines.append(line)
                line, size = [], 0
                if len(lines) >= most:
                    left[key] = count
                    continue
            line.append(group)
            size += weight
        if line:
            lines.append(line)
        self._counts = left
        return lines
