"""What the facts of a verified record add up to, for people. Bounded whatever the record's length. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

# Different denials told apart; more are counted together, so that a port scan can not fill memory or the page.
MAX_DENIALS = 1000


@dataclass(frozen=True, slots=True)
class Denial:
    """What was denied, why, and the YAML line that would allow it (empty where no line can)."""

    target: str
    reason: str
    remedy: str


@dataclass(slots=True)
class Account:
    """Counts over receipts that carry facts; the lifecycle's own are not decisions."""

    allowed: int = 0
    denied: int = 0
    dropped: int = 0
    names: int = 0
    unlisted: int = 0
    denials: dict[Denial, int] = field(default_factory=dict)
    boundary: Mapping[str, object] = field(default_factory=dict)

    def add(self, record: Mapping[str, object], flow: Mapping[str, object]) -> None:
        """Count one receipt and its facts."""
        kind, many = flow.get("kind"), _many(flow)
        if kind == "boundary":
            self.boundary = flow
        elif kind == "dns":
            self.names += many
        elif kind == "drop":
            self.dropped += many
        elif record["verdict"] != "block":
            self.allowed += record.get("decision_phase") != "outcome"
        if record["verdict"] == "block" and kind != "boundary":
            self._deny(record, flow, many)

    def _deny(self, record: Mapping[str, object], flow: Mapping[str, object], many: int) -> None:
        if flow.get("kind") not in {"dns", "drop"}:
            self.denied += 1
        reason = str(flow.get("reason") or record.get("pattern") or "denied")
        denial = Denial(str(record["target"]), reason, str(flow.get("remedy") or ""))
        if denial in self.denials or len(self.denials) < MAX_DENIALS:
            self.denials[denial] = self.denials.get(denial, 0) + many
        else:
            self.unlisted += many


def _many(flow: Mapping[str, object]) -> int:
    found = flow.get("count", 1)
    return found if type(found) is int and found > 0 else 1
