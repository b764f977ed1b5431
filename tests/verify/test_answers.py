"""Answers of persons, which a gate that was taken over can not make (sluicegate.verify.answers)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sluicegate.evidence import records
from sluicegate.facts import Facts
from sluicegate.policy import ask, normal
from sluicegate.policy.decide import decide
from sluicegate.policy.model import Policy, Rule
from sluicegate.verify.accounted import Audit
from sluicegate.verify.redecide import Redecide
from sluicegate.verify.strict import VerificationError
from tests.evidence import made
from tests.verify.test_redecide import record

RULES = (Rule("allow[0] p.yaml:3", "b.example"),)
ASKS = (
    Policy("p", allow=RULES, deny=(Rule("deny[0] p.yaml:9", "no.example", ports=()),), ask=True),
)
NEW = made.known("new.example")


def message(
    word: str | None, facts: Facts = NEW, connection: int = 1, policies: tuple[Policy, ...] = ASKS
) -> dict[str, Any]:
    said = replace(facts, answer=word)
    judged = ask.settled(policies, said, decide(policies, said))
    return records.decision(records.Client(connection, 40_000), said, judged, f"id{connection}")


def entry(word: str, **changes: object) -> dict[str, object]:
    return {"connection": 1, "host": "new.example", "port": 443, "answer": word, **changes}


def verified(
    *messages: dict[str, Any], answers: object, policies: tuple[Policy, ...] = ASKS
) -> None:
    again = Redecide(normal.policy_text(policies))
    for one in messages:
        again.decision(record(one), one["flow"], "receipt 7")
    again.answers.settle({"answers": answers})


@pytest.mark.parametrize("word", ask.WORDS)
def test_what_was_answered_is_decided_again(word: str) -> None:
    one = message(word)
    assert one["verdict"] == ("allow" if word in ask.ALLOWING else "block")
    verified(one, answers=[entry("deny", host="x.example"), entry(word)])
    flipped = one | {"verdict": "block" if one["verdict"] == "allow" else "allow"}
    flipped.pop("phase", None)
    with pytest.raises(VerificationError, match="receipt 7"):
        verified(flipped, answers=[entry(word)])


@pytest.mark.parametrize("word", ask.WORDS)
@pytest.mark.parametrize(
    "answers",
    [
        [], None, {}, [entry("run", host="other.example")], [entry("run", port=80)], [3],
        [entry("yes")], [entry("run", more=1)], [entry("run", port=0)], [entry("run", connection=-1)],
        [entry("run", host=3)], [entry("run", connection=True)], [entry("run")] * (ask.MAX_QUESTIONS + 1),
    ],
)  # fmt: skip
def test_an_answer_that_the_supervisor_did_not_hear_is_none(word: str, answers: object) -> None:
    with pytest.raises(VerificationError):
        verified(message(word), answers=answers)


def test_no_answer_passes_for_another_one() -> None:
    for word in ask.WORDS:
        for other in ask.WORDS:
            if word != other:
                with pytest.raises(VerificationError, match="an answer that nobody gave"):
                    verified(message(word), answers=[entry(other)])


def test_once_is_for_the_connection_that_was_asked_about() -> None:
    verified(message("once"), answers=[entry("once")])
    with pytest.raises(VerificationError, match="nobody gave"):
        verified(message("once", connection=2), answers=[entry("once")])
    verified(message("run", connection=2), answers=[entry("run")])


@pytest.mark.parametrize(
    "facts",
    [made.known("b.example"), made.known("no.example"), replace(NEW, fault="odd"), replace(NEW, sni="x.example")],
)  # fmt: skip
def test_there_is_none_where_nobody_is_asked(facts: Facts) -> None:
    with pytest.raises(VerificationError, match="receipt 7: an answer where nobody is asked"):
        verified(message("run", facts), answers=[entry("run", host=facts.synthetic)])


def test_a_policy_that_does_not_ask_allows_nothing_by_answers() -> None:
    closed = (replace(ASKS[0], ask=False),)
    with pytest.raises(VerificationError, match="an answer where nobody is asked"):
        verified(message("run"), answers=[entry("run")], policies=closed)
    # Nor does it need a list.
    verified(message(None, policies=closed), answers=None, policies=closed)


def test_what_no_person_says_is_no_answer() -> None:
    one = message("run")
    one["flow"]["answer"] = "yes"
    with pytest.raises(VerificationError, match="an answer that nobody can give"):
        verified(one, answers=[entry("run")])


def test_more_answers_than_questions() -> None:
    many = [
        message("run", made.known(f"h{n}.example"), n + 1) for n in range(ask.MAX_QUESTIONS + 1)
    ]
    with pytest.raises(VerificationError, match="too many answers"):
        verified(*many, answers=[])


@pytest.mark.parametrize("answers", [[], [entry("run", host="other.example")], None])
def test_a_record_is_not_accounted_for_by_an_answer_that_nobody_gave(answers: object) -> None:
    audit = Audit.of(normal.policy_text(ASKS))
    assert audit.asks
    one = message("run")
    audit.add({**record(one), "chain_seq": 7}, one["flow"])
    assert audit.contradiction == ""
    reached, why = audit.level({"close": {"gate": {}, "answers": answers}})
    assert not reached
    assert why in {"receipt 7: an answer that nobody gave", "boundary.json: answers"}
