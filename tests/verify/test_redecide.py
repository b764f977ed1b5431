from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sluicegate.evidence import records
from sluicegate.facts import Decision, Facts, Protocol, Verdict, Via
from sluicegate.policy import normal
from sluicegate.policy.decide import answered, decide, preliminary, relaxed
from sluicegate.policy.model import Policy, Rule
from sluicegate.verify.redecide import Redecide
from sluicegate.verify.stated import MAX_QUERY_BYTES, read
from sluicegate.verify.strict import VerificationError
from tests.evidence import made

RULES = (
    Rule("allow[0] p.yaml:3", "b.example"),
    Rule("allow[1] p.yaml:4", "web.example", ports=(80,), methods=("GET",), paths=("/a/**",)),
    Rule("allow[2] p.yaml:5", network="10.1.0.0/16", ports=(5432,)),
)
POLICIES = (Policy("p", allow=RULES, deny=(Rule("deny[0] p.yaml:9", "no.b.example", ports=()),)),)
TEXT = normal.policy_text(POLICIES)
WHO, ID = records.Client(1, 40_000), "id"
WEB = Facts(Protocol.HTTP, "198.18.0.1", 80, synthetic="web.example", host="web.example")
WEB = replace(WEB, method="GET", path="/a/b?token=secret")


def record(message: dict[str, Any]) -> dict[str, Any]:
    """What the notary makes of the gate's message, as far as it matters here."""
    left = {k: v for k, v in message.items() if k not in {"flow", "phase"} and v is not None}
    return left | ({"decision_phase": message["phase"]} if "phase" in message else {})


def again(*messages: dict[str, Any], text: bytes = TEXT) -> None:
    audit = Redecide(text)
    for message in messages:
        audit.decision(record(message), message["flow"], "receipt 7")


def refused(message: dict[str, Any], said: str) -> None:
    with pytest.raises(VerificationError, match=f"receipt 7.*{said}"):
        again(message)


def judged(facts: Facts) -> dict[str, Any]:
    return records.decision(WHO, facts, decide(POLICIES, facts), ID)


FACTS = [
    made.known("b.example"),
    made.known("no.b.example"),
    made.known("a.example"),
    WEB,
    replace(WEB, path="/b"),
    replace(WEB, path="/a/" + "x" * 9000),
    replace(WEB, path="/a/?" + "x" * 9000),
    replace(WEB, path="/a/../b"),
    replace(WEB, method="BREW"),
    replace(WEB, method="POST"),
    replace(WEB, host="other.example"),
    replace(WEB, fault="bare LF in a header \u20ac"),
    Facts(Protocol.OPAQUE, "10.1.2.3", 5432),
    Facts(Protocol.OPAQUE, "2001:db8::1", 22),
    Facts(Protocol.SERVER_FIRST, "198.18.0.1", 443, synthetic="b.example"),
    Facts(Protocol.OPAQUE, "198.18.0.1", 443, synthetic="b.example"),
    Facts(Protocol.TLS, "192.0.2.1", 443, sni="b.example"),
    Facts(Protocol.TLS, "127.0.0.1", 15001, Via.CONNECT, target="b.example", target_port=443),
]


@pytest.mark.parametrize("facts", FACTS, ids=range(len(FACTS)))
def test_what_the_gate_decides_is_decided_again(facts: Facts) -> None:
    message = judged(facts)
    again(message)
    # The other verdict does not pass, whatever else is said.
    flipped = message | {"verdict": "allow" if message["verdict"] == "block" else "block"}
    flipped.pop("phase", None)
    refused(flipped, "the policies give")


def test_policies_of_files_and_their_normal_form_give_the_same() -> None:
    """The labels say other places; all else is equal."""
    assert judged(made.known("b.example"))["flow"]["rule"] == "allow[0] p.yaml:3"
    again(judged(made.known("b.example")))


def test_an_outcome_goes_with_its_intent() -> None:
    facts = made.known("b.example")
    decision = decide(POLICIES, facts)
    end = records.Outcome("complete", 1, 2, 3, ("192.0.2.1",), "192.0.2.1", kernel=(1, 2))
    intent, outcome = judged(facts), records.outcome(WHO, facts, decision, ID, end)
    again(intent, outcome)
    with pytest.raises(VerificationError, match="an outcome with other facts"):
        again(outcome)
    with pytest.raises(VerificationError, match="an outcome with other facts"):
        again(intent, {**outcome, "flow": outcome["flow"] | {"client_port": 4}})  # type: ignore[operator]
    with pytest.raises(VerificationError, match="an outcome with other facts"):
        again(intent, outcome, outcome)


@pytest.mark.parametrize(
    ("addresses", "peer", "ok"),
    [
        (("192.0.2.1", "192.0.2.2"), "192.0.2.2", True),
        (("192.0.2.1",), "192.0.2.2", False),
        (("10.0.0.1",), "10.0.0.1", False),
        (("192.0.2.1", "10.0.0.1"), "192.0.2.1", False),
    ],
)
def test_what_was_connected_to_is_what_the_policy_admits(
    addresses: tuple[str, ...], peer: str | None, ok: bool
) -> None:
    facts = made.known("b.example")
    end = records.Outcome("complete", 0, 0, 3, addresses, peer)
    outcome = records.outcome(WHO, facts, decide(POLICIES, facts), ID, end)
    if ok:
        again(judged(facts), outcome)
        return
    with pytest.raises(VerificationError, match=r"admit|has not"):
        again(judged(facts), outcome)


def test_a_name_that_points_inside() -> None:
    facts, found = made.known("b.example"), ("192.0.2.1", "10.0.0.1")
    _, denied = answered(POLICIES, decide(POLICIES, facts), found)
    assert denied is not None
    message = records.decision(WHO, facts, denied, ID, addresses=found)
    again(judged(facts), message)
    shown: dict[str, Any] = {**message, "flow": message["flow"] | {"addresses": ["192.0.2.1"]}}  # type: ignore[operator]
    refused(shown, "the policies give allow")
    unknown = records.decision(WHO, made.known("a.example"), denied, ID, addresses=found)
    refused(unknown, "looked up what is denied")
    refused(message, "a look-up that nothing was begun for")


INSIDE = ("192.0.2.1", "10.0.0.1")


def inside(
    addresses: tuple[str, ...] = INSIDE, said: str = "", who: records.Client = WHO
) -> list[dict[str, Any]]:
    """An intent, the denial of what its name was found to have, and the outcome."""
    facts = made.known("b.example")
    decision = decide(POLICIES, facts)
    _, denied = answered(POLICIES, decision, INSIDE)
    assert denied is not None
    end = records.Outcome(said or f"refused: {denied.reason}", addresses=addresses)
    return [
        judged(facts),
        records.decision(who, facts, denied, ID, addresses=INSIDE),
        records.outcome(WHO, facts, decision, ID, end),
    ]


def test_an_answer_that_is_not_admitted_has_its_denial() -> None:
    intent, denial, outcome = inside()
    again(intent, denial, outcome)
    without = "without their denial"
    other = replace(WHO, connection=2)
    for messages, said in (
        ([intent, outcome], without),
        ([intent, denial, inside(("10.0.0.1",))[2]], without),
        (inside(who=other), without),
        (inside(said="refused: it is late"), "another outcome"),
        ([intent, denial, denial], "nothing was begun for"),
    ):
        with pytest.raises(VerificationError, match=said):
            again(*messages)


def test_a_denial_after_a_look_up_has_its_outcome() -> None:
    intent, denial, outcome = inside()
    audit = Redecide(TEXT)
    for message in (intent, denial):
        audit.decision(record(message), message["flow"], "")
    with pytest.raises(VerificationError, match="connection 1: an outcome that does not say"):
        audit.settle()
    audit.decision(record(outcome), outcome["flow"], "")
    audit.settle()


LINES = (
    Rule("deny[0] q.yaml:2", network="203.0.113.0/24", ports=()),
    Rule("deny[1] q.yaml:3", network="203.0.113.7/32", ports=(443,)),
    Rule("deny[2] q.yaml:4", "d.example", ports=()),
    Rule("deny[3] q.yaml:5", "e.example", ports=()),
)
BARRED = (Policy("q", allow=(Rule("allow[0] q.yaml:7", "b.example"),), deny=LINES),)


def barred(**changes: str) -> list[dict[str, Any]]:
    facts = made.known("b.example")
    decision = decide(BARRED, facts)
    _, denied = answered(BARRED, decision, ("203.0.113.7",))
    assert denied is not None
    denied = replace(denied, **changes)  # type: ignore[arg-type]
    return [
        records.decision(WHO, facts, decision, ID),
        records.decision(WHO, facts, denied, ID, addresses=("203.0.113.7",)),
    ]


def test_a_rule_that_bars_an_address_has_a_name() -> None:
    text, said = normal.policy_text(BARRED), "203.0.113.7 is denied by "
    for label in ("deny[0] q.yaml:2", "deny[9] elsewhere:1"):
        again(*barred(reason=said + label), text=text)
    for wrong in ("", "allow[0] q.yaml:7", "deny[0]", "deny[01] q.yaml:2", "nobody"):
        with pytest.raises(VerificationError, match="name of no rule"):
            again(*barred(reason=said + wrong), text=text)
    with pytest.raises(VerificationError, match="reason of its facts"):
        again(*barred(reason="203.0.113.8 is denied by deny[0] q.yaml:2"), text=text)


def test_one_name_of_a_rule_stands_for_one_rule() -> None:
    """Another file's line may be named, but not the same line for two rules."""

    def denial(host: str, label: str) -> dict[str, Any]:
        facts = made.known(host)
        made_ = decide(BARRED, facts)
        reason = made_.reason.replace(made_.rule, label)
        return records.decision(WHO, facts, replace(made_, rule=label, reason=reason), ID)

    text = normal.policy_text(BARRED)
    again(denial("d.example", "deny[2] q:4"), denial("e.example", "deny[3] q:5"), text=text)
    for label in ("deny[2] q:4", "deny[0] q:4"):
        with pytest.raises(VerificationError, match="name of no rule"):
            again(denial("d.example", label), denial("e.example", label), text=text)
    for label in ("deny[x] q:4", "deny[2]", "deny"):
        with pytest.raises(VerificationError, match="name of no rule"):
            again(denial("d.example", label), text=text)


@pytest.mark.parametrize("facts", [made.known("a.example"), made.known("b.example"), WEB])
def test_the_reason_is_the_policies(facts: Facts) -> None:
    decision = replace(decide(POLICIES, facts), reason="because")
    refused(records.decision(WHO, facts, decision, ID), "reason of its facts")


def test_a_name_has_one_address_and_an_address_one_name() -> None:
    one, other = made.known("a.example"), made.known("c.example")
    again(judged(one), judged(other), judged(one))
    for facts in (
        replace(one, address=other.address),
        replace(other, address=one.address),
    ):
        with pytest.raises(VerificationError, match="was said to be"):
            again(judged(one), judged(other), judged(facts))
    refused(judged(replace(one, address="203.0.113.9")), "gives to no name")


def test_only_a_denial_may_be_of_the_target_alone() -> None:
    """Or a request that the policy denies would pass as one that was not seen."""
    facts = replace(WEB, path="/b", via=Via.CONNECT, target="web.example", target_port=80)
    decision = preliminary(relaxed(POLICIES), facts)
    assert decision.verdict is Verdict.ALLOW
    lie = records.decision(WHO, facts, decision, ID, asked=True)
    refused(lie, "more than its target was known")


def test_a_proxy_client_is_judged_by_its_target_alone() -> None:
    asked = Facts(Protocol.OPAQUE, "192.0.2.9", 3128, Via.CONNECT, target="a.example")
    asked = replace(asked, target_port=443)
    decision = preliminary(relaxed(POLICIES), asked)
    assert decision.verdict is Verdict.DENY
    again(records.decision(WHO, asked, decision, ID, asked=True))
    # What the bytes are was not known then, so it can not be the reason.
    refused(records.decision(WHO, asked, decide(POLICIES, asked), ID, asked=True), "policy says")


def test_a_warning_is_of_what_only_observing_lets_through() -> None:
    facts = made.known("w.example")
    decision = decide(made.POLICIES, facts)
    warned = records.warning(WHO, facts, decision, ID)
    again(warned, text=made.POLICY)
    plain = records.warning(WHO, made.known("b.example"), decide(made.POLICIES, facts), ID)
    with pytest.raises(VerificationError):
        again(plain, text=made.POLICY)


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("target", "tls://other.example:443"),
        ("transport", "connect"),
        ("action_type", "write"),
        ("layer", "blocklist"),
        ("pattern", "allow[0] p.yaml:3"),
        ("method", "GET"),
    ],
)
def test_what_a_receipt_says_beside_its_verdict(member: str, value: str) -> None:
    refused(judged(made.known("a.example")) | {member: value}, member)


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("remedy", "- host: evil.example"),
        ("remedy", None),
        ("rule", "deny[0] p"),
        ("url", "tls://other.example:443"),
        ("sni", "b.example"),
        ("synthetic", "b.example"),
        ("port", 22),
        ("observed", True),
        ("asked", 1),
        ("ech", "yes"),
        ("protocol", "quic"),
        ("via", "carrier"),
        ("address", 5),
        ("port", "443"),
        ("address", "not an address"),
        ("free", "text"),
        ("addresses", "192.0.2.1"),
        ("bytes_up", 1),
    ],
)
def test_facts_that_do_not_give_the_receipt(member: str, value: object) -> None:
    message = judged(made.known("a.example") if member != "address" else FACTS[13])
    flow = {**message["flow"], member: value}
    if value is None:
        del flow[member]
    with pytest.raises(VerificationError, match="receipt 7"):
        again({**message, "flow": flow})


ASKED = Rule(
    "allow[0] p.yaml:3",
    "web.example",
    ports=(80,),
    query=(("mode", "read"),),
    headers=(("x-mode", "a*"),),
)
ASKS = normal.policy_text((Policy("p", allow=(ASKED,)),))
READS = replace(WEB, path="/?mode=read", query=(("mode", "read"),), headers=(("x-mode", "ab"),))


def test_what_conditions_look_at_is_judged_again() -> None:
    message = records.decision(WHO, READS, decide(normal.read(ASKS), READS), ID)
    assert message["verdict"] == "allow"
    message["flow"]["rule"] = ASKED.label
    again(message, text=ASKS)
    for member in ("query", "headers"):
        for value in ([["mode", "deny"]], [["x-mode", "ba"]], None):
            flow = {**message["flow"], member: value}
            if value is None:
                del flow[member]
            with pytest.raises(VerificationError, match=r"the policies give deny|no condition is"):
                again({**message, "flow": flow}, text=ASKS)


@pytest.mark.parametrize("member", ["query", "headers"])
@pytest.mark.parametrize(
    "value",
    [
        *([], "mode", {}, None, ["mode"], [["mode"]], [["mode", "read", "x"]], [["mode", 1]]),
        *([["mode", "r" * 260]], [["m" * 260, "read"]], [["mode", "read"]] * 18),
    ],
    ids=range(11),
)
def test_pairs_that_no_gate_writes(member: str, value: object) -> None:
    flow = records.decision(WHO, READS, decide(normal.read(ASKS), READS), ID)["flow"]
    assert read(flow, "receipt 7") == replace(READS, path="/?" + "-" * len("mode=read"))
    with pytest.raises(VerificationError, match=f"receipt 7: {member}"):
        read({**flow, member: value}, "receipt 7")
    bare = {key: kept for key, kept in flow.items() if key not in {"path", "query_bytes"}}
    with pytest.raises(VerificationError, match="receipt 7: query"):
        read(bare, "receipt 7")


def test_the_length_of_a_query_is_bounded() -> None:
    flow = {**judged(WEB)["flow"], "query_bytes": MAX_QUERY_BYTES + 1}
    with pytest.raises(VerificationError, match="query_bytes"):
        read(flow, "receipt 7")


def test_policies_that_are_none() -> None:
    with pytest.raises(VerificationError, match=r"policy\.json"):
        Redecide(b'{"allow":[]}')


def test_kept_decisions_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sluicegate.verify.redecide.KEPT", 4)
    audit = Redecide(TEXT)
    for number in range(20):
        message = judged(made.known(f"h{number}.example"))
        audit.decision(record(message), message["flow"], "")
        assert len(audit._good) <= 4


def test_a_decision_without_a_rule_of_ours_is_compared_as_it_is() -> None:
    facts = made.known("a.example")
    strange = Decision(Verdict.DENY, "mood", "because", 443, "a.example")
    refused(records.decision(WHO, facts, strange, ID), "by mood, policy says default")


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("client_port", 0),
        ("client_port", 65_536),
        ("client_port", True),
        ("port", 65_536),
        ("target_port", 0),
        ("host_port", 65_536),
        ("address", "10.1.2.3%eth0"),
        ("address", "010.1.2.3"),
        ("address", "::FFFF"),
        ("address", ""),
    ],
)
def test_facts_out_of_range(member: str, value: object) -> None:
    message = judged(Facts(Protocol.OPAQUE, "10.1.2.3", 5432))
    flow = {**message["flow"], member: value}
    with pytest.raises(VerificationError, match=r"not in|not a count|no address"):
        again({**message, "flow": flow})


@pytest.mark.parametrize(
    ("member", "value", "said"),
    [
        ("status", 199, "not in 200..999"),
        ("status", 1000, "not in 200..999"),
        ("addresses", ["not an address"], "addresses that are none"),
        ("addresses", ["192.0.2.1"] * 17, "addresses that are none"),
        ("addresses", ["192.0.2.01"], "addresses that are none"),
        ("addresses", ["2001:DB8::1"], "addresses that are none"),
        ("addresses", ["192.0.2.1%eth0"], "addresses that are none"),
        ("addresses", ["fe80::1%"], "addresses that are none"),
    ],
)
def test_an_outcome_out_of_range(member: str, value: object, said: str) -> None:
    end = records.Outcome("complete", 1, 2, 3, ("192.0.2.1",), "192.0.2.1", 999)
    intent, outcome = ended(WEB, end)
    again(intent, outcome)
    with pytest.raises(VerificationError, match=said):
        again(intent, {**outcome, "flow": outcome["flow"] | {member: value}})


def test_only_http_has_a_status() -> None:
    end = records.Outcome("complete", 1, 2, 3, ("192.0.2.1",), "192.0.2.1", 200)
    with pytest.raises(VerificationError, match="no HTTP"):
        again(*ended(made.known("b.example"), end))


SOCKET = records.Outcome("complete", 1, 2, 3, ("192.0.2.1",), "192.0.2.1", 101, frames=(4, 0))


def test_frames_of_a_websocket() -> None:
    again(*ended(WEB, SOCKET))


@pytest.mark.parametrize(
    ("end", "method", "said"),
    [
        (replace(SOCKET, frames=None), "GET", "status: not in 200"),
        (replace(SOCKET, status=200), "GET", "no WebSocket"),
        (replace(SOCKET, status=None), "GET", "no WebSocket"),
        (SOCKET, "HEAD", "no WebSocket"),
        (replace(SOCKET, frames=(-1, 0)), "GET", "not a count"),
    ],
)
def test_frames_of_what_is_no_websocket(end: records.Outcome, method: str, said: str) -> None:
    host = {"synthetic": "b.example", "host": "b.example", "address": made.bound("b.example")}
    with pytest.raises(VerificationError, match=said):
        again(*ended(replace(WEB, method=method, **host), end))


@pytest.mark.parametrize("name", ["frames_up", "frames_down"])
def test_frames_of_one_way(name: str) -> None:
    intent, outcome = ended(WEB, SOCKET)
    del outcome["flow"][name]
    with pytest.raises(VerificationError, match=name):
        again(intent, outcome)


def ended(facts: Facts, end: records.Outcome) -> tuple[dict[str, Any], dict[str, Any]]:
    return judged(facts), records.outcome(WHO, facts, decide(POLICIES, facts), ID, end)


@pytest.mark.parametrize(
    "end",
    [
        records.Outcome("complete", 5),
        records.Outcome("complete", bytes_down=5),
        records.Outcome("complete", kernel=(0, 5)),
        records.Outcome("complete", status=200),
        records.Outcome("complete", 5, addresses=("10.9.9.9",)),
    ],
)
def test_bytes_went_to_somebody(end: records.Outcome) -> None:
    again(*ended(made.known("b.example"), records.Outcome("the name has no address")))
    with pytest.raises(VerificationError, match="of nobody"):
        again(*ended(made.known("b.example"), end))


def test_a_bare_address_is_connected_to_and_no_other() -> None:
    bare = Facts(Protocol.OPAQUE, "10.1.2.3", 5432)
    again(*ended(bare, records.Outcome("complete", 1, 2, 3, ("10.1.2.3",), "10.1.2.3")))
    for other in (("192.0.2.1",), ("10.1.2.3", "192.0.2.1")):
        end = records.Outcome("complete", 1, 2, 3, other, other[-1])
        with pytest.raises(VerificationError, match="not asked for"):
            again(*ended(bare, end))


def test_what_observing_lets_through_is_warned_of() -> None:
    facts = made.known("w.example")
    decision = decide(made.POLICIES, facts)
    warned = records.warning(WHO, facts, decision, ID)
    intent = records.decision(WHO, facts, decision, ID)
    again(warned, intent, text=made.POLICY)
    for messages in ((intent,), (warned, intent, intent)):
        with pytest.raises(VerificationError, match="without its warning"):
            again(*messages, text=made.POLICY)
