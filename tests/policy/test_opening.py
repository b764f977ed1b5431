"""Which names an authority must be good for, and none else (sluicegate.policy.opening)."""

from __future__ import annotations

import pytest

from sluicegate.policy.model import Policy, Rule, Secret
from sluicegate.policy.opening import can_open, common, covers


def rule(host: str, wildcard: bool = False, **more: object) -> Rule:
    return Rule("r", host, wildcard, **more)  # type: ignore[arg-type]


def policy(*allow: Rule, **more: object) -> Policy:
    return Policy("p", allow=allow, **more)  # type: ignore[arg-type]


PLAIN = rule("plain.test")
SEEN = rule("seen.test", methods=("GET",))
NETWORK = Rule("n", network="192.0.2.0/24")
SECRET = Secret("key", ("env", "KEY"), ("*.vault.test", "plain.test"), ("GET",), "bearer", "")


def test_nothing_is_opened_where_names_and_ports_are_enough() -> None:
    assert can_open(()) == frozenset()
    assert can_open((policy(PLAIN, NETWORK, rule("w.test", True)),)) == frozenset()
    clear = rule("clear.test", ports=(80,), paths=("/a",))
    assert can_open((policy(clear),)) == frozenset()


@pytest.mark.parametrize(
    "more",
    [
        {"methods": ("GET",)},
        {"paths": ("/a",)},
        {"query": (("q", "*"),)},
        {"headers": (("x-h", "*"),)},
        {"inspect": True},
        {"inspect": True, "ports": (80, 443)},
        {"paths": ("/a",), "ports": (8443,)},
    ],
)
def test_a_rule_that_looks_inside_names_its_host(more: dict[str, object]) -> None:
    assert can_open((policy(PLAIN, rule("seen.test", **more)),)) == {("seen.test", False)}
    wide = rule("seen.test", True, **more)
    assert can_open((policy(PLAIN, wide),)) == {("seen.test", True)}


def test_a_deny_rule_is_good_for_what_is_allowed_below_it() -> None:
    below = rule("com", True, paths=("/secret/**",))
    one = policy(rule("api.shop.com"), PLAIN, rule("shop.com", True), deny=(below,))
    assert can_open((one,)) == {("api.shop.com", False), ("shop.com", True)}
    assert can_open((policy(PLAIN, deny=(rule("other.test", paths=("/",)),)),)) == frozenset()


def test_secrets_name_hosts_too() -> None:
    one = policy(PLAIN, rule("a.vault.test"), secrets=(SECRET,))
    assert can_open((one,)) == {("plain.test", False), ("a.vault.test", False)}


def test_inspect_of_the_whole_policy() -> None:
    closed = rule("pinned.test", inspect=False)
    assert can_open((policy(PLAIN, closed, inspect="all"),)) == {("plain.test", False)}
    assert can_open((policy(SEEN, inspect="none"),)) == frozenset()
    assert can_open((policy(PLAIN, inspect="all", observe=True),)) is None


def test_another_policy_that_enforces_is_a_bound() -> None:
    watching = policy(inspect="all", observe=True)
    assert can_open((watching, policy(PLAIN))) == {("plain.test", False)}
    assert can_open((policy(SEEN), policy(PLAIN))) == frozenset()
    assert can_open((policy(SEEN), policy(rule("test", True)))) == {("seen.test", False)}
    assert can_open((watching, policy(PLAIN, NETWORK))) is None


def test_to_a_network_any_name_may_point() -> None:
    seen = Rule("n", network="192.0.2.0/24", methods=("GET",))
    assert can_open((policy(PLAIN, seen),)) is None
    assert can_open((policy(PLAIN, NETWORK, inspect="all"),)) is None
    assert can_open((policy(SEEN, NETWORK),)) == {("seen.test", False)}


def test_covering() -> None:
    names = frozenset({("a.test", True), ("b.test", False)})
    assert covers(names, "x.y.a.test", False)
    assert covers(names, "x.a.test", True)
    assert covers(names, "b.test", False)
    assert not covers(names, "a.test", False)
    assert not covers(names, "b.test", True)
    assert not covers(names, "xa.test", False)
    assert common(names, frozenset({("x.a.test", True), ("test", False)})) == {("x.a.test", True)}
