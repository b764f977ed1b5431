"""What is looked for, held against Python's own engine."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.scan.known import MAX_PARTS, MIN_VALUE_BYTES, Sought, literally, sought

VALUE = b"sk-test-03/+x\"y'\\z of some length"


def matches(value: bytes, encoding: str, text: bytes) -> bool:
    """Whether all parts of something of this encoding are in the text."""
    of = (one for one in sought("key", value) if one.encoding == encoding)
    return any(all(re.search(part, text) for part in one.parts) for one in of)


def test_all_encodings_are_looked_for() -> None:
    kinds = {one.encoding for one in sought("key", VALUE)}
    assert kinds == {"plain", "reversed", "hex", "escaped", "base64"}


@given(st.binary(min_size=MIN_VALUE_BYTES, max_size=300), st.integers(0, 2))
def test_literals_find_what_is_written_plainly(value: bytes, before: int) -> None:
    """As the value alone, and within others; every finding is one of `sought` as well."""
    made = list(literally("key", value))
    for text in (
        *(value, value[::-1], value.hex().encode(), value.hex().upper().encode()),
        base64.b64encode(bytes(before) + value + b"more"),
        base64.urlsafe_b64encode(bytes(before) + value),
    ):
        found = {o.encoding for o in made if all(re.search(p, text, re.DOTALL) for p in o.parts)}
        assert found
        assert all(matches(value, encoding, text) for encoding in found)


def test_a_palindrome_is_not_reversed() -> None:
    assert "reversed" not in {one.encoding for one in sought("key", b"abcddcba")}


@given(st.binary(min_size=MIN_VALUE_BYTES, max_size=2000))
def test_parts_are_few_and_short(value: bytes) -> None:
    for one in sought("key", value):
        assert 1 <= len(one.parts) <= MAX_PARTS
        assert sum(map(len, one.parts)) < 4096


def test_a_short_value_is_one_part() -> None:
    assert next(sought("key", b"12345678")) == Sought(
        "key", "plain", (b"".join(b"\\x%02x" % byte for byte in b"12345678"),)
    )


@pytest.mark.parametrize(
    "written",
    [
        b"sk%2Dtest-03%2F%2bx%22y%27%5Cz+of%20some+length",
        b"sk%252Dtest-03%25252F%2bx%22y%27%5Cz+of%20some+length",
        rb"sk-test-03\/+x\"y'\\z of some length",
        rb"sk-test-03\\\/+x\\\"y'\\\\z of some length",
        rb"\u0073k-test-03\u002F\u002bx\u0022y\u0027\u005cz of some length",
        rb"\x73k-test-03/+x\"y\'\\z of some length",
        rb"%73k-test-03\u002f%2Bx\x22y'\\z of some length",
    ],
)
def test_escapes_in_any_mixture(written: bytes) -> None:
    assert matches(VALUE, "escaped", b"{" + written + b"}")


@pytest.mark.parametrize(
    "written", [b"line\\none\\r\\n\\t!", b"line%0Aone%0d%0a%09!", b"line\none\r\n\t!"]
)
def test_ends_of_lines_in_a_value(written: bytes) -> None:
    assert matches(b"line\none\r\n\t!", "escaped", written)


@pytest.mark.parametrize(
    "written",
    [
        "schlüssel-€-🔑",
        r"schl\u00fcssel-\u20AC-\ud83d\uDD11",
        "schl%C3%BCssel-%e2%82%ac-%F0%9F%94%91",
    ],
)
def test_characters_beyond_ascii(written: str) -> None:
    assert matches("schlüssel-€-🔑".encode(), "escaped", written.encode())


def test_bytes_that_are_no_text() -> None:
    assert matches(b"\xff\xfe\x00\x80abcd", "escaped", b"%ff%FE%00%80abcd")


@pytest.mark.parametrize("ahead", [b"", b"u", b"us", b"use"])
@pytest.mark.parametrize("behind", [b"", b"r", b"rs"])
@pytest.mark.parametrize("line", [b"", b"\n", b"\r\n", rb"\n", rb"\r\n"])
@pytest.mark.parametrize("way", [base64.b64encode, base64.urlsafe_b64encode])
def test_base64_at_every_alignment(
    way: Callable[[bytes], bytes], line: bytes, ahead: bytes, behind: bytes
) -> None:
    text = way(ahead + b"~~~???" + VALUE + behind)
    for width in (5, 64, 76):
        lines = line.join(text[at : at + width] for at in range(0, len(text), width))
        assert matches(VALUE, "base64", lines)
        assert matches(VALUE, "base64", lines.rstrip(b"="))
    assert matches(b"~~~???" + VALUE, "base64", text.replace(b"+", b"%2B").replace(b"/", rb"\/"))
