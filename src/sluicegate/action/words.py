"""What the action tells the runner: annotations, masks, and the lines of GITHUB_OUTPUT. Pure."""

from __future__ import annotations

from sluicegate import runner

KINDS = ("error", "warning", "notice")
# The runner shows no more of one annotation; a longer line only hides the others.
MAX_MESSAGE = 4000


def annotation(kind: str, message: str, title: str = "sluicegate") -> str:
    """The line that shows `message` at the run; whatever is in it begins no line of its own."""
    if kind not in KINDS:
        raise RuntimeError(f"no annotation is called {kind}")
    shown = message if len(message) <= MAX_MESSAGE else f"{message[:MAX_MESSAGE]}..."
    return runner.command(kind, shown, title=title) + "\n"


def mask(secret: str) -> str:
    """The line from which on the runner writes `***` for `secret` wherever it keeps the log."""
    return runner.command("add-mask", secret) + "\n"


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
