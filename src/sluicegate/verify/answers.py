"""What a person at the run's terminal answered: each answer that a receipt has against the list of them. Pure.

The gate asks, and the supervisor, which shows the question and reads the key, writes the list into boundary.json. So a
gate that was taken over can not make a person's yes.
"""

from __future__ import annotations

from collections.abc import Mapping

from sluicegate.facts import Decision, Facts
from sluicegate.policy import ask
from sluicegate.policy.model import Policy
from sluicegate.verify import strict
from sluicegate.verify.counted import MAX_PORT, ranged
from sluicegate.verify.strict import need

ANSWERS = "answers"  # the member of boundary.json's close
_ENTRY = {"connection", "host", "port", "answer"}
# Connection (0: any), host, port and answer.
_Answer = tuple[int, str, int, str]


class Answers:
    """`take` for each decision that rests on an answer; `settle` when the list is known."""

    def __init__(self, policies: tuple[Policy, ...]) -> None:
        self.asks = any(policy.ask for policy in policies)
        self._used: dict[_Answer, str] = {}

    def take(
        self,
        policies: tuple[Policy, ...],
        facts: Facts,
        made: Decision,
        connection: int,
        what: str,
    ) -> Decision:
        """`made`, or what the answer in `facts` makes of it.

        Raises:
            VerificationError: there is no such answer, or the policies leave nothing to ask.
        """
        if facts.answer is None:
            return made
        need(facts.answer in ask.WORDS, f"{what}: an answer that nobody can give")
        need(ask.askable(policies, facts, made), f"{what}: an answer where nobody is asked")
        used = _answer(connection, *ask.where(made), facts.answer)
        need(len(self._used) < ask.MAX_QUESTIONS or used in self._used, f"{what}: too many answers")
        self._used.setdefault(used, what)
        return ask.settled(policies, facts, made)

    def settle(self, closed: Mapping[str, object]) -> None:
        """Nothing, if each answer that was used is on the list in `closed`, boundary.json's close.

        Raises:
            VerificationError: one is not, or the list is none.
        """
        if not self.asks:
            return
        listed = closed.get(ANSWERS)
        if not isinstance(listed, list) or len(listed) > ask.MAX_QUESTIONS:
            raise strict.VerificationError("boundary.json: answers")
        given = {_read(entry) for entry in listed}
        for used, what in self._used.items():
            need(used in given, f"{what}: an answer that nobody gave")


def _answer(connection: int, host: str, port: int, word: str) -> _Answer:
    return connection if word == ask.ONCE else 0, host, port, word


def _read(entry: object) -> _Answer:
    what = "boundary.json: answers"
    found = strict.mapping(entry, what)
    need(found.keys() == _ENTRY, f"{what}: members")
    word = strict.text(found["answer"], what)
    need(word in ask.WORDS, f"{what}: an answer that nobody can give")
    port = ranged(found["port"], 1, MAX_PORT, what)
    return _answer(
        strict.count(found["connection"], what), strict.text(found["host"], what), port, word
    )
