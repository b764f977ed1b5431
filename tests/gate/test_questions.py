from __future__ import annotations

from collections.abc import Mapping

import pytest

from sluicegate.evidence import records
from sluicegate.facts import Decision, Facts, Protocol, Verdict
from sluicegate.gate.questions import Questions
from sluicegate.jcs import Json
from sluicegate.policy.ask import MAX_QUESTIONS


class Desk:
    """What was asked, and who was told that there is an answer."""

    def __init__(self) -> None:
        self.asked: list[Mapping[str, Json]] = []
        self.told: list[int] = []
        self.questions = Questions(self._tell)

    def _tell(self, message: Mapping[str, Json]) -> None:
        question = message["question"]
        assert isinstance(question, dict)
        self.asked.append(question)

    def ask(self, connection: int, host: str = "a.test", process: Json = None) -> bool:
        facts = Facts(Protocol.TLS, "198.18.0.1", 443, synthetic=host)
        made = Decision(Verdict.DENY, "default", "", 443, host)
        who = records.Client(connection, 40_000, process)
        return self.questions.ask(who, facts, made, lambda: self.told.append(connection))


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_one_question_for_a_destination_and_one_at_a_time(desk: Desk) -> None:
    holder: Json = {"holders": [{"exe": "/usr/bin/x\x1b[2J"}]}
    assert desk.ask(1, process=holder)
    assert desk.ask(2)
    assert desk.ask(3, "b.test")
    assert desk.asked == [
        {
            "number": 0,
            "connection": 1,
            "host": "a.test",
            "port": 443,
            "method": None,
            "url": "tls://a.test:443",
            "program": "/usr/bin/x\\x1b[2J",
        }
    ]
    for number, word in ((1, "run"), (0, "yes"), (-1, "run")):
        desk.questions.answered(number, word)
        assert desk.told == []
    desk.questions.answered(0, "run")
    desk.questions.answered(0, "deny")
    assert desk.told == [1, 2]
    assert desk.questions.known(9, ("a.test", 443)) == "run"
    assert desk.questions.known(9, ("a.test", 80)) is None
    assert not desk.ask(4)
    assert [one["host"] for one in desk.asked] == ["a.test", "b.test"]
    desk.questions.answered(1, "unanswered")
    assert desk.told == [1, 2, 3]
    assert not desk.ask(5, "b.test")


def test_once_is_for_one_connection(desk: Desk) -> None:
    assert desk.ask(1)
    assert desk.ask(2)
    desk.questions.answered(0, "once")
    assert desk.told == [1]
    assert desk.questions.known(1, ("a.test", 443)) == "once"
    assert desk.questions.known(2, ("a.test", 443)) is None
    assert [one["connection"] for one in desk.asked] == [1, 2]
    desk.questions.answered(1, "deny")
    assert desk.told == [1, 2]
    # What was said of the connection that is open stays said.
    assert desk.questions.known(1, ("a.test", 443)) == "once"


def test_after_so_many_nobody_is_asked(desk: Desk) -> None:
    for number in range(MAX_QUESTIONS):
        assert desk.ask(number, f"h{number}.test")
        desk.questions.answered(number, "once")
    assert not desk.ask(1000, "more.test")
    assert len(desk.told) == MAX_QUESTIONS


def test_many_destinations_at_once_are_as_many(desk: Desk) -> None:
    asked = [desk.ask(number, f"h{number}.test") for number in range(MAX_QUESTIONS + 5)]
    assert asked == [True] * MAX_QUESTIONS + [False] * 5
    assert desk.ask(7, "h0.test")
    desk.questions.answered(0, "once")  # its second connection would be one question too many
    for number in range(1, MAX_QUESTIONS):
        desk.questions.answered(number, "once")
    assert len(desk.asked) == MAX_QUESTIONS
    assert sorted(desk.told) == sorted([*range(MAX_QUESTIONS), 7])


def test_at_the_end_who_waits_is_not_told(desk: Desk) -> None:
    desk.ask(1)
    desk.questions.close()
    desk.questions.answered(0, "run")
    assert desk.told == []
