"""What later steps execute, by names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate import orders


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_a_spelling_loses_nothing(one: bytes, other: bytes) -> None:
    text = orders.spelled(one)
    assert text.isascii()
    assert all(" " <= c <= "~" for c in text)
    assert (text == orders.spelled(other)) is (one == other)


@pytest.mark.parametrize(
    ("path", "flags"),
    [
        (".git", {"git"}),
        ("a/.git/config", {"git"}),
        (".git/commondir", {"git"}),
        (".git/modules/a/b/config.worktree", {"git"}),
        (".git/hooks", {"hook"}),
        (".git/modules/a/hooks/x", {"hook"}),
        (".git/hooks/pre-push.sample", set()),
        (".git/refs/heads/config", set()),
        (".git/HEAD", set()),
        (".git/index", set()),
        (".git/objects/info/alternates", set()),
        ("HEAD", {"git"}),
        ("a/.gitmodules", {"git"}),
        (".husky/pre-commit", {"hook"}),
        ("lefthook.yml", {"hook"}),
        (".github/workflows", {"workflow"}),
        (".github/workflows/a.yml", {"workflow"}),
        (".github/workflowsx", set()),
        ("a/.github/workflows/a.yml", set()),
        ("a/action.yml", {"workflow"}),
        ("Jenkinsfile", {"workflow"}),
        ("a/package.json", {"script"}),
        ("node_modules/a/package.json", set()),
        ("x/y.pth", {"script"}),
        ("readme", set()),
    ],
)
def test_flags_of_names(path: str, flags: set[str]) -> None:
    assert orders.of_name(path, gone=False, changed=False) == flags
    assert flags <= orders.FLAGS.keys()


def test_what_is_gone_or_changed_within_git() -> None:
    assert orders.of_name(".git/HEAD", gone=True, changed=False) == {"git"}
    assert orders.of_name(".git/objects/ab/cd", gone=False, changed=True) == {"git"}


@pytest.mark.parametrize(
    ("path", "target", "out"),
    [
        ("a", "b", False),
        ("a", "/b", True),
        ("a", "..", True),
        ("d/a", "../b", False),
        ("d/a", "../../b", True),
        ("a", "b/../../c", True),
        ("a", "b/./..//c", False),
        ("a", "", False),
    ],
)
def test_where_links_lead(path: str, target: str, out: bool) -> None:
    assert orders.leads_out(path, target) is out


@pytest.mark.parametrize(
    ("path", "is_object"),
    [
        (".git/objects/ab", True),
        (".git/objects/ab/cd", True),
        (".git/objects/pack/pack-1.idx", True),
        ("a/.git/modules/b/c/objects/0f/1", True),
        (".git/objects", False),
        (".git/objects/info/alternates", False),
        (".git/objects/AB/cd", False),
        ("objects/ab/cd", False),
    ],
)
def test_objects_of_git(path: str, is_object: bool) -> None:
    assert orders.is_object(path) is is_object
