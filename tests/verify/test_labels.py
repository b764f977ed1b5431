from __future__ import annotations

import pytest

from sluicegate.policy.model import Rule
from sluicegate.verify.labels import Labels
from sluicegate.verify.strict import VerificationError

ONE, TWO, THREE = (Rule(f"allow[{n}] of policies[0] policy.json", "a.test") for n in range(3))
NO = Rule("deny[0] of policies[0] policy.json", "a.test")


def test_a_name_stands_for_one_rule_throughout() -> None:
    labels = Labels()
    labels.hold("allow[7] p.yaml:9", (ONE, TWO), "it")
    labels.hold("allow[7] p.yaml:9", (TWO, THREE), "it")
    labels.hold("allow[7] p.yaml:9", (ONE, TWO, THREE), "it")
    with pytest.raises(VerificationError, match="no rule that gives this"):
        labels.hold("allow[7] p.yaml:9", (ONE, THREE), "it")
    labels.hold("allow[8] p.yaml:10", (ONE, THREE), "it")


@pytest.mark.parametrize(
    "label",
    ["", "allow", "allow[0]", "allow[0] ", "allow[00] p", "allow[] p", "allow[-1] p", "deny[0] p"],
)
def test_what_is_no_name_of_an_allowing_rule(label: str) -> None:
    with pytest.raises(VerificationError, match="no rule that gives this"):
        Labels().hold(label, (ONE,), "it")


def test_lists_are_told_apart() -> None:
    Labels().hold("deny[0] p", (ONE, NO), "it")
    with pytest.raises(VerificationError, match="no rule that gives this"):
        Labels().hold("deny[0] p", (), "it")


def test_names_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sluicegate.verify.labels.MAX_LABELS", 2)
    labels = Labels()
    for number in (0, 1, 0, 1):
        labels.hold(f"allow[{number}] p", (ONE,), "it")
    with pytest.raises(VerificationError, match="more than 2 rules"):
        labels.hold("allow[2] p", (ONE,), "it")
