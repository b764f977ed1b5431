"""The record's side of `evidence.equation`: what its receipts add up to. Pure; bounded by what is open at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sluicegate.evidence import equation
from sluicegate.verify import strict
from sluicegate.verify.strict import need

# Limits at which a connection is refused unread; at `requests` it is one request of a connection that is counted.
_UNREAD = frozenset(("connections", "record", "accept", "descriptors", "boundary-change"))
_LIMITS = _UNREAD | {"requests"}
# Connections that were accepted later than one which is still undecided. More than a gate holds open at once is a gap.
MAX_AHEAD = 1_000_000


@dataclass(slots=True)
class Reckoning:
    """Counts so far. `missing` are the numbers of connections that no receipt has, of those below the highest."""

    connections: int = 0
    highest: int = 0
    overload: int = 0
    udp: int = 0
    udp_lost: int = 0
    tcp: int = 0
    drops: int = 0
    drops_lost: int = 0
    up: int = 0
    down: int = 0
    kernel_up: int = 0
    kernel_down: int = 0
    # Every number up to `_below` has been seen; of those above it, these.
    _below: int = 0
    _ahead: set[int] = field(default_factory=set)

    def add(self, record: Mapping[str, object], flow: Mapping[str, object], what: str) -> None:
        """Count one receipt and its facts.

        Raises:
            VerificationError: facts of a kind or count that no gate writes.
        """
        kind = flow["kind"]
        if kind == "connection":
            self._connection(record, flow, what)
        elif kind == "dns":
            self._questions(flow, what)
        elif kind == "drop":
            self.drops += _sum(flow, "groups", what)
            self.drops_lost += strict.count(flow.get("lost"), f"{what}: lost")
        elif kind == "overload":
            limit = flow.get("limit")
            need(limit in _LIMITS, f"{what}: an unknown limit")
            count = strict.count(flow.get("count"), f"{what}: count")
            self.overload += count if limit in _UNREAD else 0

    @property
    def missing(self) -> int:
        return self.highest - self.connections

    def held(self, dns_tcp: int) -> equation.Held:
        """The record's side; `dns_tcp` are the connections to the resolver, which the gate counts."""
        return equation.Held(
            flows=self.connections,
            overload=self.overload,
            dns_tcp=dns_tcp,
            udp=self.udp,
            udp_lost=self.udp_lost,
            tcp=self.tcp,
            drops=self.drops,
            drops_lost=self.drops_lost,
            up=self.up,
            down=self.down,
            kernel_up=self.kernel_up,
            kernel_down=self.kernel_down,
        )

    def _connection(
        self, record: Mapping[str, object], flow: Mapping[str, object], what: str
    ) -> None:
        number = strict.count(flow.get("connection"), f"{what}: connection")
        need(number, f"{what}: connections are numbered from 1")
        self.highest = max(self.highest, number)
        if number > self._below and number not in self._ahead:
            self.connections += 1
            self._ahead.add(number)
            need(len(self._ahead) <= MAX_AHEAD, f"{what}: numbers of connections are left out")
            while self._below + 1 in self._ahead:
                self._below += 1
                self._ahead.discard(self._below)
        if record.get("decision_phase") == "outcome":
            self.up += strict.count(flow.get("bytes_up"), f"{what}: bytes_up")
            self.down += strict.count(flow.get("bytes_down"), f"{what}: bytes_down")
            self.kernel_up += strict.count(flow.get("kernel_up", 0), f"{what}: kernel_up")
            self.kernel_down += strict.count(flow.get("kernel_down", 0), f"{what}: kernel_down")

    def _questions(self, flow: Mapping[str, object], what: str) -> None:
        # Those at the command's own loopback pass no counter of the kernel's.
        self.udp += _sum(flow, "questions", what, via="udp")
        self.tcp += _sum(flow, "questions", what, via="tcp")
        self.udp_lost += strict.count(flow.get("lost", 0), f"{what}: lost")


def _sum(flow: Mapping[str, object], name: str, what: str, **only: str) -> int:
    groups = flow.get(name)
    if not isinstance(groups, list):
        raise strict.VerificationError(f"{what}: {name} is not a list")
    total = 0
    for group in groups:
        members = strict.mapping(group, f"{what}: {name}")
        count = strict.count(members.get("count"), f"{what}: count")
        if all(members.get(key) == value for key, value in only.items()):
            total += count
    return total
