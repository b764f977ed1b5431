"""A reading position over bytes. Whoever parses by hand does it through this."""

from __future__ import annotations


class WireError(Exception):
    """The bytes are not what the protocol allows; the flow they came on can not be vouched for."""


class Cursor:
    """Big-endian reads over `data`, each bounded: reading past the end is a WireError."""

    __slots__ = ("at", "data", "end")

    def __init__(self, data: bytes, at: int = 0, end: int | None = None) -> None:
        self.data = data
        self.at = at
        self.end = len(data) if end is None else end

    @property
    def left(self) -> int:
        return self.end - self.at

    def take(self, size: int) -> bytes:
        if size < 0 or size > self.left:
            raise WireError(f"{size} bytes wanted, {self.left} left")
        piece = self.data[self.at : self.at + size]
        self.at += size
        return piece

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def block(self, width: int) -> Cursor:
        """A cursor over a vector whose length is stated in `width` bytes before it."""
        return Cursor(self.take(self.number(width)))

    def finish(self) -> None:
        if self.left:
            raise WireError(f"{self.left} bytes after the end")
