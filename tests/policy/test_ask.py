from __future__ import annotations

from dataclasses import replace

import pytest

from sluicegate.facts import Facts, Protocol, Verdict
from sluicegate.policy import ask
from sluicegate.policy.decide import decide
from sluicegate.policy.model import Policy, Rule, Secret

RULES = (
    Rule("allow[0]", "known.test"),
    Rule("allow[1]", "narrow.test", ports=(80,), methods=("GET",)),
    Rule("allow[2]", "seen.test", inspect=True),
)
DENY = (
    Rule("deny[0]", "never.test", ports=()),
    Rule("deny[1]", "part.test", ports=(), paths=("/x",)),
)
SECRETS = (Secret("KEY", ("env", "KEY"), ("secret.test",), (), "bearer"),)
ONE = Policy("p", allow=RULES, deny=DENY, secrets=SECRETS, ask=True)


def tls(host: str, port: int = 443) -> Facts:
    return Facts(Protocol.TLS, "198.18.0.1", port, synthetic=host, sni=host)


def web(host: str, method: str = "GET", path: str = "/") -> Facts:
    return Facts(
        Protocol.HTTP, "198.18.0.1", 80, synthetic=host, host=host, method=method, path=path
    )


def bare(address: str, port: int = 22) -> Facts:
    return Facts(Protocol.SERVER_FIRST, address, port)


def can(facts: Facts, *policies: Policy) -> bool:
    policies = policies or (ONE,)
    return ask.askable(policies, facts, decide(policies, facts))


@pytest.mark.parametrize(
    "facts",
    [
        tls("new.test"), tls("known.test", 8443), web("new.test"), web("new.test", "POST"),
        web("part.test", path="/y"), bare("203.0.113.1"), bare("2606:4700::1"),
        Facts(Protocol.TLS, "203.0.113.1", 443, sni="new.test"),
    ],
)  # fmt: skip
def test_what_no_policy_names_is_asked_about(facts: Facts) -> None:
    if facts.synthetic == "part.test":
        assert not can(facts)  # its TLS would be opened, and this is the same destination
        return
    assert can(facts)
    for word in ask.WORDS:
        said = replace(facts, answer=word)
        made = ask.settled((ONE,), said, decide((ONE,), said))
        assert made.rule == "ask"
        assert (made.verdict is Verdict.ALLOW) == (word in ask.ALLOWING)
        assert made.reason.endswith(ask.WORDS[word])
        assert (made.remedy is None) == (word in ask.ALLOWING)
        assert (made.name, made.address, made.port) == (
            *(decide((ONE,), facts).name, decide((ONE,), facts).address),
            decide((ONE,), facts).port,
        )


NEVER = [
    tls("known.test"),  # allowed
    tls("never.test"),  # denied
    web("narrow.test", "POST"),  # narrowed
    web("new.test", "PURGE"),  # a rule must name it
    tls("seen.test", 443),
    tls("secret.test"),  # would be opened
    tls("part.test"),
    replace(tls("new.test"), fault="odd"),
    replace(tls("new.test"), sni="other.test"),  # mismatch
    replace(tls("new.test"), protocol=Protocol.OPAQUE),  # no TLS on 443
    replace(web("new.test"), protocol=Protocol.HTTPS),
    bare("10.0.0.1"),
    bare("127.0.0.2"),
    bare("169.254.169.254", 80),
    bare("fe80::1"),
    bare("203.0.113.1", 0),
]


@pytest.mark.parametrize("facts", NEVER, ids=range(len(NEVER)))
def test_nothing_else_is(facts: Facts) -> None:
    assert not can(facts)
    for word in ask.WORDS:
        said = replace(facts, answer=word)
        assert ask.settled((ONE,), said, decide((ONE,), said)) == decide((ONE,), facts)


def test_every_policy_of_the_run_must_ask_and_none_may_narrow_it() -> None:
    facts = tls("new.test")
    assert not can(facts, replace(ONE, ask=False))
    assert not can(facts, ONE, Policy("q"))
    allows = Policy("q", allow=(Rule("allow[0]", "new.test"),), ask=True)
    assert can(facts, ONE, allows)
    narrows = Policy("q", allow=(Rule("allow[0]", "new.test", methods=("GET",)),), ask=True)
    assert not can(facts, ONE, narrows)
    assert not can(web("new.test", "POST"), ONE, narrows)
    assert not ask.askable((), facts, decide((), facts))
    both = (ONE, Policy("q", deny=(Rule("deny[0]", "new.test", ports=()),), ask=True))
    assert not can(facts, *both)
