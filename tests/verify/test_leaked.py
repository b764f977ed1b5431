from dataclasses import replace
from typing import Any

import pytest

from sluicegate.evidence import records, signatures
from sluicegate.evidence.counts import HIDDEN_METHOD, HIDDEN_NAME
from sluicegate.facts import Decision, Facts, Protocol, Verdict
from sluicegate.policy import normal
from sluicegate.policy.decide import decide, preliminary, relaxed
from sluicegate.policy.model import Policy, Rule, Secret
from sluicegate.verify.leaked import denial, question
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


NAME = "the value of OTHER (base64) is in the name, where it does not belong"
SHUT = Facts(Protocol.TLS, "198.18.0.1", 443, synthetic="web.example", sni=HIDDEN_NAME)


@pytest.mark.parametrize(
    "facts",
    [
        *(SHUT, replace(WEB, host=HIDDEN_NAME), replace(SHUT, sni=None, target=HIDDEN_NAME)),
        replace(SHUT, protocol=Protocol.OPAQUE, synthetic=None, sni=None, target=HIDDEN_NAME),
    ],
)
@pytest.mark.parametrize("asked", [False, True])
def test_a_name_of_any_flow_is_not_on_record(facts: Facts, asked: bool) -> None:
    made = preliminary(relaxed(POLICIES), facts) if asked else decide(POLICIES, facts)
    said = replace(made, verdict=Verdict.DENY, rule="secret", reason=NAME, remedy=None)
    again(records.decision(WHO, facts, said, ID, asked=asked))
    shown = replace(facts, target=None, sni=None, host="web.example")
    made = preliminary(relaxed(POLICIES), shown) if asked else decide(POLICIES, shown)
    said = replace(made, verdict=Verdict.DENY, rule="secret", reason=NAME, remedy=None)
    with pytest.raises(VerificationError, match="a name with a secret, on record"):
        again(records.decision(WHO, shown, said, ID, asked=asked))


@pytest.mark.parametrize("place", ["method", "head"])
def test_a_method_is_not_on_record_either(place: str) -> None:
    reason = SAID.replace("headers", place)
    hidden = replace(WEB, method=HIDDEN_METHOD)
    again(records.decision(WHO, hidden, judged(hidden, reason), ID))
    with pytest.raises(VerificationError, match="a method with a secret, on record"):
        again(records.decision(WHO, WEB, judged(WEB, reason), ID))


def test_who_calls_a_host_so_is_denied_as_for_any_other() -> None:
    facts = replace(WEB, host=HIDDEN_NAME, synthetic=None)
    again(records.decision(WHO, facts, judged(facts), ID))
    again(records.decision(WHO, facts, decide(POLICIES, facts), ID))


@pytest.mark.parametrize("found", ["the value of X (hex)", "the placeholder of API_KEY (plain)"])
def test_a_question(found: str) -> None:
    question(found, frozenset({"API_KEY"}), "receipt 7")
    for names in (frozenset[str](), frozenset({"OTHER"})):
        if not names or "placeholder" in found:
            with pytest.raises(VerificationError, match="the policies have none"):
                question(found, names, "receipt 7")
    with pytest.raises(VerificationError, match="the policies have none"):
        question(found + " and more", frozenset({"API_KEY"}), "receipt 7")


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


SIGNS = replace(SECRET, name="AWS_SECRET_ACCESS_KEY", place="sigv4")
UNSIGNED = signatures.reason(SIGNS.name, "other")


def test_a_signature_that_can_not_be_made_anew_is_of_a_secret_that_signs() -> None:
    policies = (replace(POLICIES[0], secrets=(SECRET, SIGNS)),)
    made = replace(judged(WEB, UNSIGNED), rule="signature")
    message = records.decision(WHO, WEB, made, ID)
    assert (message["layer"], message.get("severity")) == ("signature", None)
    again(message, policies)
    for others in (POLICIES, (*policies, *POLICIES)):
        with pytest.raises(VerificationError, match="the policies sign none"):
            again(message, others)
    put_in = replace(made, reason=signatures.reason(SECRET.name, "other"))
    with pytest.raises(VerificationError, match="the policies sign none"):
        again(records.decision(WHO, WEB, put_in, ID), policies)
    elsewhere = replace(WEB, host="b.example", synthetic=None)
    with pytest.raises(VerificationError, match="signed what is denied"):
        again(records.decision(WHO, elsewhere, made, ID), policies)
    with pytest.raises(VerificationError, match="a signature in no request"):
        again(records.decision(WHO, WEB, made, ID, addresses=("192.0.2.1",)), policies)
    with pytest.raises(VerificationError, match="receipt 7"):
        again(message | {"verdict": "allow", "phase": "intent"}, policies)
