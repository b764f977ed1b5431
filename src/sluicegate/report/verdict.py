"""What a verification came to, in words that a reader meets first. Pure."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from sluicegate.report.told import Told
from sluicegate.verify import expect, packet
from sluicegate.verify.packet import Level, Report
from sluicegate.verify.reservations import reservations


class State(enum.Enum):
    """How far a record is to be believed. VERIFIED and CONSISTENT are sound; the others are failures."""

    VERIFIED = "verified"
    CONSISTENT = "consistent with itself, signer not pinned"
    FOREIGN = "signed by a key that is not yours"
    OPEN = "not accounted for"
    PREFIX = "cut short: its end is not proven"
    INVALID = "INVALID: do not trust it"


# State -> what follows from it, for whoever decides.
SAYS = {
    State.VERIFIED: (
        "A key that you named signed this record; nothing in it was changed, left out or cut off, and"
        " the kernel counted nothing that it does not hold."
    ),
    State.CONSISTENT: (
        "The record holds together, its end is signed and the kernel's counters agree. Whose key signed"
        " it is not known: no key was given, so whoever made another record could sign that as well."
    ),
    State.FOREIGN: (
        "The record holds together, but none of the keys that were given signed it. It is not the"
        " record of your signer."
    ),
    State.OPEN: (
        "The signatures hold, but what the kernel counted and what was recorded do not agree, or the"
        " boundary was changed: traffic may be missing here."
    ),
    State.PREFIX: (
        "What is here was signed, but the end is missing: what came after the last receipt is unknown."
        " All numbers below are of that part alone."
    ),
    State.INVALID: (
        "The record was changed, forged, or contradicts itself. Nothing else in it is shown, since"
        " nothing else in it can be relied on."
    ),
}
# Level -> what it means, and what it does not.
MEANS = {
    Level.INTACT: (
        (
            "Every signature, hash, chain link and binding holds: no file of the packet was edited,"
            " reordered or added to since it was signed."
        ),
        "That what was signed is true, or complete.",
    ),
    Level.CLOSED: (
        "The end of the record is signed, and every allowed flow has its outcome: nothing was cut off.",
        "That nothing happened outside the boundary, before the run or after it.",
    ),
    Level.ACCOUNTED: (
        (
            "Every decision was made again from policy and facts, and the kernel's own counters equal the"
            " receipts: no connection, question or refused packet is missing."
        ),
        (
            "That the counters were read by somebody else than the signer. They are a second instrument,"
            " not a second party."
        ),
    ),
    Level.PINNED: (
        "The signer is a key that the reader named, from outside this packet.",
        "That the holder of that key, or the machine it was used on, is honest.",
    ),
}


@dataclass(frozen=True, slots=True)
class Case:
    """All that a report is made of. `told` is None where there are no rows: of what does not hold, or of others."""

    report: Report
    told: Told | None
    pinned: bool  # a key was given

    @property
    def state(self) -> State:
        """How far it is to be believed."""
        return state(self.report, self.pinned)

    @property
    def sound(self) -> bool:
        """Whether the record holds: intact, closed, accounted for, and signed by the given key where one was given."""
        return self.state in {State.VERIFIED, State.CONSISTENT}

    @property
    def opened(self) -> Mapping[str, object]:
        """boundary.json's `open`; empty where nothing holds."""
        return part(self.report.boundary, "open")

    @property
    def closed(self) -> Mapping[str, object]:
        """boundary.json's `close`; empty where nothing holds, and of a prefix."""
        return part(self.report.boundary, "close")

    @property
    def run(self) -> Mapping[str, object]:
        """What the close says of the run."""
        return part(self.closed, "run")

    @property
    def workspace(self) -> Mapping[str, object]:
        """workspace.json; empty of what does not hold, of a prefix, and of packets without."""
        return {} if self.state is State.INVALID else self.report.workspace

    @property
    def reservations(self) -> tuple[str, ...]:
        """What a sound record says against its own run."""
        return reservations(self.report.boundary, self.report.account)

    @property
    def ephemeral(self) -> bool:
        """Whether the key was made for this run alone."""
        return self.run.get("key") == "ephemeral"

    @property
    def why(self) -> str:
        """The first reason for what is not reached; empty where all is."""
        for ok, reason in self.report.reached.values():
            if not ok:
                return reason
        return expect.unmet(self.report.expectations)


def state(report: Report, pinned: bool) -> State:
    """The state of a `report`; `pinned`: keys were given."""
    reached = {level: ok for level, (ok, _) in report.reached.items()}
    if report.outcome == packet.INVALID or not reached[Level.INTACT]:
        return State.INVALID
    if not reached[Level.CLOSED]:
        return State.PREFIX
    if not reached[Level.ACCOUNTED]:
        return State.OPEN
    if not reached[Level.PINNED]:
        return State.FOREIGN if pinned else State.CONSISTENT
    return State.VERIFIED


def part(holder: Mapping[str, object], name: str) -> Mapping[str, object]:
    """The object `name` in `holder`; empty where there is none."""
    found = holder.get(name)
    return found if isinstance(found, dict) else {}
