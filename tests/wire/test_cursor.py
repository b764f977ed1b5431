import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.wire.cursor import Cursor, WireError


def test_reads_are_big_endian_and_move_on() -> None:
    at = Cursor(b"\x01\x02\x03\x00\x02ab")
    assert (at.number(1), at.number(2), at.left) == (1, 0x0203, 4)
    inner = at.block(2)
    assert (inner.take(2), inner.left, at.left) == (b"ab", 0, 0)
    inner.finish()


def test_reading_past_the_end() -> None:
    at = Cursor(b"ab")
    for size in (3, -1):
        with pytest.raises(WireError):
            at.take(size)
    with pytest.raises(WireError):
        Cursor(b"\x03ab").block(1)
    with pytest.raises(WireError):
        at.finish()
    assert at.take(2) == b"ab"


def test_a_window_is_respected() -> None:
    at = Cursor(b"abcdef", 1, 3)
    assert at.take(2) == b"bc"
    with pytest.raises(WireError):
        at.take(1)


@given(st.binary(max_size=20), st.lists(st.integers(-2, 9)))
def test_nothing_is_read_twice_or_invented(data: bytes, sizes: list[int]) -> None:
    at, read = Cursor(data), b""
    for size in sizes:
        try:
            read += at.take(size)
        except WireError:
            assert size < 0 or size > at.left
    assert data.startswith(read)
    assert at.left == len(data) - len(read)
