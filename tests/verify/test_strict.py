from __future__ import annotations

import pytest

from sluicegate.verify import strict


@pytest.mark.parametrize(
    "text",
    [
        b'{"a":1,"a":1}',
        b'{"a":{"b":1,"b":2}}',
        b'{"a":1.0}',
        b'{"a":1e3}',
        b'{"a":NaN}',
        b'{"a":-Infinity}',
        b'{"a":9007199254740992}',
        b'{"a":1' + b"0" * 5000 + b"}",
        b'{"a":' * 129 + b"1" + b"}" * 129,
        b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b"[]",
        b"",
        b"{} {}",
        b"\xef\xbb\xbf{}",
        '{"a":1}'.encode("utf-16"),
        b'{"a":"\xff"}',
        b'{"a":"\\ud800"}',
        b'{"a":"\n"}',
    ],
)
def test_what_two_readers_could_read_differently_is_refused(text: bytes) -> None:
    with pytest.raises(strict.VerificationError):
        strict.value(text, "it")


def test_what_is_read() -> None:
    assert strict.value(b' {"a":[9007199254740991,true,null]}', "it") == {
        "a": [2**53 - 1, True, None]
    }
    assert strict.value(b'{"a":' * 128 + b"1" + b"}" * 128, "it")
    brackets = b'{"a":"' + b"[{" * 500 + b'"}'
    assert strict.value(brackets, "it") == {"a": "[{" * 500}


@pytest.mark.parametrize("text", [b"\x00", b"\x7f", b"a\tb", "é".encode(), b"\\u0000", b"\\r"])
def test_text_that_is_not_plain(text: bytes) -> None:
    for facts in (False, True):
        with pytest.raises(strict.VerificationError):
            strict.plain(text, "it", facts=facts)


def test_plain_text() -> None:
    strict.plain(b'{"a":"\\"\\\\ \\u003c"}', "it")
    strict.plain(b'{"a":"two\\nlines"}', "it", facts=True)
    with pytest.raises(strict.VerificationError):
        strict.plain(b'{"a":"two\\nlines"}', "it")
    with pytest.raises(strict.VerificationError, match="longer"):
        strict.plain(b"a" * 65_536, "it")


@pytest.mark.parametrize("found", [True, -1, "1", None, 1.0])
def test_a_count_is_an_integer(found: object) -> None:
    with pytest.raises(strict.VerificationError):
        strict.count(found, "it")


@pytest.mark.parametrize("found", ["0A", "0", "0g", "00 ", 5, None])
def test_hex_is_lower_case_and_of_its_length(found: object) -> None:
    with pytest.raises(strict.VerificationError):
        strict.raw_hex(found, 1, "it")


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("2026-01-02T03:04:05Z", True),
        ("2026-01-02T03:04:05.1Z", True),
        ("2026-01-02T03:04:05.123456789Z", True),
        ("2026-01-02T03:04:05.10Z", False),
        ("2026-01-02T03:04:05.Z", False),
        ("2026-01-02T03:04:05+00:00", False),
        ("2026-01-02t03:04:05Z", False),
        ("2026-01-02T03:04:05Z\n", False),
        ("2026-01-02T03:04:05.1234567891Z", False),
    ],
)
def test_canonical_time(text: str, good: bool) -> None:
    assert bool(strict.TIME.match(text)) is good


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ({"a": 1, "b": [0]}, {"b": [0], "a": 1}, True),
        ({"a": 1}, {"a": True}, False),
        ({"a": [0]}, {"a": [False]}, False),
        ({"a": 1}, {"a": 1.0}, False),
        ({"a": None}, {}, False),
    ],
)
def test_the_same_json(one: object, other: object, alike: bool) -> None:
    assert strict.same(one, other) is alike


def test_exactly_is_the_same_text() -> None:
    assert strict.exactly({"a": 1, "b": [True]}, {"a": 1, "b": [True]})
    assert not strict.exactly({"a": 1, "b": 2}, {"b": 2, "a": 1})
    assert not strict.exactly({"a": True}, {"a": 1})
