"""A case as workflow commands of GitHub Actions: few, the most severe first. Pure.

Source: GitHub's "Workflow commands", and the limits of annotations of one step.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass

from sluicegate import runner
from sluicegate.report.escape import MAX_TEXT, visible
from sluicegate.report.summary import ranked, severity
from sluicegate.report.told import Denial, Denied, Told
from sluicegate.report.verdict import Case, State
from sluicegate.report.workspace import flagged

# Of each kind in one step; GitHub shows no more.
MAX_EACH = 10
KINDS = ("error", "warning", "notice")
_LABEL = re.compile(r"(?:allow|deny)\[[0-9]+\] (.+):([0-9]{1,7})\Z")
TITLE = "sluicegate"


@dataclass(frozen=True, slots=True)
class Place:
    """A line of a policy's file, as the run was told of it."""

    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Note:
    """One annotation."""

    kind: str
    text: str
    place: Place | None = None


def place(rule: str) -> Place | None:
    """Where the rule of a receipt stands: `deny[0] p.yaml:8`. None where it names no line."""
    found = _LABEL.match(rule)
    return Place(found[1], int(found[2])) if found else None


def below(path: str, root: str) -> str | None:
    """`path` as it is spelled from the directory `root`; None where it lies elsewhere."""
    whole = posixpath.normpath(posixpath.join(root, path))
    return posixpath.relpath(whole, root) if whole.startswith(root.rstrip("/") + "/") else None


def commands(case: Case, root: str) -> str:
    """One command a line, at most `MAX_EACH` of a kind; the last says how many more there are.

    `root`: the checkout, in which files can be shown.
    """
    notes, lines = list(_notes(case)), list[str]()
    for kind in KINDS:
        some = [note for note in notes if note.kind == kind]
        lines += [_command(note, root) for note in some[: MAX_EACH - (len(some) > MAX_EACH)]]
        if len(some) > MAX_EACH:
            more = len(some) - MAX_EACH + 1
            lines.append(_command(Note(kind, f"and {more} more, in the job's summary"), root))
    return "".join(f"{line}\n" for line in lines)


def _notes(case: Case) -> Iterator[Note]:
    if not case.sound:
        yield Note("error", f"{case.state.value}: {case.why}")
    for one in case.reservations:
        yield Note("warning", one)
    if case.state is State.CONSISTENT:
        key = case.report.signer_key
        yield Note("notice", f"no key was given: pin the signer with --key {key}")
    # What waits for a later step weighs more than what was refused already.
    for change in flagged(case.workspace):
        if change.weight == 0:
            text = f"{change.path}: {change.said} by the command: {', '.join(change.flags)}"
            yield Note("warning", text, Place(change.file, 1))
    if case.state is not State.INVALID and case.told is not None:
        yield from (_denied(denial, denied) for denial, denied in grouped(case.told))


def grouped(told: Told) -> list[tuple[Denial, Denied]]:
    """Denials, one for each destination and rule: a thousand paths of one host are one thing to decide."""
    found: dict[tuple[str, str, bool], tuple[Denial, Denied]] = {}
    for denial, denied in ranked(told):
        key = denial.where, denial.rule, denial.observed
        first = found.setdefault(key, (denial, Denied(0, denied.seq, denied.time, denied.program)))
        first[1].count += denied.count
    return list(found.values())


def _denied(denial: Denial, denied: Denied) -> Note:
    kind = ("error", "warning", "warning", "notice")[severity(denial)]
    word = "would be denied" if denial.observed else "denied"
    many = f" ({denied.count} times)" if denied.count > 1 else ""
    by = f" by {denied.program}" if denied.program else ""
    text = f"{word} {denial.target}{many}{by}: {denial.reason}"
    if denial.remedy:
        text += f"; to allow it: {'; '.join(part.strip() for part in denial.remedy.splitlines())}"
    return Note(kind, text, place(denial.rule))


def _command(note: Note, root: str) -> str:
    file = None if note.place is None else below(note.place.file, root)
    where: dict[str, str] = {}
    if note.place is not None and file is not None:
        where = {"file": visible(file), "line": str(note.place.line)}
    return runner.command(note.kind, visible(note.text, 2 * MAX_TEXT), **where, title=TITLE)
