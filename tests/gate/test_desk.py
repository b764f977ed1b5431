"""Decisions that are kept: the same as made anew, in bounded memory, and only under the policies that gave them."""

from __future__ import annotations

import time
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from sluicegate.evidence.records import Client
from sluicegate.facts import Decision, Facts, Protocol, Verdict
from sluicegate.gate import desk as module
from sluicegate.gate.desk import MAX_SAID, MAX_SAID_PATH, Desk
from sluicegate.gate.limits import Limits
from sluicegate.gate.machine import Ask, Judge
from sluicegate.gate.questions import Questions
from sluicegate.gate.vault import Held, Vault
from sluicegate.policy.model import Policy, Rule, Secret

RULE = Rule("allow[0] p:0", host="a.example", ports=(80,), methods=("GET",), paths=("/ok/**",))
POLICIES = (Policy("p", allow=(RULE,)),)
FACTS = Facts(Protocol.HTTP, "198.18.0.1", 80, synthetic="a.example", host="a.example")
FACTS = replace(FACTS, method="GET", path="/ok/a")
MADE = list[Facts]()


def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    MADE.clear()
    usual = module.decide

    def decide(policies: tuple[Policy, ...], facts: Facts) -> Decision:
        MADE.append(facts)
        return usual(policies, facts)

    monkeypatch.setattr(module, "decide", decide)
    nobody: Any = None
    return Desk(*[nobody] * 4, POLICIES, Limits(), nobody, nobody)


def test_the_same_facts_are_decided_once(monkeypatch: pytest.MonkeyPatch) -> None:
    place = desk(monkeypatch)
    first, other = place.judge(FACTS), place.judge(replace(FACTS, path="/no"))
    assert (first.verdict, other.verdict) == (Verdict.ALLOW, Verdict.DENY)
    assert place.judge(replace(FACTS)) == first
    assert place.judge(replace(FACTS, path="/no")) == other
    assert len(MADE) == 2


def test_other_policies_decide_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    place = desk(monkeypatch)
    assert place.judge(FACTS).verdict is Verdict.ALLOW
    place.policies = (Policy("p"),)
    assert place.judge(FACTS).verdict is Verdict.DENY


def test_limits_count_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    place = desk(monkeypatch)
    limited = (replace(POLICIES[0], names_per_wildcard=None, requests_per_minute=1),)
    place.policies, place.allowance = limited, module.Allowance.of(limited)
    first = place.judge(FACTS)
    assert first.verdict is Verdict.ALLOW
    place.allowance.began(FACTS.protocol, first, time.time_ns() // module.NS_PER_MS)
    assert place.judge(FACTS).rule == "limits.requests_per_minute"


def test_they_are_few_and_none_is_long(monkeypatch: pytest.MonkeyPatch) -> None:
    place = desk(monkeypatch)
    for number in range(3 * MAX_SAID):
        place.judge(replace(FACTS, path=f"/ok/{number}"))
        assert len(place._said) <= MAX_SAID
    long = replace(FACTS, path="/ok/" + "x" * MAX_SAID_PATH)
    assert place.judge(long) == place.judge(long)
    assert long not in place._said


def test_nobody_is_asked_about_a_name_with_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would stand on the terminal, and with the answer on record."""
    place = desk(monkeypatch)
    place.policies = (replace(POLICIES[0], ask=True),)
    said: list[dict[str, Any]] = []
    place.questions = Questions(said.append)
    key = Secret("A_KEY", ("env", "A_KEY"), ("a.example",), (), "bearer")
    place.vault = Vault((Held(key, "sk-live-3rb6ny0hc5mf2js7", "sk-live-7gq2vw9zt4kd1xp8"),), {})
    who, name = Client(1, 40_000), "sk-live-7gq2vw9zt4kd1xp8.b.example"
    named = Facts(Protocol.TLS, "192.0.2.1", 443, target=name, target_port=443, sni=name)
    hidden = replace(named, target="redacted.invalid", sni="redacted.invalid")
    for step in (Ask(replace(named, sni=None)), Judge(named)):
        assert not place.ask(who, step, lambda: None)
    assert not said
    asking: Any = SimpleNamespace(request=None)
    assert place.weigh(who, named, asking)[0] == hidden
    assert place.target(who, replace(named, sni=None))[0] == replace(hidden, sni=None)
    other = replace(named, target="b.example", sni="b.example")
    assert place.ask(who, Judge(other), lambda: None)
