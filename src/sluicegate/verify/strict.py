"""Bytes to JSON values, stricter than JSON: what two readers could take for two things is refused. Pure."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping

import orjson

from sluicegate import jcs

# One line of evidence or facts; the producer keeps to it, so a longer line is not the producer's.
MAX_LINE_BYTES = 65_535
# As the readers of the published format have it; our own lines nest five deep.
MAX_DEPTH = 128
TIME = re.compile(
    r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
    r"T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{0,8}[1-9])?Z\Z"
)
_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_HEX = re.compile(r"[0-9a-f]*\Z")
HEX32 = re.compile(r"[0-9a-f]{32}\Z")
HEX64 = re.compile(r"[0-9a-f]{64}\Z")
HASH = re.compile(r"sha256:[0-9a-f]{64}\Z")
_PRINTABLE = bytes(range(0x20, 0x7F))
_BRACKET = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[{\]}]')
# Half a character may hide behind such an escape; only text that has one is searched for it.
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
# Printable ASCII whose only escapes are those of quote, backslash, <, > and &: no control character can be meant.
_PLAIN = re.compile(rb'(?:[ -\[\]-~]++|\\["\\]|\\u00(?:3c|3e|26))*+\Z')
# Facts hold a remedy of several lines, and no escapes of markup.
_FACTS = re.compile(rb'(?:[ -\[\]-~]++|\\["\\n])*+\Z')


class VerificationError(Exception):
    """The bytes do not support their claims. `exit_code` is the command's for this, `report` what was found if any."""

    exit_code = 1
    report: object = None


def need(ok: object, message: str) -> None:
    """Nothing, if `ok`.

    Raises:
        VerificationError: it is not; `message` says what was wanted.
    """
    if not ok:
        raise VerificationError(message)


def same(one: object, other: object) -> bool:
    """Whether both are the same JSON: true is not 1 there, as it is in Python."""
    return orjson.dumps(one, option=orjson.OPT_SORT_KEYS) == orjson.dumps(
        other, option=orjson.OPT_SORT_KEYS
    )


def exactly(one: object, other: object) -> bool:
    """Whether both are the same JSON text, members in the same order."""
    return orjson.dumps(one) == orjson.dumps(other)


def time(text: str, what: str) -> None:
    """Nothing, if `text` is a canonical time on a day that the calendar has.

    Raises:
        VerificationError: it is not.
    """
    need(TIME.match(text) and _is_day(text[:10]), what)


@functools.lru_cache(maxsize=64)  # a record has one, or a few
def _is_day(text: str) -> bool:
    year, month, day = int(text[:4]), int(text[5:7]), int(text[8:10])
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return day <= _DAYS[month - 1] - (month == 2 and not leap)


def plain(data: bytes, what: str, *, facts: bool = False) -> None:
    """Nothing, if `data` is short and free of anything but printable ASCII, escaped or not.

    `facts`: it is a line of flows.jsonl, whose texts may have several lines.

    Raises:
        VerificationError: it is not.
    """
    if len(data) > MAX_LINE_BYTES:
        raise VerificationError(f"{what}: longer than {MAX_LINE_BYTES} bytes")
    # Without escapes, as most lines are, there is nothing to understand.
    if b"\\" not in data and not data.translate(None, _PRINTABLE):
        return
    found = (_FACTS if facts else _PLAIN).match(data)
    if not found:
        raise VerificationError(f"{what}: a control character or text that is not ASCII")


def value(data: bytes, what: str) -> dict[str, object]:
    """The object `data` is the text of; every number in it is an exact integer.

    Raises:
        VerificationError: not JSON, a member twice, a fraction, a number beyond 2^53 - 1, or too deep.
    """
    _not_deep(data, what)
    try:
        found = _DECODER.decode(data.decode())
        if _SURROGATE.search(data):
            orjson.dumps(found)
    except (ValueError, TypeError, RecursionError) as error:
        raise VerificationError(f"{what}: {_said(error)}") from error
    need(isinstance(found, dict), f"{what}: not an object")
    return dict(found)


def quick(data: bytes, what: str) -> object:
    """The value `data` is the text of, for a caller who makes the text again of it and compares.

    That tells a member that comes twice, and every other spelling; what numbers there are, the caller must look at.

    Raises:
        VerificationError: as `value` would, for what is not JSON at all.
    """
    _not_deep(data, what)
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return value(data, what)


def mapping(found: object, what: str) -> Mapping[str, object]:
    """`found`, which must be an object.

    Raises:
        VerificationError: it is not.
    """
    if not isinstance(found, dict):
        raise VerificationError(f"{what}: not an object")
    return found


def text(found: object, what: str) -> str:
    """`found`, which must be a string.

    Raises:
        VerificationError: it is not.
    """
    if not isinstance(found, str):
        raise VerificationError(f"{what}: not a string")
    return found


def count(found: object, what: str) -> int:
    """`found`, which must be an integer from 0 up; a boolean is none.

    Raises:
        VerificationError: it is not.
    """
    if type(found) is not int or found < 0:
        raise VerificationError(f"{what}: not a count")
    return found


def member(holder: Mapping[str, object], name: str, what: str) -> int:
    """The member `name` of `holder`, as `count` would have it; its words are made only where they are needed.

    Raises:
        VerificationError: it is missing or no count.
    """
    found = holder.get(name)
    if type(found) is not int or found < 0:
        raise VerificationError(f"{what}: {name}: not a count")
    return found


def words(holder: Mapping[str, object], name: str, what: str) -> str:
    """The member `name` of `holder`, as `text` would have it; what it is called is made only where it is needed.

    Raises:
        VerificationError: it is missing or no string.
    """
    found = holder.get(name)
    if type(found) is not str:
        raise VerificationError(f"{what}: {name}: not a string")
    return found


def raw_hex(found: object, size: int, what: str) -> bytes:
    """The `size` bytes that `found` spells in lower-case hex.

    Raises:
        VerificationError: it does not.
    """
    digits = text(found, what)
    if len(digits) != 2 * size or not _HEX.match(digits):
        raise VerificationError(f"{what}: not {size} bytes of hex")
    return bytes.fromhex(digits)


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a member appears twice")
    return found


def _no_number(digits: str) -> None:
    raise ValueError(f"{digits[:24]} is not an integer")


def _integer(digits: str) -> int:
    if len(digits) > 17 or abs(int(digits)) > jcs.MAX_SAFE_INTEGER:
        raise ValueError("an integer beyond 2^53 - 1")
    return int(digits)


def _said(error: Exception) -> str:
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)


def _not_deep(data: bytes, what: str) -> None:
    if data.count(b"[") + data.count(b"{") > MAX_DEPTH:
        need(_depth(data) <= MAX_DEPTH, f"{what}: nested deeper than {MAX_DEPTH}")


def _depth(data: bytes) -> int:
    deepest = depth = 0
    for found in _BRACKET.finditer(data):
        mark = found.group()
        depth += (mark in b"[{") - (mark in b"]}")
        deepest = max(deepest, depth)
    return deepest


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique,
    parse_float=_no_number,
    parse_constant=_no_number,
    parse_int=_integer,
)
