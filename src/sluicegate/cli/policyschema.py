"""`sluicegate policy schema`: the policy as a JSON Schema, for editors."""

from __future__ import annotations

import getopt
import json
import sys
from collections.abc import Sequence

from sluicegate.cli import say
from sluicegate.policy import schema

USAGE = """\
usage: sluicegate policy schema

Print the JSON Schema (2020-12) of a policy. An editor with a YAML language server uses it by a first line of
# yaml-language-server: $schema=FILE

exit: 0; 2 usage
"""
OK, WRONG = 0, 2


def main(argv: Sequence[str]) -> int:
    """0, or 2 for wrong usage."""
    try:
        pairs, rest = getopt.gnu_getopt(list(argv), "h", ["help"])
    except getopt.GetoptError as error:
        pairs, rest = [], [str(error)]
    if rest:
        say.complain(
            f"schema takes nothing, got {' '.join(rest)}", "see `sluicegate policy schema --help`"
        )
        return WRONG
    sys.stdout.write(USAGE if pairs else json.dumps(schema.schema(), indent=2) + "\n")
    return OK
