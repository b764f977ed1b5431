"""The record's side of `evidence.equation`: what its receipts add up to. Pure; bounded by what is open at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from sluicegate.evidence import counts, records
from sluicegate.evidence.equation import CLAIMS, Held
from sluicegate.facts import Protocol, Via
from sluicegate.verify import strict

_PROXIED = frozenset((Via.CONNECT.value, Via.SOCKS.value))
_HTTP, _HTTPS = Protocol.HTTP.value, Protocol.HTTPS.value
# Connections that were accepted later than one which is still undecided. More than a gate holds open at once is a gap.
MAX_AHEAD = 1_000_000


@dataclass(slots=True)
class Reckoning:
    """Counts so far: those of the equation in `sums`, and what else the gate counts.

    `highest` is the highest number of a connection, `receipts` those of the gate, `asked` all questions, `allowed` and
    `observed` are intents and warnings of connections.
    """

    sums: Held = field(default_factory=Held)
    highest: int = 0
    receipts: int = 0
    asked: int = 0
    allowed: int = 0
    observed: int = 0
    # Every number up to `_below` has been seen; of those above it, these.
    _below: int = 0
    _ahead: set[int] = field(default_factory=set)
    # Bytes up and down of the requests within TLS, by connection, until that has ended.
    _within: dict[object, tuple[int, int]] = field(default_factory=dict)

    def add(self, record: Mapping[str, object], flow: Mapping[str, object], what: str) -> None:
        """Count one receipt and its facts.

        Raises:
            VerificationError: facts of a kind or count that no gate writes.
        """
        kind = flow["kind"]
        self.receipts += kind != "boundary"
        if kind == "connection":
            self._connection(record, flow, what)
        elif kind == "dns":
            self._questions(flow, what)
        elif kind == "drop":
            self._packets(flow, what)
        elif kind == "overload":
            count = strict.member(flow, "count", what)
            unread = flow.get("limit") in counts.REFUSED_UNREAD
            self.sums.overload += count if unread else 0
            self.sums.requests += 0 if unread else count

    @property
    def missing(self) -> int:
        """Numbers of connections that no receipt has, of those below the highest."""
        return self.highest - self.sums.flows

    def held(self, dns_tcp: int) -> Held:
        """The record's side; `dns_tcp` are the connections to the resolver, which the gate counts."""
        return replace(self.sums, dns_tcp=dns_tcp)

    def claims(self, dns_tcp: int) -> dict[str, int]:
        """What the gate must have counted, by its own names."""
        held = self.held(dns_tcp)
        found = {said: int(getattr(held, name)) for name, said in CLAIMS.items()}
        return found | {
            "connections": held.flows + held.overload + dns_tcp,
            "allowed": self.allowed,
            "observed": self.observed,
            "dns_asked": self.asked,
            "receipts": self.receipts,
        }

    def _connection(
        self, record: Mapping[str, object], flow: Mapping[str, object], what: str
    ) -> None:
        number = strict.member(flow, "connection", what)
        if not number:
            raise strict.VerificationError(f"{what}: connections are numbered from 1")
        self.highest = max(self.highest, number)
        if number > self._below and number not in self._ahead:
            self.sums.flows += 1
            self._ahead.add(number)
            if len(self._ahead) > MAX_AHEAD:
                raise strict.VerificationError(f"{what}: numbers of connections are left out")
            while self._below + 1 in self._ahead:
                self._below += 1
                self._ahead.discard(self._below)
        phase, verdict = record.get("decision_phase"), record.get("verdict")
        if phase == "outcome":
            self._outcome(flow, what)
        elif phase == "intent":
            self.allowed += 1
        else:
            self.sums.denied += verdict == "block"
            self.observed += verdict == "warn"
        if phase == "outcome" or verdict == "block":
            self.sums.proxied += flow.get("via") in _PROXIED

    def _outcome(self, flow: Mapping[str, object], what: str) -> None:
        sums, up = self.sums, strict.member(flow, "bytes_up", what)
        down, number = strict.member(flow, "bytes_down", what), flow["connection"]
        sums.broken += flow.get("outcome") != records.COMPLETE
        if flow.get("protocol") == _HTTPS:
            # Its bytes are in those of the connection that it came in, as TLS sent them.
            before = self._within.get(number, (0, 0))
            self._within[number] = before[0] + up, before[1] + down
            return
        opened = "opened" in flow
        if opened:
            inside = self._within.pop(number, (0, 0))
            if inside[0] > up or inside[1] > down:
                raise strict.VerificationError(f"{what}: fewer bytes than its requests have")
        sums.up += up
        sums.down += down
        # There is no such count where nothing was connected to.
        if "kernel_up" in flow or "kernel_down" in flow:
            sums.kernel_up += strict.member(flow, "kernel_up", what)
            sums.kernel_down += strict.member(flow, "kernel_down", what)
        if opened or flow.get("protocol") == _HTTP:
            sums.http += 1
            sums.http_up += up

    def _packets(self, flow: Mapping[str, object], what: str) -> None:
        sums = self.sums
        sums.drops += _sum(flow, "groups", what)
        sums.drops_lost += strict.member(flow, "lost", what)
        sequence = strict.member(flow, "sequence", what)
        if sequence < max(sums.sequence, sums.drops):
            raise strict.VerificationError(f"{what}: the sequence fell")
        sums.sequence = sequence

    def _questions(self, flow: Mapping[str, object], what: str) -> None:
        # Those at the command's own loopback pass no counter of the kernel's.
        self.asked += _sum(flow, "questions", what)
        self.sums.udp += _sum(flow, "questions", what, via="udp")
        self.sums.tcp += _sum(flow, "questions", what, via="tcp")
        self.sums.udp_lost += strict.count(flow.get("lost", 0), f"{what}: lost")


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
