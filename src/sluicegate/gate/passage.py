"""What passes of one flow or request, looked at before it goes on: limits first, and whatever else wants to see it."""

from __future__ import annotations

from typing import Protocol

from sluicegate.facts import Decision, Facts
from sluicegate.policy.allowance import Allowance


class Shared(Protocol):
    """What a passage needs of the run; `gate.desk.Desk` has it."""

    @property
    def allowance(self) -> Allowance: ...


class Barred(Exception):  # noqa: N818 (nothing is wrong: it is a decision)
    """A piece may not go on, nor anything after it; `decision` is the denial to record and to tell the client."""

    def __init__(self, decision: Decision) -> None:
        super().__init__(decision.reason)
        self.decision = decision


class Passage:
    """Of one allowed action, whatever carries it. `counted`: its bytes that count against the limits.

    The carrier calls `head`, `up` and `down` with each piece before any byte of it goes on. After `Barred` nothing
    that still waits goes up either: it resets the upstream, and its flow records the denial.
    """

    __slots__ = ("_desk", "counted", "decision", "facts")

    def __init__(self, desk: Shared, facts: Facts, decision: Decision) -> None:
        self._desk, self.facts, self.decision = desk, facts, decision
        self.counted = 0

    def head(self, size: int) -> None:
        """The request's head of `size` bytes is about to go up.

        Raises:
            Barred: it may not.
        """
        self._take(size)

    def up(self, data: bytes) -> None:
        """`data` of the request's content, or of an opaque flow, is about to go up.

        Raises:
            Barred: it may not.
        """
        self._take(len(data))

    def down(self, data: bytes) -> None:
        """`data` of the response's content is about to go to the client."""

    def _take(self, size: int) -> None:
        denied = self._desk.allowance.take(self.decision, self.counted, size)
        if denied is not None:
            raise Barred(denied)
        self.counted += size
