"""SHELL. What people are told while the run goes on: counts, and each destination that is denied for the first time.

Never the record, and nothing waits for it: a message that the kernel does not take at once is lost. The counts are in
the next one again, and so are the denials that it had.
"""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Protocol

import orjson

from sluicegate.evidence import records
from sluicegate.facts import Decision, Facts
from sluicegate.jcs import Json

# Destinations that are told one by one. A job's log is for reading; the packet has all of them.
MAX_DENIED = 20
BATCH = 8  # denials of one message, which is some 10 KiB then; a socket takes 200
MAX_OPEN = 8  # destinations told as current: a line on a terminal has room for fewer
# Open flows whose bytes so far are added up: this is done between the turns of all of them.
MAX_SUMMED = 256
MAX_TEXT = 300  # characters of one text; a remedy is told whole or not at all
MAX_REMEDY = 800
Moved = Callable[[], tuple[int, int]]


class Passing(Protocol):
    """How a carrier says what it has moved so far, up and down; None: it does not."""

    @property
    def moved(self) -> Moved | None: ...


class Open(Protocol):
    """An allowed action that has begun; `gate.desk.Deed` is one."""

    @property
    def decision(self) -> Decision: ...

    @property
    def passage(self) -> Passing: ...


class News:
    """`began`, `ended` and `denied` as it happens; `tick` tells what is new since the last one."""

    def __init__(self, out: socket.socket) -> None:
        out.setblocking(False)
        self._out = out
        self._open: dict[Open, None] = {}
        self._seen: set[tuple[str, int]] = set()
        self._first = deque[dict[str, Json]]()
        self._more = False
        self._last = b""

    def began(self, deed: Open) -> None:
        self._open[deed] = None

    def ended(self, deed: Open) -> None:
        self._open.pop(deed, None)

    def denied(self, facts: Facts, decision: Decision) -> None:
        """One denial, or what observe mode let through; only the first of a destination is told."""
        where = decision.name or decision.address or facts.synthetic or facts.address, decision.port
        if where in self._seen:
            return
        if len(self._seen) >= MAX_DENIED:
            self._more = True
            return
        self._seen.add(where)
        remedy = decision.remedy or ""
        self._first.append(
            {
                "target": _short(records.target(facts, decision)),
                "rule": _short(decision.rule),
                "reason": _short(decision.reason),
                "remedy": remedy if len(remedy) <= MAX_REMEDY else "",
                "observed": decision.observed,
            }
        )

    def tick(self, counts: Mapping[str, int]) -> None:
        """Tell the counts and the next denials, if anything is new and the supervisor takes it."""
        moved = [
            moved() for deed in islice(self._open, MAX_SUMMED) if (moved := deed.passage.moved)
        ]
        batch = list(islice(self._first, BATCH))
        message: dict[str, Json] = {
            "flows": counts["flows"],
            "denied": counts["denied"],
            "observed": counts["observed"],
            "up": counts["bytes_up"] + sum(up for up, _ in moved),
            "down": counts["bytes_down"] + sum(down for _, down in moved),
            "open": self._destinations(),
            "first": batch,  # type: ignore[dict-item] # a list of objects is Json
            "more": self._more and len(batch) == len(self._first),
        }
        data = orjson.dumps(message)
        if data == self._last:
            return
        try:
            self._out.send(data)
        except OSError:
            return  # it does not listen just now; or it is gone, and there are others to see that
        self._last = data
        for _ in batch:
            self._first.popleft()

    def _destinations(self) -> list[Json]:
        """The latest first, each once."""
        found: dict[str, None] = {}
        for deed in islice(reversed(self._open), MAX_SUMMED):
            decision = deed.decision
            host = decision.name or decision.address or "?"
            found[f"[{host}]:{decision.port}" if ":" in host else f"{host}:{decision.port}"] = None
            if len(found) == MAX_OPEN:
                break
        return list(found)


def _short(text: str) -> str:
    return records.printable(text)[:MAX_TEXT]
