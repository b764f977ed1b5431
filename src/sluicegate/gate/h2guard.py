"""HTTP/2 frames cut from a stream of bytes, and the bounds on those that cost us more than their sender. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from h2.connection import H2Connection

from sluicegate.wire.cursor import WireError

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEAD_BYTES = 9
# The least that RFC 9113, 4.2 asks for, which most senders keep to, and as much as a first window lets through.
MAX_FRAME_BYTES = 16_384
# Bytes of one compressed header block, as of a head in HTTP/1.1; what it may unpack to has the same limit.
MAX_BLOCK_BYTES = 65_536
# A block of that size in frames of 16 KiB needs 3; empty ones cost us and say nothing (CVE-2024-27316).
MAX_CONTINUATIONS = 16

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS = 0, 1, 2, 3, 4
PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 6, 7, 8, 9
END_STREAM = ACK = 0x1
END_HEADERS = 0x4

PROTOCOL_ERROR, SETTINGS_TIMEOUT, FRAME_SIZE_ERROR, ENHANCE_YOUR_CALM = 0x1, 0x4, 0x6, 0xB
NS_PER_S = 1_000_000_000


class ConnectionFaultError(WireError):
    """The peer may not go on with this connection; `code` is what GOAWAY says (RFC 9113, 7)."""

    def __init__(self, why: str, code: int = PROTOCOL_ERROR) -> None:
        super().__init__(why)
        self.code = code


class Connection(H2Connection):
    """The library's, which remembers how each of so many streams ended, for frames of theirs that are still on the way.

    Its own 65,536 are 8 MB of a connection that asks for long. Frames of four times as many as may be open at once
    are never on the way.
    """

    MAX_CLOSED_STREAMS = 4096


@dataclass(frozen=True, slots=True)
class Bound:
    """So many at once, and so many a second after that."""

    what: str
    burst: int
    rate: int


# Streams that their client gives up: a program that ends cancels all it has (our 1,024), and again; a thousand a second
# is an attack (rapid reset, CVE-2023-44487).
RESETS = Bound("streams that are reset", 2000, 100)
# PING, SETTINGS, PRIORITY, empty DATA and frames that we do not know. Each may come once or twice with real data, which
# is what earns more.
CONTROL = Bound("frames that carry nothing", 2000, 100)
# Readers give the window back as they read, for stream and connection, some 4 KB or less at a time: what we send earns
# updates, and one for so many bytes is more than any needs.
WINDOWS = Bound("window updates", 4000, 100)
EARNED, BYTES_PER_UPDATE = 4, 256


class Tokens:
    """What is left of one bound."""

    __slots__ = ("_at", "_bound", "_left")

    def __init__(self, bound: Bound, now: int) -> None:
        self._bound, self._left, self._at = bound, bound.burst * NS_PER_S, now

    def earn(self, count: int) -> None:
        self._left = min(self._left + count * NS_PER_S, self._bound.burst * NS_PER_S)

    def spend(self, now: int) -> None:
        """One more at `now` (ns).

        Raises:
            ConnectionFaultError: over the bound.
        """
        grown = self._left + (now - self._at) * self._bound.rate
        self._left, self._at = min(grown, self._bound.burst * NS_PER_S) - NS_PER_S, now
        if self._left < 0:
            raise ConnectionFaultError(f"too many {self._bound.what}", ENHANCE_YOUR_CALM)


class Guard:
    """Of one peer: every frame is shown to it before it is worked on."""

    __slots__ = ("_block", "_control", "_frames", "_resets", "_windows", "block_since")

    def __init__(self, now: int) -> None:
        self._resets, self._control = Tokens(RESETS, now), Tokens(CONTROL, now)
        self._windows = Tokens(WINDOWS, now)
        self._block = self._frames = 0
        self.block_since: int | None = (
            None  # ns; when the header block began whose end is not there
        )

    def sent(self, size: int) -> None:
        """`size` bytes of data went to the peer: it may answer with updates of its windows, and a PING."""
        self._windows.earn(EARNED + size // BYTES_PER_UPDATE)
        self._control.earn(1)

    def gave_up(self, now: int) -> None:
        """The peer made us reset a stream, which it may not do without end either (CVE-2025-8671).

        Raises:
            ConnectionFaultError: too often.
        """
        self._resets.spend(now)

    def frame(self, kind: int, flags: int, length: int, now: int) -> None:
        """Take note of a frame that came at `now` (ns).

        Raises:
            ConnectionFaultError: it is one too many.
        """
        if kind in {HEADERS, CONTINUATION}:
            self._header_block(kind, flags, length, now)
        elif kind == RST_STREAM:
            self._resets.spend(now)
        elif kind == WINDOW_UPDATE:
            self._windows.spend(now)
        elif kind == DATA and (length or flags & END_STREAM):
            self._control.earn(2)
        else:
            self._control.spend(now)

    def _header_block(self, kind: int, flags: int, length: int, now: int) -> None:
        if kind == HEADERS:
            self._block = self._frames = 0
            self.block_since = now
        else:
            self._frames += 1
        self._block += length
        if self._frames > MAX_CONTINUATIONS:
            raise ConnectionFaultError(
                f"a header block in more than {MAX_CONTINUATIONS} continuations", ENHANCE_YOUR_CALM
            )
        if self._block > MAX_BLOCK_BYTES:
            raise ConnectionFaultError(
                f"a header block of more than {MAX_BLOCK_BYTES} bytes", ENHANCE_YOUR_CALM
            )
        if flags & END_HEADERS:
            self.block_since = None


class Frames:
    """Bytes in, whole frames out. With `preface`, that of a client comes first."""

    __slots__ = ("_data", "_preface")

    def __init__(self, *, preface: bool) -> None:
        self._data = bytearray()
        self._preface = PREFACE if preface else b""

    def feed(self, data: bytes) -> None:
        self._data += data

    def next(self) -> tuple[int, int, bytes] | None:
        """Kind, flags, and the bytes of the next frame, its head included; None: more is needed.

        Before a client's first frame its preface, as a frame of kind -1.

        Raises:
            ConnectionFaultError: no preface, or a frame that is larger than we said.
        """
        data = self._data
        if self._preface:
            size = len(self._preface)
            if data[:size] != self._preface[: len(data)]:
                raise ConnectionFaultError("the first bytes are not HTTP/2's")
            if len(data) < size:
                return None
            said, self._preface = self._preface, b""
            del data[:size]
            return -1, 0, said
        if len(data) < HEAD_BYTES:
            return None
        length = int.from_bytes(data[:3], "big")
        if length > MAX_FRAME_BYTES:
            raise ConnectionFaultError(f"a frame of {length} bytes", FRAME_SIZE_ERROR)
        size = HEAD_BYTES + length
        if len(data) < size:
            return None
        frame = bytes(data[:size])
        del data[:size]
        return frame[3], frame[4], frame


def last_stream(goaway: bytes) -> tuple[int, int]:
    """The last stream that the sender of a whole GOAWAY frame has taken, and its error code (RFC 9113, 6.8).

    Raises:
        ConnectionFaultError: it is too short, or not about the connection.
    """
    if len(goaway) < HEAD_BYTES + 8:
        raise ConnectionFaultError("a GOAWAY without its numbers", FRAME_SIZE_ERROR)
    if int.from_bytes(goaway[5:9], "big") & 0x7FFF_FFFF:
        raise ConnectionFaultError("a GOAWAY about a stream")
    last = int.from_bytes(goaway[9:13], "big") & 0x7FFF_FFFF
    return last, int.from_bytes(goaway[13:17], "big")


def goaway(last: int, code: int) -> bytes:
    """A GOAWAY frame."""
    payload = last.to_bytes(4, "big") + code.to_bytes(4, "big")
    return len(payload).to_bytes(3, "big") + bytes((GOAWAY, 0)) + bytes(4) + payload
