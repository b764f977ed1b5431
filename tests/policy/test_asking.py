"""Whatever a request asks for, some of the ways that are given meets the same conditions."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluicegate.policy import asking, conditions
from sluicegate.policy.globs import UndecidedError
from sluicegate.policy.model import Rule

PAIRS = st.lists(
    st.tuples(st.sampled_from(["q", "Q", "r"]), st.sampled_from(["a", "b", "a*", "*", "*b"])),
    min_size=1,
    max_size=3,
    unique=True,
).map(tuple)
FIELDS = st.lists(
    st.tuples(st.sampled_from(["x-a", "x_a", "h"]), st.sampled_from(["a", "B", "a*", "*", "*,*"])),
    min_size=1,
    max_size=3,
    unique=True,
).map(tuple)
VALUES = ["a", "b", "ab", "c", "", "A", "%61", "a+", "+b", "%zz", "a" * 300, "a,b", "c, B", "..."]


def held(allow: list[Rule], deny: list[Rule], query: object, headers: object) -> tuple[bool, ...]:
    good = [conditions.hold(r.query, r.headers, query, headers) for r in allow]  # type: ignore[arg-type]
    bad = [conditions.may_hold(r.query, r.headers, query, headers) for r in deny]  # type: ignore[arg-type]
    return (*good, *bad)


@settings(deadline=None, max_examples=50)
@given(st.lists(PAIRS, max_size=2), st.lists(PAIRS, max_size=2), st.integers(0, 1 << 30))
def test_parameters(
    allowed: list[conditions.Pairs], denied: list[conditions.Pairs], seed: int
) -> None:
    allow = [Rule("r", query=pairs) for pairs in allowed]
    deny = [Rule("r", query=pairs) for pairs in denied]
    named = frozenset(name for rule in (*allow, *deny) for name, _ in rule.query)
    ways = set()
    for some in itertools.product(*asking.parameters(allow, deny)):
        target = "/" + asking.sent(itertools.chain(*some))
        ways.add(held(allow, deny, conditions.query(target, named), ()))
    dice = random.Random(seed)
    for _ in range(60):
        size = dice.choice([0, 1, 1, 2, 3, 17])
        pieces = [
            f"{dice.choice(['q', 'Q', 'r', 'q[]', 'z'])}={dice.choice(VALUES)}" for _ in range(size)
        ]
        found = conditions.query("/?" + "&".join(pieces), named)
        assert held(allow, deny, found, ()) in ways, pieces


@settings(deadline=None, max_examples=50)
@given(st.lists(FIELDS, max_size=2), st.lists(FIELDS, max_size=2), st.integers(0, 1 << 30))
def test_fields(allowed: list[conditions.Pairs], denied: list[conditions.Pairs], seed: int) -> None:
    allow = [Rule("r", headers=pairs) for pairs in allowed]
    deny = [Rule("r", headers=pairs) for pairs in denied]
    named = frozenset(name for rule in (*allow, *deny) for name, _ in rule.headers)
    ways = set()
    for some in itertools.product(*asking.fields(allow, deny)):
        ways.add(held(allow, deny, (), conditions.headers(itertools.chain(*some), named)))
    dice = random.Random(seed)
    for _ in range(60):
        size = dice.choice([0, 1, 1, 2, 3, 17])
        some_fields = [
            (dice.choice(["X-A", "x_a", "H", "z"]), dice.choice(VALUES)) for _ in range(size)
        ]
        found = conditions.headers(some_fields, named)
        assert held(allow, deny, (), found) in ways, some_fields


def test_too_many_ways_are_said_not_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "MAX_WAYS", 3)
    rule = Rule("r", query=(("q", "a"),))
    other = Rule("r", query=(("q", "b*"),))
    with pytest.raises(UndecidedError, match="conditions on q in more than 3 ways"):
        list(asking.parameters([rule, other], []))
