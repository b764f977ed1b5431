"""What a look at a machine or a repository gives: rows, and what could not be known. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sluicegate.policy.presets import Row
from sluicegate.presets.urls import Place, place


@dataclass(frozen=True, slots=True)
class Note:
    """What a preset lacks here, and how to add it."""

    message: str
    hint: str


@dataclass(frozen=True, slots=True)
class Found:
    """Rows in the order they were found, and notes."""

    rows: tuple[Row, ...] = ()
    notes: tuple[Note, ...] = ()


# How a host that only the registry itself names comes into the policy.
LEARN = "run once with --observe, then `sluicegate policy suggest` has the line"


def joined(parts: Iterable[Found]) -> Found:
    """All of `parts`, nothing twice."""
    parts = tuple(parts)
    rows = dict.fromkeys(row for part in parts for row in part.rows)
    return Found(tuple(rows), tuple(dict.fromkeys(note for part in parts for note in part.notes)))


def seen(url: str, source: str) -> tuple[Place | None, tuple[Note, ...]]:
    """The place of `url` that a rule can name, or why there is none.

    A path of the machine itself and an unset variable are no places and no matter.
    """
    at = place(url)
    if at is not None and at.closed:
        return None, (_closed(at, source),)
    if at is None and url.strip().lower().startswith(("http:", "https:", "sparse+http")):
        # Not quoted: it may hold a password.
        return None, (
            Note(f"{source} names a URL that is not understood", "write its rule yourself"),
        )
    return at, ()


def _closed(at: Place, source: str) -> Note:
    message = (
        f"{source} names TLS at the address {at.host}, which is never opened to see what is asked"
    )
    return Note(message, f"if anything may be asked there: - ip: {at.host}, ports: [{at.port}]")
