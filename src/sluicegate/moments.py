"""The named moments of a run, at which a test may hold a process of ours or end it.

In a run nothing happens at them. No option, variable or file changes that: only code that is in our process already
can, by assigning `testing_only_stall` before the processes are forked.
"""

from __future__ import annotations

from collections.abc import Callable


def _nothing(_moment: str) -> None:
    """Every run's way through its moments."""


testing_only_stall: Callable[[str], None] = _nothing


def reached(moment: str) -> None:
    """The process is at `moment`, `WHO: WHAT`."""
    testing_only_stall(moment)
