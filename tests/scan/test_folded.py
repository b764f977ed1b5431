import base64
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.scan.folded import Folded
from sluicegate.scan.known import MIN_VALUE_BYTES

VALUE = b"sk-Live-7Gq2Vw9Zt4Kd1Xp8"
WAYS: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "reversed": lambda value: value[::-1],
    "hex": lambda value: value.hex().encode(),
    "base64": lambda value: base64.urlsafe_b64encode(value).rstrip(b"="),
}


def labels(text: bytes, size: int) -> bytes:
    return b".".join(text[at : at + size] for at in range(0, len(text), size))


@pytest.mark.parametrize("encoding", WAYS)
@pytest.mark.parametrize("size", [1, 5, 63])
@pytest.mark.parametrize("cased", [bytes, bytes.lower, bytes.upper, bytes.swapcase])
def test_in_any_case_and_with_dots_anywhere(
    encoding: str, size: int, cased: Callable[[bytes], bytes]
) -> None:
    found = Folded({"KEY": VALUE}).find(b"a." + labels(cased(WAYS[encoding](VALUE)), size) + b".x")
    assert found is not None
    assert (found.name, found.encoding) == ("KEY", encoding)


@pytest.mark.parametrize("ahead", [b"", b"u", b"us", b"use"])
def test_base64_at_every_alignment(ahead: bytes) -> None:
    for way in (base64.b64encode, base64.urlsafe_b64encode):
        text = way(ahead + b"~~~???" + VALUE + b"more").lower()
        assert Folded({"KEY": b"~~~???" + VALUE}).find(text + b".test") is not None


def test_of_many_the_one_that_is_there() -> None:
    many = {f"KEY_{n}": VALUE + b"%02d" % n for n in range(50)}
    found = Folded(many).find(b"x." + VALUE.lower() + b"37.test")
    assert found is not None
    assert found.name == "KEY_37"


@pytest.mark.parametrize("name", [b"", b"short", b"packages.example.com", VALUE[:-1], VALUE[1:]])
def test_what_is_not_there(name: bytes) -> None:
    assert Folded({"KEY": VALUE, "SHORT": b"short"}).find(name) is None


@given(st.binary(min_size=MIN_VALUE_BYTES, max_size=60), st.binary(max_size=20))
def test_any_value_is_found_as_it_is(value: bytes, around: bytes) -> None:
    found = Folded({"KEY": value}).find(around + value + around)
    whole = len(value.replace(b".", b"")) >= MIN_VALUE_BYTES
    assert found is not None or not whole
