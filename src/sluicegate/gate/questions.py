"""What a person is asked while the run goes on, one question at a time, and what was answered. Pure.

The supervisor asks: the gate never makes an answer itself, and what is not answered yet leaves nothing through.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping

from sluicegate.evidence import records
from sluicegate.facts import Decision, Facts
from sluicegate.jcs import Json
from sluicegate.policy.ask import MAX_QUESTIONS, ONCE, WORDS, where

# Of one text of a question; it is a line on a terminal.
MAX_TEXT = 300
Where = tuple[str, int]
Tell = Callable[[Mapping[str, Json]], None]


class Questions:
    """`tell` says one to the supervisor, which calls `answered` for it."""

    def __init__(self, tell: Tell) -> None:
        self.open = True  # until the run ends
        self._tell = tell
        self._count = 0
        # What the next questions are about, and who waits for each; the first of them is asked.
        self._waiting: dict[Where, deque[tuple[Json, Callable[[], None]]]] = {}
        self._asked: tuple[Where, int] | None = None
        self._answers: dict[Where, str] = {}
        self._once: set[tuple[int, Where]] = set()

    def known(self, connection: int, about: Where) -> str | None:
        """What was answered for this destination, or once for this connection to it."""
        return ONCE if (connection, about) in self._once else self._answers.get(about)

    def ask(
        self, who: records.Client, facts: Facts, made: Decision, done: Callable[[], None]
    ) -> bool:
        """Whether there is something to wait for, until `done` is called; else it is known, or too much was asked."""
        about = where(made)
        if self.known(who.connection, about) is not None:
            return False
        if about not in self._waiting and self._due >= MAX_QUESTIONS:
            return False
        question = _question(who, facts, made)
        self._waiting.setdefault(about, deque()).append((question, done))
        self._next()
        return True

    def answered(self, number: int, word: str) -> None:
        """The supervisor's answer to question `number`; those who waited for it go on, or wait for the next."""
        if self._asked is None or self._asked[1] != number or word not in WORDS:
            return
        (about, _), self._asked = self._asked, None
        waiting = self._waiting.pop(about, deque())
        first, *others = waiting or [(None, _nothing)]
        question, done = first
        ready = [done]
        if word == ONCE and isinstance(question, dict):
            self._once.add((int(str(question["connection"])), about))
            if others and self._due < MAX_QUESTIONS:
                self._waiting[about] = deque(others)
            else:
                ready += [one for _, one in others]
        else:
            self._answers[about] = word
            ready += [one for _, one in others]
        self._next()
        for one in ready:
            one()

    def close(self) -> None:
        """The run ends: nobody is asked any more, and who waits is not told."""
        self.open = False
        self._waiting.clear()

    @property
    def _due(self) -> int:
        """Questions that were asked or will be."""
        return self._count + len(self._waiting) - (self._asked is not None)

    def _next(self) -> None:
        if self._asked is not None or not self._waiting:
            return
        about = next(iter(self._waiting))
        question, _ = self._waiting[about][0]
        self._asked = about, self._count
        if isinstance(question, dict):
            self._tell({"question": {"number": self._count, **question}})
        self._count += 1


def _nothing() -> None:
    """Nobody waits."""


def _program(process: Json) -> str:
    """The executable of whoever has the connection, as the witness says it; of several the first."""
    holders = process.get("holders") if isinstance(process, dict) else None
    first = holders[0] if isinstance(holders, list | tuple) and holders else process
    return str(first.get("exe") or "") if isinstance(first, dict) else ""


def _question(who: records.Client, facts: Facts, made: Decision) -> Json:
    host, port = where(made)
    return {
        "connection": who.connection,
        "host": records.printable(host),
        "port": port,
        "url": records.printable(records.target(facts, made))[:MAX_TEXT],
        "method": facts.method,
        "program": records.printable(_program(who.process))[-MAX_TEXT:],
    }
