import hashlib

import pytest

from sluicegate.gate.whole import CONTINUE, MAX_ALL_BYTES, MAX_BYTES, Room, Whole
from sluicegate.wire import http
from sluicegate.wire.cursor import WireError

DATA = bytes(range(256)) * 3
DIGEST = hashlib.sha256(DATA).hexdigest()
CHUNKS = b"".join(b"%x\r\n%s\r\n" % (100, DATA[at : at + 100]) for at in range(0, 700, 100))
CHUNKS += b"%x\r\n%s\r\n0\r\n\r\n" % (len(DATA) - 700, DATA[700:])


def whole(*headers: str, room: Room | None = None) -> Whole:
    lines = ("POST / HTTP/1.1", "Host: a.example", *headers, "", "")
    request = http.read_request_head("\r\n".join(lines).encode())
    assert request is not None
    return Whole(request, room or Room())


@pytest.mark.parametrize("size", [1, 7, 5000])
@pytest.mark.parametrize(
    ("framing", "sent"),
    [(f"Content-Length: {len(DATA)}", DATA), ("Transfer-Encoding: chunked", CHUNKS)],
)
def test_in_pieces_of_any_size(framing: str, sent: bytes, size: int) -> None:
    one = whole(framing)
    for at in range(0, len(sent), size):
        assert not one.over
        assert one.digest is None
        assert one.take(sent[at : at + size]) == b""
    assert one.over
    assert one.digest == DIGEST
    assert one.given() == sent


def test_what_follows_is_kept_and_not_counted_in() -> None:
    one = whole("Content-Length: 3")
    one.take(b"abcGET /")
    assert (one.digest, one.given()) == (hashlib.sha256(b"abc").hexdigest(), b"abcGET /")
    assert whole("Content-Length: 0").take(b"") == b""


def test_nothing_at_all_is_a_content_too() -> None:
    one = whole("Content-Length: 0")
    one.take(b"")
    assert (one.over, one.digest) == (True, hashlib.sha256(b"").hexdigest())


@pytest.mark.parametrize(("first", "said"), [(b"", CONTINUE), (b"ab", b""), (b"abcd", b"")])
def test_a_client_that_waits_is_told_to_go_on_once(first: bytes, said: bytes) -> None:
    one = whole("Expect: 100-continue", "Content-Length: 4")
    assert one.take(first) == said
    assert one.take(b"abcd"[len(first) :]) == b""
    assert one.digest == hashlib.sha256(b"abcd").hexdigest()


def test_more_than_is_held_has_no_digest() -> None:
    known = whole("Expect: 100-continue", f"Content-Length: {MAX_BYTES + 1}")
    assert (known.over, known.take(b"x"), known.digest) == (True, b"", None)
    unknown = whole("Transfer-Encoding: chunked")
    unknown.take(b"%x\r\n" % (2 * MAX_BYTES) + bytes(MAX_BYTES - 100))
    assert not unknown.over
    unknown.take(bytes(101))
    assert (unknown.over, unknown.digest) == (True, None)


def test_all_of_a_run_together_have_a_bound() -> None:
    room = Room()
    size = f"Content-Length: {MAX_BYTES}"
    many = [whole(size, room=room) for _ in range(MAX_ALL_BYTES // MAX_BYTES + 1)]
    for one in many:
        one.take(bytes(MAX_BYTES - 1))
    assert [one.over for one in many] == [*[False] * (len(many) - 1), True]
    assert many[-1].digest is None
    many[0].take(b"\0")  # even its last byte is one too many, but the content is there
    assert many[0].digest is not None
    for one in many:
        assert one.given()
        one.free()
        one.free()
    assert room.held == 0
    fresh = whole(size, room=room)
    fresh.take(b"x")
    assert not fresh.over


def test_of_many_at_once_those_that_there_is_room_for_go_on() -> None:
    room = Room(10)
    first = whole("Content-Length: 6", room=room)
    second = whole("Content-Length: 6", room=room)
    chunks = whole("Transfer-Encoding: chunked", room=room)
    assert (first.over, second.over) == (False, True)
    second.take(b"abc")
    chunks.take(b"6\r\nabc")
    assert (chunks.over, chunks.digest) == (True, None)
    first.take(b"abc")
    assert not first.over  # whatever the others take
    first.take(b"defGET /")
    assert first.digest == hashlib.sha256(b"abcdef").hexdigest()
    assert room.held == len(b"abcdefGET /abc6\r\nabc")
    for one in (first, second, chunks):
        one.free()
        one.free()
    assert room.held == 0


def test_bad_chunks_are_an_error() -> None:
    with pytest.raises(WireError):
        whole("Transfer-Encoding: chunked").take(b"zz\r\n")
