"""Request paths in one form, and the globs of the policy over it."""

from __future__ import annotations

import functools
import re
from urllib.parse import unquote_to_bytes

MAX_PATH = 8192  # bytes; longer paths match no rule, so that matching stays cheap
MAX_GLOB = 1024  # characters of a glob; a rule that needs more is about one request, not a place
# The deepest real paths have tens. Matching looks at each segment once for each piece of each rule's glob.
MAX_SEGMENTS = 256
_ESCAPE = re.compile("%[0-9a-fA-F]{2}")
_AMBIGUOUS = re.compile(r"%2f|%5c|%3b|//|[\\;#]", re.IGNORECASE)


def normal(raw: str | None) -> str | None:
    """The path without query, decoded once, dot segments resolved; None if ambiguous.

    Ambiguous is what two servers may read differently: an escaped slash or a double escape, `//` (some
    merge it), `;` (some strip what follows), a fragment, bytes that are not UTF-8, `..` above the root.
    """
    if raw is None or len(raw) > MAX_PATH or not raw.startswith("/"):
        return None
    return _normal(raw)


@functools.lru_cache(maxsize=64)  # each rule of a policy asks for the same one
def _normal(raw: str) -> str | None:
    path = raw.partition("?")[0]
    if path.count("%") != len(_ESCAPE.findall(path)) or _AMBIGUOUS.search(path):
        return None
    try:
        text = unquote_to_bytes(path).decode()
    except UnicodeDecodeError:
        return None
    if _ESCAPE.search(text) or any(ord(c) < 0x20 or ord(c) == 0x7F for c in text):
        return None
    kept: list[str] = []
    parts = text.split("/")[1:]
    if len(parts) > MAX_SEGMENTS:
        return None
    for index, part in enumerate(parts):
        if part == ".." and not kept:
            return None
        if part == "..":
            kept.pop()
        elif part != ".":
            kept.append(part)
        if part in {".", ".."} and index == len(parts) - 1:
            kept.append("")
    return "/" + "/".join(kept)


def matches(glob: str, path: str) -> bool:
    """Whether `*` (within a segment) and `**` (across) make `glob` into `path`.

    The work for each piece of the glob grows with the path's segments, not its length, and nothing is tried twice.
    """
    *pieces, (wild, last) = _pieces(glob)
    # Where the next piece may begin: pairs of first and last index, in order. Of the places in one segment only the
    # first matters, as what can follow it by `*` holds what can follow the others.
    spans = [(0, 0)]
    for before, literal in pieces:
        ends = _ends(_widened(spans, before, path), literal, path)
        if not ends:
            return False
        spans = [(end, end) for end in ends]
    start = len(path) - len(last)
    if start < 0 or not path.endswith(last):
        return False
    return any(first <= start <= end for first, end in _widened(spans, wild, path))


@functools.lru_cache(maxsize=4096)
def _pieces(glob: str) -> tuple[tuple[str, str], ...]:
    """The literals of `glob`, each with the wildcard before it; the last one is at the end of the path."""
    pieces, wild = list[tuple[str, str]](), ""
    for token in re.findall(r"\*+|[^*]+", glob):
        if token[0] == "*":
            wild = token[:2]
        else:
            pieces.append((wild, token))
            wild = ""
    return (*pieces, (wild, "")) if wild or not pieces else tuple(pieces)


def _widened(spans: list[tuple[int, int]], wild: str, path: str) -> list[tuple[int, int]]:
    if wild == "**":
        return [(spans[0][0], len(path))]
    if not wild:
        return spans
    slashes = ((first, path.find("/", first)) for first, _ in spans)
    return [(first, len(path) if slash < 0 else slash) for first, slash in slashes]


def _ends(spans: list[tuple[int, int]], literal: str, path: str) -> list[int]:
    """Where `literal` may end, if it begins in one of the `spans`: the first index of each segment."""
    ends, least = list[int](), 0
    for first, last in spans:
        at = path.find(literal, max(first, least), last + len(literal))
        while at >= 0:
            end = at + len(literal)
            ends.append(end)
            slash = path.find("/", end)
            if slash < 0:
                return ends
            # Behind the next slash, where another segment is.
            least = max(at, slash - len(literal)) + 1
            at = path.find(literal, max(first, least), last + len(literal))
    return ends
