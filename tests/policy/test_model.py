from __future__ import annotations

import dataclasses

import pytest

from sluicegate.policy.model import DEFAULT_PORTS, Policy, PolicyError, Rule


def test_error_names_file_line_and_column() -> None:
    assert str(PolicyError("p.yaml", 3, 5, "wrong", "mend")) == "p.yaml:3:5: wrong"


def test_line_zero_is_the_file_as_a_whole() -> None:
    assert str(PolicyError("p.yaml", 0, 0, "too long")) == "p.yaml: too long"


def test_an_error_cannot_forge_a_log_line_or_send_an_escape() -> None:
    error = PolicyError("p", 1, 1, "a\n::error::b\x1b[31m", "c\rd\u202e")
    assert str(error) == "p:1:1: a\\x0a::error::b\\x1b[31m"
    assert error.hint == "c\\x0dd\\x202e"


def test_values_are_frozen_and_closed_by_default() -> None:
    rule, policy = Rule("r", host="a.example"), Policy("p")
    assert rule.ports == DEFAULT_PORTS == (80, 443)
    assert (policy.allow, policy.deny, policy.observe) == ((), (), False)
    assert (policy.inspect, policy.upload, policy.secrets, policy.digests) == (
        "auto",
        None,
        (),
        False,
    )
    with pytest.raises(dataclasses.FrozenInstanceError):
        policy.observe = True  # type: ignore[misc]


def test_a_rule_is_narrow_if_only_a_request_shows_whether_it_holds() -> None:
    rule = Rule("r", host="a.example")
    assert not rule.narrow
    assert not dataclasses.replace(rule, inspect=True).narrow
    for more in ("methods", "paths"):
        assert dataclasses.replace(rule, **{more: ("GET",)}).narrow
    for more in ("query", "headers"):
        assert dataclasses.replace(rule, **{more: (("a", "b"),)}).narrow
