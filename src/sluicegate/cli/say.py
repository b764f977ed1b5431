"""What sluicegate says to people: one voice, on stderr, never on the command's own stdout."""

from __future__ import annotations

import sys

PREFIX = "sluicegate: "


def say(text: str) -> None:
    """Lines to stderr; control characters are shown, not obeyed: some text comes from the command."""
    for line in text.splitlines() or [""]:
        sys.stderr.write(f"{PREFIX}{visible(line)}\n")
    sys.stderr.flush()


def complain(message: str, hint: str = "") -> None:
    """An error, and on a line of its own the remedy."""
    say(message)
    for line in hint.splitlines():
        sys.stderr.write(f"hint: {visible(line)}\n")
    sys.stderr.flush()


def visible(text: str) -> str:
    """`text` with everything that is not printable escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
