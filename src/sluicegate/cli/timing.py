"""Where a start's milliseconds go: printed when SLUICEGATE_TIMING is set, for `bench`."""

from __future__ import annotations

import itertools
import os
import time

from sluicegate.cli import say

_marks: list[tuple[str, int]] = []


def mark(what: str) -> None:
    """`what` ends now, and the next thing begins."""
    _marks.append((what, time.monotonic_ns()))


def report() -> None:
    """One line per mark with the milliseconds since the one before."""
    if not os.environ.get("SLUICEGATE_TIMING"):
        return
    for (_, before), (what, at) in itertools.pairwise(_marks):
        say.say(f"{(at - before) / 1e6:7.1f} ms {what}")
