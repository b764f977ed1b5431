"""A request whose content is read before it is judged: its client signed the digest, and does not say it. Pure.

Every other content streams. What this one takes is given back when the request is over.
"""

from __future__ import annotations

import hashlib

from sluicegate.gate.bodies import Body
from sluicegate.wire import http

# Of one content, with its chunks: a question to a model with all that it can take in is some 4 MB.
MAX_BYTES = 8_388_608
# Of all contents of a run at once. While it is sent on, each is there a second time.
MAX_ALL_BYTES = 67_108_864
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Room:
    """What the contents of a run hold together."""

    __slots__ = ("held", "most")

    def __init__(self, most: int = MAX_ALL_BYTES) -> None:
        self.held, self.most = 0, most


class Whole:
    """One content. `over` when it is all there, or more than is held: then `digest`, hex SHA-256, is None.

    What its head says that it has is its room from the beginning: of many that come at once the first go on, and not
    each until there is none left for any.
    """

    __slots__ = (
        "_body",
        "_bytes",
        "_counted",
        "_hash",
        "_room",
        "_size",
        "_waits",
        "digest",
        "over",
    )

    def __init__(self, request: http.Request, room: Room) -> None:
        self._body = Body(request.framing, request.length)
        self._hash, self._room = hashlib.sha256(), room
        self._waits = request.expect_continue
        self._bytes, self._size = bytearray(), 0
        self.digest: str | None = None
        self.over = request.length > MAX_BYTES or room.held + request.length > room.most
        self._counted = 0 if self.over else request.length
        room.held += self._counted

    def take(self, data: bytes) -> bytes:
        """What to tell the client after `data`, its next bytes, or nothing.

        Raises:
            WireError: bad chunks.
        """
        self._bytes += data
        self._size += len(data)
        more = max(0, self._size - self._counted)
        self._counted += more
        self._room.held += more
        self._body.feed(data, self._hash.update)
        if self._body.done:
            self.digest = self._hash.hexdigest()
        full = self._size > MAX_BYTES or (more > 0 and self._room.held > self._room.most)
        self.over = self.over or self._body.done or full
        said = CONTINUE if self._waits and not self.over and not self._size else b""
        self._waits = False
        return said

    def given(self) -> bytes:
        """All bytes that it took, once: they are somebody else's to send, and count here until `free`."""
        found, self._bytes = bytes(self._bytes), bytearray()
        return found

    def free(self) -> None:
        """The request is over."""
        self._room.held -= self._counted
        self._size, self._counted, self._bytes = 0, 0, bytearray()
