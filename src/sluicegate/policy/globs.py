"""What sets of globs can tell apart: of every way to match some and not others, one text that does. Pure.

A glob is a small automaton; all of a set run side by side as bits of one number. Every state that some text can lead to
is visited once, so what is not found does not exist. Characters that no glob names are alike: one stands for them.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import quote

from sluicegate.policy import conditions, paths

# States visited for one set of globs: a second of work. Sets that people write stay under a thousand.
MAX_STATES = 60_000
_HEX = frozenset("0123456789abcdefABCDEF")
# What may stand for every character that no glob names: no dot, no hexadecimal digit, and one byte as sent.
_PLAIN = "xyzwvutsrqponmlkjihgXYZWVUTSRQPONMLKJIHG-_~"
Mask = int
State = TypeVar("State")


class UndecidedError(Exception):
    """The question has an answer, but not within the limits of this search; the text says what was too much."""


@dataclass(frozen=True, slots=True)
class _Globs:
    """Positions of all globs as bits: before a literal, before a star, or behind the last token."""

    literals: dict[str, int]
    stars: int
    crossing: int  # of them those that cross a slash
    start: int
    ends: tuple[int, ...]

    @staticmethod
    def of(globs: Sequence[str], *, whole: bool) -> _Globs:
        """`whole`: one star crosses everything, as in conditions; else as in paths."""
        literals, stars, crossing, begins, ends, at = dict[str, int](), 0, 0, 0, list[int](), 0
        for glob in globs:
            begins |= 1 << at
            for token in re.findall(r"\*+|[^*]", glob):
                bit = 1 << at
                if token[0] == "*":
                    stars |= bit
                    crossing |= bit if whole or len(token) > 1 else 0
                else:
                    literals[token] = literals.get(token, 0) | bit
                at += 1
            ends.append(1 << at)
            at += 1
        made = _Globs(literals, stars, crossing, 0, tuple(ends))
        return _Globs(literals, stars, crossing, made.closed(begins), tuple(ends))

    def closed(self, state: int) -> int:
        """With the positions that stars which stand for nothing lead to; no two stars are neighbours."""
        return state | (state & self.stars) << 1

    def step(self, state: int, char: str) -> int:
        """The positions after one more character."""
        looped = self.crossing if char == "/" else self.stars
        return self.closed((state & self.literals.get(char, 0)) << 1 | (state & looped))

    def met(self, state: int) -> Mask:
        """Bit i: glob i matches what led here."""
        return sum(1 << index for index, end in enumerate(self.ends) if state & end)


def of_paths(globs: Sequence[str]) -> dict[Mask, str]:
    """For each set of `globs` (bit i for the i-th) that some path matches and no other of them, the path as sent.

    Raises:
        UndecidedError: too many states, or a path that no request could have room for.
    """
    machine = _Globs.of(globs, whole=False)
    known = _alphabet(machine.literals, lambda char: paths.normal("/x" + _sent(char)))
    alphabet = ["/", *(char for char in known if char != "/")]

    def step(state: tuple[int, int, int], char: str) -> tuple[int, int, int] | None:
        positions, segment, escape = state
        later = _escape(escape, char)
        segment = _segment(segment, char)
        return (
            None
            if later is None or segment < 0
            else (machine.step(positions, char), segment, later)
        )

    found = dict[Mask, str]()
    start = (machine.step(machine.start, "/"), _EMPTY, 0)
    for (positions, segment, _), text in _visited(
        start, "/", alphabet, step, _sent, paths.MAX_PATH
    ):
        if segment in {_EMPTY, _OTHER} and (mask := machine.met(positions)) not in found:
            raw = _sent(text)
            if paths.normal(raw) != text:
                raise UndecidedError(f"a path of more than {paths.MAX_SEGMENTS} segments")
            found[mask] = raw
    return found


def of_parameters(globs: Sequence[str]) -> dict[Mask, str]:
    """The same for values of a query parameter, as sent, that can be read in one way.

    Raises:
        UndecidedError: too many states.
    """
    machine = _Globs.of(globs, whole=True)
    alphabet = _alphabet(
        machine.literals, lambda char: next(iter(conditions.readings(_sent(char)) or ()), None)
    )

    def step(state: tuple[int, int], char: str) -> tuple[int, int] | None:
        later = _escape(state[1], char)
        return None if later is None else (machine.step(state[0], char), later)

    found = dict[Mask, str]()
    most = conditions.MAX_CONDITION_VALUE
    for (positions, _), text in _visited((machine.start, 0), "", alphabet, step, _sent, most):
        raw = _sent(text)
        if raw.endswith(conditions.CUT):
            raw = raw[:-1] + "%2E"
        known = len(raw) <= most and conditions.readings(raw) == frozenset((text,))
        if known and (mask := machine.met(positions)) not in found:
            found[mask] = raw
    return found


def of_headers(allow: Sequence[str], deny: Sequence[str]) -> dict[tuple[Mask, Mask], str]:
    """The same for values of a header: `allow` globs match it as it is, `deny` globs it or an element in lower case.

    Raises:
        UndecidedError: too many states.
    """
    exact = _Globs.of(allow, whole=True)
    loose = _Globs.of([glob.lower() for glob in deny], whole=True)
    named = set(exact.literals) | {c for low in loose.literals for c in (low, low.upper())}
    alphabet = _alphabet(named | ({",", " "} if deny else set()), _header_char)

    def step(state: _Header, char: str) -> _Header | None:
        if char == " " and state.first:
            return None  # spaces around a value are no part of it
        low = char.lower()
        met, element, trimmed = state.met, state.element, state.trimmed
        if char == ",":
            met, element, trimmed = met | loose.met(trimmed), loose.start, loose.start
        elif char != " " or not state.fresh:
            element = loose.step(element, low)
            trimmed = trimmed if char == " " else element
        return _Header(
            exact.step(state.exact, char),
            loose.step(state.whole, low),
            *(element, trimmed, met),
            first=False,
            fresh=char == "," or (char == " " and state.fresh),
            edge=char == " ",
            dots=min(state.dots + 1, 3) if char == "." else 0,
        )

    found = dict[tuple[Mask, Mask], str]()
    begin = _Header(exact.start, loose.start, loose.start, loose.start, 0)
    most = conditions.MAX_CONDITION_VALUE
    for state, text in _visited(begin, "", alphabet, step, lambda char: char, most):
        # One that ends as cut values do is never known.
        if state.edge or state.dots == len(conditions.CUT):
            continue
        denied = state.met | loose.met(state.whole) | loose.met(state.trimmed)
        found.setdefault((exact.met(state.exact), denied), text)
    return found


@dataclass(frozen=True, slots=True)
class _Header:
    """Where a value has led: as it is, in lower case, in the element so far, in it up to its last visible character."""

    exact: int
    whole: int
    element: int
    trimmed: int
    met: int
    first: bool = True  # nothing of the value yet
    fresh: bool = True  # nothing of the element yet
    edge: bool = False  # the last character is a space
    dots: int = 0


def _header_char(char: str) -> str | None:
    return char if char.isascii() and char.isprintable() else None


_EMPTY, _DOT, _DOTS, _OTHER = range(4)


def _segment(now: int, char: str) -> int:
    """What the last segment of a path is after `char`; -1 where no path in its one form has it."""
    if char == "/":
        return _EMPTY if now == _OTHER else -1
    return min(now + 1, _OTHER) if char == "." and now != _OTHER else _OTHER


def _escape(now: int, char: str) -> int | None:
    """How far into `%HH` the text is after `char`; None: it is one, and was not decoded to the end."""
    if char == "%":
        return 1
    if now and char in _HEX:
        return None if now == 2 else 2
    return 0


def _sent(text: str) -> str:
    return quote(text, safe="/")


def _alphabet(named: Iterable[str], known: Callable[[str], str | None]) -> list[str]:
    """The characters of `named` that texts can have, and one that stands for all others."""
    named = set(named)
    usable = [char for char in named if (known(char) or "").endswith(char)]
    usable.sort(key=str.swapcase)  # small letters first, as people write
    others = (*_PLAIN, *map(chr, range(0x100, 0x100 + len(named) + 1)))
    fresh = next(char for char in others if char not in named)
    return [fresh, *usable]


def _visited(
    start: State,
    text: str,
    alphabet: Sequence[str],
    step: Callable[[State, str], State | None],
    sent: Callable[[str], str],
    most: int,
) -> Iterator[tuple[State, str]]:
    """Every state that texts of at most `most` bytes as sent lead to, with the shortest text that does."""
    costs = [(char, len(sent(char))) for char in alphabet]
    waiting, number, seen = [(len(sent(text)), 0, start, text)], 0, set[State]()
    while waiting:
        cost, _, state, text = heapq.heappop(waiting)
        if state in seen:
            continue
        seen.add(state)
        if len(seen) > MAX_STATES:
            raise UndecidedError(f"globs that tell more than {MAX_STATES} kinds of text apart")
        yield state, text
        for char, size in costs:
            after = step(state, char)
            if after is not None and after not in seen and cost + size <= most:
                number += 1
                heapq.heappush(waiting, (cost + size, number, after, text + char))
