"""`sluicegate presets [NAME]`: which presets there are, and the rules that they are on this machine."""

from __future__ import annotations

import getopt
import os
from collections.abc import Sequence

from sluicegate.cli import presetting, say
from sluicegate.policy.presets import PresetError, is_repo
from sluicegate.presets import catalog, text

USAGE = """\
usage: sluicegate presets [NAME[=OWNER/REPO[,OWNER/REPO]...]]...

without NAME  every preset and what it is for
NAME          the rules of that preset on this machine, as lines for `allow`, each with where it comes from
              (of a preset that reads repositories: those named after =)

exit: 0 ok; 1 a preset that is empty or incomplete here; 2 usage, no such preset
"""
OK, FINDING, WRONG = 0, 1, 2


def main(argv: Sequence[str]) -> int:
    """The exit code as USAGE lists them."""
    try:
        pairs, names = getopt.gnu_getopt(list(argv), "h", ["help"])
    except getopt.GetoptError as error:
        say.complain(str(error), "see `sluicegate presets --help`")
        return WRONG
    if pairs:
        print(USAGE, end="")
        return OK
    if not names:
        width = max(map(len, catalog.NAMES))
        for name in catalog.NAMES:
            print(f"{name:{width}}  {catalog.words(name)}")
        return OK
    return max(_one(name) for name in names)


def _one(asked: str) -> int:
    name, equals, after = asked.partition("=")
    repos = tuple(after.split(",")) if equals else ()
    machine = presetting.here(os.curdir).machine
    if not all(map(is_repo, repos)):
        say.complain(
            f"{after[:80]!r} is not OWNER/REPO", "sluicegate presets github-read=OWNER/REPO"
        )
        return WRONG
    try:
        found = catalog.found(name, repos, machine)
    except PresetError as error:
        say.complain(error.message, error.hint)
        return WRONG
    print(f"  # preset {asked}: {catalog.words(name)}")
    for line in text.lines(found.rows):
        print(line)
    for note in found.notes:
        say.complain(f"preset {name}: {note.message}", note.hint)
    return FINDING if found.notes or not found.rows else OK
