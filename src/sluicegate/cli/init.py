"""`sluicegate init`: a starting policy for a repository, from its files and this machine's package clients."""

from __future__ import annotations

import getopt
import os
import re
from collections.abc import Iterator, Sequence

from sluicegate.cli import policyfiles, say
from sluicegate.policy.presets import MAX_REPOS, PresetError, is_repo
from sluicegate.presets import catalog, propose, repository
from sluicegate.presets.machine import Machine

USAGE = """\
usage: sluicegate init [--print] [--force] [DIR]

Looks at the repository in DIR (the current directory) and at this machine's package clients, and writes
DIR/sluicegate.yaml: a policy with the presets and hosts that the repository's files call for, as comments say.
No program is run and nothing is asked on the network.

  --print   write it to stdout, not to the file
  --force   write over a sluicegate.yaml that is there

exit: 0 written; 1 there is a sluicegate.yaml already, or it can not be written; 2 usage
"""
OK, REFUSED, WRONG = 0, 1, 2
# A monorepo's packages lie a few directories deep; what is deeper is somebody else's code.
MAX_DEPTH = 4
MAX_DIRECTORIES = 2000
_PASSED = frozenset(
    ("node_modules", "vendor", "target", "dist", "build", "site-packages", "__pycache__")
)
_REMOTE = re.compile(
    r"^[ \t]*url[ \t]*=[ \t]*(?:https://(?:[^@/\s]*@)?|git@|ssh://git@)github\.com[:/](\S+?)(?:\.git)?/?[ \t]*$",
    re.MULTILINE,
)
_NEXT = """\
next:
  sluicegate run --observe --packet seen -- COMMAND    # nothing is denied; what would be is on record
  sluicegate policy suggest seen                       # the lines that are missing
  sluicegate run -- COMMAND                            # what no line allows is denied
"""


def main(argv: Sequence[str]) -> int:
    """The exit code as USAGE lists them."""
    try:
        pairs, rest = getopt.gnu_getopt(list(argv), "h", ["help", "print", "force"])
    except getopt.GetoptError as error:
        say.complain(str(error), "see `sluicegate init --help`")
        return WRONG
    given = {name for name, _ in pairs}
    if given & {"-h", "--help"}:
        print(USAGE, end="")
        return OK
    top = os.path.abspath(rest[0] if rest else os.curdir)
    if len(rest) > 1 or not os.path.isdir(top):
        say.complain(
            f"init wants one directory, got {' '.join(rest)!r}", "see `sluicegate init --help`"
        )
        return WRONG
    file = os.path.join(top, policyfiles.DEFAULT)
    if "--print" not in given and os.path.lexists(file) and not policyfiles.there(file):
        say.complain(
            f"{file} is an empty directory, as there is while a run goes on",
            "wait for its end; if there is none, remove it",
        )
        return REFUSED
    if "--print" not in given and "--force" not in given and os.path.lexists(file):
        say.complain(
            f"{file} is there already", "look at a new one with --print; --force writes over it"
        )
        return REFUSED
    ecosystems, text = proposed(top)
    if "--print" in given:
        print(text, end="")
        return OK
    try:
        _write(file, text)
    except OSError as error:
        say.complain(f"{file} can not be written: {(error.strerror or str(error)).lower()}")
        return REFUSED
    _tell(file, ecosystems)
    return OK


def proposed(top: str) -> tuple[tuple[propose.Ecosystem, ...], str]:
    """What is in the repository at `top`, and the text of a policy for it."""
    machine = Machine(os.environ, os.path.expanduser("~"))
    found = dict[str, list[str]]()
    for path in sorted(_files(top)):
        name = repository.preset(path)
        if name is not None:
            found.setdefault(name, []).append(path)
    ecosystems = tuple(_ecosystem(name, tuple(found[name]), top, machine) for name in sorted(found))
    own, modules = (
        _repos(machine.read(f"{top}/{name}")) for name in (".git/config", ".gitmodules")
    )
    text = propose.policy(ecosystems, own[0] if own else None, modules[:MAX_REPOS])
    return ecosystems, text


def _repos(text: str | None) -> tuple[str, ...]:
    """The repositories on GitHub that a git configuration names."""
    return tuple(dict.fromkeys(filter(is_repo, _REMOTE.findall(text or ""))))


def _ecosystem(name: str, files: tuple[str, ...], top: str, machine: Machine) -> propose.Ecosystem:
    places = {
        path: repository.places(path, machine.read(os.path.join(top, path)) or "") for path in files
    }
    try:
        found = catalog.found(name, (), lambda: machine)
    except PresetError as error:
        return propose.Ecosystem(name, files, places, (), (error.message,))
    missing = tuple(note.message for note in found.notes)
    return propose.Ecosystem(name, files, places, found.rows, missing)


def _files(top: str) -> Iterator[str]:
    """Paths below `top`, as far as they are the repository's own."""
    left = MAX_DIRECTORIES
    for directory, inside, names in os.walk(top):
        left -= 1
        below = os.path.relpath(directory, top)
        depth = 0 if below == "." else below.count("/") + 1
        own = (
            one
            for one in sorted(inside)
            if one not in _PASSED and (one[0] != "." or one in {".cargo", ".mvn"})
        )
        inside[:] = list(own) if depth < MAX_DEPTH and left > 0 else []
        yield from (name if below == "." else f"{below}/{name}" for name in names)


def _write(file: str, text: str) -> None:
    """The whole file, or what was there before; a link is replaced, not followed."""
    new = f"{file}.new"
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
    try:
        with open(descriptor, "w", encoding="utf-8") as out:
            out.write(text)
        os.rename(new, file)
    except OSError:
        os.unlink(new)
        raise


def _tell(file: str, ecosystems: tuple[propose.Ecosystem, ...]) -> None:
    for one in ecosystems:
        hosts = (
            ", ".join(dict.fromkeys(row.host for row in one.machine)) or "nothing on this machine"
        )
        print(say.visible(f"{one.preset}: {one.files[0]}; the preset is {hosts} here"))
        for missing in one.missing:
            print(say.visible(f"  {missing}"))
    if not ecosystems:
        print("no package files were found: the policy allows nothing yet")
    print(f"wrote {say.visible(file)}")
    print(_NEXT, end="")
