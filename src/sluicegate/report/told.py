"""The rows of a record, added up for reports. Bounded whatever the run was. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sluicegate.verify.account import MAX_ALARMS, refusal
from sluicegate.verify.rows import Row

# Told apart; what comes beyond is counted. A port scan must fill neither memory nor a page.
MAX_DENIALS = 1000
MAX_DESTINATIONS = 1000
MAX_PROGRAMS = 500
MAX_METHODS = 16  # of one destination
MAX_DIGESTS = 4  # of one program's file, which may be replaced while the run goes on
MAX_EVENTS = 1000
BUCKETS = 96  # of the timeline; when they are full, two become one
_URL = re.compile(r"(?:[a-z]+://)?(\[[^\]]*\]|[^/:]*)(?::([0-9]{1,5}))?(?:/|\Z)")
_PORTS = {"http": 80, "https": 443}
UNKNOWN = "(gone before it was looked up)"


@dataclass(slots=True)
class Count:
    """What was let through and what was not: decisions, and bytes of what ended."""

    allowed: int = 0
    denied: int = 0
    observed: int = 0
    up: int = 0
    down: int = 0


@dataclass(frozen=True, slots=True)
class Denial:
    """What was denied alike. `where`: host and port. `rule` as the receipts name it. `remedy`: YAML, or empty.

    `observed`: observe mode let it through. `word` is what the flow was: its protocol, `dns`, or that of packets.
    """

    where: str
    target: str
    word: str
    rule: str
    reason: str
    remedy: str
    observed: bool


@dataclass(slots=True)
class Denied:
    """How often, when first, by which receipt and which program."""

    count: int
    seq: int
    time: str
    program: str


@dataclass(slots=True)
class Destination:
    """One host and port: connections and requests, HTTP's methods, and the protocols seen."""

    count: Count = field(default_factory=Count)
    methods: dict[str, int] = field(default_factory=dict)
    protocols: set[str] = field(default_factory=set)
    failed: int = 0  # allowed, and ended otherwise than complete


@dataclass(slots=True)
class Program:
    """One executable, by its path inside: its digests, and how many connections it shared with others."""

    count: Count = field(default_factory=Count)
    digests: set[str] = field(default_factory=set)
    destinations: set[str] = field(default_factory=set)
    shared: int = 0


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the timeline. `verdict`: `allow`, `deny`, `observed`, `change`."""

    seq: int
    time: str
    verdict: str
    target: str
    rule: str
    program: str
    method: str


@dataclass(slots=True)
class Timeline:
    """Decisions by time: `buckets` of `width` seconds each, from `start` on, as (allowed, denied)."""

    start: int = 0
    width: int = 1
    buckets: dict[int, list[int]] = field(default_factory=dict)

    def add(self, when: int, verdict: str) -> None:
        """Count one decision at `when`, seconds since the epoch."""
        if not self.buckets:
            self.start = when
        at = max(0, when - self.start) // self.width
        while at >= BUCKETS:
            self.width *= 2
            wider: dict[int, list[int]] = {}
            for old, counts in self.buckets.items():
                held = wider.setdefault(old // 2, [0, 0])
                held[0], held[1] = held[0] + counts[0], held[1] + counts[1]
            self.buckets, at = wider, max(0, when - self.start) // self.width
        self.buckets.setdefault(at, [0, 0])[verdict == "deny"] += 1


@dataclass(slots=True)
class Told:
    """What the rows add up to. `unlisted` counts denials, destinations, programs, events beyond their limits."""

    denials: dict[Denial, Denied] = field(default_factory=dict)
    destinations: dict[str, Destination] = field(default_factory=dict)
    programs: dict[str, Program] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    timeline: Timeline = field(default_factory=Timeline)
    unlisted: dict[str, int] = field(default_factory=dict)
    total: Count = field(default_factory=Count)
    requests: int = 0
    first: str = ""
    last: str = ""
    rows: int = 0
    # Allowed flows that have not ended, by action: (destination, program). As many as are open at once.
    _open: dict[str, tuple[str, str]] = field(default_factory=dict)

    def add(self, row: Row) -> None:
        """Take one row, in the record's order."""
        self.rows += 1
        self.last = str(row.record.get("timestamp", ""))
        self.first = self.first or self.last
        kind, record = row.kind, row.record
        if kind == "connection":
            self._ended(row) if row.ends else self._decided(row)
        elif kind == "drop":
            for group in _groups(row.facts, "groups"):
                self._packets(row, group)
        elif kind == "dns" and record["verdict"] == "block":
            for group in _groups(row.facts, "questions"):
                name = str(group.get("name", "?"))
                why = refusal(group)
                self._deny(row, name, f"dns://{name}", "dns", why, "", _count(group))
        elif kind == "overload":
            why = f"refused unread: the limit {row.facts.get('limit', '')} was reached"
            self._deny(row, "(overload)", "tcp://overload", "tcp", why, "", _count(row.facts))
        elif kind == "change":
            for group in _groups(row.facts, "changes"):
                self._event(row, "change", str(group.get("what", "?")), "")

    def _decided(self, row: Row) -> None:
        flow, record = row.facts, row.record
        target = str(record["target"])
        where, program = destination(target), program_of(flow)
        if record["verdict"] == "warn":
            self._deny(row, where, target, str(flow["protocol"]), _why(row), program, 1)
            return
        denied = record["verdict"] == "block"
        if flow["protocol"] == "https" or "method" in flow:
            self.requests += 1
        held = self._destination(where)
        if held is not None:
            held.protocols.add(str(flow["protocol"]))
            method = str(flow.get("method", ""))
            if method and (method in held.methods or len(held.methods) < MAX_METHODS):
                held.methods[method] = held.methods.get(method, 0) + 1
        user = self._program(flow, program)
        if user is not None and len(user.destinations) < MAX_DESTINATIONS:
            user.destinations.add(where)
        for one in (self.total, held and held.count, user and user.count):
            if one:
                one.denied += denied
                one.allowed += not denied
                one.observed += "observed" in flow
        if denied:
            self._deny(row, where, target, str(flow["protocol"]), _why(row), program, 1)
            return
        self._open[str(record["action_id"])] = where, program
        if "observed" not in flow:  # its warning is on the timeline already
            self._event(row, "allow", target, program)

    def _ended(self, row: Row) -> None:
        flow = row.facts
        where, program = self._open.pop(str(row.record["action_id"]), ("", ""))
        held, user = self.destinations.get(where), self.programs.get(program)
        if held is not None:
            held.failed += flow.get("outcome") != "complete"
        if flow.get("protocol") == "https":
            return  # inside a connection that was opened, whose own outcome has these bytes
        up, down = _number(flow, "bytes_up"), _number(flow, "bytes_down")
        for one in (self.total, held and held.count, user and user.count):
            if one:
                one.up, one.down = one.up + up, one.down + down

    def _program(self, flow: Mapping[str, object], name: str) -> Program | None:
        held = self.programs.get(name)
        if held is None:
            if len(self.programs) >= MAX_PROGRAMS:
                self._beyond("programs", 1)
                return None
            held = self.programs[name] = Program()
        process = flow.get("process")
        held.shared += isinstance(process, dict) and process.get("found") == "shared"
        for holder in holders(flow)[:1]:
            digest = str(holder.get("exe_sha256", ""))
            if digest and len(held.digests) < MAX_DIGESTS:
                held.digests.add(digest)
        return held

    def _packets(self, row: Row, group: Mapping[str, object]) -> None:
        word, host, port = (str(group.get(n, "")) for n in ("protocol", "destination", "port"))
        where = f"[{host}]:{port}" if port and ":" in host else f"{host}:{port}" if port else host
        why = "packet refused: the gate does not speak for it"
        self._deny(row, where, f"{word}://{where}", word, why, "", _count(group))

    def _deny(
        self, row: Row, where: str, target: str, word: str, why: str, program: str, many: int
    ) -> None:
        observed = row.record["verdict"] == "warn"
        rule = str(row.facts.get("rule", "") or row.record.get("pattern", ""))
        remedy = str(row.facts.get("remedy", ""))
        denial = Denial(where, target, word, rule, why, remedy, observed)
        when = str(row.record.get("timestamp", ""))
        known = self.denials.get(denial)
        if known is not None:
            known.count += many
        elif len(self.denials) < MAX_DENIALS + MAX_ALARMS * (rule == "secret"):
            self.denials[denial] = Denied(many, row.seq, when, program)
        else:
            self._beyond("denials", many)
        self._event(row, "observed" if observed else "deny", target, program)

    def _event(self, row: Row, verdict: str, target: str, program: str) -> None:
        record, flow = row.record, row.facts
        when = str(record.get("timestamp", ""))
        if (seconds := epoch(when)) is not None:
            self.timeline.add(seconds, verdict)
        if len(self.events) >= MAX_EVENTS:
            self._beyond("events", 1)
            return
        rule, method = str(flow.get("rule", "")), str(flow.get("method", ""))
        self.events.append(Event(row.seq, when, verdict, target, rule, program, method))

    def _destination(self, where: str) -> Destination | None:
        held = self.destinations.get(where)
        if held is None:
            if len(self.destinations) >= MAX_DESTINATIONS:
                self._beyond("destinations", 1)
                return None
            held = self.destinations[where] = Destination()
        return held

    def _beyond(self, what: str, many: int) -> None:
        self.unlisted[what] = self.unlisted.get(what, 0) + many


def told(rows: Iterable[Row]) -> Told:
    """What all of `rows` add up to."""
    found = Told()
    for row in rows:
        found.add(row)
    return found


def destination(target: str) -> str:
    """Host and port of a receipt's target: `example.org:443`, `[::1]:80`; the target where it has none."""
    found = _URL.match(target)
    if found is None or not found[1]:
        return target
    port = found[2] or str(_PORTS.get(target.partition("://")[0], ""))
    return f"{found[1]}:{port}" if port else found[1]


def holders(flow: Mapping[str, object]) -> list[Mapping[str, object]]:
    """The processes that had the flow's socket open; none where that is not on record."""
    process = flow.get("process")
    found = process.get("holders") if isinstance(process, dict) else None
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def program_of(flow: Mapping[str, object]) -> str:
    """The path of the program behind a flow, the first of several that share its socket."""
    if "process" not in flow:
        return ""
    for holder in holders(flow):
        return str(holder.get("exe", UNKNOWN))
    return UNKNOWN


def epoch(time: str) -> int | None:
    """Seconds since 1970 of a receipt's timestamp; None where it is none."""
    try:
        return int(datetime.fromisoformat(time).timestamp())
    except ValueError:
        return None


def _why(row: Row) -> str:
    return str(row.facts.get("reason") or row.record.get("pattern") or "denied")


def _groups(flow: Mapping[str, object], name: str) -> list[Mapping[str, object]]:
    found = flow.get(name)
    return [group for group in found if isinstance(group, dict)] if isinstance(found, list) else []


def _count(holder: Mapping[str, object]) -> int:
    found = holder.get("count", 1)
    return found if type(found) is int and found > 0 else 1


def _number(holder: Mapping[str, object], name: str) -> int:
    found = holder.get(name)
    return found if type(found) is int else 0
