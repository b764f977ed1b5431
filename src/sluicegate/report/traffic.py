"""Sections of the page that are made of rows: denials, destinations, timeline, programs. Pure."""

from __future__ import annotations

from datetime import UTC, datetime

from sluicegate.report.annotations import grouped
from sluicegate.report.escape import page, size, times
from sluicegate.report.markup import (
    Html,
    amount,
    badge,
    code,
    commands,
    details,
    join,
    section,
    table,
    tag,
)
from sluicegate.report.summary import SUGGEST, SUGGESTING, severity
from sluicegate.report.told import Count, Denial, Denied, Timeline, Told

# Rows of the page; it is read by people, and what is beyond is in the packet.
MAX_DENIALS, MAX_DESTINATIONS, MAX_PROGRAMS, MAX_EVENTS = 200, 300, 200, 500
_HEIGHT = 64  # of the timeline, in the units of its own coordinates
_EVENT = {
    "allow": ("allowed", "good"),
    "deny": ("denied", "bad"),
    "observed": ("would be denied", "warn"),
    "change": ("boundary changed", "bad"),
}


def denials(told: Told) -> Html:
    """What was denied, what to add to allow it, and who asked."""
    some = grouped(told)
    if not some:
        return section("denied", "Denied", tag("p", "Nothing was denied."))
    items = [_denial(denial, denied) for denial, denied in some[:MAX_DENIALS]]
    beyond = len(some) - MAX_DENIALS
    more = tag("p", f"and {beyond:,} more destinations", class_="more") if beyond > 0 else ""
    lead = (
        "One entry for each destination and rule. What a line of policy would allow comes with"
        " that line; whether it should be allowed is for you to decide."
    )
    after: Html | str = ""
    if told.total.observed:
        after = join(tag("p", f"{SUGGEST}:"), commands(SUGGESTING, "suggest a policy"))
    listed = tag("ul", *items, class_="denials")
    return section("denied", "Denied", tag("p", lead, class_="lead"), listed, more, after)


def _denial(denial: Denial, denied: Denied) -> Html:
    grave = severity(denial)
    word, kind = ("would be denied", "warn") if denial.observed else ("denied", "bad")
    if grave == 0:
        word = "secret"
    head = tag(
        "p",
        badge(word, kind),
        " ",
        code(denial.where),
        tag("span", f" \u00d7 {denied.count:,}", class_="times") if denied.count > 1 else "",
        class_="what",
    )
    facts = [tag("span", denial.reason)]
    bare = denial.target.partition("://")[2].rstrip("/")
    if bare not in {denial.where, denial.where.rpartition(":")[0]}:
        facts.append(join("first asked for ", code(denial.target)))
    if denied.program:
        facts.append(join("by ", code(denied.program)))
    facts.append(join("receipt ", code(denied.seq)))
    line = tag("p", *(join(" · " if at else "", one) for at, one in enumerate(facts)), class_="why")
    remedy: Html | str = ""
    if denial.remedy:
        remedy = join(
            tag("p", "To allow it, add under ", code("allow:"), class_="remedy"),
            commands(denial.remedy, f"policy that would allow {denial.where}"),
        )
    return tag("li", tag("div", head, line), tag("div", remedy) if remedy else "")


def destinations(told: Told) -> Html:
    """Every host and port with what went there."""
    some = sorted(
        told.destinations.items(),
        key=lambda item: (-(item[1].count.up + item[1].count.down), -item[1].count.denied, item[0]),
    )
    if not some:
        return section(
            "destinations", "Destinations", tag("p", "The command connected to nothing.")
        )
    up, down = (max(getattr(held.count, way) for _, held in some) for way in ("up", "down"))
    rows = []
    for where, held in some[:MAX_DESTINATIONS]:
        how = ", ".join(
            f"{name} {many:,}" for name, many in sorted(held.methods.items())
        ) or ", ".join(sorted(held.protocols))
        rows.append([code(where), *_counts(held.count, up, down), how])
    heads = [("host and port", ""), *_COUNTS, ("how", "")]
    made = table("Destinations, by bytes", heads, rows)
    lead = (
        "Names are those that the gate looked up itself after the policy had allowed them; bytes are"
        " those of finished flows, as the kernel counted them too."
    )
    return section(
        "destinations",
        "Destinations",
        tag("p", lead, class_="lead"),
        made,
        _beyond(len(some) - MAX_DESTINATIONS, told, "destinations"),
    )


_COUNTS = [("allowed", "number"), ("denied", "number"), ("sent", "number"), ("received", "number")]


def _counts(count: Count, up: int, down: int) -> list[object]:
    allowed = f"{count.allowed:,}"
    if count.observed:
        allowed += f" ({count.observed:,} observed)"
    return [
        allowed,
        tag("strong", f"{count.denied:,}", class_="bad") if count.denied else "0",
        amount(count.up, up, "up"),
        amount(count.down, down, "down"),
    ]


def programs(told: Told) -> Html:
    """Who asked, as the kernel showed it when each connection was decided."""
    some = sorted(
        ((name, held) for name, held in told.programs.items() if name),
        key=lambda item: (-(item[1].count.up + item[1].count.down), item[0]),
    )
    if not some:
        return section("programs", "Programs", tag("p", "No program of a connection is on record."))
    up, down = (max(getattr(held.count, way) for _, held in some) for way in ("up", "down"))
    rows = []
    for name, held in some[:MAX_PROGRAMS]:
        digests = [tag("div", code(digest), class_="digest") for digest in sorted(held.digests)]
        rows.append(
            [
                join(code(name), *digests),
                *_counts(held.count, up, down),
                f"{len(held.destinations):,}",
            ]
        )
    heads = [("program and SHA-256 of its file", ""), *_COUNTS, ("destinations", "number")]
    lead = (
        "Looked up before each decision, as evidence only: no rule can ask for it, and a program can"
        " have another do its work."
    )
    return section(
        "programs",
        "Programs",
        tag("p", lead, class_="lead"),
        table("Programs, by bytes", heads, rows),
        _beyond(len(some) - MAX_PROGRAMS, told, "programs"),
    )


def timeline(told: Told) -> Html:
    """Decisions over time, and each of them in a list."""
    if not told.timeline.buckets:
        return section("timeline", "Timeline", tag("p", "There were no decisions."))
    rows = []
    for event in told.events[:MAX_EVENTS]:
        word, kind = _EVENT[event.verdict]
        what = join(f"{event.method} " if event.method else "", code(event.target))
        rows.append(
            [
                f"{event.seq:,}",
                clock(event.time),
                badge(word, kind),
                what,
                code(event.rule) if event.rule else "",
                code(event.program) if event.program else "",
            ]
        )
    heads = [
        ("receipt", "number"),
        ("UTC", "time"),
        ("verdict", ""),
        ("what", ""),
        ("rule", ""),
        ("program", ""),
    ]
    listed = table("Decisions in their order", heads, rows)
    hidden = max(0, len(told.events) - MAX_EVENTS) + told.unlisted.get("events", 0)
    more = tag("p", f"and {hidden:,} more, in evidence.jsonl", class_="more") if hidden else ""
    return section(
        "timeline",
        "Timeline",
        _chart(told.timeline),
        details(f"{times(len(rows), 'decision')}, in the order of the record", listed, more),
    )


def clock(time: str) -> str:
    """The time of day in a receipt's timestamp, to the millisecond."""
    return time[11:23].rstrip("Z") if len(time) >= 19 else time


def _chart(line: Timeline) -> Html:
    """Bars of allowed and denied decisions; the same in words for whoever does not see it."""
    last = max(line.buckets)
    slots = max(last + 1, 12)
    most = max(sum(counts) for counts in line.buckets.values())
    step = 960 / slots
    rects = []
    for at, (allowed, denied) in sorted(line.buckets.items()):
        x, wide = at * step, max(step - 1.5, 1.0)
        high, low = _HEIGHT * allowed / most, _HEIGHT * denied / most
        for kind, y, tall in (("down", _HEIGHT - high, high), ("bad", _HEIGHT - high - low, low)):
            if tall:
                rects.append(
                    f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{tall:.1f}"/>'
                )
    allowed, denied = (sum(counts[at] for counts in line.buckets.values()) for at in (0, 1))
    begin, end = (_day(line.start + at * line.width) for at in (0, slots))
    words = f"{allowed:,} allowed and {denied:,} denied between {begin} and {end} UTC"
    chart = Html(
        f'<svg class="chart" viewBox="0 0 960 {_HEIGHT}" preserveAspectRatio="none" role="img"'
        f' aria-label="{page(words)}">{"".join(rects)}</svg>'
    )
    width = f"one bar is {times(line.width, 'second')}, the highest {times(most, 'decision')}"
    key = join(tag("span", begin), tag("span", width), tag("span", end))
    legend = tag(
        "p",
        tag("span", "allowed", class_="key down"),
        tag("span", "denied", class_="key bad"),
        class_="legend",
    )
    return tag("figure", legend, chart, tag("figcaption", key))


def _day(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%H:%M:%S")


def _beyond(hidden: int, told: Told, what: str) -> Html | str:
    many = max(0, hidden) + told.unlisted.get(what, 0)
    return tag("p", f"and {many:,} more", class_="more") if many else ""


def figures(told: Told, dropped: int, questions: int, names: int) -> Html:
    """The run in six numbers."""
    total = told.total
    cells = [
        ("denied", f"{total.denied:,}", "bad" if total.denied else ""),
        ("allowed", f"{total.allowed:,}", ""),
        ("sent", size(total.up), ""),
        ("received", size(total.down), ""),
        ("packets refused", f"{dropped:,}", "bad" if dropped else ""),
        (f"DNS questions, {times(names, 'name')}", f"{questions:,}", ""),
    ]
    if total.observed:
        cells.insert(1, ("would be denied", f"{total.observed:,}", "warn"))
    made = [
        tag("div", tag("dt", name), tag("dd", value, class_=kind or None))
        for name, value, kind in cells
    ]
    return tag("dl", *made, class_="figures")
