from __future__ import annotations

import pytest

from sluicegate.policy import hosts
from sluicegate.policy.model import Rule


def rule(text: str) -> Rule:
    return Rule("r", host=text.removeprefix("*."), wildcard=text.startswith("*."))


@pytest.mark.parametrize(
    ("host", "name", "wanted"),
    [
        ("a.example", "a.example", True),
        ("a.example", "b.a.example", False),
        ("*.a.example", "b.a.example", True),
        ("*.a.example", "a.example", False),
        ("*.a.example", "ba.example", False),
    ],
)
def test_a_host_stands_for_names(host: str, name: str, *, wanted: bool) -> None:
    assert hosts.covers((host, "other.example"), name) is wanted
    assert not hosts.covers((), name)


@pytest.mark.parametrize(
    ("host", "of", "within", "meets"),
    [
        ("a.example", "a.example", True, True),
        ("a.example", "b.example", False, False),
        ("b.a.example", "*.a.example", True, True),
        ("a.example", "*.a.example", False, False),
        ("*.a.example", "*.a.example", True, True),
        ("*.b.a.example", "*.a.example", True, True),
        ("*.a.example", "*.b.a.example", False, True),
        ("*.a.example", "b.a.example", False, True),
        ("*.a.example", "a.example", False, False),
        ("*.a.example", "*.ba.example", False, False),
    ],
)
def test_a_host_and_a_rule(host: str, of: str, *, within: bool, meets: bool) -> None:
    assert hosts.within(host, rule(of)) is within
    assert hosts.meets(host, rule(of)) is meets
