"""What passes of one flow or request, looked at before it goes on: limits first, and whatever else wants to see it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from sluicegate.facts import Decision, Facts
from sluicegate.policy.allowance import REQUEST, Allowance

# Hex SHA-256 and bytes, up and down; None: nobody asked for them.
Contents = tuple[tuple[str, int], tuple[str, int]] | None

if TYPE_CHECKING:
    from sluicegate.gate.vault import Vault, Watch


class Shared(Protocol):
    """What a passage needs of the run; `gate.desk.Desk` has it."""

    @property
    def allowance(self) -> Allowance: ...

    @property
    def digests(self) -> bool: ...

    @property
    def vault(self) -> Vault | None: ...


class Barred(Exception):  # noqa: N818 (nothing is wrong: it is a decision)
    """A piece may not go on, nor anything after it; `decision` is the denial to record and to tell the client."""

    def __init__(self, decision: Decision) -> None:
        super().__init__(decision.reason)
        self.decision = decision


class Content:
    """What passed one way, as a digest."""

    __slots__ = ("hash", "size")

    def __init__(self) -> None:
        self.hash, self.size = hashlib.sha256(), 0

    def add(self, data: bytes) -> None:
        self.hash.update(data)
        self.size += len(data)


class Passage:
    """Of one allowed action, whatever carries it. `counted`: its bytes that count against the limits.

    The carrier calls `head`, `up` and `down` with each piece before any byte of it goes on. After `Barred` nothing
    that still waits goes up either: it resets the upstream, and its flow records the denial.
    """

    __slots__ = (
        *("_beside", "_contents", "_desk", "_down", "_up", "counted", "decision", "facts", "moved"),
    )

    def __init__(self, desk: Shared, facts: Facts, decision: Decision) -> None:
        self._desk, self.facts, self.decision = desk, facts, decision
        self.counted = 0
        # How its carrier says what it moved so far, if that does.
        self.moved: Callable[[], tuple[int, int]] | None = None
        digested = desk.digests and facts.protocol in REQUEST
        self._contents = (Content(), Content()) if digested else None
        self._up: Watch | None = None
        self._down: Watch | None = None
        self._beside: dict[bool, Watch] = {}

    def head(self, size: int) -> None:
        """The request's head of `size` bytes is about to go up.

        Raises:
            Barred: it may not.
        """
        self.take(size)

    def up(self, data: bytes) -> None:
        """`data` of the request's content is about to go up.

        Raises:
            Barred: it may not.
        """
        self.take(len(data))
        if self._desk.vault is not None and data:
            self._up = self._up or self._desk.vault.watch()
            _bar(self._up.content(self.decision, data))
        if self._contents is not None:
            self._contents[0].add(data)

    def down(self, data: bytes) -> None:
        """`data` of the response's content is about to go to the client.

        Raises:
            Barred: it may not.
        """
        self.answer(data)
        if self._contents is not None:
            self._contents[1].add(data)

    def answer(self, data: bytes) -> None:
        """`data` of the response, its head or content, is about to go to the client.

        Raises:
            Barred: it may not.
        """
        if self._desk.vault is not None and data:
            self._down = self._down or self._desk.vault.watch()
            _bar(self._down.response(self.decision, data))

    def beside(self, data: bytes, *, up: bool) -> None:
        """`data` of control frames of a WebSocket is about to go `up`, or down.

        They stand between the pieces of a message and are none of it: what one looks for may be on both sides of them.

        Raises:
            Barred: it may not.
        """
        if up:
            self.take(len(data))
        if self._desk.vault is not None and data:
            watch = self._beside.get(up)
            if watch is None:
                watch = self._beside[up] = self._desk.vault.watch()
            _bar((watch.content if up else watch.response)(self.decision, data))

    @property
    def contents(self) -> Contents:
        """Of both contents, as far as they passed."""
        if self._contents is None:
            return None
        up, down = self._contents
        return (up.hash.hexdigest(), up.size), (down.hash.hexdigest(), down.size)

    @property
    def left(self) -> int | None:
        """Bytes that may still go up; None: no limit."""
        return self._desk.allowance.left(self.decision)

    def take(self, size: int) -> None:
        """`size` bytes that nobody looks at are about to go up.

        Raises:
            Barred: they may not.
        """
        _bar(self._desk.allowance.take(self.decision, size))
        self.counted += size


def _bar(denied: Decision | None) -> None:
    if denied is not None:
        raise Barred(denied)
