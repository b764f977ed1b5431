"""workspace.json in words."""

from __future__ import annotations

from sluicegate.verify import changes, workspace
from tests.evidence import made

FLAGS = "executable 2, hard-link 1, hook 1, link-out 1, script 1, set-id 1, special 1"
FOUND = workspace.checked(made.WORKSPACE, ())


def test_counts_in_one_line() -> None:
    assert changes.told(FOUND) == (
        "4 added, 1 modified, 1 deleted, 2 of another mode, git objects: 1 added, 0 deleted"
    )


def test_what_weighs_most_comes_first() -> None:
    assert changes.notable(FOUND) == [
        ("mode", ".git/hooks/pre-commit", "executable, hook, set-id"),
        ("added", "b c/package.json", "executable, script"),
        ("added", "h%C3%B6%0A%25", "link-out"),
        ("added", "/cache/%FF/pipe", "special"),
        ("modified", "a", "hard-link"),
    ]


def test_what_later_steps_execute_without_being_told_to() -> None:
    assert changes.orders(FOUND) == (".git/hooks/pre-commit",)
    assert changes.orders({}) == ()


def test_what_else_is_to_be_said() -> None:
    assert changes.reserved(FOUND, 3) == [
        "and 2 more that are flagged, in workspace.json",
        "1 of the listed files have no digest",
        "places could not be looked into: their changes are not known",
    ]
    handed = {"given": [{"name": "a"}, {"name": "b"}], "refused_count": 2}
    more = {**FOUND, "gaps": [], "unhashed": 0, "unlisted": 7, "outputs": handed}
    assert changes.reserved(more, 5) == [
        f"7 changes are counted, not listed; flags of all: {FLAGS}",
        "outputs handed on: a, b",
        "outputs refused: 2",
    ]


def test_of_nothing_nothing() -> None:
    assert changes.notable({}) == changes.reserved({}, 0) == []
