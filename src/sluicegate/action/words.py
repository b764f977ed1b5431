"""What the runner of GitHub Actions reads: workflow commands, and the lines of GITHUB_OUTPUT. Pure.

Escapes: docs of GitHub Actions, "Workflow commands"; actions/toolkit, packages/core/src/command.ts.
"""

from __future__ import annotations

KINDS = ("error", "warning", "notice")
# The runner shows no more of one annotation; a longer line only hides the others.
MAX_MESSAGE = 4000


def annotation(kind: str, message: str, title: str = "sluicegate") -> str:
    """The line that shows `message` at the run; whatever is in it begins no line of its own."""
    if kind not in KINDS:
        raise RuntimeError(f"no annotation is called {kind}")
    shown = message if len(message) <= MAX_MESSAGE else f"{message[:MAX_MESSAGE]}..."
    return f"::{kind} title={_property(title)}::{_data(shown)}\n"


def mask(secret: str) -> str:
    """The line from which on the runner writes `***` for `secret` wherever it keeps the log."""
    return f"::add-mask::{_data(secret)}\n"


def stop(token: str) -> str:
    """The line from which on the runner obeys nothing, until it reads `resume(token)`."""
    return f"::stop-commands::{token}\n"


def resume(token: str) -> str:
    """The line that ends `stop(token)`; only who knows the token can write it."""
    return f"::{token}::\n"


def output(name: str, value: str, token: str) -> str:
    """What GITHUB_OUTPUT gets so that output `name` has `value`, whatever characters that has.

    `token`: a word that nobody could guess, so that no line of the value ends it.
    """
    if token in value:
        raise RuntimeError("the token is in the value")
    return f"{name}<<{token}\n{value}\n{token}\n"


def _data(text: str) -> str:
    return _printable(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _printable(text: str) -> str:
    return "".join(
        c if c.isprintable() or c == "\n" else c.encode("unicode_escape", "surrogatepass").decode()
        for c in text
    )
