"""What SIEMs want to know of a row, whatever they call it. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sluicegate.report.told import destination, holders
from sluicegate.verify.rows import Row

MAX_TEXT = 2048  # characters of one value; the record's own are not longer, but for a path
KINDS = frozenset(("connection", "drop", "dns", "overload"))


@dataclass(frozen=True, slots=True)
class Flow:
    """One decision or outcome. `verdict`: `allow`, `block`, `warn`. `count` of packets or questions alike.

    `host` and `port` are what was judged, `peer` the address it was connected to. `up`, `down`, `millis`: of an
    outcome, else None. `transport` is IANA's word, `word` the protocol in it.
    """

    row: Row
    verdict: str
    host: str
    port: int | None
    transport: str
    word: str
    url: str = ""
    count: int = 1
    peer: str = ""
    up: int | None = None
    down: int | None = None
    millis: int | None = None
    reason: str = ""
    rule: str = ""

    @property
    def denied(self) -> bool:
        """Whether nothing of it left."""
        return self.verdict == "block"

    @property
    def ended(self) -> bool:
        """Whether it says how something ended."""
        return self.row.ends

    def text(self, name: str) -> str:
        """The text `name` of the facts; empty where there is none."""
        found = self.row.facts.get(name)
        return found[:MAX_TEXT] if isinstance(found, str) else ""

    def number(self, name: str) -> int | None:
        """The number `name` of the facts."""
        return number(self.row.facts, name)

    @property
    def holder(self) -> Mapping[str, object]:
        """The process that had its socket open, the first of several; empty where none is on record."""
        return next(iter(holders(self.row.facts)), {})


def flows(row: Row) -> Iterator[Flow]:
    """One for a connection's row, one for each group of packets or questions, none for the lifecycle."""
    facts, verdict = row.facts, str(row.record["verdict"])
    if row.kind == "connection":
        host, port = _split(destination(str(facts["url"])))
        ended = row.ends
        yield Flow(
            row,
            verdict,
            host,
            port,
            "tcp",
            str(facts["protocol"]),
            str(facts["url"])[:MAX_TEXT],
            peer=str(facts.get("peer", "")),
            up=number(facts, "bytes_up") if ended else None,
            down=number(facts, "bytes_down") if ended else None,
            millis=number(facts, "duration_ms") if ended else None,
            reason=str(facts.get("outcome" if ended else "reason", ""))[:MAX_TEXT],
            rule=str(facts.get("rule", ""))[:MAX_TEXT],
        )
    elif row.kind == "overload":
        rule = f"limits.{facts.get('limit', '')}"
        many = number(facts, "count") or 1
        yield Flow(row, verdict, "", None, "tcp", "", count=many, reason="overload", rule=rule)
    elif row.kind in KINDS:
        for group in _groups(facts.get("groups" if row.kind == "drop" else "questions")):
            yield _group(row, verdict, group)


def _group(row: Row, verdict: str, group: Mapping[str, object]) -> Flow:
    many = number(group, "count") or 1
    if row.kind == "dns":
        name, why = str(group.get("name", ""))[:MAX_TEXT], str(group.get("reason", ""))
        transport = "tcp" if group.get("via") == "tcp" else "udp"
        rule = "secret" if "secret" in group else ""
        return Flow(row, verdict, name, 53, transport, "dns", count=many, reason=why, rule=rule)
    host, port = str(group.get("destination", "")), number(group, "port")
    word = str(group.get("protocol", ""))
    return Flow(
        row, verdict, host, port, word, "", count=many, reason="refused-packet", rule="boundary"
    )


def line(event: Mapping[str, object]) -> str:
    """`event` as one line of JSON, without members that say nothing."""
    text = json.dumps(_said(event), separators=(",", ":"), ensure_ascii=True)
    # What a runner takes for a command in a line of a log; the same text, spelt otherwise.
    return text.replace("##[", "#\\u0023[") + "\n"


def _said(value: object) -> object:
    if isinstance(value, Mapping):
        found = {name: _said(item) for name, item in value.items()}
        return {name: item for name, item in found.items() if item not in (None, "", {}, [])}
    return [_said(item) for item in value] if isinstance(value, list) else value


def number(holder: Mapping[str, object], name: str) -> int | None:
    """The whole number `name` in `holder`."""
    found = holder.get(name)
    return found if type(found) is int else None


def _split(where: str) -> tuple[str, int | None]:
    host, mark, port = where.rpartition(":")
    if not mark or not port.isdigit():
        return where, None
    return host.removeprefix("[").removesuffix("]"), int(port)


def _groups(found: object) -> list[Mapping[str, object]]:
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
