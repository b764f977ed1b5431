"""What sluicegate says to people: one voice, on stderr, never on the command's own stdout."""

from __future__ import annotations

import os
import re
import sys

PREFIX = "sluicegate: "


def say(text: str) -> None:
    """Lines to stderr; control characters are shown, not obeyed: some text comes from the command."""
    _write([f"{PREFIX}{visible(line)}" for line in text.splitlines() or [""]])


def complain(message: str, hint: str = "") -> None:
    """An error, and on a line of its own the remedy."""
    say(message)
    _write([f"hint: {visible(line)}" for line in hint.splitlines()])


def _write(lines: list[str]) -> None:
    # Whoever does not want to hear it shall not change what the exit code says: what is left in the buffer would,
    # when the interpreter flushes it at its end.
    try:
        sys.stderr.write("".join(f"{line}\n" for line in lines))
        sys.stderr.flush()
    except (OSError, ValueError):
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - for the rest of the process


def visible(text: str) -> str:
    """`text` with everything that is not printable escaped, and what a runner takes for a command wherever it stands:
    `##[name]` (GitHub's), `##vso[name]` (Azure Pipelines').
    """
    text = re.sub("#(?=#)", r"#\\", text)
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
