import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.wire import chunks
from sluicegate.wire.chunks import LAST_CHUNK, ChunkReader, write_chunk
from sluicegate.wire.cursor import WireError

BODY = b"5\r\nhello\r\nA\r\n0123456789\r\n0\r\n\r\n"
Outcome = tuple[bytes, bool, bytes] | None


def read(pieces: list[bytes], response: bool) -> Outcome:
    """Payload, done, rest; None for a WireError."""
    reader, payload = ChunkReader(response), b""
    try:
        for piece in pieces:
            payload += b"".join(reader.feed(piece))
    except WireError:
        return None
    return payload, reader.done, reader.rest


def both(body: bytes, response: bool = False) -> Outcome:
    whole = read([body], response)
    assert read([body[i : i + 1] for i in range(len(body))], response) == whole
    return whole


def test_a_body_and_what_follows_it() -> None:
    assert both(BODY + b"GET / HTTP/1.1\r\n") == (b"hello0123456789", True, b"GET / HTTP/1.1\r\n")


def test_an_unfinished_body() -> None:
    for size in range(len(BODY)):
        got = both(BODY[:size])
        assert got is not None
        assert not got[1]


SMUGGLING = [
    b"\r\n5\r\nhello\r\n",
    b"5\nhello\r\n0\r\n\r\n",
    b"5\r\nhello\n0\r\n\r\n",
    b"5\r\nhello0\r\n\r\n",
    b"5\r\nhelloX\r\n0\r\n\r\n",
    b"5\r\r\nhello\r\n",
    b"5\r\nhello\r\r\n0\r\n\r\n",
    b"0x5\r\nhello\r\n",
    b"+5\r\nhello\r\n",
    b"-5\r\nhello\r\n",
    b" 5\r\nhello\r\n",
    b"5_0\r\n",
    b"g\r\n",
    b"\xef\xbc\x95\r\nhello\r\n",
    b"1000000000000000\r\n",
    b"FFFFFFFFFFFFFFFFF\r\n",
    b"5\0\r\nhello\r\n",
    b"0\r\n\r\r\n",
    b"0\r\n\n",
    b"0\n\n",
]
EXTRAS = [
    b"5;a=b\r\nhello\r\n0\r\n\r\n",
    b"5;\r\nhello\r\n0;x\r\n\r\n",
    b"5 \r\nhello\r\n0\r\n\r\n",
    b'5 ; q="a;b"\r\nhello\r\n0\r\n\r\n',
    b"5\r\nhello\r\n0\r\nExpires: never\r\nX-Sum: 1\r\n\r\n",
    b"5\r\nhello\r\n0\r\nHost: other.test\r\n\r\n",
]


@pytest.mark.parametrize("body", SMUGGLING)
@pytest.mark.parametrize("response", [False, True])
def test_what_readers_disagree_about_is_refused(body: bytes, response: bool) -> None:
    assert both(body, response) is None


@pytest.mark.parametrize("body", EXTRAS)
def test_extensions_and_trailers_are_dropped_from_responses_and_refused_in_requests(
    body: bytes,
) -> None:
    assert both(body) is None
    assert both(body + b"rest", response=True) == (b"hello", True, b"rest")


@pytest.mark.parametrize(
    "extra",
    [b"5;a\rb\r\n", b"5;a\nb\r\n", b"5;\0\r\n", b"0\r\nX: a\nb\r\n\r\n", b"0\r\na\rb\r\n\r\n"],
)
def test_dropped_extras_still_have_whole_lines(extra: bytes) -> None:
    assert both(extra, response=True) is None


def test_extras_without_end_are_refused() -> None:
    assert both(b"5;" + b"a" * chunks.MAX_LINE_BYTES, response=True) is None
    assert both(b"5;" + b"a" * (chunks.MAX_LINE_BYTES - 2) + b"\r\n", response=True) is not None
    trailer = b"0\r\n" + b"X: y\r\n" * (chunks.MAX_TRAILER_BYTES // 6 + 2)
    assert read([trailer], response=True) is None
    assert read([trailer[i : i + 7] for i in range(0, len(trailer), 7)], response=True) is None


def test_many_small_chunks_cost_no_more_than_their_bytes() -> None:
    got = read([b"1\r\nx\r\n" * 50_000 + LAST_CHUNK], response=False)
    assert got == (b"x" * 50_000, True, b"")


@given(st.lists(st.binary(max_size=40)), st.binary(max_size=10), st.booleans())
def test_what_is_written_is_read(pieces: list[bytes], rest: bytes, response: bool) -> None:
    body = b"".join(map(write_chunk, pieces)) + LAST_CHUNK + rest
    assert both(body, response) == (b"".join(pieces), True, rest)


@given(
    st.lists(
        st.sampled_from(
            [b"0", b"5", b"a", b"\r", b"\n", b"\r\n", b";", b" ", b"X:y", b"\0", b"hello"]
        )
    ),
    st.booleans(),
)
def test_byte_by_byte_is_as_whole(parts: list[bytes], response: bool) -> None:
    both(b"".join(parts), response)


@given(st.binary(max_size=64), st.booleans())
def test_random_bytes(body: bytes, response: bool) -> None:
    both(body, response)
