"""`sluicegate policy test`: whether policies do what the file beside them expects."""

from __future__ import annotations

import getopt
import os
import sys
from collections.abc import Sequence

from sluicegate.cli import policyfiles, say
from sluicegate.policy import expectations
from sluicegate.policy.model import PolicyError

USAGE = """\
usage: sluicegate policy test [POLICY]... [--tests FILE]

Decide every line of FILE (default: POLICY with .test.yaml for .yaml) by all of POLICY (default: sluicegate.yaml)
together, and say which do not go as expected. FILE:

  version: 1
  allow:
    - GET https://api.example.com/v1/models
    - db.example.com:5432
    - {url: https://example.com/, rule: "allow[0]", headers: {accept: text/html}, resolves: [10.1.2.3]}
  deny:
    - POST https://api.example.com/v1/models
    - 169.254.169.254:80

What observe mode alone lets through counts as denied.

exit: 0 all as expected; 1 something is not; 2 usage, a file that can not be used
"""
HOLDS, BROKEN, WRONG = 0, 1, 2


def main(argv: Sequence[str]) -> int:
    """0 all as expected, 1 not, 2 usage."""
    try:
        pairs, files = getopt.gnu_getopt(list(argv), "h", ["help", "tests="])
    except getopt.GetoptError as error:
        return _usage(str(error))
    given = dict(pairs)
    if given.keys() & {"-h", "--help"}:
        sys.stdout.write(USAGE)
        return HOLDS
    files = files or [policyfiles.DEFAULT]
    beside = given.get(
        "--tests", f"{files[0].removesuffix('.yaml').removesuffix('.yml')}.test.yaml"
    )
    try:
        policies = tuple(policyfiles.read(file, file) for file in files)
        if not os.path.lexists(beside):
            return _usage(f"{beside} is not there: name the expectations with --tests FILE")
        wanted = expectations.parse(policyfiles.text(beside, beside), beside)
    except PolicyError as error:
        say.complain(str(error), error.hint)
        return WRONG
    failures = 0
    for one in wanted:
        why = expectations.broken(policies, one)
        if why is not None:
            failures += 1
            print(say.visible(f"{beside}:{one.line}: {one.method} {one.url}"))
            print(say.visible(f"  {why}"))
    if failures:
        print(f"{failures} of {len(wanted)} expectations do not hold")
        return BROKEN
    print(f"{len(wanted)} expectations hold")
    return HOLDS


def _usage(said: str) -> int:
    say.complain(said)
    sys.stderr.write(USAGE)
    return WRONG
