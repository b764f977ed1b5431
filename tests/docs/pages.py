"""The pages that are made: `python -m tests.docs.pages` writes what a command says of itself into docs/cli.md."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from sluicegate.cli.main import COMMANDS

ROOT = Path(__file__).parent.parent.parent
CLI = ROOT / "docs" / "cli.md"
COLUMNS = 100  # of the texts; argparse wraps its own
# Commands with commands of their own whose help is another text.
MORE = ("policy diff", "policy suggest", "policy test")
_HEAD = """\
# Command line

What each command says of itself with `--help`. This page is made of these texts: `python -m tests.docs.pages`.
"""


def told(command: str) -> str:
    """What `sluicegate COMMAND --help` prints; empty: `sluicegate --help`."""
    done = subprocess.run(
        [sys.executable, "-m", "sluicegate", *command.split(), "--help"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "COLUMNS": str(COLUMNS), "NO_COLOR": "1"},
    )
    return done.stdout.strip()


def cli() -> str:
    """The page of the command line."""
    commands = ("", *sorted((*COMMANDS, *MORE)))
    titles = (f"## {f'sluicegate {command}'.strip()}" for command in commands)
    texts = (f"```text\n{told(command)}\n```\n" for command in commands)
    pairs = zip(titles, texts, strict=True)
    return "\n".join((_HEAD, *(f"{title}\n\n{text}" for title, text in pairs)))


if __name__ == "__main__":
    CLI.write_text(cli())
