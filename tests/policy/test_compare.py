"""Proofs and counter-examples against brute force: the gate's functions over a small world of flows."""

from __future__ import annotations

import dataclasses
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sluicegate.facts import Facts, Protocol, Verdict
from sluicegate.policy import compare, conditions, globs, grammar
from sluicegate.policy import decide as deciding
from sluicegate.policy.model import Policy, Rule
from sluicegate.policy.opening import opened, opens
from sluicegate.policy.passing import Kind, Sending
from tests.policy.test_properties import POLICIES, rules

NAMES = [
    None,
    "a.example",
    "b.a.example",
    "x.a.example",
    "c.b.a.example",
    "b.example",
    "y.b.example",
    "z.test",
]
ADDRESSES = [
    "192.0.2.7",
    "192.0.2.9",
    "10.0.0.1",
    "10.9.9.9",
    "11.1.1.1",
    "::ffff:a00:1",
    "::ffff:c000:207",
]
ADDRESSES += [
    "2001:db8::1",
    "64:ff9b::c000:207",
    "64:ff9b::a00:1",
    "2002:c000:207::1",
    "2001::3fff:fdf8",
    "fe80::1",
]
PORTS = [22, 80, 443, 8443]
METHODS = ["GET", "POST", "PUT", "TRACE"]
TARGETS = ["/", "/a", "/a/b", "/a/b/c", "/c/b", "/a/../b", "//a", "/a%2fb", "*", "/a/"]
QUERIES = [
    "",
    "?q=a",
    "?q=b",
    "?q=a&q=b",
    "?q=c",
    "?Q=a",
    "?q=a&Q=b",
    "?q=a;b",
    "?q=%61",
    "?q=a+",
    "?q=" + "a" * 300,
]
QUERIES += [
    "?" + "&".join(["q=a"] * 17),
    "?" + "&".join(["q=a"] * 9 + ["r=a"] * 9),
    "?r=a",
    "?q=a&x;r",
]
FIELDS = [
    (),
    (("H", "a"),),
    (("h", "b"),),
    (("H", "a"), ("h", "b")),
    (("H", "a, b"),),
    (("H", "A"),),
]
KINDS = ["opaque", "silent", "tls", "http", "http", "https", "https", "https"]

One = tuple[str, str | None, str | None, int, str, str, tuple[tuple[str, str], ...]]


def world(seed: int, size: int) -> list[One]:
    """Flows at random, always the same for a seed."""
    dice = random.Random(seed)
    made: list[One] = []
    for _ in range(size):
        name, address = dice.choice(NAMES), dice.choice([None, None, None, *ADDRESSES])
        if name is None and address is None:
            name = "a.example"
        kind = dice.choice(KINDS)
        if kind in {"opaque", "silent"} and name is not None:
            address = None
        target = dice.choice(TARGETS)
        target += dice.choice(QUERIES) if target != "*" else ""
        port, method = dice.choice(PORTS), dice.choice(METHODS)
        made.append((kind, name, address, port, method, target, dice.choice(FIELDS)))
    return made


def lets_through(policies: tuple[Policy, ...], one: One) -> bool:
    """As the gate does: the connection first, then what is asked inside. Written apart from what is tested."""
    kind, name, address, port, method, target, fields = one
    facts = Facts(
        Protocol.TLS,
        address or "198.18.0.9",
        port,
        synthetic=name if address is None else None,
        sni=name,
    )
    named = deciding.named(policies)
    asked = {
        "host": name,
        "method": method,
        "path": target,
        "query": conditions.query(target, named[0]),
        "headers": conditions.headers(fields, named[1]),
    }
    if kind == "opaque":
        facts = dataclasses.replace(facts, protocol=Protocol.OPAQUE, sni=None)
    elif kind == "silent":
        facts = dataclasses.replace(facts, protocol=Protocol.SERVER_FIRST, sni=None)
    elif kind == "http":
        facts = dataclasses.replace(facts, protocol=Protocol.HTTP, sni=None, **asked)
    elif opens(policies, facts):
        outside = opened(policies, deciding.relaxed(policies), facts)
        if kind == "closed" or outside.verdict is not Verdict.ALLOW:
            return False
        if kind == "tls":
            return True
        facts = dataclasses.replace(facts, protocol=Protocol.HTTPS, **asked)
    return deciding.decide(policies, facts).verdict is Verdict.ALLOW


KINDS_OF = {
    Kind.OPAQUE: "opaque",
    Kind.SILENT: "silent",
    Kind.HANDSHAKE: "tls",
    Kind.CLOSED: "closed",
    Kind.CLEAR: "http",
    Kind.SECURE: "https",
}


def as_one(sending: Sending) -> One:
    about, request = sending.subject, sending.request
    method, target, fields = ("GET", "/", ()) if request is None else dataclasses.astuple(request)
    return KINDS_OF[sending.kind], about.name, about.address, about.port, method, target, fields


def dialled(policies: tuple[Policy, ...], one: One, answer: tuple[str, ...]) -> tuple[str, ...]:
    _, name, _, port, _, _, _ = one
    facts = Facts(Protocol.SERVER_FIRST, "198.18.0.9", port, synthetic=name)
    made = deciding.decide(deciding.relaxed(policies), facts)
    return deciding.answered(policies, made, answer)[0]


@st.composite
def few(draw: st.DrawFn) -> tuple[Policy, ...]:
    """Policies of few rules: how many of them meet at one destination is what the search is long by."""
    made = draw(POLICIES.filter(bool))
    size = draw(st.integers(1, 3))
    return tuple(dataclasses.replace(one, allow=one.allow[:size]) for one in made)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[tuple[Policy, ...], tuple[Policy, ...]]:
    """Two sets of policies that differ in little, as a change to a file does."""
    old = draw(few())
    if draw(st.sampled_from([True, False, False])):
        return old, draw(few())
    at = draw(st.integers(0, len(old) - 1))
    policy = old[at]
    change = draw(
        st.sampled_from(
            ["allow", "deny", "drop", "undeny", "mode", "inspect", "file", "alter", "alter"]
        )
    )
    if change == "allow":
        policy = dataclasses.replace(policy, allow=(*policy.allow, draw(rules(deny=False))))
    elif change == "deny":
        policy = dataclasses.replace(policy, deny=(*policy.deny, draw(rules(deny=True))))
    elif change == "drop":
        policy = dataclasses.replace(policy, allow=policy.allow[1:])
    elif change == "undeny":
        policy = dataclasses.replace(policy, deny=())
    elif change == "mode":
        policy = dataclasses.replace(policy, observe=not policy.observe)
    elif change == "inspect":
        policy = dataclasses.replace(policy, inspect=draw(st.sampled_from(["auto", "all", "none"])))
    elif change == "alter":
        other = draw(rules(deny=False))
        part = draw(st.sampled_from(["methods", "paths", "query", "headers", "ports"]))
        first = dataclasses.replace(policy.allow[0], **{part: getattr(other, part)})
        policy = dataclasses.replace(policy, allow=(first, *policy.allow[1:]))
    more = draw(few()) if change == "file" else ()
    return old, (*old[:at], policy, *old[at + 1 :], *more)


@settings(deadline=None, max_examples=12, suppress_health_check=[HealthCheck.too_slow])
@given(pairs(), st.integers(0, 1 << 30))
def test_against_brute_force(
    sides: tuple[tuple[Policy, ...], tuple[Policy, ...]], seed: int
) -> None:
    old, new = sides
    found = compare.compare(old, new)
    assert found.undecided == []
    for some, by_new in ((found.allowed, True), (found.denied, False)):
        for one in some:
            if one.answers:
                reached = [
                    one.answers[0] in dialled(s, as_one(one.sending), one.answers) for s in sides
                ]
                assert reached == [not by_new, by_new]
                continue
            assert [lets_through(s, as_one(one.sending)) for s in sides] == [not by_new, by_new]
    for one in world(seed, 250):
        was, now = lets_through(old, one), lets_through(new, one)
        assert now <= was or found.allowed, one
        assert was <= now or found.denied, one
    dice = random.Random(seed)
    for _ in range(20):
        answer = tuple(dice.sample(ADDRESSES, dice.choice([1, 1, 2, 3])))
        one = next((o for o in world(dice.randrange(1 << 30), 12) if o[2] is None), None)
        if one is not None and lets_through(old, one) and lets_through(new, one):
            before, after = dialled(old, one, answer), dialled(new, one, answer)
            assert set(after) <= set(before) or found.allowed, (one, answer)
            assert set(before) <= set(after) or found.denied, (one, answer)


@settings(deadline=None, max_examples=10)
@given(few())
def test_a_policy_is_as_tight_as_itself(policies: tuple[Policy, ...]) -> None:
    found = compare.compare(policies, policies)
    assert (found.allowed, found.denied, found.undecided) == ([], [], [])
    assert found.looked > 0


def parsed(text: str) -> tuple[Policy, ...]:
    return (grammar.parse(f"version: 1\n{text}", "p.yaml"),)


TIGHTER = [
    ("allow: [{host: a.example}]", "allow: []"),
    ('allow: [{host: "*.example.org"}]', "allow: [{host: a.example.org}]"),
    ("allow: [{host: a.example}]", "allow: [{host: a.example, methods: [GET]}]"),
    ("allow: [{ip: 10.0.0.0/8}]", "allow: [{ip: 10.1.0.0/16}]"),
    (
        'allow: [{host: a.example, paths: ["/x/**"]}]',
        'allow: [{host: a.example, paths: ["/x/*", "/x/y/z"]}]',
    ),
    ("mode: observe\nallow: [{host: a.example}]", "allow: [{host: a.example}]"),
    ("allow: [{host: a.example}]", "allow: [{host: a.example}]\ndeny: [{ip: 192.0.2.0/24}]"),
    (
        "allow: [{host: a.example, ports: [80]}]",
        "allow: [{host: a.example, ports: [80], query: {q: a}}]",
    ),
    ("allow: [{host: a.example}]", "inspect: all\nallow: [{host: a.example}]"),
    # Two rules that together are one.
    (
        'allow: [{host: a.example, methods: [GET], paths: ["/a"]}, {host: a.example, methods: [POST], paths: ["/a"]}]',
        'allow: [{host: a.example, methods: [GET, POST], paths: ["/a"]}]',
    ),
]
LOOSER = [
    ("allow: []", "allow: [{host: a.example}]", "GET http://a.example/"),
    (
        "allow: [{host: a.example.org}]",
        'allow: [{host: "*.example.org"}]',
        "GET http://any.example.org/",
    ),
    (
        "allow: [{host: a.example, ports: [443], methods: [GET]}]",
        "allow: [{host: a.example, ports: [443], methods: [GET, POST]}]",
        "POST https://a.example/",
    ),
    (
        'allow: [{host: a.example, ports: [443], paths: ["/x/*"]}]',
        'allow: [{host: a.example, ports: [443], paths: ["/x/**"]}]',
        "GET https://a.example/x/y/",
    ),
    (
        "allow: [{host: a.example, ports: [443], query: {q: a}}, {host: a.example, ports: [443], query: {q: b}}]",
        "allow: [{host: a.example, ports: [443], query: {q: [a, b]}}]",
        "GET https://a.example/?q=a&q=b",
    ),
    (
        "allow: [{host: a.example, ports: [443], methods: [GET]}]",
        "allow: [{host: a.example, ports: [443], inspect: false}]",
        "https://a.example/ (whatever is inside: its TLS is not opened)",
    ),
    (
        "allow: [{host: a.example, ports: [5432]}]",
        "allow: [{host: a.example, ports: [5432]}, {ip: 10.0.0.0/24, ports: [5432]}]",
        "where the name resolves to 10.0.0.1",
    ),
    (
        "allow: []",
        "allow: [{ip: 10.1.2.3/32, ports: [5432]}]",
        "10.1.2.3:5432 (a connection that speaks another protocol)",
    ),
    (
        "allow: [{host: a.example, ports: [443], methods: [GET]}]\ndeny: [{host: a.example, headers: {x-mode: write}}]",
        "allow: [{host: a.example, ports: [443], methods: [GET]}]",
        "with x-mode: write",
    ),
    (
        "inspect: all\nallow: [{host: a.example, ports: [443]}]",
        "allow: [{host: a.example, ports: [443]}]",
        "https://a.example/ (whatever is inside: its TLS is not opened)",
    ),
]


@pytest.mark.parametrize(("old", "new"), TIGHTER)
def test_what_only_tightens_is_proven(old: str, new: str) -> None:
    found = compare.compare(parsed(old), parsed(new))
    assert (found.allowed, found.undecided) == ([], [])


@pytest.mark.parametrize(("old", "new", "words"), LOOSER)
def test_what_loosens_has_an_example(old: str, new: str, words: str) -> None:
    found = compare.compare(parsed(old), parsed(new))
    assert any(words in one.words for one in found.allowed), [one.words for one in found.allowed]


def test_a_further_file_tightens_and_one_less_loosens() -> None:
    one, other = (
        parsed("allow: [{host: a.example.org}]"),
        parsed('allow: [{host: "*.example.org"}]'),
    )
    assert compare.compare(one, (*one, *other)).allowed == []
    assert compare.compare((*one, *other), other).allowed


def test_a_parameter_that_nobody_counts_any_more_is_seen() -> None:
    # The old rules give up on a request with too many of both names, the new ones have forgotten one of them.
    narrow = "{host: a.example, ports: [443], query: {q: '*'}}"
    old = f"allow: [{narrow}, {{host: b.example, query: {{r: x}}}}]"
    found = compare.compare(parsed(old), parsed(f"allow: [{narrow}]"))
    assert [one.sending.request and one.sending.request.target for one in found.allowed] == [
        "/?q=&;r="
    ]


def test_what_is_too_much_is_not_called_proven(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(globs, "MAX_STATES", 50)
    many = ", ".join(f'"/**/{letter}/**"' for letter in "abcdefgh")
    text = "allow: [{host: a.example, paths: [%s]}]"
    found = compare.compare(parsed(text % many), parsed(text % f'{many}, "/x"'))
    assert any("a.example port 443: globs that tell more than 50" in one for one in found.undecided)
    monkeypatch.setattr(compare, "MAX_REQUESTS", 3)
    simple = parsed("allow: [{host: a.example, methods: [GET]}]")
    other = parsed("allow: [{host: a.example, methods: [POST]}]")
    assert "more than 3 kinds of requests" in compare.compare(simple, other).undecided[0]
    monkeypatch.setattr(compare, "MAX_SUBJECTS", 3)
    assert compare.compare(simple, simple).undecided[-1] == "more than 3 kinds of destinations"


def test_where_both_say_the_same_nothing_has_to_be_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(globs, "MAX_STATES", 50)
    many = ", ".join(f'"/**/{letter}/**"' for letter in "abcdefgh")
    one = parsed(f"allow: [{{host: a.example, paths: [{many}]}}]")
    other = parsed(
        f"allow: [{{host: a.example, paths: [{many}]}}, {{host: b.example, ports: [22]}}]"
    )
    assert compare.compare(one, one).undecided == []
    assert [d.sending.subject.name for d in compare.compare(one, other).allowed] == ["b.example"]
    # What is beside the rules decides as well.
    assert compare.compare(
        one, parsed(f"inspect: all\nallow: [{{host: a.example, paths: [{many}]}}]")
    ).undecided


def test_every_member_of_a_rule_is_one_that_is_compared() -> None:
    # A new member needs its classes in compare.py.
    assert {one.name for one in dataclasses.fields(Rule)} == {
        *("label", "host", "wildcard", "network", "ports", "methods", "paths", "query", "headers"),
        *("inspect", "preset"),
    }
    assert set(KINDS_OF) == set(Kind)
