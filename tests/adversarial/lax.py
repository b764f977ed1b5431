"""A reader of HTTP/1 that takes whatever it can for a request, as some servers do: what it believes it saw.

Nothing of it is ours: not a line of the gate's own readers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_BLANK = b" \t\r\n\x0b\x0c\0"
_END = re.compile(rb"\r?\n\r?\n|\r\r")
_NUMBER = re.compile(rb"[+-]?(?:0x)?([0-9]+)")
_HEX = re.compile(rb"[ \t]*(?:0x)?([0-9a-fA-F]+)")


@dataclass(frozen=True, slots=True)
class Seen:
    """One request as this reader understood it; `last`: it closes the connection after it."""

    method: str
    target: str
    host: str
    body: bytes
    last: bool


@dataclass(frozen=True, slots=True)
class Lax:
    """How bodies are measured: by the first or last Content-Length or by chunks first; or they are left unread."""

    name: str
    first: str = "te"
    which: int = 0
    unread: bool = False
    cr: bool = False  # a bare CR ends a line too

    def read(self, stream: bytes) -> list[Seen]:
        """The requests that `stream` begins with, the last one maybe without all of its body."""
        found = list[Seen]()
        while not (found and found[-1].last):
            stream = stream.lstrip(_BLANK)
            end = _END.search(stream)
            if end is None:
                break
            seen = self._head(stream[: end.start()])
            if seen is None:
                break
            request, fields = seen
            stream = stream[end.end() :]
            body, stream = (b"", stream) if self.unread else self._body(fields, stream)
            closes = any(
                b"close" in value.lower() for name, value in fields if name == b"connection"
            )
            found.append(Seen(*request, body, closes))
        return found

    def _head(self, head: bytes) -> tuple[tuple[str, str, str], list[tuple[bytes, bytes]]] | None:
        lines = re.split(rb"\r?\n|\r" if self.cr else rb"\r?\n", head)
        words = lines[0].split()
        if len(words) < 2:
            return None
        fields = list[tuple[bytes, bytes]]()
        for line in lines[1:]:
            if line[:1] in {b" ", b"\t"} and fields:
                fields[-1] = fields[-1][0], fields[-1][1] + b" " + line.strip(_BLANK)
                continue
            name, _, value = line.partition(b":")
            fields.append((name.strip(_BLANK).lower().replace(b"_", b"-"), value.strip(_BLANK)))
        host = next((value for name, value in fields if name == b"host"), b"")
        method, target = words[0].decode("latin-1"), words[1].decode("latin-1")
        return (method, target, host.decode("latin-1")), fields

    def _body(self, fields: list[tuple[bytes, bytes]], stream: bytes) -> tuple[bytes, bytes]:
        lengths = [v for name, v in fields if name == b"content-length"]
        chunked = any(b"chunked" in v.lower() for name, v in fields if name == b"transfer-encoding")
        if chunked and (self.first == "te" or not lengths):
            return _chunks(stream)
        if not lengths:
            return b"", stream
        number = _NUMBER.match(lengths[self.which])
        size = int(number[1]) if number else 0
        return stream[:size], stream[size:]


def _chunks(stream: bytes) -> tuple[bytes, bytes]:
    body = b""
    while True:
        line, ended, rest = stream.partition(b"\n")
        number = _HEX.match(line)
        # As many bits as a word has.
        size = int(number[1], 16) & 0xFFFF_FFFF_FFFF_FFFF if number else 0
        if not ended:
            return body, b""
        stream = rest
        if not size:
            end = _END.search(b"\n" + stream)
            return body, stream[end.end() - 1 :] if end else b""
        body, stream = body + stream[:size], stream[size:]
        if stream[:2] == b"\r\n":
            stream = stream[2:]
        elif stream[:1] == b"\n":
            stream = stream[1:]


READERS = (
    Lax("chunks first"),
    Lax("length first", "cl"),
    Lax("last length first", "cl", -1),
    Lax("bodies unread", unread=True),
    Lax("any line end", cr=True),
)
