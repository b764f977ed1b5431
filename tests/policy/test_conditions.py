from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.policy import conditions
from sluicegate.policy.conditions import CUT, MAX_CONDITION_VALUE, MAX_PAIRS, Pairs

MODE = frozenset(("mode",))
READ: Pairs = (("mode", "read"),)


def both(rule: Pairs, target: str) -> tuple[bool, bool]:
    """Whether an allow and a deny rule with these conditions hold for a request to `target`."""
    found = conditions.query(target, frozenset(name for name, _ in rule))
    return conditions.hold(rule, (), found, ()), conditions.may_hold(rule, (), found, ())


def both_headers(rule: Pairs, *fields: tuple[str, str]) -> tuple[bool, bool]:
    found = conditions.headers(fields, frozenset(name for name, _ in rule))
    return conditions.hold((), rule, (), found), conditions.may_hold((), rule, (), found)


YES, NO, AMBIGUOUS = (True, True), (False, False), (False, True)


@pytest.mark.parametrize(
    ("target", "wanted"),
    [
        ("/?mode=read", YES),
        ("/?a=1&mode=read&b", YES),
        ("/?mode=%72%65ad", YES),
        ("/?%6dode=read", YES),
        ("/?mode=read&mode=read", YES),
        ("/", NO),
        ("/?", NO),
        ("/?mode", NO),
        ("/?mode=write", NO),
        ("/?mode=READ", NO),
        ("/?x=mode=read", NO),
        ("/mode=read", NO),
        ("/?modes=read", NO),
        # Every occurrence counts, whichever the server takes.
        ("/?mode=read&mode=write", AMBIGUOUS),
        ("/?mode=write&mode=read", AMBIGUOUS),
        ("/?mode=read&%6dode=write", AMBIGUOUS),
        # Names that lax servers take for the same.
        ("/?mode=read&MODE=write", AMBIGUOUS),
        ("/?mode=read&mode[]=write", AMBIGUOUS),
        ("/?mode=read&mode%5B0%5D=write", AMBIGUOUS),
        ("/?mode=read&+mode=write", AMBIGUOUS),
        ("/?MODE=read", AMBIGUOUS),
        ("/?mode[]=read", AMBIGUOUS),
        # What servers split or decode differently.
        ("/?mode=read;x=1", AMBIGUOUS),
        ("/?x=1;mode=read", AMBIGUOUS),
        ("/?;mode=read", AMBIGUOUS),
        ("/?x=1&amp;mode=read", AMBIGUOUS),
        ("/?mode=read%2fx", AMBIGUOUS),
        ("/?mode=read%5C", AMBIGUOUS),
        ("/?mode=rea%2564", AMBIGUOUS),
        ("/?mode=rea%", AMBIGUOUS),
        ("/?mode=rea%u0064", AMBIGUOUS),
        ("/?mode=read%00", AMBIGUOUS),
        ("/?mode=%ff", AMBIGUOUS),
        ("/?mode=\u00e9", AMBIGUOUS),
        ("/?mode=read#x", AMBIGUOUS),
        ("/?mode=read&%256dode=write", AMBIGUOUS),
        ("/?mode=read&mo\u00e9=write", AMBIGUOUS),
        (f"/?mode=read&{'m' * 300}=write", AMBIGUOUS),
        ("/?x=1;y=2", NO),
    ],
)
def test_a_parameter_is_certain_or_not(target: str, wanted: tuple[bool, bool]) -> None:
    assert both(READ, target) == wanted


@pytest.mark.parametrize(
    ("glob", "value", "wanted"),
    [
        ("a b", "a%20b", YES),
        ("a b", "a+b", AMBIGUOUS),
        ("a+b", "a+b", AMBIGUOUS),
        ("a?b", "a+b", NO),
        ("a*b", "a+b", YES),
        ("a+b", "a%2Bb", YES),
        ("", "", YES),
        ("*", "", YES),
        ("\u00e9", "%C3%A9", YES),
    ],
)
def test_a_plus_is_a_space_or_itself(glob: str, value: str, wanted: tuple[bool, bool]) -> None:
    assert both((("q", glob),), f"/?q={value}") == wanted


def test_globs_of_one_name_are_alternatives_and_names_are_not() -> None:
    rule = (("mode", "list"), ("mode", "read"), ("page", "*"))
    assert both(rule, "/?mode=read&mode=list&page=2") == YES
    assert both(rule, "/?mode=read") == NO
    assert both(rule, "/?mode=write&page=2") == NO


def test_what_is_cut_is_never_certain() -> None:
    long = "a" * MAX_CONDITION_VALUE
    rule = (("q", "*"),)
    assert both(rule, f"/?q={long}") == YES
    assert both(rule, f"/?q={long}a") == AMBIGUOUS
    assert conditions.query(f"/?q={long}a", frozenset("q")) == (("q", long + CUT),)
    assert both((("q", "b"),), f"/?q={long}a") == AMBIGUOUS
    assert both((("q", "x*"),), "/?q=x...") == AMBIGUOUS


@pytest.mark.parametrize("value", ["a;b", "a#b", "a\\b", "a%3bb", "a%"])
def test_facts_that_somebody_else_made_are_read_as_strictly(value: str) -> None:
    sure = conditions.hold((("q", "*"),), (), (("q", value),), ())
    assert sure is (value == "a%3bb")
    assert conditions.may_hold((("q", "x"),), (), (("q", value),), ()) is not sure


def test_more_occurrences_than_are_kept_are_never_certain() -> None:
    rule = (("q", "*"),)
    assert both(rule, "/?" + "&".join(["q=1"] * MAX_PAIRS)) == YES
    many = "/?" + "&".join(["q=1"] * (MAX_PAIRS + 1))
    assert both(rule, many) == AMBIGUOUS
    assert both((("q", "2"),), many) == AMBIGUOUS
    assert len(conditions.query(many * 50, frozenset("q"))) == MAX_PAIRS + 1


def test_only_what_rules_name_is_kept_and_as_it_was_sent() -> None:
    target = "/a?x=1&%6Dode=r%65ad&token=s&mode[]=2"
    assert conditions.query(target, MODE) == (("%6Dode", "r%65ad"), ("mode[]", "2"))
    assert conditions.query(target, frozenset()) == ()
    assert conditions.query(None, MODE) == ()
    fields = (("X-Mode", " read\t"), ("Cookie", "s"), ("x_mode", "w"))
    assert conditions.headers(fields, frozenset(("x-mode",))) == (
        ("x-mode", "read"),
        ("x_mode", "w"),
    )
    assert conditions.headers(fields, frozenset()) == ()


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ([("X-Mode", "read")], YES),
        ([("x-mode", "\t read ")], YES),
        ([("X-Mode", "read"), ("x-mode", "read")], YES),
        ([], NO),
        ([("Y-Mode", "read")], NO),
        ([("X-Mode", "write")], NO),
        ([("X-Mode", "read"), ("X-MODE", "write")], AMBIGUOUS),
        # CGI and its heirs give both one name.
        ([("X-Mode", "read"), ("X_Mode", "write")], AMBIGUOUS),
        ([("x_mode", "read")], AMBIGUOUS),
        # A list may be split, and a value's case may not count.
        ([("X-Mode", "write, read")], AMBIGUOUS),
        ([("X-Mode", "READ")], AMBIGUOUS),
        ([("X-Mode", "read\u00e9")], AMBIGUOUS),
        ([("X-Mode", "write\x7f")], AMBIGUOUS),
        ([("X-Mode", "w" * 300)], AMBIGUOUS),
        ([("X-Mode", "read")] * (MAX_PAIRS + 1), AMBIGUOUS),
    ],
)
def test_a_header_is_certain_or_not(
    fields: list[tuple[str, str]], wanted: tuple[bool, bool]
) -> None:
    assert both_headers((("x-mode", "read"),), *fields) == wanted


def test_a_deny_rule_in_capitals_meets_any_case() -> None:
    assert both_headers((("x-mode", "Write*"),), ("X-Mode", "wRITE-all")) == AMBIGUOUS


@pytest.mark.parametrize(
    ("glob", "text", "wanted"),
    [
        ("", "", True),
        ("a", "a", True),
        ("a", "ab", False),
        ("*", "a/b", True),
        ("a*", "a", True),
        ("*a", "ba", True),
        ("*a", "ab", False),
        ("a*a", "a", False),
        ("a*b*c", "a-b-b-c", True),
        ("a*b*c", "acb", False),
        ("a*bc*bc", "abc", False),
        ("[a]?", "[a]?", True),
    ],
)
def test_globs(glob: str, text: str, *, wanted: bool) -> None:
    assert conditions.matches(glob, text) is wanted


def naive(glob: str, text: str) -> bool:
    if not glob:
        return not text
    if glob[0] == "*":
        return any(naive(glob[1:], text[at:]) for at in range(len(text) + 1))
    return bool(text) and text[0] == glob[0] and naive(glob[1:], text[1:])


@given(st.text("ab*", max_size=6), st.text("ab", max_size=8))
def test_globs_are_as_the_plain_definition_says(glob: str, text: str) -> None:
    assert conditions.matches(glob, text) is naive(glob, text)


PIECES = st.lists(
    st.sampled_from(
        [*"abmode=&;+%.[]#", "mode=", "read", "%2f", "%6d", "%25", "%", "\u00e9", "..."]
    )
)


@given(PIECES.map("".join), st.sampled_from(["read", "*", "a*", ""]))
def test_what_surely_holds_may_hold_and_the_record_shows_it(query: str, glob: str) -> None:
    found = conditions.query(f"/?{query}", MODE)
    rule = (("mode", glob),)
    assert conditions.hold(rule, (), found, ()) <= conditions.may_hold(rule, (), found, ())
    for name, value in found:
        assert (name + value).isascii()
        assert (name + value).isprintable()
