from __future__ import annotations

import pytest
from h2.config import H2Configuration
from h2.events import ConnectionTerminated
from hyperframe.frame import DataFrame, Frame, GoAwayFrame, PingFrame

from sluicegate.gate import h2guard
from sluicegate.gate.h2guard import Bound, Connection, ConnectionFaultError, Frames, Guard, Tokens

S = h2guard.NS_PER_S


def cut(data: bytes, size: int, *, preface: bool = False) -> list[tuple[int, int, bytes]]:
    frames, found = Frames(preface=preface), list[tuple[int, int, bytes]]()
    for at in range(0, len(data), size):
        frames.feed(data[at : at + size])
        while one := frames.next():
            found.append(one)
    return found


@pytest.mark.parametrize("size", [1, 7, 9, 1000])
def test_frames_are_cut_however_they_come(size: int) -> None:
    data, ping = DataFrame(1, b"content"), PingFrame(0, b"12345678")
    data.flags.add("END_STREAM")
    found = cut(h2guard.PREFACE + data.serialize() + ping.serialize(), size, preface=True)
    assert found == [
        (-1, 0, h2guard.PREFACE),
        (h2guard.DATA, h2guard.END_STREAM, data.serialize()),
        (h2guard.PING, 0, ping.serialize()),
    ]


def test_what_is_not_http2_is_told_at_its_first_byte() -> None:
    frames = Frames(preface=True)
    frames.feed(b"G")
    with pytest.raises(ConnectionFaultError, match="the first bytes are not HTTP/2's"):
        frames.next()


def test_a_frame_that_is_too_large_is_told_by_its_head() -> None:
    frames = Frames(preface=False)
    frames.feed((h2guard.MAX_FRAME_BYTES + 1).to_bytes(3, "big") + bytes(6))
    with pytest.raises(ConnectionFaultError, match="a frame of 16385 bytes") as told:
        frames.next()
    assert told.value.code == h2guard.FRAME_SIZE_ERROR


def test_a_bound_is_a_burst_and_then_a_rate() -> None:
    one = Tokens(Bound("things", 3, 2), 0)
    for _ in range(3):
        one.spend(0)
    with pytest.raises(ConnectionFaultError, match="too many things") as told:
        one.spend(0)
    assert told.value.code == h2guard.ENHANCE_YOUR_CALM
    other = Tokens(Bound("things", 3, 2), 0)
    for at in range(100):
        other.spend(at * S // 2)
    other.earn(1000)
    for _ in range(3):
        other.spend(50 * S)


@pytest.mark.parametrize(
    ("kind", "flags", "length", "most"),
    [
        (h2guard.RST_STREAM, 0, 4, h2guard.RESETS.burst),
        (h2guard.PING, 0, 8, h2guard.CONTROL.burst),
        (h2guard.SETTINGS, 0, 0, h2guard.CONTROL.burst),
        (h2guard.PRIORITY, 0, 5, h2guard.CONTROL.burst),
        (h2guard.DATA, 0, 0, h2guard.CONTROL.burst),
        (0x77, 0, 100, h2guard.CONTROL.burst),
        (h2guard.WINDOW_UPDATE, 0, 4, h2guard.WINDOWS.burst),
    ],
)
def test_floods_are_bounded(kind: int, flags: int, length: int, most: int) -> None:
    guard = Guard(0)
    for _ in range(most):
        guard.frame(kind, flags, length, 0)
    with pytest.raises(ConnectionFaultError, match="too many"):
        guard.frame(kind, flags, length, 0)


def test_streams_that_the_peer_makes_us_reset_count_as_its_own() -> None:
    guard = Guard(0)
    for _ in range(h2guard.RESETS.burst):
        guard.gave_up(0)
    with pytest.raises(ConnectionFaultError, match="streams that are reset"):
        guard.frame(h2guard.RST_STREAM, 0, 4, 0)


def test_data_earns_what_comes_with_it() -> None:
    guard = Guard(0)
    for _ in range(5 * h2guard.WINDOWS.burst):
        guard.sent(1024)
        for _ in range(8):
            guard.frame(h2guard.WINDOW_UPDATE, 0, 4, 0)
        guard.frame(h2guard.PING, 0, 8, 0)
        guard.frame(h2guard.DATA, 0, 100, 0)


def test_a_header_block_is_bounded_in_bytes_and_pieces() -> None:
    guard = Guard(5)
    guard.frame(h2guard.HEADERS, 0, 100, 5)
    assert guard.block_since == 5
    for _ in range(h2guard.MAX_CONTINUATIONS):
        guard.frame(h2guard.CONTINUATION, 0, 0, 6)
    with pytest.raises(ConnectionFaultError, match="in more than 16 continuations"):
        guard.frame(h2guard.CONTINUATION, 0, 0, 6)
    other = Guard(0)
    other.frame(h2guard.HEADERS, 0, h2guard.MAX_BLOCK_BYTES, 0)
    with pytest.raises(ConnectionFaultError, match="more than 65536 bytes"):
        other.frame(h2guard.CONTINUATION, h2guard.END_HEADERS, 1, 0)
    good = Guard(0)
    good.frame(h2guard.HEADERS, h2guard.END_HEADERS, 100, 0)
    assert good.block_since is None


def test_goaway_is_what_others_read_and_write() -> None:
    made = h2guard.goaway(7, h2guard.ENHANCE_YOUR_CALM)
    read, length = Frame.parse_frame_header(memoryview(made[:9]))
    read.parse_body(memoryview(made[9:]))
    assert isinstance(read, GoAwayFrame)
    assert (read.last_stream_id, read.error_code, length) == (7, 11, 8)
    theirs = GoAwayFrame(0, last_stream_id=9, error_code=2, additional_data=b"why").serialize()
    assert h2guard.last_stream(theirs) == (9, 2)
    for bad in (theirs[:16], theirs[:5] + b"\0\0\0\1" + theirs[9:]):
        with pytest.raises(ConnectionFaultError):
            h2guard.last_stream(bad)


def test_streams_that_are_over_are_not_remembered_for_ever() -> None:
    """And a frame that was on the way to one of the last is no fault of the connection."""
    ends = [Connection(H2Configuration(client_side=client)) for client in (True, False)]
    client, server = ends
    for end in ends:
        end.initiate_connection()

    def pass_on() -> None:
        server.receive_data(client.data_to_send())
        client.receive_data(server.data_to_send())

    head = [(":method", "GET"), (":scheme", "https"), (":authority", "a.test"), (":path", "/")]
    asked = range(1, 2 * (Connection.MAX_CLOSED_STREAMS + 500), 2)
    for number in asked:
        client.send_headers(number, head)
        client.reset_stream(number)
        pass_on()
    for end in ends:
        assert len(end._closed_streams) <= Connection.MAX_CLOSED_STREAMS
    late = DataFrame(asked[-1000], b"late").serialize()
    assert not [e for e in server.receive_data(late) if isinstance(e, ConnectionTerminated)]
