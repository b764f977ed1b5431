"""What the facts of a verified record add up to, for people. Bounded whatever the record's length. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

# Different denials told apart; more are counted together, so that a port scan can not fill memory or the page.
MAX_DENIALS = 1000
# So many more are told apart of those because of a secret: nobody hides one behind a thousand others.
MAX_ALARMS = 200
MAX_NAMES = (
    65_536  # different names told apart; a run that asks for more is told as having asked so many
)

OBSERVED = "let through by observe mode: "  # what the reason of a denial begins with that was none
MAX_CHANGED = 5  # different changes of the boundary that are named to people


@dataclass(frozen=True, slots=True)
class Denial:
    """What was denied, why, and the YAML line that would allow it (empty where no line can). `alarm`: of a secret."""

    target: str
    reason: str
    remedy: str
    alarm: bool = False


@dataclass(slots=True)
class Account:
    """Counts over receipts that carry facts; the lifecycle's own are not decisions.

    `allowed`, `denied`, `warned` are connections (or requests on one), `dropped` packets, `questions` what the resolver
    was asked. `named` are the different names in these questions, up to `MAX_NAMES`. `changes` is how often the kernel
    told of a change of the boundary's network, `changed` the first different ones.
    """

    allowed: int = 0
    denied: int = 0
    warned: int = 0
    dropped: int = 0
    questions: int = 0
    changes: int = 0
    changed: list[str] = field(default_factory=list)
    unlisted: int = 0
    denials: dict[Denial, int] = field(default_factory=dict)
    named: set[str] = field(default_factory=set)
    boundary: Mapping[str, object] = field(default_factory=dict)

    def add(self, record: Mapping[str, object], flow: Mapping[str, object]) -> None:
        """Count one receipt and its facts."""
        kind, verdict = flow.get("kind"), record["verdict"]
        if kind == "boundary":
            self.boundary = flow
        elif kind == "dns":
            self._questions(flow, refused=verdict == "block")
        elif kind == "drop":
            self._drops(flow)
        elif kind == "change":
            self._changes(flow)
        elif verdict == "block":
            many = _count(flow)
            self.denied += many
            self._deny(_denial(record, flow), many)
        elif verdict == "warn":
            self.warned += 1
            self._deny(_denial(record, flow, OBSERVED), 1)
        elif record.get("decision_phase") != "outcome":
            self.allowed += 1

    def _questions(self, flow: Mapping[str, object], *, refused: bool) -> None:
        for group in _groups(flow, "questions"):
            many, name = _count(group), str(group.get("name", "?"))
            self.questions += many
            if len(self.named) < MAX_NAMES:
                self.named.add(name)
            if refused:
                alarm = "secret" in group
                self._deny(Denial(f"dns://{name}", refusal(group), "", alarm), many)

    def _drops(self, flow: Mapping[str, object]) -> None:
        for group in _groups(flow, "groups"):
            many, port = _count(group), group.get("port")
            self.dropped += many
            where = f"{group.get('protocol', '?')} to {group.get('destination', '?')}"
            where += "" if port is None else f" port {port}"
            self._deny(Denial(where, "packet refused: the gate does not speak for it", ""), many)
        lost = flow.get("lost")
        self.dropped += lost if type(lost) is int and lost > 0 else 0

    def _changes(self, flow: Mapping[str, object]) -> None:
        groups = _groups(flow, "changes")
        # A receipt of changes that lists none is one all the same.
        self.changes += sum(map(_count, groups)) or 1
        for what in (str(group.get("what", "?")) for group in groups):
            if what not in self.changed and len(self.changed) < MAX_CHANGED:
                self.changed.append(what)

    def _deny(self, denial: Denial, many: int) -> None:
        most = MAX_DENIALS + MAX_ALARMS * denial.alarm
        if denial in self.denials or len(self.denials) < most:
            self.denials[denial] = self.denials.get(denial, 0) + many
        else:
            self.unlisted += many


def refusal(group: Mapping[str, object]) -> str:
    """Why the questions of a group were refused, in words."""
    why = f"{group['secret']} is in the name" if "secret" in group else group.get("reason", "")
    return f"question refused: {why}"


def _denial(record: Mapping[str, object], flow: Mapping[str, object], before: str = "") -> Denial:
    reason = str(flow.get("reason") or record.get("pattern") or "denied")
    alarm = record.get("severity") == "high"
    return Denial(str(record["target"]), before + reason, str(flow.get("remedy") or ""), alarm)


def _groups(flow: Mapping[str, object], name: str) -> list[dict[str, object]]:
    found = flow.get(name)
    return [group for group in found if isinstance(group, dict)] if isinstance(found, list) else []


def _count(holder: Mapping[str, object]) -> int:
    found = holder.get("count", 1)
    return found if type(found) is int and found > 0 else 1
