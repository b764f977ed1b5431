from __future__ import annotations

from sluicegate.policy.model import Policy
from sluicegate.policy.together import Grants, together


def test_every_policy_must_grant() -> None:
    one = Policy("a", env=("A", "B"), bind=("/x", "/y"), connections=10)
    two = Policy("b", env=("B", "C"), bind=("/y",), connections=5)
    assert together((one, two)) == Grants(env=("B",), bind=("/y",), connections=5)
    assert together((one,)) == Grants(("A", "B"), ("/x", "/y"), 10)


def test_a_file_that_says_nothing_grants_nothing() -> None:
    assert together((Policy("a", env=("A",)), Policy("b"))) == Grants((), (), None)
    assert together(()) == Grants((), (), None)
