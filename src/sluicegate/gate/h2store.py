"""What the HTTP/2 requests of a run hold in the gate's memory, all together, and the most that they may. Pure.

Each connection has bounds of its own (`h2side`, `h2pipe`, `h2inside`), but a command may have thousands of them.
"""

from __future__ import annotations

# Bytes of one request beside its head and contents: its streams in `h2`, its pipes and what is put on record of it.
# Measured: 12,500 with those of client and server, which the gate does not have.
STREAM_BYTES = 16_384
# Bytes of one field of a head in memory beside its name and value: a tuple and two texts.
FIELD_BYTES = 200
# Of the most, how much more is held for answers that say so, before a whole connection has to go: one part in so many.
SPARE = 8


class Store:
    """`held` bytes of `most`: `full` when nothing more should be begun, `over` when nothing more can be answered."""

    __slots__ = ("held", "most")

    def __init__(self, most: int) -> None:
        self.held, self.most = 0, most

    @property
    def full(self) -> bool:
        return self.held >= self.most

    @property
    def over(self) -> bool:
        return self.held >= self.most + self.most // SPARE

    @property
    def why(self) -> str:
        """The reason of a refusal, in words."""
        return f"the HTTP/2 requests of this run hold {self.most} bytes already"
