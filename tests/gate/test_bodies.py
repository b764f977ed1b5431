import pytest

from sluicegate.gate.bodies import Body
from sluicegate.wire.cursor import WireError
from sluicegate.wire.http import Framing


def test_a_body_of_stated_length() -> None:
    body = Body(Framing.LENGTH, 5)
    assert body.feed(b"abc") == b"abc"
    assert not body.done
    assert body.feed(b"deGET") == b"de"
    assert (body.done, body.rest) == (True, b"GET")
    assert body.feed(b" /") == b""
    assert body.rest == b"GET /"


def test_no_body_is_done_at_once() -> None:
    assert Body(Framing.NONE, 0).done
    assert Body(Framing.LENGTH, 0).done


def test_chunks_are_made_anew() -> None:
    body = Body(Framing.CHUNKED, 0)
    assert body.feed(b"1\r\na\r\n2\r\nbc\r\n") == b"3\r\nabc\r\n"
    assert body.feed(b"0\r\n\r\nrest") == b"0\r\n\r\n"
    assert (body.done, body.rest) == (True, b"rest")


def test_chunks_for_a_client_that_knows_none() -> None:
    body = Body(Framing.CHUNKED, 0, chunked=False)
    assert body.feed(b"1\r\na\r\n2\r\nbc\r\n0\r\n\r\n") == b"abc"
    assert body.done


def test_an_end_too_early_is_an_error_except_where_it_is_the_framing() -> None:
    body = Body(Framing.UNTIL_CLOSE, 0)
    assert body.feed(b"abc") == b"abc"
    body.end()
    assert body.done
    for other in (Body(Framing.LENGTH, 3), Body(Framing.CHUNKED, 0)):
        with pytest.raises(WireError, match="too early"):
            other.end()


def test_trailers_of_a_response_are_dropped_and_of_a_request_refused() -> None:
    raw = b"1\r\na\r\n0\r\nX-Sum: 1\r\nY: 2\r\n\r\nrest"
    for cut in range(len(raw) - 4):
        body = Body(Framing.CHUNKED, 0, response=True)
        out = body.feed(raw[:cut]) + body.feed(raw[cut:])
        assert out == b"1\r\na\r\n0\r\n\r\n"
        assert body.rest == b"rest"
    with pytest.raises(WireError):
        Body(Framing.CHUNKED, 0).feed(raw)


def test_who_looks_sees_the_content_and_can_keep_it_back() -> None:
    seen = list[bytes]()
    body = Body(Framing.CHUNKED, 0)
    body.feed(b"1\r\na\r\n2\r\nbc\r\n0\r\n\r\nGET /", seen.append)
    body.feed(b"more", seen.append)
    Body(Framing.LENGTH, 3).feed(b"abcde", seen.append)
    Body(Framing.UNTIL_CLOSE, 0).feed(b"xyz", seen.append)
    assert seen == [b"abc", b"abc", b"xyz"]
