"""Request paths in one form, and the globs of the policy over it."""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

MAX_PATH = 8192  # bytes; longer paths match no rule, so that matching stays cheap
_ESCAPE = re.compile("%[0-9a-fA-F]{2}")
_AMBIGUOUS = re.compile(r"%2f|%5c|%3b|//|[\\;#]", re.IGNORECASE)


def normal(raw: str | None) -> str | None:
    """The path without query, decoded once, dot segments resolved; None if ambiguous.

    Ambiguous is what two servers may read differently: an escaped slash or a double escape, `//` (some
    merge it), `;` (some strip what follows), a fragment, bytes that are not UTF-8, `..` above the root.
    """
    if raw is None or len(raw) > MAX_PATH or not raw.startswith("/"):
        return None
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

    The work is at most the product of both lengths, whatever the glob.
    """
    tokens = re.findall(r"\*\*|\*|[^*]", glob)
    states = _closure(tokens, {0})
    for char in path:
        after = set[int]()
        for at in states:
            if at == len(tokens):
                continue
            piece = tokens[at]
            if piece == "**" or (piece == "*" and char != "/"):
                after.add(at)
            elif piece == char:
                after.add(at + 1)
        states = _closure(tokens, after)
        if not states:
            return False
    return len(tokens) in states


def _closure(tokens: list[str], states: set[int]) -> set[int]:
    for at in tuple(states):
        here = at
        while here < len(tokens) and tokens[here] in {"*", "**"}:
            here += 1
            states.add(here)
    return states
