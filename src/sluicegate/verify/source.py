"""A stream of bytes as lines, read once: what was hashed is what was parsed. Pure: the bytes come from the caller."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

from sluicegate.verify.strict import VerificationError


class Source:
    """The lines of `pieces`, without their LF, each once and in order.

    What is held is one piece and one line; `most` bytes without an LF are an error, so that nothing grows with the
    stream. `digest` and `torn` speak of the whole of it and are known only when it has been read to its end.
    """

    __slots__ = ("_hash", "_lines", "_most", "_name", "_pieces", "_rest", "torn")

    def __init__(self, pieces: Iterable[bytes], name: str, most: int) -> None:
        self._pieces, self._name, self._most = iter(pieces), name, most
        self._hash, self._rest = hashlib.sha256(), b""
        self._lines: Iterator[bytes] = iter(())
        self.torn = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        """The next line.

        Raises:
            VerificationError: a line that is too long.
        """
        while (line := next(self._lines, None)) is None:
            piece = next(self._pieces, None)
            if piece is None:
                # What follows the last LF is no line: its writer died there, or somebody cut it.
                self.torn = bool(self._rest)
                raise StopIteration
            self._hash.update(piece)
            *whole, self._rest = (self._rest + piece).split(b"\n")
            if len(self._rest) > self._most:
                raise VerificationError(f"{self._name}: a line longer than {self._most} bytes")
            self._lines = iter(whole)
        return line

    def drain(self) -> None:
        """Read what is left, for the sake of `sha256` and `torn`.

        Raises:
            VerificationError: as reading it.
        """
        for _ in self:
            pass

    def sha256(self) -> str:
        """The hex digest of all bytes, the rest of them read now.

        Raises:
            VerificationError: as reading them.
        """
        self.drain()
        return self._hash.hexdigest()
