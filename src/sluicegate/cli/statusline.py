"""One line at the bottom of a terminal that others print on: when it may stand there, and what it says. Pure.

It stands only where the cursor is at the beginning of a line that the command has not begun, and it is gone before
the command's next byte. A command that moves the cursor itself (any escape sequence but colours and erasing of its
own line) has the screen for the rest of the run: where its cursor is nobody knows then.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

# From the line's beginning to its end, and the cursor back at the beginning (ECMA-48: EL).
CLEAR = b"\r\x1b[K"
# What begins something that may move the cursor: control characters but bell, backspace, tab, newline, carriage
# return and escape, and the eight-bit forms of escape sequences in UTF-8.
_MOVES = re.compile(rb"[\x01-\x06\x0b\x0c\x0e-\x1a\x1c-\x1f]|\xc2[\x80-\x9f]")
_HARMLESS = re.compile(rb"\x1b\[([0-9;]*)([mK])")
_BEGUN = re.compile(rb"\x1b(?:\[[0-9;]{0,32})?\Z|\xc2\Z")
_PLAIN = frozenset((b"", b"0"))  # the colours that the terminal had before
_UNITS = ("B", "kB", "MB", "GB", "TB")


class Line:
    """`before` for all that the command prints, `draw` for what is to stand there; `newline` ends its lines."""

    def __init__(self, newline: bytes = b"\n") -> None:
        self.owned = False  # the command has the screen
        self._shown = b""
        self._newline = newline
        self._tail = newline  # the last bytes that were printed
        self._begun = b""  # of an escape sequence
        self._plain = True

    @property
    def at_start(self) -> bool:
        """Whether no line is begun."""
        return self._tail == self._newline

    @property
    def free(self) -> bool:
        """Whether a line of ours may stand there."""
        return self.at_start and self._plain and not (self.owned or self._begun)

    def before(self, data: bytes) -> bytes:
        """What to print instead of the command's `data`: without our line."""
        clear, self._shown = CLEAR if self._shown else b"", b""
        printed = data if self.owned else self._read(self._begun + data)
        if printed:
            self._tail = (self._tail + printed[-2:])[-len(self._newline) :]
        return clear + data

    def draw(self, text: str, columns: int) -> bytes:
        """What to print so that `text` stands there, cut so that it does not wrap; nothing where it may not."""
        line = fitted(text, columns).encode("ascii", "replace")
        if not self.free or line == self._shown:
            return b""
        self._shown = line
        return CLEAR + line

    def _read(self, data: bytes) -> bytes:
        """What of `data` is no harmless escape sequence."""
        for found in _HARMLESS.finditer(data):
            if found[2] == b"m":
                self._plain = found[1] in _PLAIN
        rest = _HARMLESS.sub(b"", data)
        begun = _BEGUN.search(rest)
        self._begun = begun[0] if begun else b""
        rest = rest[: len(rest) - len(self._begun)]
        self.owned = b"\x1b" in rest or _MOVES.search(rest) is not None
        return rest


def fitted(text: str, columns: int) -> str:
    """`text` for a line of `columns`, the last of which stays empty: some terminals wrap when it is written."""
    room = max(0, columns - 1)
    return text if len(text) <= room else text[: max(0, room - 3)] + "..."[:room]


def size(number: int) -> str:
    """A number of bytes in three or four characters and a unit."""
    value, unit = float(number), 0
    while value >= 999.5 and unit < len(_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return (
        f"{value:.0f} {_UNITS[unit]}"
        if unit == 0 or value >= 99.5
        else f"{value:.1f} {_UNITS[unit]}"
    )


def words(counts: Mapping[str, int], destinations: Sequence[str]) -> str:
    """The line: counts of flows, denials and bytes, then where flows go to just now."""
    said = f"sluicegate: {counts['flows']} flows, {counts['denied']} denied"
    said += f", {counts['observed']} would be denied" if counts["observed"] else ""
    said += f", {size(counts['up'])} up, {size(counts['down'])} down"
    return f"{said} | {' '.join(destinations)}" if destinations else said


def flowing(remedy: str) -> str:
    """The lines of a rule, as `policy.remedies` writes them, as one line of YAML; empty if they are something else."""
    first, *more = [line.strip() for line in remedy.splitlines()] or [""]
    if not first.startswith("- "):
        return ""
    return f"- {{{', '.join((first[2:], *more))}}}" if more else first
