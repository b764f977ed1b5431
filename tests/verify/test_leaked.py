from dataclasses import replace
from typing import Any

import pytest

from sluicegate.evidence import records
from sluicegate.facts import Decision, Facts, Protocol, Verdict
from sluicegate.policy import normal
from sluicegate.policy.decide import decide
from sluicegate.policy.model import Policy, Rule, Secret
from sluicegate.verify.leaked import denial
from sluicegate.verify.redecide import Redecide
from sluicegate.verify.strict import VerificationError
from tests.verify.test_redecide import ID, WHO, record

RULE = Rule("allow[0] p", "web.example", ports=(80,))
SECRET = Secret("API_KEY", ("env", "API_KEY"), ("web.example",), (), "bearer")
POLICIES = (Policy("p", allow=(RULE,), secrets=(SECRET,)),)
SAID = "the placeholder of API_KEY (plain) is in the headers, where it does not belong"
WEB = Facts(Protocol.HTTP, "198.18.0.1", 80, synthetic="web.example", host="web.example")
WEB = replace(WEB, method="GET", path="/")


def judged(facts: Facts, reason: str = SAID) -> Decision:
    made = decide(POLICIES, facts)
    return replace(made, verdict=Verdict.DENY, rule="secret", reason=reason, remedy=None)


def again(message: dict[str, Any], policies: tuple[Policy, ...] = POLICIES) -> None:
    audit = Redecide(normal.policy_text(policies))
    audit.decision(record(message), message["flow"], "receipt 7")


@pytest.mark.parametrize(
    "facts", [WEB, replace(WEB, path="/[redacted]"), replace(WEB, host="b.example", synthetic=None)]
)
@pytest.mark.parametrize("reason", [SAID, SAID.replace("placeholder of API_KEY", "value of OTHER")])
def test_the_gates_word_denies(facts: Facts, reason: str) -> None:
    message = records.decision(WHO, facts, judged(facts, reason), ID)
    assert (message["layer"], message["severity"]) == ("dlp", "high")
    again(message)


def test_and_lets_nothing_through() -> None:
    message = records.decision(WHO, WEB, judged(WEB), ID)
    with pytest.raises(VerificationError, match="receipt 7"):
        again(message | {"verdict": "allow", "phase": "intent"})
    with pytest.raises(VerificationError, match="severity is not"):
        again({key: value for key, value in message.items() if key != "severity"})
    plain = records.decision(WHO, WEB, decide(POLICIES, WEB), ID)
    with pytest.raises(VerificationError, match="severity is not"):
        again(plain | {"severity": "low"})


@pytest.mark.parametrize(
    "reason",
    [
        *("", "it is so", SAID + ".", SAID.replace("API_KEY", "OTHER"), SAID.upper()),
        SAID.replace("API_KEY", "sk live value"),
    ],
)
def test_only_in_words_that_hold_nothing_else(reason: str) -> None:
    made = judged(WEB, reason)
    with pytest.raises(VerificationError, match="the reason of another denial"):
        denial(POLICIES, made, {"reason": reason, "method": "GET"}, "receipt 7")


def test_only_of_requests_and_where_policies_have_secrets() -> None:
    made = judged(WEB)
    without = Policy("q", allow=(RULE,))
    for policies, flow in (
        ((without,), {"reason": SAID, "method": "GET"}),
        ((*POLICIES, without), {"reason": SAID, "method": "GET"}),
        (POLICIES, {"reason": SAID}),
    ):
        with pytest.raises(VerificationError, match="the policies have none"):
            denial(policies, made, flow, "receipt 7")
    message = records.decision(WHO, WEB, judged(WEB), ID, addresses=("192.0.2.1",))
    with pytest.raises(VerificationError, match="a secret in no request"):
        again(message)
