"""Decisions seen and the same decided again, as groups of what changes: by host, rule and program. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from sluicegate.facts import Protocol
from sluicegate.policy import decide
from sluicegate.policy.again import Judge
from sluicegate.policy.model import Policy
from sluicegate.policy.seen import Fate, Seen

# Receipts that are named of one group.
MAX_NAMED = 5


@dataclass(slots=True)
class Group:
    """What changes alike. `seqs` are the first receipts, as (packet, seq); `up` and `down` are bytes.

    `passes` is what the new policies say (None: the record does not say), `was` the rule that decided before.
    """

    where: str
    passes: bool | None
    was: str
    now: str
    reason: str
    program: str
    count: int = 0
    up: int = 0
    down: int = 0
    seqs: list[tuple[int, int]] = field(default_factory=list)
    example: str = ""


@dataclass(slots=True)
class Retold:
    """`same` counts decisions that stay as they are."""

    groups: dict[tuple[object, ...], Group]
    same: int = 0

    def of(self, passes: bool | None) -> list[Group]:
        """Groups of one kind, those with most decisions first."""
        found = [group for group in self.groups.values() if group.passes is passes]
        return sorted(found, key=lambda group: (-group.count, group.where, group.now))

    def count(self, passes: bool | None) -> int:
        """Decisions of that kind."""
        return sum(group.count for group in self.of(passes))


def retell(packets: Iterable[Iterable[Seen]], policies: tuple[Policy, ...]) -> Retold:
    """What would have changed, had `policies` been in force when what was seen was decided."""
    judge, told = Judge(policies), Retold({})
    for packet, some in enumerate(packets):
        for seen in some:
            made = judge.again(seen)
            if made.passes is seen.passed:
                told.same += 1
                continue
            program = seen.program.rpartition("/")[2]
            was = f"{seen.rule} (observe mode)" if seen.fate is Fate.OBSERVED else seen.rule
            key = (place(seen), made.passes, was, made.rule, program)
            group = told.groups.get(key)
            if group is None:
                group = told.groups[key] = Group(
                    place(seen), made.passes, was, made.rule, made.reason, program
                )
                group.example = words(seen)
            group.count += 1
            if not seen.opened:  # else its bytes are those of the requests inside
                group.up += seen.up
                group.down += seen.down
            group.seqs = sorted([*group.seqs, (packet, seen.seq)])[:MAX_NAMED]
    return told


def place(seen: Seen) -> str:
    """Host and port; of claims that differ, where it connected to."""
    about = decide.subject(seen.facts)
    if isinstance(about, str):
        return f"{_host(seen.facts.address)}:{seen.facts.port}"
    return f"{_host(about.name or about.address or '')}:{about.port}"


def words(seen: Seen) -> str:
    """The request, or what the connection spoke."""
    facts = seen.facts
    if facts.method is None:
        return "TLS" if facts.protocol is Protocol.TLS else "TCP"
    path = (facts.path or "").partition("?")[0]
    return f"{facts.method} {path}"


def _host(text: str) -> str:
    return f"[{text}]" if ":" in text else text
