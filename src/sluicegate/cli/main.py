"""The console script: which subcommand was asked for, and nothing that only one of them needs."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

USAGE = """\
usage: sluicegate COMMAND [ARGS]

commands:
  run -- COMMAND        run COMMAND behind the wall; `run --help` lists the options
  keygen NAME           make an Ed25519 signing key: NAME.key, NAME.pub
  verify PACKET         verify a packet offline, from its bytes and a pinned key
  policy check FILE     lint policies; `policy explain URL --policy FILE` says why
  doctor                what this machine can do, and the remedy for what it can not
  version               print the version
"""
# Command -> the module whose `main(argv)` runs it. Imported late: a start is measured in milliseconds.
COMMANDS = {
    "doctor": "sluicegate.cli.doctor",
    "keygen": "sluicegate.cli.keygen",
    "policy": "sluicegate.cli.policy",
    "run": "sluicegate.cli.run",
    "verify": "sluicegate.cli.verify",
}
EXIT_USAGE = 2


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code of the subcommand that `argv` (default: the process's own) names."""
    args = list(sys.argv[1:] if argv is None else argv)
    command = args[0] if args else ""
    if command in {"-h", "--help", "help"}:
        sys.stdout.write(USAGE)
        return 0
    if command in {"version", "--version"}:
        from sluicegate import __version__

        sys.stdout.write(f"sluicegate {__version__}\n")
        return 0
    module = COMMANDS.get(command)
    if module is None:
        said = f"unknown command {command!r}" if command else "no command given"
        sys.stderr.write(f"sluicegate: {said}\n{USAGE}")
        return EXIT_USAGE
    return int(importlib.import_module(module).main(args[1:]))
