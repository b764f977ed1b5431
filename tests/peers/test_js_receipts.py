"""Receipts as the gate writes them, of random facts under random policies: both verifiers make each again."""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter
from pathlib import Path

import pytest

from sluicegate import posture
from sluicegate.evidence import counts, records, signatures
from sluicegate.evidence.counts import HIDDEN_NAME
from sluicegate.facts import Decision, Facts, Protocol, Verdict
from sluicegate.jcs import Json
from sluicegate.policy import allowance, conditions, normal
from sluicegate.policy import decide as policy
from sluicegate.policy.model import Policy, Rule, Secret
from sluicegate.policy.opening import opened, opens
from sluicegate.policy.together import together
from sluicegate.verify.packet import INVALID, UNPROVEN
from sluicegate.wire.names import is_address
from tests.evidence import made
from tests.peers.second import Case, Files, agree
from tests.peers.test_js_decisions import Dice

SEED = 20_260_106
Messages = list[dict[str, object]]


def begun(dice: Dice, policies: tuple[Policy, ...], number: int, seen: Counter[str]) -> Messages:
    """What the gate says of connection `number`, until it is over."""
    facts = asked_for(policies, dice.facts())
    if facts.synthetic is not None:
        if is_address(facts.synthetic):
            return begun(dice, policies, number, seen)
        facts = dataclasses.replace(facts, address=made.bound(facts.synthetic))
    elif "%" in facts.address:
        return begun(dice, policies, number, seen)
    if facts.protocol is Protocol.HTTPS:
        return within(dice, policies, number, facts, seen)
    return told(dice, policies, number, facts, seen)


def asked_for(policies: tuple[Policy, ...], facts: Facts) -> Facts:
    """With what these policies' conditions are about alone, as the gate takes it."""
    parameters, fields = policy.named(policies)
    headers = conditions.headers(facts.headers, fields)
    query = conditions.query(facts.path, parameters)
    return dataclasses.replace(facts, query=query, headers=headers)


def within(
    dice: Dice, policies: tuple[Policy, ...], number: int, facts: Facts, seen: Counter[str]
) -> Messages:
    """A request inside TLS, between the two receipts of its connection; the hello alone where that is not opened."""
    bare = {"method": None, "path": None, "host": None, "host_port": None, "query": ()}
    bare["headers"] = ()
    hello = dataclasses.replace(facts, protocol=Protocol.TLS, **bare)  # type: ignore[arg-type]
    judged = judge(policies, hello)
    if not judged.opened:
        return told(dice, policies, number, hello, seen)
    who, at = records.Client(number, 40_000), 2 * number
    found = (judged.address or "203.0.113.9",)
    if not policy.answered(policies, judged, found)[0]:
        return told(dice, policies, number, hello, seen)
    seen["opened"] += 1
    end = records.Outcome("complete", 50, 70, 9, found, found[0], kernel=(50, 70))
    name = made.action(at + 1)
    first: Messages = [{**records.decision(who, hello, judged, name)}]
    if judged.observed:
        first.insert(0, {**records.warning(who, hello, judged, made.action(at))})
    last = {**records.outcome(who, hello, judged, name, end)}
    return [*first, *told(dice, policies, number, facts, seen, at + 2), last]


def judge(policies: tuple[Policy, ...], facts: Facts) -> Decision:
    """As the gate does."""
    if opens(policies, facts):
        return opened(policies, policy.relaxed(policies), facts)
    return policy.decide(policies, facts)


def told(
    dice: Dice,
    policies: tuple[Policy, ...],
    number: int,
    facts: Facts,
    seen: Counter[str],
    at: int | None = None,
) -> Messages:
    """What the gate says of one decision, and of what came of it; `at` is the first of three ids."""
    at = 2 * number if at is None else at
    judged, who = judge(policies, facts), records.Client(number, 40_000)
    inside = facts.protocol is Protocol.HTTPS
    asked = facts.target is not None and not inside and dice.random() < 0.3
    if asked:
        early = policy.preliminary(policy.relaxed(policies), facts)
        if early.verdict is Verdict.DENY:
            seen["asked"] += 1
            return [{**records.decision(who, facts, early, made.action(at), asked=True)}]
    shared = together(policies).secrets
    if shared and facts.method is not None and dice.random() < 0.3:
        seen["secret"] += 1
        what = dice.choice((f"placeholder of {shared[0].name}", "value of SOME_TOKEN"))
        reason = f"the {what} (plain) is in the headers, where it does not belong"
        found = dataclasses.replace(
            judged,
            verdict=Verdict.DENY,
            rule="secret",
            reason=reason,
            remedy=None,  # type: ignore[arg-type]
            observed=False,
        )
        facts = dataclasses.replace(facts, query=(), headers=())
        return [{**records.decision(who, facts, found, made.action(at + 1))}]
    ech = dice.random() < 0.1
    said = [{**records.decision(who, facts, judged, made.action(at + 1), ech=ech)}]
    seen[str(said[0]["verdict"])] += 1
    seen[str(said[0]["action_type"])] += 1
    seen["query"] += bool(facts.query)
    seen["headers"] += bool(facts.headers)
    if judged.observed:
        seen["warn"] += 1
        said.insert(0, {**records.warning(who, facts, judged, made.action(at))})
    if judged.verdict is Verdict.ALLOW:
        found = (judged.address,) if judged.address is not None else ("203.0.113.9",)
        kernel = None if inside else (5, 7)
        end = records.Outcome("complete", 5, 7, 9, found, found[0], kernel=kernel)
        if facts.method == "GET" and number % 2 == 0:
            seen["websocket"] += 1
            end = dataclasses.replace(end, status=101, frames=(number, 0))
        good, denied = policy.answered(policies, judged, found)
        if not good and denied is not None:
            seen["refused"] += 1
            end = records.Outcome(f"refused: {denied.reason}", addresses=found)
            name = made.action(at + 2)
            said.append({**records.decision(who, facts, denied, name, addresses=found)})
        said.append({**records.outcome(who, facts, judged, made.action(at + 1), end)})
    return said


def record(
    directory: Path,
    policies: tuple[Policy, ...],
    messages: Messages,
    monkeypatch: pytest.MonkeyPatch,
) -> Files:
    """The files of a record under these policies that was not closed."""
    directory.mkdir()
    with monkeypatch.context() as patched:
        patched.setattr(made, "POLICY", normal.policy_text(policies))
        frames = posture.frame_scanning(secrets=bool(together(policies).secrets))
        measured = {**dict(made.OPENED["posture"]), "websocket_frame_scanning": frames}  # type: ignore[call-overload]
        patched.setattr(made, "OPENED", {**made.OPENED, "posture": measured})
        desk = made.Desk(directory)
        desk.open()
        desk.record(*messages)
        desk.join()
        return desk.files(closed=False)


def test_what_the_gate_writes_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dice, cases, seen = Dice(SEED), list[Case](), Counter[str]()
    for number in range(150):
        policies = normal.read(normal.policy_text(dice.policies()))
        said = [begun(dice, policies, 3 * n, seen) for n in range(1, 9)]
        messages = [message for some in said for message in some]
        files = record(tmp_path / str(number), policies, messages, monkeypatch)
        cases.append(Case(f"{number}", files))
    (tmp_path / "work").mkdir()
    assert agree(cases, tmp_path / "work") == [UNPROVEN] * len(cases)
    kinds = ("allow", "block", "warn", "asked", "read", "write", "unclassified", "refused")
    kinds += ("opened", "websocket", "query", "headers", "secret")
    assert all(seen[kind] for kind in kinds), seen


def test_what_only_the_lines_before_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each receipt fits its own facts; together they do not."""
    two = Policy("p", allow=(Rule("allow[0] p", "a.example"), Rule("allow[1] p", "b.example")))
    observing = (Policy("p", observe=True),)
    who = [records.Client(number, 40_000) for number in (1, 2)]
    facts = [made.known(host) for host in ("a.example", "b.example")]
    judged = [policy.decide((two,), known) for known in facts]
    intents: Messages = [
        {**records.decision(who[n], facts[n], judged[n], made.action(n))} for n in (0, 1)
    ]
    renamed = dataclasses.replace(judged[1], rule="allow[0] p")
    one_name: Messages = [
        intents[0],
        {**records.decision(who[1], facts[1], renamed, made.action(1))},
    ]
    watched = policy.decide(observing, facts[0])
    warned: Messages = [
        {**records.warning(who[0], facts[0], watched, made.action(1))},
        {**records.decision(who[0], facts[0], watched, made.action(2))},
    ]
    inside = ("10.0.0.1",)
    _, denied = policy.answered((two,), judged[0], inside)
    assert denied is not None
    look_up: Messages = [
        {**records.decision(who[0], facts[0], denied, made.action(3), addresses=inside)}
    ]
    another = [made.known("c.example"), made.known("d.example")]
    moved = dataclasses.replace(another[1], address=another[0].address)
    told = [another[0], moved]
    one_address: Messages = [
        {**records.decision(who[n], told[n], policy.decide((two,), told[n]), made.action(n))}
        for n in (0, 1)
    ]
    cases = [
        Case(name, record(tmp_path / name, policies, messages, monkeypatch))
        for name, policies, messages in (
            ("two names", (two,), intents),
            ("one name of two rules", (two,), one_name),
            ("warned", observing, warned),
            ("not warned", observing, warned[1:]),
            (
                "warned of another",
                observing,
                [warned[0], warned[1], {**warned[1], "action_id": made.action(9)}],
            ),
            ("looked up", (two,), [intents[0], *look_up]),
            ("looked up for nobody", (two,), look_up),
            ("one address of two names", (two,), one_address),
        )
    ]
    (tmp_path / "work").mkdir()
    good, bad = UNPROVEN, INVALID
    assert agree(cases, tmp_path / "work") == [good, bad, good, bad, bad, good, bad, bad]


def test_limits_are_counted_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wild = Rule("allow[0] p", "wild.test", wildcard=True)
    limits = {
        "upload": 16,
        "upload_per_host": 12,
        "requests_per_minute": 3,
        "names_per_wildcard": 2,
    }
    limited = (Policy("p", allow=(wild,), digests=True, **limits),)  # type: ignore[arg-type]
    told = ("5" * 64, 1), (hashlib.sha256().hexdigest(), 0)
    first = made.known("a.wild.test")
    asked = dataclasses.replace(
        first, protocol=Protocol.HTTP, port=80, method="GET", path="/", sni=None
    )
    whole = records.Outcome(
        "complete", 5, 7, 9, ("203.0.113.9",), "203.0.113.9", counted=5, contents=told
    )

    def of(
        host: str, number: int, denied: tuple[str, int] | None = None, **end: object
    ) -> Messages:
        known = dataclasses.replace(asked, synthetic=host, address=made.bound(host), host=host)
        judged, who = policy.decide(limited, known), records.Client(number, 40_000)
        if denied is not None and denied[0] in {allowance.NAMES, allowance.REQUESTS}:
            over = allowance.denied(judged, denied[0], denied[1] - 1, denied[1])
            return [{**records.decision(who, known, over, made.action(2 * number))}]
        said: Messages = [{**records.decision(who, known, judged, made.action(2 * number))}]
        ended = dataclasses.replace(whole, **end)  # type: ignore[arg-type]
        if denied is not None:
            limit = limits[denied[0].removeprefix("limits.")]
            over = allowance.denied(judged, denied[0], limit, denied[1])
            said.append({**records.decision(who, known, over, made.action(2 * number + 1))})
            ended = dataclasses.replace(ended, reason=f"refused: {over.reason}")
        name = made.action(2 * number)
        return [*said, {**records.outcome(who, known, judged, name, ended)}]

    a, b, c = "a.wild.test", "b.wild.test", "c.wild.test"
    cut, names, minute = (allowance.UPLOAD, 17), (allowance.NAMES, 3), (allowance.REQUESTS, 4)
    two = [*of(a, 1), *of(b, 2)]
    swapped = [of(a, 1, cut)[0], of(b, 1, cut)[1], of(a, 1, cut)[2]]
    cases = {
        "within": ([*two, *of(a, 3)], UNPROVEN),
        "a third name, denied": ([*two, *of(c, 3, names)], UNPROVEN),
        "a third name": ([*two, *of(c, 3)], INVALID),
        "a name denied too early": ([*of(a, 1), *of(c, 3, names)], INVALID),
        "a fourth request, denied": ([*two, *of(a, 3), *of(b, 4, minute)], UNPROVEN),
        "a fourth request": ([*two, *of(a, 3), *of(b, 4)], INVALID),
        "a request denied too early": ([*two, *of(a, 3, minute)], INVALID),
        "cut": (of(a, 1, cut), UNPROVEN),
        "cut, and nothing denied": ([m for m in of(a, 1, cut) if m["verdict"] == "allow"], INVALID),
        "cut below the limit": (of(a, 1, (allowance.UPLOAD, 16)), INVALID),
        "at the limit": ([*of(a, 1, counted=12), *of(b, 2, counted=4)], UNPROVEN),
        "over the limit": ([*of(a, 1, counted=12), *of(b, 2, counted=5)], INVALID),
        "over the host's limit": ([*of(a, 1, counted=9), *of(a, 2, counted=4)], INVALID),
        "what counts is left out": (of(a, 1, counted=None), INVALID),
        "contents are left out": (of(a, 1, contents=None), INVALID),
        "less counted than its content": (of(a, 1, counted=0), INVALID),
        "cut, and another denied": (swapped, INVALID),
        "contents of nothing": (of(a, 1, contents=(told[0], ("5" * 64, 0))), INVALID),
    }
    packets = [
        Case(name, record(tmp_path / str(number), limited, messages, monkeypatch))
        for number, (name, (messages, _)) in enumerate(cases.items())
    ]
    (tmp_path / "work").mkdir()
    assert agree(packets, tmp_path / "work") == [level for _, level in cases.values()]


ASKING = Rule(
    "allow[0] p", "a.example", ports=(80,), query=(("mode", "r*"),), headers=(("x-m", "*"),)
)
KEY = Secret("A_KEY", ("env", "A_KEY"), ("a.example",), (), "bearer")
HELD = (Policy("p", allow=(ASKING,), secrets=(KEY,)),)
READ = Facts(
    *(Protocol.HTTP, made.bound("a.example"), 80),
    synthetic="a.example",
    host="a.example",
    method="GET",
    path="/?mode=read",
    query=(("mode", "read"),),
    headers=(("x-m", "a"),),
)


def test_what_was_taken_for_conditions_is_what_they_ask_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut = ("...", "...")
    long, pairs = "/?" + "mode=read&" * 40, (("mode", "read"),) * 16
    cases = {
        "as sent": (READ, UNPROVEN),
        "in another spelling": (
            change(query=(("%6dode", "read"),), path="/?%6dode=read"),
            UNPROVEN,
        ),
        "a value cut": (change(headers=(("x-m", "r" * 256 + "..."),)), UNPROVEN),
        "all that can be": (change(query=(*pairs, cut), path=long), UNPROVEN),
        "no query to take it from": (change(path="/"), INVALID),
        "a query too short for it": (change(path="/?mode=rea"), INVALID),
        "two of one": (change(query=(("mode", "read"),) * 2), INVALID),
        "another parameter": (change(query=(("k", "read"),)), INVALID),
        "two readings in one": (change(query=(("mode", "r;d"),)), INVALID),
        "two in one": (change(query=(("mode", "r&"),)), INVALID),
        "a longer value": (change(query=(("mode", "r" * 257),), path=long), INVALID),
        "too many": (change(query=(*pairs, pairs[0]), path=long), INVALID),
        "another header": (change(headers=(("x-k", "a"),)), INVALID),
        "a header in capitals": (change(headers=(("X-M", "a"),)), INVALID),
        "a header with a space": (change(headers=(("x-m", "a "),)), INVALID),
        "a header cut too early": (change(headers=(cut,)), INVALID),
    }
    packets = []
    for number, (name, (facts, _)) in enumerate(cases.items()):
        said = records.decision(who(1), facts, policy.decide(HELD, facts), made.action(1))
        packets.append(Case(name, record(tmp_path / str(number), HELD, [{**said}], monkeypatch)))
    (tmp_path / "work").mkdir()
    assert agree(packets, tmp_path / "work") == [level for _, level in cases.values()]


def test_a_denial_of_a_secret_shows_nothing_and_ends_its_flow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = change(query=(), headers=())
    hidden = dataclasses.replace(bare, path="/[redacted]")
    intent, end = flow(READ, "the content")
    stopped = leak(READ, "content")
    other = leak(change(headers=(("x-m", "b"),)), "content")
    cases = {
        "in the headers": ([leak(bare, "headers")], UNPROVEN),
        "in the path": ([leak(hidden, "path")], UNPROVEN),
        "in the path, which is shown": ([leak(bare, "path")], INVALID),
        "in the headers, which are shown": ([leak(change(query=()), "headers")], INVALID),
        "in the query, which is shown": ([leak(change(headers=()), "head")], INVALID),
        "nowhere that is known": ([leak(bare, "wallet")], INVALID),
        "in the content": ([intent, stopped, end], UNPROVEN),
        "in no denial": ([intent, end], INVALID),
        "of another request": ([intent, other, end], INVALID),
    }
    cases |= names_with_a_secret()
    packets = [
        Case(name, record(tmp_path / str(number), HELD, messages, monkeypatch))
        for number, (name, (messages, _)) in enumerate(cases.items())
    ]
    (tmp_path / "work").mkdir()
    assert agree(packets, tmp_path / "work") == [level for _, level in cases.values()]


def names_with_a_secret() -> dict[str, tuple[Messages, int]]:
    hidden = Facts(Protocol.TLS, "192.0.2.1", 443, target=HIDDEN_NAME, target_port=443)
    shown = dataclasses.replace(hidden, target="b.example")
    asked: dict[str, Json] = {
        "name": "(redacted)",
        "type": "A",
        "via": "udp",
        "rcode": "REFUSED",
        "reason": "secret",
        "secret": "the placeholder of A_KEY (hex)",
        "count": 2,
    }
    plain = asked | {"name": "10.0.0.1", "reason": "address"}
    del plain["secret"]

    def told(*groups: dict[str, Json]) -> Messages:
        return [{**counts.questions(groups, 0, made.action(1))}]

    return {
        "in a name": ([leak(hidden, "name")], UNPROVEN),
        "in a Host": ([leak(change(query=(), headers=(), host=HIDDEN_NAME), "name")], UNPROVEN),
        "in a name, which is shown": ([leak(shown, "name")], INVALID),
        "in a method": (
            [leak(change(query=(), headers=(), method="REDACTED"), "method")],
            UNPROVEN,
        ),
        "in a method, which is shown": ([leak(change(query=(), headers=()), "method")], INVALID),
        "in the head of what has none": ([leak(hidden, "head")], INVALID),
        "in a question": (told(asked), UNPROVEN),
        "in many": (told(asked, asked | {"name": "(other)", "type": "-"}), UNPROVEN),
        "in a question that is shown": (told(asked | {"name": "a.example"}), INVALID),
        "beside other questions": (told(asked, plain), INVALID),
        "of another key": (
            told(asked | {"secret": "the placeholder of B_KEY (hex)"}),
            INVALID,
        ),
        "in a question, and without words": (told({**plain, "reason": "secret"}), INVALID),
    }


def test_a_denial_of_a_signature_is_of_a_secret_that_signs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signs = dataclasses.replace(KEY, name="C_KEY", place="sigv4")
    policies = (dataclasses.replace(HELD[0], secrets=(KEY, signs)),)
    watching = (dataclasses.replace(policies[0], observe=True),)
    good = signatures.reason("C_KEY", "other")

    def unsigned(reason: str, facts: Facts = READ, **more: object) -> Messages:
        judged = policy.decide(policies, facts)
        no = {"verdict": Verdict.DENY, "rule": "signature", "reason": reason, "remedy": None}
        denied = dataclasses.replace(judged, **no | more)  # type: ignore[arg-type]
        return [{**records.decision(who(1), facts, denied, made.action(2))}]

    let = {**unsigned(good)[0], "verdict": "allow", "phase": "intent"}
    cases = {
        **{why: (policies, unsigned(signatures.reason("C_KEY", why))) for why in signatures.WHY},
        "in observe mode": (watching, unsigned(good)),
        "of one that is put in": (policies, unsigned(signatures.reason("A_KEY", "other"))),
        "of one that nobody knows": (policies, unsigned(signatures.reason("B_KEY", "other"))),
        "where nothing signs": (HELD, unsigned(good)),
        "in other words": (policies, unsigned(good + ", truly")),
        "as an alarm": (policies, unsigned(good, rule="secret")),
        "that is let through": (policies, [let]),
        "of what is denied": (policies, unsigned(good, change(host="b.example"))),
        "of no request": (policies, unsigned(good, made.known("a.example"))),
    }
    packets = [
        Case(name, record(tmp_path / str(number), under, messages, monkeypatch))
        for number, (name, (under, messages)) in enumerate(cases.items())
    ]
    (tmp_path / "work").mkdir()
    right = len(signatures.WHY) + 1
    wanted = [UNPROVEN if number < right else INVALID for number in range(len(cases))]
    assert agree(packets, tmp_path / "work") == wanted


def test_a_request_ends_before_its_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its bytes are held against the connection's when that has ended."""
    opening = (Policy("p", allow=(Rule("allow[0] p", "a.example", ports=(443,), inspect=True),)),)
    hello = made.known("a.example")
    asked = dataclasses.replace(
        hello, protocol=Protocol.HTTPS, method="GET", path="/", host="a.example"
    )
    first, last = list[dict[str, object]](), list[dict[str, object]]()
    for number, facts in enumerate((hello, asked), 1):
        judged, kernel = judge(opening, facts), (50, 50) if facts is hello else None
        end = records.Outcome("complete", 50, 50, 9, ("203.0.113.9",), "203.0.113.9", kernel=kernel)
        first.append({**records.decision(who(1), facts, judged, made.action(number))})
        last.append({**records.outcome(who(1), facts, judged, made.action(number), end)})
    packets = [
        Case(name, record(tmp_path / name, opening, [*first, *ends], monkeypatch))
        for name, ends in (("before", last[::-1]), ("after", last))
    ]
    (tmp_path / "work").mkdir()
    assert agree(packets, tmp_path / "work") == [UNPROVEN, INVALID]


def change(**members: object) -> Facts:
    return dataclasses.replace(READ, **members)  # type: ignore[arg-type]


def who(number: int) -> records.Client:
    return records.Client(number, 40_000)


def leak(facts: Facts, where: str) -> dict[str, object]:
    """The denial of a request with a secret."""
    reason = f"the value of A_KEY (plain) is in the {where}, where it does not belong"
    judged = dataclasses.replace(policy.decide(HELD, facts), verdict=Verdict.DENY, rule="secret")
    judged = dataclasses.replace(judged, reason=reason, remedy=None, observed=False)
    return {**records.decision(who(1), facts, judged, made.action(2))}


def flow(facts: Facts, where: str) -> Messages:
    """What was begun, and ended because of a secret."""
    judged = policy.decide(HELD, facts)
    reason = f"refused: the value of A_KEY (plain) is in {where}, where it does not belong"
    end = records.Outcome(reason, 5, 7, 9, ("203.0.113.9",), "203.0.113.9")
    first = {**records.decision(who(1), facts, judged, made.action(1))}
    return [first, {**records.outcome(who(1), facts, judged, made.action(1), end)}]
