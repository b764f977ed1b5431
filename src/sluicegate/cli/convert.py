"""`sluicegate policy convert FILE`: a Pipelock configuration as a policy of ours, on stdout."""

from __future__ import annotations

import getopt
import sys
from collections.abc import Sequence

from sluicegate.cli import policyfiles
from sluicegate.cli.say import complain
from sluicegate.policy import grammar, pipelock
from sluicegate.policy.model import PolicyError

USAGE = """\
usage: sluicegate policy convert FILE

Prints the policy for the Pipelock configuration in FILE. Warnings on stderr name what has no counterpart here, or
is narrower; what would be lost on the way is an error.

exit: 0 printed; 1 an error; 2 usage
"""
OK, FINDING, WRONG = 0, 1, 2


def main(argv: Sequence[str]) -> int:
    """0 printed, 1 an error, 2 usage."""
    pairs, files = getopt.gnu_getopt(list(argv), "h", ["help"])
    if pairs:
        sys.stdout.write(USAGE)
        return OK
    if len(files) != 1:
        complain(f"policy convert wants one FILE, got {len(files)}")
        sys.stderr.write(USAGE)
        return WRONG
    try:
        found = converted(files[0])
    except PolicyError as error:
        complain(str(error), error.hint)
        return FINDING
    for notice in found.warnings:
        complain(f"warning: {files[0]}:{notice.line}: {notice.message}")
    sys.stdout.write(found.text)
    return OK


def converted(path: str) -> pipelock.Converted:
    """The policy for the Pipelock configuration in the file at `path`.

    Raises:
        PolicyError: it can not be read, or not be converted.
    """
    found = pipelock.convert(policyfiles.text(path, path), path)
    grammar.parse(found.text, f"{path} (converted)")
    return found
