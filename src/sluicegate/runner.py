"""What the runner of GitHub Actions takes for its own commands in a log, and how a text is written within one. Pure.

Escapes: docs of GitHub Actions, "Workflow commands"; actions/toolkit, packages/core/src/command.ts.
"""

from __future__ import annotations


def command(kind: str, text: str, **properties: str) -> str:
    """The line, without its end, that tells the runner `text`; whatever is in it begins no line of its own."""
    said = ",".join(f"{name}={attribute(value)}" for name, value in properties.items())
    return f"::{kind} {said}::{message(text)}" if said else f"::{kind}::{message(text)}"


def message(text: str) -> str:
    """`text` as the message of a command; what is not seen in it is shown, but for ends of lines, which are escaped."""
    shown = logged(_printable(text))
    return shown.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def attribute(text: str) -> str:
    """`text` as the value of a command's property."""
    return message(text).replace(":", "%3A").replace(",", "%2C")


def logged(text: str) -> str:
    """`text` without what a runner takes for a command of the old form, wherever in a line of a log it stands."""
    return text.replace("##[", "# #[")


def _printable(text: str) -> str:
    return "".join(
        c if c.isprintable() or c == "\n" else c.encode("unicode_escape", "surrogatepass").decode()
        for c in text
    )
