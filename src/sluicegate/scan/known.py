"""What to look for, to find a known value in the encodings a program writes without thinking. Pure.

Looked for: the bytes as they are and backwards; hex; base64 and its URL-safe alphabet, wherever in the encoded text
the value begins, padded or not, broken into lines or not; and any mixture of plain characters with percent and JSON
escapes.
Not looked for: what is compressed or encrypted, one of these encodings around another (percent around base64's own
signs, and escapes of escapes, excepted), or a value cut into pieces.

A long value is looked for by parts of it, all of which must be seen in one stream: an expression with a choice at every
character takes a compiler time that grows faster than its length, and a run must start in milliseconds. The parts of a
whole value are all in it, so none is missed; and who sends all parts in another order has sent the value as well.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

# Bytes. Shorter values are words that ordinary text has, too; and base64 keeps only 10 characters of 8 bytes that do
# not depend on the neighbours: 60 bits, which no accident makes.
MIN_VALUE_BYTES = 8
# Parts of one value: its two ends may be public (an address with a password in it), its middle is not as well.
MAX_PARTS = 3
LITERAL_UNITS = 128  # bytes in a part without choices: longer ones make every stream's state longer
CHOICE_UNITS = 8  # characters in a part with a choice at each: the compiler's time is theirs

# What may stand between an escape's sign and its last two hex digits, in any number: the signs of escapes escaped again
# (`%2525`, `\\\\`), and the u00 or x. It takes some that no decoder would: all of a part must match, so
# no harm is done.
_ESCAPE = rb"[%\x5c][\x5c25ux0]*"
# Between two characters of base64: ends of lines, as they are or as a JSON text writes them.
_BREAK = rb"(?:[\r\n]|\x5c+[rn])*"
_BASE64 = {0x2B: rb"(?:[+\x2d]|%(?:25)*2[bB])", 0x2F: rb"(?:\x5c*/|_|%(?:25)*2[fF])"}
_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_QUOTED = frozenset(
    b"\"'/\\"
)  # a backslash before them means nothing, in JSON or in a program's string
_SHORT = {0x08: b"b", 0x09: b"t", 0x0A: b"n", 0x0C: b"f", 0x0D: b"r"}  # RFC 8259 section 7
_SPACE = 0x20


@dataclass(frozen=True, slots=True)
class Sought:
    """Found in a stream once each of `parts`, regular expressions over bytes, has been seen in it."""

    name: str
    encoding: str
    parts: tuple[bytes, ...]


def sought(name: str, value: bytes) -> Iterator[Sought]:
    """Everything to look for, to find `value`; of several with one encoding any is a finding."""
    yield from _unencoded(name, value)
    yield Sought(name, "escaped", _parts(_escapable(value), CHOICE_UNITS))
    for before in range(3):
        yield Sought(name, "base64", _parts(_base64(value, before), CHOICE_UNITS, _BREAK))


def literally(name: str, value: bytes) -> Iterator[Sought]:
    """What of that needs no choice, and so next to no compiler's time: no escapes, and base64 on one line alone."""
    yield from _unencoded(name, value)
    for before in range(3):
        usual = alone(value, before)
        for text in dict.fromkeys((usual, usual.translate(_URL_SAFE))):
            yield Sought(name, "base64", _parts(_literal(text), LITERAL_UNITS))


def _unencoded(name: str, value: bytes) -> Iterator[Sought]:
    yield Sought(name, "plain", _parts(_literal(value), LITERAL_UNITS))
    if value[::-1] != value:
        yield Sought(name, "reversed", _parts(_literal(value[::-1]), LITERAL_UNITS))
    digits = [b"%c" % digit for digit in value.hex().encode()]
    hexes = (b"(?i:%s)" % part for part in _parts(digits, LITERAL_UNITS))
    yield Sought(name, "hex", tuple(hexes))


def _parts(units: Sequence[bytes], size: int, between: bytes = b"") -> tuple[bytes, ...]:
    """At most MAX_PARTS runs of `size` units, spread over all with the last at the end; one of all if they are few."""
    count = min(MAX_PARTS, -(-len(units) // size))
    last = max(0, len(units) - size)
    starts = [last * number // max(1, count - 1) for number in range(count)]
    return tuple(between.join(units[start : start + size]) for start in starts)


def _literal(value: bytes) -> list[bytes]:
    return [b"\\x%02x" % byte for byte in value]


def _escapable(value: bytes) -> list[bytes]:
    """An expression for each character: as it is, or in any escape of it."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return [_byte(byte) for byte in value]
    return [_byte(ord(char)) if char < "\x80" else _character(char) for char in text]


def _byte(byte: int) -> bytes:
    plain = rb"\x5c*" if byte in _QUOTED else b""
    ways = [plain + b"\\x%02x" % byte, _ESCAPE + _hex(b"%02x" % byte)]
    if byte in _SHORT:
        ways.append(rb"\x5c+" + _SHORT[byte])
    if byte == _SPACE:
        ways.append(rb"\+")
    return b"(?:%s)" % b"|".join(ways)


def _character(char: str) -> bytes:
    """A character beyond ASCII: its bytes, each in its ways, or its escapes by number, of UTF-16."""
    units = char.encode("utf-16-be").hex().encode()
    escapes = (rb"\x5c+u" + _hex(units[at : at + 4]) for at in range(0, len(units), 4))
    return b"(?:%s|%s)" % (b"".join(_byte(byte) for byte in char.encode()), b"".join(escapes))


def _hex(digits: bytes) -> bytes:
    return re.sub(rb"[a-f]", lambda found: b"[%s%s]" % (found[0], found[0].upper()), digits)


def _base64(value: bytes, before: int) -> list[bytes]:
    """The characters of `alone`, in all spellings."""
    return [_BASE64.get(sign, b"%c" % sign) for sign in alone(value, before)]


def alone(value: bytes, before: int) -> bytes:
    """Of base64 the characters that `value` alone decides when `before` bytes (modulo 3) go ahead of it."""
    whole = base64.b64encode(bytes(before) + value)
    return whole[-(-before * 8 // 6) : (before + len(value)) * 8 // 6]
