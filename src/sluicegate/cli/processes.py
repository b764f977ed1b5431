"""The processes of a run, in the order they were started, and their end."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass

from sluicegate.boundary import build
from sluicegate.cli import children
from sluicegate.cli.scribe import Scribe


@dataclass(slots=True)
class Processes:
    """Ours, in the order they were started; `end` leaves none of them."""

    gate: children.Child | None = None
    notary: children.Child | None = None
    witness: children.Child | None = None
    scribe: Scribe | None = None
    boundary: build.Boundary | None = None
    hurried: bool = False
    lost: tuple[tuple[str, str], ...] = ()

    @property
    def looking(self) -> Scribe:
        if self.scribe is None:
            raise RuntimeError("nothing was started")
        return self.scribe

    def end(self, impatient: Callable[[], bool]) -> None:
        if self.boundary is not None:
            self.boundary.stop()
            self.boundary.streams.finish(impatient, self.hurried)
            self.lost = tuple(sorted(self.boundary.streams.lost.items()))
            self.boundary.close()
        looking = None if self.scribe is None else self.scribe.child
        for child in (self.gate, self.notary, self.witness, looking):
            if child is not None:
                child.control.close()
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child.pid, signal.SIGKILL)
                os.waitpid(child.pid, 0)
        if self.scribe is not None:
            self.scribe.close()
