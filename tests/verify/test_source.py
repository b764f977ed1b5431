from __future__ import annotations

import hashlib
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.verify.source import Source
from sluicegate.verify.strict import VerificationError


def cut(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


@given(
    lines=st.lists(st.binary(max_size=9), max_size=9), size=st.integers(1, 12), rest=st.booleans()
)
def test_lines_are_the_same_however_they_come(lines: list[bytes], size: int, rest: bool) -> None:
    clean = [line.replace(b"\n", b"") for line in lines]
    data = b"".join(line + b"\n" for line in clean) + b"torn" * rest
    source = Source(cut(data, size), "it", 20)
    assert list(source) == clean
    assert source.torn is rest
    assert source.sha256() == hashlib.sha256(data).hexdigest()


def test_lines_end_at_lf_only() -> None:
    data = "a\u2028b\x85c\rd\n\ne".encode()
    source = Source([data], "it", 100)
    assert list(source) == ["a\u2028b\x85c\rd".encode(), b""]
    assert source.torn


def test_the_digest_is_of_everything_even_where_nobody_read() -> None:
    source = Source([b"a\nb\n", b"c\n"], "it", 100)
    assert next(source) == b"a"
    assert source.sha256() == hashlib.sha256(b"a\nb\nc\n").hexdigest()
    assert list(source) == []
    assert not source.torn


def test_a_line_without_end_is_not_kept() -> None:
    read = []

    def endless() -> Iterator[bytes]:
        while True:
            read.append(1)
            yield b"x" * 10

    with pytest.raises(VerificationError, match="it: a line longer than 100 bytes"):
        next(Source(endless(), "it", 100))
    assert len(read) == 11
