"""Chunked bodies (RFC 9112 section 7.1) without extensions and trailers."""

from __future__ import annotations

import re

from sluicegate.wire.cursor import WireError

LAST_CHUNK = b"0\r\n\r\n"
# 15 hexadecimal digits can not overflow 64 bits anywhere.
_SIZE = re.compile(rb"[0-9A-Fa-f]{1,15}")


class ChunkReader:
    """Fed with bytes as they come; `rest` is what followed the end once `done`."""

    __slots__ = ("_buffer", "_left", "_need_end", "done", "rest")

    def __init__(self) -> None:
        self._buffer = b""
        self._left = 0
        self._need_end = False
        self.done = False
        self.rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """The payload pieces that `data` completes or continues."""
        if self.done:
            self.rest += data
            return []
        data, self._buffer, pieces = self._buffer + data, b"", list[bytes]()
        while data:
            if self._left:
                piece, data = data[: self._left], data[self._left :]
                self._left -= len(piece)
                self._need_end = True
                pieces.append(piece)
                continue
            if self._need_end:
                if not b"\r\n".startswith(data[:2]):
                    raise WireError("chunk does not end in CRLF")
                if len(data) < 2:
                    break
                data, self._need_end = data[2:], False
                continue
            end = data.find(b"\r\n", 0, 17)
            digits = data[:end] if end >= 0 else data[:17].removesuffix(b"\r")
            if digits and not _SIZE.fullmatch(digits) or (end == 0) or data[:1] == b"\r":
                raise WireError("chunk size is not plain hexadecimal")
            if end < 0:
                break
            size = int(digits, 16)
            if size == 0:
                tail = data[end + 2 : end + 4]
                if not b"\r\n".startswith(tail):
                    raise WireError("trailer after the last chunk")
                if len(tail) < 2:
                    break
                self.done, self.rest = True, data[end + 4 :]
                return pieces
            self._left, data = size, data[end + 2 :]
        self._buffer = data
        return pieces


def write_chunk(data: bytes) -> bytes:
    """One chunk; nothing for no data, which would be the last chunk."""
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""
