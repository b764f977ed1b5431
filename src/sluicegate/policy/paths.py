"""Request paths in one form, and the globs of the policy over it."""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

MAX_PATH = 8192  # bytes; longer paths match no rule, so that matching stays cheap
_ESCAPE = re.compile("%[0-9a-fA-F]{2}")


def normal(raw: str | None) -> str | None:
    """The path without query, decoded once, dot segments resolved; None if servers may read it differently."""
    if raw is None or len(raw) > MAX_PATH or not raw.startswith("/"):
        return None
    path = raw.partition("?")[0].partition("#")[0]
    if path.count("%") != len(_ESCAPE.findall(path)) or re.search("%2f|%5c|\\\\", path, re.I):
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
        if part.partition(";")[0] in {".", ".."} and ";" in part:
            return None
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
    """Whether `*` (within a segment) and `**` (across) make `glob` into `path`; linear in both."""
    tokens = re.findall(r"\*\*|\*|[^*]", glob)
    states = _closure(tokens, {0})
    for char in path:
        after = set[int]()
        for at in states:
            if at == len(tokens):
                continue
            token = tokens[at]
            if token == "**" or (token == "*" and char != "/"):
                after.add(at)
            elif token == char:
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
