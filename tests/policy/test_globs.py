"""Every combination that short texts show is found, and every text that is given shows its own."""

from __future__ import annotations

import itertools
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluicegate.policy import conditions, globs, paths

PATH_GLOBS = st.lists(
    st.lists(st.sampled_from(["a", "b", "/", "*", "**", ".", "%", "2"]), max_size=5).map(
        lambda parts: "/" + "".join(parts)
    ),
    min_size=1,
    max_size=3,
)
VALUE_GLOBS = st.lists(
    st.lists(st.sampled_from(["a", "b", "*", ".", "%", "2", "+", " "]), max_size=4).map("".join),
    min_size=1,
    max_size=3,
)
HEADER_GLOBS = st.lists(
    st.lists(st.sampled_from(["a", "B", "*", ",", " ", "."]), max_size=4).map(
        lambda parts: "".join(parts).strip()
    ),
    max_size=2,
)


def merged(glob: str) -> str:
    """As the grammar takes globs: no star beside another but for `**`."""
    while "***" in glob:
        glob = glob.replace("***", "**")
    return glob


def words(alphabet: str, most: int) -> list[str]:
    return [
        "".join(letters)
        for size in range(most + 1)
        for letters in itertools.product(alphabet, repeat=size)
    ]


def mask(matches: list[bool]) -> int:
    return sum(1 << index for index, met in enumerate(matches) if met)


PATHS = sorted(
    {found for word in words("ab/.x", 5) if (found := paths.normal("/" + word)) is not None}
    | {
        found
        for word in words("a%2x/", 4)
        if (found := paths.normal("/" + quote(word))) is not None
    }
)
VALUES = words("abx.+ %2", 3) + words("abx", 5)
HEADERS = [word for word in words("aBx,. ", 4) if word == word.strip()]


@settings(deadline=None, max_examples=60)
@given(PATH_GLOBS)
def test_paths(given_globs: list[str]) -> None:
    each = [merged(glob) for glob in given_globs]
    found = globs.of_paths(each)
    for told, raw in found.items():
        path = paths.normal(raw)
        assert path is not None
        assert mask([paths.matches(glob, path) for glob in each]) == told
    assert {mask([paths.matches(glob, path) for glob in each]) for path in PATHS} <= found.keys()


@settings(deadline=None, max_examples=60)
@given(VALUE_GLOBS)
def test_parameters(given_globs: list[str]) -> None:
    each = [merged(glob).replace("**", "*") for glob in given_globs]
    found = globs.of_parameters(each)
    for told, raw in found.items():
        (value,) = conditions.readings(raw) or ()
        assert not raw.endswith(conditions.CUT)
        assert mask([conditions.matches(glob, value) for glob in each]) == told
    readable = {value for raw in map(quote, VALUES) for value in conditions.readings(raw) or ()}
    wanted = {mask([conditions.matches(glob, value) for glob in each]) for value in readable}
    assert wanted <= found.keys()


def header_masks(allow: list[str], deny: list[str], value: str) -> tuple[int, int]:
    seen = (("h", value),)
    return (
        mask([conditions.hold((), (("h", glob),), (), seen) for glob in allow]),
        mask([conditions.may_hold((), (("h", glob),), (), seen) for glob in deny]),
    )


@settings(deadline=None, max_examples=60)
@given(HEADER_GLOBS, HEADER_GLOBS)
def test_headers(allowed: list[str], denied: list[str]) -> None:
    allow = [merged(glob).replace("**", "*") for glob in allowed]
    deny = [merged(glob).replace("**", "*") for glob in denied]
    found = globs.of_headers(allow, deny)
    for told, value in found.items():
        assert conditions.headers((("H", value),), frozenset("h")) == (("h", value),)
        assert header_masks(allow, deny, value) == told
    known = [value for value in HEADERS if not value.endswith(conditions.CUT)]
    assert {header_masks(allow, deny, value) for value in known} <= found.keys()


def test_too_much_is_said_not_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(globs, "MAX_STATES", 100)
    many = [f"/**/{letter}/**" for letter in "abcdefghij"]
    with pytest.raises(globs.UndecidedError, match="more than 100 kinds"):
        globs.of_paths(many)


def test_a_path_that_needs_too_many_segments_is_not_called_impossible() -> None:
    with pytest.raises(globs.UndecidedError, match="segments"):
        globs.of_paths(["/" + "/".join(["a"] * (paths.MAX_SEGMENTS + 1))])
