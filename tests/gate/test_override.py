from dataclasses import replace

import pytest

from sluicegate.facts import Decision, Facts, Protocol, Verdict
from sluicegate.gate.override import overridden
from sluicegate.policy.decide import decide
from sluicegate.policy.model import Policy, Rule
from sluicegate.wire.http import overriding

NARROW = Rule("allow[0] p:1", "narrow.test", ports=(80,), methods=("GET", "POST"))
WIDE = Rule("allow[1] p:2", "wide.test", ports=(80,))
NEVER = Rule("deny[0] p:3", "wide.test", ports=(80,), methods=("PATCH",))
POLICIES = (Policy("p", allow=(NARROW, WIDE), deny=(NEVER,)),)
WATCHED = (replace(POLICIES[0], observe=True),)


def asked(host: str, method: str, *said: str, policies: tuple[Policy, ...] = POLICIES) -> Decision:
    def judge(facts: Facts) -> Decision:
        return decide(policies, facts)

    facts = Facts(Protocol.HTTP, "198.18.0.1", 80, synthetic=host, host=host)
    facts = replace(facts, method=method, path="/")
    methods = overriding([("X-HTTP-Method", one) for one in said])
    shown, decision = overridden(judge, facts, judge(facts), methods)
    # What a stranger makes of the facts on record.
    assert decide(policies, shown) == decision
    return decision


@pytest.mark.parametrize(
    ("host", "method", "said"),
    [
        ("narrow.test", "POST", ("GET",)),
        ("narrow.test", "POST", ("post",)),
        ("narrow.test", "GET", ("POST, GET",)),
        ("wide.test", "POST", ("DELETE",)),
        ("wide.test", "GET", ("put", "DELETE")),
    ],
)
def test_what_is_allowed_as_both_is(host: str, method: str, said: tuple[str, ...]) -> None:
    assert asked(host, method, *said).verdict is Verdict.ALLOW


@pytest.mark.parametrize(
    ("host", "method", "said"),
    [
        ("narrow.test", "GET", ("DELETE",)),
        ("narrow.test", "POST", ("delete",)),
        ("narrow.test", "POST", ("GET, DELETE",)),
        ("narrow.test", "POST", ("GET", "DELETE")),
        ("narrow.test", "POST", ("",)),
        ("narrow.test", "POST", ("G E T",)),
        ("wide.test", "POST", ("PATCH",)),
        ("wide.test", "POST", ("PURGE",)),
    ],
)
def test_what_is_not_is_denied(host: str, method: str, said: tuple[str, ...]) -> None:
    made = asked(host, method, *said)
    assert (made.verdict, made.rule) == (Verdict.DENY, "fault")
    assert "a header says that the method is" in made.reason


def test_what_would_be_denied_is_not_seen_as_allowed_while_one_observes() -> None:
    """The record would not say that it is the observing alone that lets it through."""
    assert asked("wide.test", "POST", "PATCH", policies=WATCHED).rule == "fault"
    assert asked("other.test", "POST", "DELETE", policies=WATCHED).observed


@pytest.mark.parametrize("text", ["\x80\xff" * 900, "AKIA7QXW2LK9ZV4ZC1XM", "a\n::error::b"])
def test_what_the_client_wrote_is_not_on_record(text: str) -> None:
    made = asked("narrow.test", "GET", text)
    assert "the method is another one, which is not allowed as GET is" in made.reason


def test_what_is_denied_anyway_stays_as_it_was() -> None:
    assert asked("other.test", "GET", "DELETE").rule == "default"
