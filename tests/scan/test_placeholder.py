"""Placeholders: of the value's shape, with nothing else of it; and the value in its place alone."""

from __future__ import annotations

import base64
import random
import re
from collections.abc import Callable
from urllib.parse import parse_qs, quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.scan.placeholder import MAX_TRIES, MIN_FREE_BITS, Place, SecretError, make, put

HOLDER = "sk-ant-api03-aB3dE6gH9jK2mN5p"
VALUE = 'sk-ant-api03-Zq8x/+Yw&7 "Lm2='


def dice(seed: int = 1) -> Callable[[int], int]:
    return random.Random(seed).randrange


@pytest.mark.parametrize(
    ("value", "prefix"),
    [
        ("sk-ant-api03-Zq8xYw7LmPq24vBnRt", "sk-ant-api03-"),
        ("ghp_0123456789abcdefABCDEF0123456789abcd", "ghp_"),
        ("github_pat_11ABCDEFG0aBcDeFgHiJkL_mNoPq", "github_pat_"),
        ("xoxb-123456789012-abcdefghijkl", "xoxb-"),
        ("sk_live_4eC39HqLyjWDarjtT1zdp7dc", "sk_live_"),
        ("AKIAIOSFODNN7EXAMPLE", "AKIA"),
        ("Zq8-xYw_7LmPq24vBnRtKd", ""),
        ("a-b-c-d-0123456789abcdefghij", ""),
        ("deadbeef-0123-4567-89ab-0123456789ab", "deadbeef-"),
    ],
)
def test_the_prefix_is_kept_and_the_rest_is_not(value: str, prefix: str) -> None:
    made = make("key", value, (), dice())
    assert made.startswith(prefix)
    assert made != value
    assert shape(made) == shape(value)
    free = [at for at in range(len(prefix), len(value)) if value[at].isalnum()]
    assert sum(made[at] == value[at] for at in free) < len(free) / 2


def shape(text: str) -> str:
    for kind, sign in (("[0-9]", "0"), ("[a-z]", "a"), ("[A-Z]", "A")):
        text = re.sub(kind, sign, text)
    return text


def test_a_hexadecimal_value_gets_a_hexadecimal_placeholder() -> None:
    assert re.fullmatch(
        "[0-9a-f]{40}", make("key", "0123456789abcdef" * 2 + "a1b2c3d4", (), dice())
    )


def test_no_placeholder_twice() -> None:
    value = "0123456789abcdefghij"
    first = make("a", value, (), dice(1))
    assert make("b", value, {first}, dice(1)) not in {first, value}


def test_dice_that_always_fall_alike_end_in_an_error() -> None:
    calls: list[int] = []

    def stuck(count: int) -> int:
        calls.append(count)
        return 0

    value = "0" * 10 + "a" * 20
    with pytest.raises(SecretError, match="secret key: wanted a new placeholder"):
        make("key", value, {value}, stuck)
    assert len(calls) == MAX_TRIES * len(value)


@pytest.mark.parametrize(
    "value", ["hunter2", "12345678901234567", "sk-ant-api03-short", "-" * 50, "AKIA0000"]
)
def test_a_value_that_its_placeholder_would_betray(value: str) -> None:
    with pytest.raises(
        SecretError, match=f"secret key: wanted a value of at least {MIN_FREE_BITS}"
    ) as told:
        make("key", value, (), dice())
    assert value not in str(told.value)


@pytest.mark.parametrize(
    "value",
    ["", "abc\n", "a\r\nX: y" + "z" * 20, " x" + "y" * 20, "schlüssel" * 5, "x" * 20 + "\0"],
)
def test_a_value_that_no_header_carries(value: str) -> None:
    with pytest.raises(SecretError, match="wanted printable ASCII") as told:
        make("key", value, (), dice())
    assert not value or value not in str(told.value)


@given(
    st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=120),
    st.integers(),
)
def test_any_value_has_a_placeholder_of_its_shape_or_an_error(value: str, seed: int) -> None:
    try:
        made = make("key", value, (), dice(seed))
    except SecretError:
        return
    assert made != value
    assert shape(made) == shape(value)


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("place", "key", "text", "wanted"),
    [
        ("header", "x-api-key", HOLDER, VALUE),
        ("header", "x-api-key", f" {HOLDER}\t", VALUE),
        ("header", "authorization", f"token {HOLDER}", f"token {VALUE}"),
        ("bearer", "", f"Bearer {HOLDER}", f"Bearer {VALUE}"),
        ("bearer", "", f"bearer  {HOLDER}", f"bearer  {VALUE}"),
        ("basic", "", basic(f"x-access-token:{HOLDER}"), basic(f"x-access-token:{VALUE}")),
        ("basic", "git", basic(f"git:{HOLDER}"), basic(f"git:{VALUE}")),
        ("basic", "", basic(f"{HOLDER}:"), basic(f"{VALUE}:")),
        ("basic", "", basic(f"{HOLDER}:{HOLDER}"), basic(f"{HOLDER}:{VALUE}")),
        ("query", "k", f"a=1&k={HOLDER}&b=%20", f"a=1&k={quote(VALUE, safe='')}&b=%20"),
        ("query", "k y", f"k+y={quote(HOLDER)}", f"k+y={quote(VALUE, safe='')}"),
        ("query", "k", f"k=%73{HOLDER[1:]}", f"k={quote(VALUE, safe='')}"),
        ("query", "k", f"k={HOLDER}&k={HOLDER}", "&".join([f"k={quote(VALUE, safe='')}"] * 2)),
    ],
)
def test_the_value_in_its_place(place: Place, key: str, text: str, wanted: str) -> None:
    assert put(place, key, text, HOLDER, VALUE) == wanted


@pytest.mark.parametrize(
    ("place", "key", "text"),
    [
        ("header", "", f"x{HOLDER}"),
        ("header", "", f"{HOLDER}, {HOLDER}"),
        ("header", "", f"a b {HOLDER}"),
        ("header", "", HOLDER.upper()),
        ("header", "", ""),
        ("bearer", "", HOLDER),
        ("bearer", "", f"Basic {HOLDER}"),
        ("bearer", "", f"Bearer {HOLDER}x"),
        ("bearer", "", f"Bearer {HOLDER} {HOLDER}"),
        ("basic", "", f"Basic {HOLDER}"),
        ("basic", "", basic(HOLDER)),
        ("basic", "", basic(f"user:x{HOLDER}")),
        ("basic", "git", basic(f"user:{HOLDER}")),
        ("basic", "", basic(f"user:{HOLDER}").replace("Basic", "Digest")),
        ("basic", "", basic(f"user:{HOLDER}") + "!"),
        ("basic", "", "Basic /////w=="),
        ("query", "k", f"j={HOLDER}"),
        ("query", "k", f"k={HOLDER}x"),
        ("query", "k", HOLDER),
        ("query", "k", f"K={HOLDER}"),
        ("query", "k", ""),
    ],
)
def test_nowhere_else(place: Place, key: str, text: str) -> None:
    assert put(place, key, text, HOLDER, VALUE) is None


def test_a_user_cannot_have_a_colon() -> None:
    assert put("basic", "", basic(f"{HOLDER}:"), HOLDER, "a:b") is None


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1))
def test_a_query_says_the_value_and_nothing_more(value: str) -> None:
    done = put("query", "k", f"a=1&k={HOLDER}&z=", HOLDER, value)
    assert done is not None
    assert parse_qs(done, keep_blank_values=True) == {"a": ["1"], "k": [value], "z": [""]}
