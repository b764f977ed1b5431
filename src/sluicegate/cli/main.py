"""The console script: which subcommand was asked for, and nothing that only one of them needs."""

from __future__ import annotations

import errno
import importlib
import io
import os
import sys
from collections.abc import Sequence

USAGE = """\
usage: sluicegate COMMAND [ARGS]

commands:
  run -- COMMAND        run COMMAND behind the wall; `run --help` lists the options
  keygen NAME           make an Ed25519 signing key: NAME.key, NAME.pub
  verify PACKET         verify a packet offline, from its bytes and a pinned key
  prove PACKET          write the proof of one receipt, for whoever shall not see the others
  verify-proof FILE     verify such a proof
  init                  a starting policy for this repository
  presets [NAME]        the presets, and the rules that they are on this machine
  report PACKET         what a packet says: summary, HTML, annotations, SARIF, JUnit, OCSF, ECS
  policy check FILE     lint policies; `policy explain URL --policy FILE` says why, `policy diff OLD NEW` what changed
  replay PACKET         what another policy would have changed: `replay --policy NEW PACKET`
  doctor                what this machine can do, and the remedy for what it can not
  version               print the version
"""
# Command -> the module whose `main(argv)` runs it. Imported late: a start is measured in milliseconds.
COMMANDS = {
    "action": "sluicegate.cli.action",
    "doctor": "sluicegate.cli.doctor",
    "init": "sluicegate.cli.init",
    "keygen": "sluicegate.cli.keygen",
    "policy": "sluicegate.cli.policy",
    "presets": "sluicegate.cli.presets",
    "prove": "sluicegate.cli.prove",
    "replay": "sluicegate.cli.replay",
    "report": "sluicegate.cli.report",
    "run": "sluicegate.cli.run",
    "verify": "sluicegate.cli.verify",
    "verify-proof": "sluicegate.cli.prove:check",
}
# Modules of the extra `run`: who only verifies has none of them.
RUN_MODULES = frozenset(
    ("cryptography", "h2", "hyperscan", "publicsuffixlist", "setproctitle", "yaml")
)
EXIT_USAGE = 2
EXIT_NO_RUN = 125
EXIT_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code of the subcommand that `argv` (default: the process's own) names."""
    args = list(sys.argv[1:] if argv is None else argv)
    _open_standard()
    # Collected, then written: a reader that left early must not change what the exit code says.
    said, sys.stdout = sys.stdout, io.StringIO()
    code = EXIT_INTERRUPTED
    try:
        code = _run(args)
    except KeyboardInterrupt:
        pass  # the exit code says it
    finally:
        text, sys.stdout = sys.stdout.getvalue(), said
    return _write(text, code)


def _run(args: list[str]) -> int:
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
    name, _, function = module.partition(":")
    try:
        return int(getattr(importlib.import_module(name), function or "main")(args[1:]))
    except ModuleNotFoundError as error:
        if error.name not in RUN_MODULES:
            raise
        sys.stderr.write(f"sluicegate: {command} needs {error.name}, which is not installed\n")
        sys.stderr.write("hint: pip install 'sluicegate[run]'\n")
        return EXIT_NO_RUN if command == "run" else EXIT_USAGE


def _open_standard() -> None:
    """Descriptors 0 to 2 are there, if only as /dev/null: the next file we open must not become one of them."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115 - for as long as the process lives


def _write(text: str, code: int) -> int:
    """`code`; where the text can not be written for another reason than a reader that left, a failure's."""
    if sys.stdout is not None and not _is_own(sys.stdout):
        sys.stdout.write(text)  # a caller's in this process, as a test's
        return code
    data = text.encode("utf-8", "backslashreplace")
    try:
        while data:
            data = data[os.write(1, data) :]
    except OSError as error:
        if error.errno != errno.EPIPE:
            return code or EXIT_USAGE
    return code


def _is_own(stream: object) -> bool:
    try:
        own = sys.__stdout__
        return own is not None and stream is own and own.fileno() == 1
    except (OSError, ValueError):
        return False
