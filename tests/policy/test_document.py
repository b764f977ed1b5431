from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.policy import document
from sluicegate.policy.model import PolicyError


def refused(text: str) -> PolicyError:
    with pytest.raises(PolicyError) as caught:
        document.read(text, "p")
    return caught.value


def test_nodes_carry_kind_text_and_place() -> None:
    root = document.read("a: 1\nb:\n  - no\n  - 'no'\n", "p")
    assert root.kind == "mapping"
    (a, one), (b, items) = root.pairs
    assert (a.value, one.kind, one.value, one.line, one.column) == ("a", "int", "1", 1, 4)
    assert (b.line, b.column, items.kind) == (2, 1, "list")
    assert [(i.kind, i.value, i.line, i.column) for i in items.items] == [
        ("bool", "no", 3, 5),
        ("str", "no", 4, 5),
    ]


@pytest.mark.parametrize(
    ("text", "called"),
    [
        ("no", "no, which YAML reads as a boolean"),
        ("22:22", "22:22, which YAML reads as an integer"),
        ("1.5", "1.5, which YAML reads as a number"),
        ("2020-01-01", "2020-01-01, which YAML reads as a date"),
        ("x", '"x"'),
        ("[]", "a list"),
        ("{}", "a mapping"),
        ("-", "a list"),
        ("--- ", "nothing"),
    ],
)
def test_what_yaml_makes_of_it_is_said(text: str, called: str) -> None:
    assert document.read(text, "p").called == called


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ("", (1, 1), "policy is empty"),
        ("# only words\n", (1, 1), "policy is empty"),
        ("a: &x 1\n", (1, 4), "an anchor"),
        ("a: 1\nb: *x\n", (2, 4), "an alias"),
        ("a: !!str 1", (1, 4), "the tag tag:yaml.org,2002:str"),
        ("a: ! b", (1, 4), "the tag !"),
        ("a: !!python/object/apply:os.system [x]", (1, 4), "the tag tag:yaml.org,2002:python"),
        ("--- 1\n--- 2\n", (2, 1), "a second document"),
        ("%YAML 1.2\n---\na: 1\n", (1, 1), "a YAML directive"),
        ("a: 1\n\na: 2\n", (3, 1), 'key "a" stands twice, first on line 1'),
        ("a: 1\n'a': 2\n", (2, 1), 'key "a" stands twice'),
        ("? [a]\n: 1", (1, 3), "a key must be a word"),
        ("[" * 9, (1, 9), "nesting deeper than 8"),
        ("a: b: c", (1, 5), "not YAML: mapping values"),
        ("a:\n\t- b", (2, 1), "not YAML: found character"),
        ('a: "\\uD800"', (1, 7), "not YAML"),
        ("{a: 1}}", (1, 7), "not YAML"),
    ],
)
def test_yaml_that_hides_something(text: str, place: tuple[int, int], said: str) -> None:
    error = refused(text)
    assert (error.line, error.column) == place
    assert error.message.startswith(said)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("\ufeffa: 1", (1, 1)),
        ("a: 1 # x\u2028b: 2", (1, 9)),
        ("a: 1\n# x\u2029b: 2", (2, 4)),
        ("# x\x85b: 2", (1, 4)),
        ("# x\rb: 2", (1, 4)),
        ("a: \u202e1", (1, 4)),
        ("a: \u200b1", (1, 4)),
        ("a: \x00", (1, 4)),
        ("a: \ud800", (1, 4)),
    ],
)
def test_what_a_reviewer_can_not_see(text: str, place: tuple[int, int]) -> None:
    error = refused(text)
    assert (error.line, error.column) == place
    assert "is invisible or a control" in error.message


def test_windows_line_ends_and_tabs_in_text_are_fine() -> None:
    assert document.read("a: 1\r\nb: 'x\ty'\r\n", "p").pairs[1][1].value == "x\ty"


def test_a_star_without_quotes_gets_the_remedy() -> None:
    assert refused("- host: *.example.com").hint == 'a wildcard needs quotes: "*.example.com"'
    assert "needs quotes" in refused("- host: *x").hint


def test_size_is_limited_in_bytes() -> None:
    fits = "#" * (document.MAX_BYTES - 5) + "\na: 1"
    assert document.read(fits, "p").kind == "mapping"
    assert refused(fits + " ").line == 0
    assert "bytes, more than" in refused("# " + "é" * (document.MAX_BYTES // 2)).message


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? "])
def test_deep_nesting_does_not_exhaust_the_stack(opening: str) -> None:
    assert "nesting" in refused(opening * 50_000).message


@given(
    st.text(alphabet=st.characters(codec="utf-8"), max_size=60)
    | st.text("a:-[]{},&*!|>'\"%@#?\n \t1", max_size=40)
)
def test_a_node_or_a_policy_error(text: str) -> None:
    with contextlib.suppress(PolicyError):
        assert isinstance(document.read(text, "p"), document.Node)
