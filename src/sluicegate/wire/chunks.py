"""Chunked bodies (RFC 9112 section 7.1): strict in requests, tolerant of extras in responses."""

from __future__ import annotations

import enum
import re

from sluicegate.wire.cursor import WireError

LAST_CHUNK = b"0\r\n\r\n"
# Size line with its extensions; they are dropped, but someone may send them without end.
MAX_LINE_BYTES = 4096
# All trailer lines together; dropped too.
MAX_TRAILER_BYTES = 16_384

# 15 hexadecimal digits can not overflow 64 bits anywhere. Each pattern is for a line that may still be
# growing: what it refuses, no further byte can mend.
_STRICT = re.compile(rb"(?:[0-9A-Fa-f]{1,15}\r?)?")
_TOLERANT = re.compile(rb"(?:[0-9A-Fa-f]{1,15}[ \t]*(?:;[^\0\r\n]*)?\r?)?")
_TRAILER = re.compile(rb"[^\0\r\n]*\r?")
_DIGITS = re.compile(rb"[0-9A-Fa-f]+")


class _Place(enum.Enum):
    SIZE = "size"
    DATA = "data"
    END = "end of data"
    TRAILER = "trailer"


class ChunkReader:
    """Fed with bytes as they come; `rest` is what followed the end once `done`.

    With `response`, chunk extensions and trailers are read over and dropped; without, they are a
    WireError, because servers disagree about them and a request is what gets smuggled.
    """

    __slots__ = ("_buffer", "_left", "_line", "_place", "_response", "_trailer", "done", "rest")

    def __init__(self, response: bool = False) -> None:
        self._response = response
        self._line = _TOLERANT if response else _STRICT
        self._place = _Place.SIZE
        self._left = self._trailer = 0
        self._buffer = self.rest = b""
        self.done = False

    def feed(self, data: bytes) -> list[bytes]:
        """The payload pieces that `data` completes or continues."""
        if self.done:
            self.rest += data
            return []
        data, self._buffer, pieces, at = self._buffer + data, b"", list[bytes](), 0
        while True:
            if self._place is _Place.DATA:
                piece = data[at : at + self._left]
                if piece:
                    pieces.append(piece)
                at += len(piece)
                self._left -= len(piece)
                if self._left:
                    return pieces
                self._place = _Place.END
            line, at = self._next(data, at)
            if line is None:
                self._buffer = data[at:]
                return pieces
            if self._take(line):
                self.done, self.rest = True, data[at:]
                return pieces

    def _next(self, data: bytes, at: int) -> tuple[bytes | None, int]:
        """The line at `at` and where the next one starts; None while it is incomplete."""
        place, growing = self._place, {b"", b"\r"}
        trailer = max(0, MAX_TRAILER_BYTES - self._trailer)
        limit = {_Place.END: 0, _Place.TRAILER: trailer}.get(place, MAX_LINE_BYTES)
        end = data.find(b"\r\n", at, at + limit + 2)
        line = data[at : end if end >= 0 else at + limit + 2]
        if len(line) > limit + 1 or (end >= 0 and line.endswith(b"\r")):
            raise WireError(f"chunk {place.value} line is too long or not ended by CRLF")
        if place is _Place.END and line not in growing:
            raise WireError("chunk does not end in CRLF")
        if place is _Place.SIZE and not self._line.fullmatch(line):
            raise WireError("chunk size is not plain hexadecimal")
        if place is _Place.TRAILER and not (
            _TRAILER.fullmatch(line) if self._response else line in growing
        ):
            raise WireError("trailer after the last chunk")
        return (None, at) if end < 0 else (line, end + 2)

    def _take(self, line: bytes) -> bool:
        """Whether the complete `line` was the last one."""
        if self._place is _Place.END:
            self._place = _Place.SIZE
        elif self._place is _Place.TRAILER:
            self._trailer += len(line) + 2
            return not line
        else:
            digits = _DIGITS.match(line)
            if digits is None:
                raise WireError("chunk without a size")
            self._left = int(digits[0], 16)
            self._place = _Place.DATA if self._left else _Place.TRAILER
        return False


def write_chunk(data: bytes) -> bytes:
    """One chunk; nothing for no data, which would be the last chunk."""
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""
