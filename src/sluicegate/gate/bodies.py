"""HTTP bodies in motion: bytes of one framing in, bytes of the same or another framing out. Pure."""

from __future__ import annotations

from collections.abc import Callable

from sluicegate.wire.chunks import LAST_CHUNK, ChunkReader, write_chunk
from sluicegate.wire.cursor import WireError
from sluicegate.wire.http import Framing


def _unseen(_: bytes) -> None:
    """Nobody looks."""


class Body:
    """One body. `rest` holds bytes after its end, once `done`.

    `chunked` says whether a chunked body leaves as chunks; else as plain bytes that end with the connection.
    With `response`, chunk extensions and trailers are dropped; else they are an error.
    """

    __slots__ = ("_chunked", "_framing", "_left", "_reader", "done", "rest")

    def __init__(
        self, framing: Framing, length: int, *, chunked: bool = True, response: bool = False
    ) -> None:
        self._framing, self._left, self._chunked = framing, length, chunked
        self._reader = ChunkReader(response) if framing is Framing.CHUNKED else None
        self.done = framing is Framing.NONE or (framing is Framing.LENGTH and not length)
        self.rest = b""

    def feed(self, data: bytes, look: Callable[[bytes], None] = _unseen) -> bytes:
        """What to send on for `data`; `look` is called with its content first, without any framing.

        Raises:
            WireError: bad chunks.
        """
        if self.done:
            self.rest += data
            return b""
        if self._reader is not None:
            content = b"".join(self._reader.feed(data))
            if self._reader.done:
                self.done, self.rest = True, self._reader.rest
            look(content)
            if not self._chunked:
                return content
            # One chunk for what came at once: a megabyte in chunks of one byte must not cost six more each.
            framed = write_chunk(content)
            return framed + LAST_CHUNK if self.done else framed
        if self._framing is Framing.UNTIL_CLOSE:
            look(data)
            return data
        own = data[: self._left]
        self._left -= len(own)
        if not self._left:
            self.done, self.rest = True, data[len(own) :]
        look(own)
        return own

    def end(self) -> None:
        """The stream has ended.

        Raises:
            WireError: in the middle of the body.
        """
        if self._framing is Framing.UNTIL_CLOSE:
            self.done = True
        if not self.done:
            raise WireError("the body ended too early")
