"""WebSocket's heads and frames, also against `wsproto`, which reads them by its own code."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from wsproto.frame_protocol import FrameProtocol, ParseFailed

from sluicegate.wire.cursor import WireError
from sluicegate.wire.http import Request, read_request_head, read_response_head
from sluicegate.wire.websocket import (
    Frame,
    FrameReader,
    Opcode,
    accept,
    check_answer,
    check_offer,
    masked,
    offer,
    read_head,
    write_close,
    write_head,
)

KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # RFC 6455 section 1.3
ASK = ("Upgrade: websocket", "Connection: Upgrade", f"Sec-WebSocket-Key: {KEY}")
VERSION = "Sec-WebSocket-Version: 13"
ANSWER = ("Upgrade: websocket", "Connection: Upgrade")
ACCEPT = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
MASK = b"\x01\x02\x03\x04"


def request(*lines: str, start: str = "GET /ws HTTP/1.1") -> Request:
    found = read_request_head("\r\n".join((start, "Host: a.test", *lines, "\r\n")).encode())
    assert found is not None
    return found


def test_the_handshake_of_the_rfc() -> None:
    assert accept(KEY) == ACCEPT.partition(": ")[2]
    asked = request(*ASK, VERSION, "Sec-WebSocket-Protocol: chat, superchat")
    check_offer(asked)
    for more in ((), ("Sec-WebSocket-Protocol: chat",), ("Set-Cookie: a=b",)):
        answer(asked, *ANSWER, ACCEPT, *more)


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ((*ASK,), "Version"),
        ((*ASK, VERSION, VERSION), "Version"),
        ((*ASK, "Sec-WebSocket-Version: 8"), "Version"),
        ((*ASK, VERSION, f"Sec-WebSocket-Key: {KEY}"), "Key"),
        ((*ASK[:2], VERSION), "Key"),
        ((*ASK[:2], VERSION, "Sec-WebSocket-Key: dGhl"), "Key"),
        ((*ASK[:2], VERSION, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZR=="), "Key"),
        ((*ASK[:2], VERSION, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ"), "Key"),
        ((*ASK[:2], VERSION, "Sec-WebSocket-Key: \xe9\xe9\xe9\xe9"), "Key"),
        ((*ASK, VERSION, "Sec-WebSocket-Protocol: a, a"), "Protocol"),
        ((*ASK, VERSION, "Sec-WebSocket-Protocol: a b"), "Protocol"),
        ((*ASK, VERSION, "Sec-WebSocket-Protocol:"), "Protocol"),
        ((*ASK, VERSION, "Content-Length: 5"), "without a body"),
        ((*ASK, VERSION, "Transfer-Encoding: chunked"), "without a body"),
    ],
)
def test_what_is_no_offer(lines: tuple[str, ...], why: str) -> None:
    with pytest.raises(WireError, match=why):
        check_offer(request(*lines))


def test_only_get_of_http_1_1_offers() -> None:
    for start in ("POST /ws HTTP/1.1", "GET /ws HTTP/1.0"):
        with pytest.raises(WireError, match="GET of HTTP"):
            check_offer(request(*ASK, VERSION, start=start))


def test_what_a_server_sees_of_the_offer() -> None:
    lines = ("Cookie: a=b", "Sec-WebSocket-Extensions: permessage-deflate", "Sec_WebSocket_Key: x")
    asked = request(*ASK, VERSION, *lines, "sec-websocket-protocol: chat", "Sec-WebSocket-Foo: 1")
    kept = [name.lower() for name, _ in offer(asked.headers)]
    own = ["sec-websocket-key", "sec-websocket-version", "cookie", "sec-websocket-protocol"]
    assert kept == ["host", "upgrade", "connection", *own]


def answer(asked: Request, *lines: str) -> None:
    found = read_response_head("\r\n".join(("HTTP/1.1 101 Ok", *lines, "\r\n")).encode(), "GET")
    assert found is not None
    check_answer(asked, found)


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ((*ANSWER,), "Accept"),
        ((*ANSWER, ACCEPT, ACCEPT), "Accept"),
        ((*ANSWER, ACCEPT.lower().replace("accept: ", "Accept: ")), "Accept"),
        ((*ANSWER, "Sec-WebSocket-Accept: " + accept("x")), "Accept"),
        ((ANSWER[0], ACCEPT), "a WebSocket"),
        ((ANSWER[1], ACCEPT), "a WebSocket"),
        (("Upgrade: h2c", ANSWER[1], ACCEPT), "a WebSocket"),
        ((*ANSWER, ACCEPT, "Sec-WebSocket-Extensions: permessage-deflate"), "extension"),
        ((*ANSWER, ACCEPT, "Sec-WebSocket-Protocol: other"), "Protocol"),
        ((*ANSWER, ACCEPT, "Sec-WebSocket-Protocol: a", "Sec-WebSocket-Protocol: a"), "Protocol"),
    ],
)
def test_what_is_no_answer(lines: tuple[str, ...], why: str) -> None:
    asked = request(*ASK, VERSION, "Sec-WebSocket-Protocol: a, b")
    with pytest.raises(WireError, match=why):
        answer(asked, *lines)


def test_a_frame_of_the_rfc() -> None:
    """Section 5.7."""
    reader = FrameReader(client=True)
    (part,) = reader.feed(b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58")
    assert part.payload == b"Hello"
    assert (part.frame.opcode, part.frame.fin) == (Opcode.TEXT, True)
    (part,) = FrameReader(client=False).feed(b"\x81\x05Hello")
    assert part.payload == b"Hello"


def raw(
    first: int, payload: bytes, *, mask: bytes = MASK, width: int = 0, claimed: int | None = None
) -> bytes:
    """A frame; `width` bytes of length where the shortest is not wanted."""
    size = len(payload) if claimed is None else claimed
    width = width or (0 if size < 126 else 2 if size < 65536 else 8)
    short = size if not width else {2: 126, 8: 127}[width]
    head = bytes((first, short | (128 if mask else 0))) + (size.to_bytes(width) if width else b"")
    return head + mask + masked(payload, mask, 0)


BAD = {
    "a reserved bit": raw(0xC1, b"x"),
    "another reserved bit": raw(0x91, b"x"),
    "a kind that is none": raw(0x83, b"x"),
    "a control frame that is none": raw(0x8B, b"x"),
    "no mask": raw(0x81, b"x", mask=b""),
    "a length of 16 bits that needs 7": raw(0x82, b"x" * 125, width=2),
    "a length of 64 bits that needs 16": raw(0x82, b"x" * 126, width=8),
    "a length of 64 bits with the first one set": raw(0x82, b"", width=8, claimed=1 << 63),
    "the rest of no message": raw(0x80, b"x"),
    "a message in a message": raw(0x01, b"x") + raw(0x81, b"x"),
    "a ping in two frames": raw(0x09, b"x"),
    "a long ping": raw(0x89, b"x" * 126),
    "text that is not UTF-8": raw(
        0x81, b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80"
    ),
    "text that ends within a character": raw(0x81, b"\xce"),
    "text split in a character that never ends": raw(0x01, b"\xce") + raw(0x80, b"x"),
    "a close frame of one byte": raw(0x88, b"\x03"),
    "a code that is never sent": raw(0x88, (1005).to_bytes(2)),
    "a code that is no code": raw(0x88, (999).to_bytes(2)),
    "a code nobody has given a meaning": raw(0x88, (2999).to_bytes(2)),
    "a code beyond all": raw(0x88, (5000).to_bytes(2)),
    "a reason that is not UTF-8": raw(0x88, (1000).to_bytes(2) + b"\xff"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_frames_are_refused_by_both(name: str) -> None:
    assert ours([BAD[name]]) is None
    assert theirs(BAD[name]) is None
    for size in range(1, len(BAD[name])):
        assert ours([BAD[name][:size], BAD[name][size:]]) is None


Events = list[tuple[Any, ...]]


def ours(pieces: list[bytes], *, client: bool = True) -> Events | None:
    """Messages as (opcode, payload) and control frames, in the order of their ends; None: an error."""
    reader, events = FrameReader(client=client), Events()
    message, opcode = b"", Opcode.BINARY
    try:
        for piece in pieces:
            for part in reader.feed(piece):
                frame = part.frame
                if frame.opcode.control:
                    assert part.begins
                    assert part.ends
                    events.append((frame.opcode, part.payload))
                    continue
                message += part.payload
                if frame.opcode is not Opcode.CONTINUATION:
                    opcode = frame.opcode
                if part.ends and frame.fin:
                    events.append((opcode, message))
                    message = b""
    except WireError:
        return None
    return events


def theirs(stream: bytes, *, client: bool = True) -> Events | None:
    protocol, events = FrameProtocol(client=not client, extensions=[]), Events()
    message = b""
    protocol.receive_bytes(stream)
    try:
        for frame in protocol.received_frames():
            kind, data = Opcode(frame.opcode), frame.payload
            if kind is Opcode.CLOSE:
                code, reason = data
                # Without a code they say 1005.
                events.append((kind, b"" if code == 1005 else code.to_bytes(2) + reason.encode()))
            elif kind.control:
                events.append((kind, bytes(data)))
            else:
                message += data.encode() if isinstance(data, str) else bytes(data)
                if frame.message_finished:
                    events.append((kind, message))
                    message = b""
    except ParseFailed:
        return None
    return events


codes = st.one_of(st.integers(990, 1020), st.integers(2990, 5010)).map(lambda n: n.to_bytes(2))
payloads = st.one_of(
    st.binary(max_size=130),
    st.text(max_size=60).map(str.encode),
    st.builds(bytes.__add__, codes, st.binary(max_size=4)),
    st.integers(65_530, 65_540).map(bytes),
)
# What is good more often than not, so that long conversations are read too.
firsts = st.sampled_from(
    [0x81, 0x82, 0x01, 0x02, 0x00, 0x80, 0x89, 0x8A] * 6 + [0x88, 0x83, 0xC1, 0x09]
)
masks = st.sampled_from([MASK] * 30 + [b""])
frames = st.builds(
    lambda first, payload, mask, width: raw(first, payload, mask=mask, width=width),
    *(firsts, payloads, masks, st.sampled_from([0] * 40 + [8])),
)


def cut(stream: bytes, places: list[int]) -> list[bytes]:
    marks = sorted({0, len(stream), *(place % (len(stream) + 1) for place in places)})
    return [stream[a:b] for a, b in itertools.pairwise(marks)]


@given(st.lists(frames, max_size=8).map(b"".join), st.lists(st.integers(0, 1 << 20), max_size=9))
@example(raw(0x01, b"\xe2") + raw(0x89, b"p") + raw(0x00, b"\x82") + raw(0x80, b"\xac"), [3, 9])
@example(raw(0x88, b"") + b"whatever", [2])
def test_the_same_messages_as_wsproto(stream: bytes, places: list[int]) -> None:
    expected = theirs(stream)
    assert ours(cut(stream, places)) == expected
    assert ours([stream]) == expected


@given(st.lists(frames, max_size=8).map(b"".join), st.lists(st.integers(0, 1 << 20), max_size=9))
def test_what_is_written_again_is_the_same_to_wsproto(stream: bytes, places: list[int]) -> None:
    """As a gate does: to the server with another mask, and to the client with none."""
    expected = theirs(stream)
    for key in (b"\xa0\xb1\xc2\xd3", b""):
        reader, out = FrameReader(client=True), b""
        try:
            for piece in cut(stream, places):
                for part in reader.feed(piece):
                    if part.begins:
                        out += write_head(replace(part.frame, key=key))
                    out += masked(part.payload, key, part.at)
        except WireError:
            assert expected is None
            continue
        assert theirs(out, client=bool(key)) == expected


@given(st.binary(max_size=40))
def test_any_bytes(stream: bytes) -> None:
    whole = ours([stream])
    assert ours([stream[i : i + 1] for i in range(len(stream))]) == whole


@given(st.binary(max_size=300), st.integers(0, 9), st.integers(0, 300))
def test_a_mask_in_pieces(data: bytes, at: int, where: int) -> None:
    plain = bytes(byte ^ MASK[(at + i) % 4] for i, byte in enumerate(data))
    assert masked(data, MASK, at) == plain
    first, rest = data[:where], data[where:]
    assert masked(first, MASK, at) + masked(rest, MASK, at + len(first)) == plain
    assert masked(data, b"", at) == data


@pytest.mark.parametrize("length", [0, 125, 126, 65_535, 65_536, (1 << 63) - 1])
@pytest.mark.parametrize("key", [MASK, b""])
def test_heads_of_all_lengths(length: int, key: bytes) -> None:
    frame = Frame(Opcode.BINARY, False, length, key)
    text = write_head(frame)
    assert read_head(text + b"more", client=bool(key)) == (frame, len(text))
    for size in range(len(text)):
        assert read_head(text[:size], client=bool(key)) is None


def test_a_frame_of_any_size_is_not_kept() -> None:
    reader = FrameReader(client=False)
    reader.feed(write_head(Frame(Opcode.BINARY, True, 1 << 40)))
    for _ in range(10):
        (part,) = reader.feed(bytes(65_536))
        assert len(part.payload) == 65_536
        assert not reader._buffer
    assert reader.begun


def test_after_a_close_frame_nothing_is_read() -> None:
    reader = FrameReader(client=False)
    (part,) = reader.feed(write_close(1008, "x" * 200) + b"\x81\x01x")
    assert len(part.payload) == 125
    assert reader.closed
    assert reader.feed(b"\xff\xff") == []
