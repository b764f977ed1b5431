from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.policy import paths


@pytest.mark.parametrize(
    ("raw", "normal"),
    [
        ("/", "/"),
        ("/a/b", "/a/b"),
        ("/a/b/", "/a/b/"),
        ("/a?x=/../y", "/a"),
        ("/a/./b", "/a/b"),
        ("/a/../b", "/b"),
        ("/a/b/..", "/a/"),
        ("/a/.", "/a/"),
        ("/%61", "/a"),
        ("/a/%2e%2e/b", "/b"),
        ("/%2E/b", "/b"),
        ("/caf%C3%A9", "/café"),
        ("/a%3fb", "/a?b"),
        ("/a...b/..c", "/a...b/..c"),
        ("/a" * paths.MAX_SEGMENTS, "/a" * paths.MAX_SEGMENTS),
    ],
)
def test_one_form(raw: str, normal: str) -> None:
    assert paths.normal(raw) == normal


@pytest.mark.parametrize(
    "raw",
    [
        *(None, "", "a", "*", "http://h/a", "/..", "/a/../..", "/%2e%2e"),
        *("/a%2fb", "/a%2Fb", "/a%5cb", "/a\\b", "/a%", "/a%2", "/a%zz", "/%ff", "/%252e%252e"),
        *("/a//b", "//a", "/a/%2e//", "/a;x/b", "/a%3bx", "/..;/a", "/a#b", "/a%00", "/a%0a"),
        "/" + "a" * paths.MAX_PATH,
        "/a" * (paths.MAX_SEGMENTS + 1),
    ],
)
def test_what_two_servers_may_read_differently_has_no_form(raw: str | None) -> None:
    assert paths.normal(raw) is None


@pytest.mark.parametrize(
    ("glob", "path", "matched"),
    [
        ("/a", "/a", True),
        ("/a", "/a/", False),
        ("/a", "/ab", False),
        ("/a/*", "/a/b", True),
        ("/a/*", "/a/", True),
        ("/a/*", "/a/b/c", False),
        ("/a/**", "/a/b/c", True),
        ("/a/**", "/a", False),
        ("/**", "/", True),
        ("/*/c", "/b/c", True),
        ("/*/c", "/a/b/c", False),
        ("/**/c", "/a/b/c", True),
        ("/**/c", "/c", False),
        ("/a*z", "/az", True),
        ("/a*z", "/a/z", False),
        ("/pypi/*/json", "/pypi/x/json", True),
        ("/.[a]+", "/.[a]+", True),
        ("/.[a]+", "/xa", False),
        ("/**/b*/c", "/b/xb/b/c", True),
        ("/**/b*d", "/b/bd/bc/b", False),
        ("/**ab*ab", "/abab", True),
        ("/**ab*ab", "/aba", False),
        ("/a/**/a/b", "/a/b/a/b", True),
        ("/a***b", "/a/x/b", True),
        ("/**/*.whl", "/x/y.whl", True),
        ("/**/*.whl", "/x/y.whl/z", False),
    ],
)
def test_globs(glob: str, path: str, matched: bool) -> None:
    assert paths.matches(glob, path) is matched


@given(st.text("ab*/", max_size=12), st.text("ab/", max_size=14))
def test_globs_agree_with_regular_expressions(glob: str, path: str) -> None:
    pieces = re.findall(r"\*\*|\*|[^*]", glob)
    pattern = "".join({"**": ".*", "*": "[^/]*"}.get(p, re.escape(p)) for p in pieces)
    assert paths.matches(glob, path) == (re.fullmatch(pattern, path, re.DOTALL) is not None)


@given(st.text(max_size=40))
def test_a_form_is_its_own_form(raw: str) -> None:
    once = paths.normal("/" + raw.replace("%", ""))
    if once is not None and "?" not in once:
        assert paths.normal(once) == once
        assert not {".", ".."} & set(once.split("/"))


class Counted(str):
    """A path that counts how often it is searched, and how far."""

    __slots__ = ()
    searches = 0

    def find(self, *given: object) -> int:  # type: ignore[override]
        Counted.searches += 1
        return super().find(*given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("glob", "path"),
    [
        ("/" + "*a" * 8 + "b", "/" + "a" * 8000),
        ("/" + "**a" * 8 + "b", "/" + "a" * 8000),
        ("/**" + "a*" * 8 + "/b", "/" + "a" * 8000),
        ("/**" + "/a*" * 8 + "/b", "/" + "aa/" * 2600),
        ("/**" + "/*" * 8 + "/b", "/" + "a/" * 4000),
        ("/**/a" * 8 + "/b", "/" + "a/" * 4000),
    ],
)
def test_the_work_of_a_hostile_glob_grows_with_the_segments_alone(glob: str, path: str) -> None:
    Counted.searches = 0
    assert not paths.matches(glob, Counted(path))
    assert Counted.searches <= 3 * (glob.count("*") + 1) * (path.count("/") + 1)


def test_one_form_is_made_once_for_all_rules() -> None:
    before = paths._normal.cache_info().hits
    for _ in range(20):
        assert paths.normal("/once/for/all") == "/once/for/all"
    assert paths._normal.cache_info().hits >= before + 19
