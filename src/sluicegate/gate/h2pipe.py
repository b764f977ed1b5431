"""One direction of one HTTP/2 request: what has come, and what of it has not gone on yet. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol

from sluicegate.facts import Decision
from sluicegate.gate.h2head import Fields, size_of
from sluicegate.gate.h2store import FIELD_BYTES, Store
from sluicegate.gate.passage import Barred

# What a sender may have on its way before any of it is taken, per stream (SETTINGS_INITIAL_WINDOW_SIZE). Times the
# streams of a connection, 16 MiB wait at most.
FIRST_WINDOW = 16_384
# A window grows while its bytes are taken at once, up to this: at 20 ms of distance it lets 50 MB/s through.
LAST_WINDOW = 1_048_576
# All windows of a connection together grow by no more than this.
GROWTH_BYTES = 8_388_608


class Source(Protocol):
    """Where a pipe's bytes come from: told when they are taken."""

    def taken(self, pipe: Pipe, size: int) -> None: ...


class Pipe:
    """From `source` to `sink_id` of a sink.

    `ended`: all has come; `done`: all is framed, `sent`: and has gone; `dead`: nothing may go any more.
    `count` is what its frames took that were sent to the sink, in bytes before encryption. `when_sent` is called once.
    What waits in it counts in `store`: nobody else changes `heads`, `body` and `trailers`.
    `look` sees each piece of the content before it is framed, `look_last` the trailers as lines. Where one raises
    `Barred`, `when_barred` is called, and the piece does not go.
    """

    __slots__ = (
        *(
            "body",
            "count",
            "dead",
            "done",
            "ended",
            "heads",
            "look",
            "look_last",
            "owed",
            "sent",
            "sink_id",
        ),
        *("source", "source_id", "store", "trailers", "when_barred", "when_sent", "window"),
    )

    def __init__(
        self,
        when_sent: Callable[[], None],
        when_barred: Callable[[Decision], None],
        store: Store,
    ) -> None:
        self.store = store
        self.heads = deque[Fields]()
        self.body = bytearray()
        self.trailers: Fields | None = None
        self.ended = self.done = self.sent = self.dead = False
        self.source: Source | None = None
        self.source_id = self.sink_id = self.count = self.owed = 0
        self.window = FIRST_WINDOW
        self.look: Callable[[bytes], None] | None = None
        self.look_last: Callable[[bytes], None] | None = None
        self.when_sent, self.when_barred = when_sent, when_barred

    def add(self, data: bytes) -> None:
        """More content has come."""
        self.body += data
        self.store.held += len(data)

    def drop(self, size: int) -> None:
        """The first `size` bytes of the content have gone on."""
        del self.body[:size]
        self.store.held -= size

    def put_head(self, fields: Fields) -> None:
        """One more head goes before the content."""
        self.heads.append(fields)
        self.store.held += size_of(fields, FIELD_BYTES)

    def next_head(self) -> Fields:
        """The head whose turn it is."""
        fields = self.heads.popleft()
        self.store.held -= size_of(fields, FIELD_BYTES)
        return fields

    def put_trailers(self, fields: Fields | None) -> None:
        """These go behind the content, instead of those before; None: none."""
        self.store.held += size_of(fields or (), FIELD_BYTES) - size_of(
            self.trailers or (), FIELD_BYTES
        )
        self.trailers = fields

    @property
    def more(self) -> bool:
        """Whether something waits to go."""
        if self.done or self.dead:
            return False
        return bool(self.heads or self.body or self.ended)

    @property
    def last(self) -> bool:
        """Whether nothing follows what was just taken out."""
        return self.ended and not (self.heads or self.body or self.trailers)

    def passes(self, data: bytes, *, last: bool = False) -> bool:
        """Whether `data` may go on, `last` trailers; if not, whoever must know knows."""
        look = self.look_last if last else self.look
        try:
            if look is not None:
                look(data)
        except Barred as refusal:
            self.when_barred(refusal.decision)
            return False
        return True

    def kill(self) -> int:
        """Let nothing more through; how many bytes are thrown away, which its source may be given back."""
        size = len(self.body)
        self.dead = True
        while self.heads:
            self.next_head()
        self.drop(size)
        self.put_trailers(None)
        return size

    def grown(self, room: int) -> int:
        """How much the window grows, now that all has been taken, where `room` bytes are left for that."""
        if self.body or self.window >= LAST_WINDOW or room < self.window:
            return 0
        more, self.window = self.window, 2 * self.window
        return more
