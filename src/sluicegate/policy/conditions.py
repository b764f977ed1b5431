"""Query parameters and headers: what of a request rules ask for, and whether it is so. Pure.

Servers differ in how they read both. So a condition of an allow rule holds only if every reading of every occurrence
holds it, and one of a deny rule does not hold only if no reading does.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from urllib.parse import unquote_to_bytes

Pairs = tuple[tuple[str, str], ...]

# Characters of one value, in the facts and so on record: longer ones are tokens or payload, not something to choose by.
MAX_CONDITION_VALUE = 256
# Occurrences that are kept of one request. A line of the record holds 65,535 bytes; of both kinds these are a third.
MAX_PAIRS = 16
# What stands for the rest of a value that was cut, and as a name for a parameter that can be read in two ways or was
# one too many. Nothing that ends in it is ever known.
CUT = "..."
_ESCAPE = re.compile("%[0-9a-fA-F]{2}")
# Controls and ends of lines. Not `isprintable`, which is of another mind in each version of Unicode.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff]")
# Escaped slashes and NUL; what ends or splits a query for some servers alone.
_AMBIGUOUS = re.compile(r"%2f|%5c|[\\;#]", re.IGNORECASE)


def query(target: str | None, names: frozenset[str]) -> Pairs:
    """The parameters in the query of `target` (a path as sent) that conditions on `names` need, as they were sent."""
    if not names or target is None:
        return ()
    wanted = frozenset(loose_name(name) for name in names)
    found: list[tuple[str, str]] = []
    for piece in target.partition("?")[2].split("&"):
        parts = [part.partition("=") for part in piece.split(";") if part]
        heard = [_heard(name, wanted) for name, _, _ in parts]
        if ";" not in piece and heard == [True]:
            found.append((parts[0][0], _cut(parts[0][2])))
        elif any(sure is not False for sure in heard) and (CUT, CUT) not in found:
            found.append((CUT, CUT))
    return _bounded(found)


def headers(fields: Iterable[tuple[str, str]], names: frozenset[str]) -> Pairs:
    """The headers of `fields` that conditions on `names` (lower case) need; names in lower case, values trimmed."""
    if not names:
        return ()
    wanted = frozenset(header_name(name) for name in names)
    found = [
        (name.lower(), _cut(value.strip(" \t")))
        for name, value in fields
        if header_name(name) in wanted
    ]
    return _bounded(found)


def hold(rule_query: Pairs, rule_headers: Pairs, found_query: Pairs, found_headers: Pairs) -> bool:
    """Whether every condition of an allow rule is met however the request is read."""
    return all(
        _surely(globs, _parameters(found_query, name)) for name, globs in by_name(rule_query)
    ) and all(_surely(globs, _fields(found_headers, name)) for name, globs in by_name(rule_headers))


def may_hold(
    rule_query: Pairs, rule_headers: Pairs, found_query: Pairs, found_headers: Pairs
) -> bool:
    """Whether every condition of a deny rule is met by some reading of some occurrence."""
    return all(
        _maybe(globs, _parameters(found_query, name)) for name, globs in by_name(rule_query)
    ) and all(
        _maybe(_lower(globs), _elements(_fields(found_headers, name)))
        for name, globs in by_name(rule_headers)
    )


def readings(raw: str) -> frozenset[str] | None:
    """What a query's text may mean, decoded once; None if servers may read it in ways that can not be listed.

    A plus is a space in forms (WHATWG URL section 5.1) and itself in RFC 3986: two readings.
    """
    if raw.count("%") != len(_ESCAPE.findall(raw)) or _AMBIGUOUS.search(raw) or not _plain(raw):
        return None
    both = set[str]()
    for text in (raw, raw.replace("+", " ")):
        try:
            decoded = unquote_to_bytes(text).decode()
        except UnicodeDecodeError:
            return None
        if _ESCAPE.search(decoded) or _CONTROL.search(decoded):
            return None
        both.add(decoded)
    return frozenset(both)


def matches(glob: str, text: str) -> bool:
    """Whether `*` (any characters) makes `glob` into `text`. The work grows with the text, once for each star."""
    first, *rest = glob.split("*")
    if not rest:
        return glob == text
    if not text.startswith(first):
        return False
    at = len(first)
    # The first place is always as good as a later one: what follows can only have more room.
    for piece in rest[:-1]:
        at = text.find(piece, at)
        if at < 0:
            return False
        at += len(piece)
    return text.endswith(rest[-1]) and len(text) - len(rest[-1]) >= at


# One occurrence: whether its name is spelt as in the condition, and what its value may mean.
_Seen = tuple[bool, frozenset[str] | None]


def _surely(globs: tuple[str, ...], seen: list[_Seen]) -> bool:
    exact = any(spelt for spelt, _ in seen)
    return exact and all(
        values is not None and all(_any(globs, value) for value in values) for _, values in seen
    )


def _maybe(globs: tuple[str, ...], seen: list[_Seen]) -> bool:
    return any(values is None or any(_any(globs, value) for value in values) for _, values in seen)


def _any(globs: tuple[str, ...], value: str) -> bool:
    return any(matches(glob, value) for glob in globs)


def _parameters(found: Pairs, name: str) -> list[_Seen]:
    seen: list[_Seen] = []
    for raw, value in found:
        named = None if raw == CUT else readings(raw)
        if named is None:
            seen.append((False, None))
        elif any(loose_name(one) == loose_name(name) for one in named):
            known = None if _is_cut(value) else readings(value)
            seen.append((named == {name}, known))
    return seen


def _fields(found: Pairs, name: str) -> list[_Seen]:
    seen: list[_Seen] = []
    for raw, value in found:
        if raw == CUT:
            seen.append((False, None))
        elif header_name(raw) == header_name(name):
            known = None if _is_cut(value) or not _plain(value) else frozenset((value,))
            seen.append((raw == name, known))
    return seen


def _elements(seen: list[_Seen]) -> list[_Seen]:
    """The same in lower case, and the elements of lists too: RFC 9110 section 5.3 lets anyone join repeated headers."""
    out: list[_Seen] = []
    for spelt, values in seen:
        texts = None if values is None else {text.lower() for text in values}
        if texts is not None:
            texts |= {part.strip(" \t") for text in texts for part in text.split(",")}
        out.append((spelt, None if texts is None else frozenset(texts)))
    return out


@functools.lru_cache(maxsize=1024)
def by_name(conditions: Pairs) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Each name of a rule's conditions with its globs, of which one must be met."""
    names = dict.fromkeys(name for name, _ in conditions)
    return tuple((name, tuple(glob for n, glob in conditions if n == name)) for name in names)


@functools.lru_cache(maxsize=1024)
def _lower(globs: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(glob.lower() for glob in globs)


def _heard(raw: str, wanted: frozenset[str]) -> bool | None:
    """Whether a parameter's name is one of `wanted`; None if that can not be said."""
    named = readings(raw)
    return None if named is None else any(loose_name(name) in wanted for name in named)


def loose_name(name: str) -> str:
    """A parameter's name as the laxest servers have it.

    PHP trims it, turns dots and spaces into underscores and cuts at a bracket, as Rack and qs do; ASP.NET ignores case.
    """
    return re.sub("[ .]", "_", name.lstrip().partition("[")[0]).lower()


def header_name(name: str) -> str:
    """A header's name as CGI and its heirs have it (RFC 3875 section 4.1.18): there `x_a` is `X-A`."""
    return name.lower().replace("_", "-")


def _plain(text: str) -> bool:
    """Whether the record can show it as it is, so that a verifier sees what was judged."""
    return len(text) <= MAX_CONDITION_VALUE and text.isascii() and text.isprintable()


def _cut(value: str) -> str:
    if not (value.isascii() and value.isprintable()):
        return CUT
    return value if len(value) <= MAX_CONDITION_VALUE else value[:MAX_CONDITION_VALUE] + CUT


def _is_cut(value: str) -> bool:
    return value.endswith(CUT)


def _bounded(found: list[tuple[str, str]]) -> Pairs:
    return tuple(found) if len(found) <= MAX_PAIRS else (*found[:MAX_PAIRS], (CUT, CUT))
