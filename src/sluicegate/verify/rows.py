"""The receipts of a record that was verified, each with its facts, one after the other. Reports are made of these.

A record is read once to be verified and once more to be told: nothing of it is held, and what is told is a stream of
rows. The second reading is of the same bytes, or it ends with an error.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from sluicegate.verify import files as reading
from sluicegate.verify import strict
from sluicegate.verify.packet import STREAMS
from sluicegate.verify.source import Source
from sluicegate.verify.strict import VerificationError, need


class Examined(Protocol):
    """What verifying a packet gave: a `Verified`, or a `packet.Report` whose INTACT is reached."""

    @property
    def streams(self) -> Mapping[str, str]:
        """SHA-256 of the files of `STREAMS` as they were verified; empty where that failed."""


@dataclass(frozen=True, slots=True)
class Row:
    """One receipt. `record` is what was signed; `facts` its line of flows.jsonl, empty for one of the lifecycle.

    `seq` counts receipts from 0, as `prove --seq` does.
    """

    seq: int
    record: Mapping[str, object]
    facts: Mapping[str, object]

    @property
    def kind(self) -> str:
        """The kind of facts: `connection`, `dns`, `drop`, `overload`, `change`, `boundary`; `lifecycle` without."""
        return str(self.facts.get("kind", "lifecycle"))

    @property
    def begins(self) -> bool:
        """Whether it is the decision on a connection or request: an intent or a denial, of which there is one each.

        A warning of observe mode is none: its intent comes next.
        """
        first = self.record.get("decision_phase") != "outcome" and self.record["verdict"] != "warn"
        return self.kind == "connection" and first

    @property
    def ends(self) -> bool:
        """Whether it says how an allowed flow ended."""
        return self.record.get("decision_phase") == "outcome"


def rows(path: str, examined: Examined) -> Iterator[Row]:
    """The rows of the packet in the directory `path`, of which `examined` is what verifying it gave.

    What is held is one line of each file. Whoever takes the rows must take all of them before telling anybody: only at
    the end is it known that they are those that were verified.

    Raises:
        VerificationError: nothing was verified, or the files are not those that were.
        UnreadableError, OSError: they can not be read.
    """
    need(examined.streams.keys() >= set(STREAMS), "only a packet that holds has rows")
    with reading.packet(path) as found:
        streams = {name: found.get(name) for name in STREAMS}
        # A record that was cut before its first decision may have no facts.
        evidence, flows = (
            one if isinstance(one, Source) else Source((), name, strict.MAX_LINE_BYTES)
            for name, one in streams.items()
        )
        yield from _read(evidence, flows)
        for name, source in zip(STREAMS, (evidence, flows), strict=True):
            need(source.sha256() == examined.streams[name], f"{name} changed since it was verified")


def _read(evidence: Source, flows: Source) -> Iterator[Row]:
    """The rows of two files that were verified before, and may have been changed since."""
    seq = 0
    for at, line in enumerate(evidence):
        what = f"evidence.jsonl line {at + 1}"
        entry = _object(strict.quick(line, what), what)
        if entry.get("type") != "action_receipt":
            continue
        record = _object(_object(entry.get("detail"), what).get("action_record"), what)
        facts: Mapping[str, object] = {}
        if "request_id" in record:
            told = next(flows, b"")
            digest = "sha256:" + hashlib.sha256(told).hexdigest()
            need(record["request_id"] == digest, f"{what}: flows.jsonl changed since")
            facts = _object(strict.quick(told, what), what)
        yield Row(seq, record, facts)
        seq += 1


def _object(found: object, what: str) -> Mapping[str, object]:
    if not isinstance(found, dict):
        raise VerificationError(f"{what}: changed since it was verified")
    return found
