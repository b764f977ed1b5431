"""Sections of the page that are made of what was measured: verdict, run, posture, the equation, how to verify. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping

from sluicegate.report.escape import size, times
from sluicegate.report.markup import (
    Html,
    badge,
    code,
    commands,
    details,
    join,
    pairs,
    section,
    table,
    tag,
)
from sluicegate.report.verdict import MEANS, SAYS, Case, State, part
from sluicegate.verify import verifymd
from sluicegate.verify.packet import Level

MAX_STEPS = 300
MAX_POLICY = 65_536  # characters of the policy on the page
_KIND = {State.VERIFIED: "good", State.CONSISTENT: "warn"}
_TITLES = {
    State.VERIFIED: ("Verified", "by a key you named"),
    State.CONSISTENT: ("Consistent with itself", "signer not pinned"),
    State.FOREIGN: ("Signed by another key", "not by one you named"),
    State.OPEN: ("Not accounted for", "traffic may be missing"),
    State.PREFIX: ("Cut short", "the end is not proven"),
    State.INVALID: ("Invalid", "do not trust it"),
}


def kind(case: Case) -> str:
    """The class of the verdict: `good`, `warn` or `bad`."""
    return _KIND.get(case.state, "bad")


def verdict(case: Case) -> Html:
    """The verdict, what follows from it, and the ladder."""
    title, rest = _TITLES[case.state]
    head = tag("h1", title, tag("small", " ", rest))
    lead: list[object] = [tag("p", SAYS[case.state], class_="says")]
    if not case.sound:
        lead.insert(0, tag("p", case.why, class_="reason", role="alert"))
    lead += [tag("p", badge("reservation", "warn"), " ", one) for one in case.reservations]
    rungs = [_rung(case, level) for level in Level]
    return tag(
        "header",
        tag("p", "sluicegate run report", class_="kicker"),
        head,
        *lead,
        tag("ol", *rungs, class_="ladder", aria_label="Levels of verification"),
        class_=f"verdict {kind(case)}",
    )


def _rung(case: Case, level: Level) -> Html:
    ok, why = case.report.reached[level]
    soft = level is Level.PINNED and case.state is State.CONSISTENT
    word, look = ("reached", "good") if ok else ("open", "warn") if soft else ("not reached", "bad")
    means, not_ = MEANS[level]
    return tag(
        "li",
        tag("p", tag("strong", level.value), " ", badge(word, look), class_="level"),
        tag("p", why, class_="why"),
        details(
            "What it means",
            tag("p", means),
            tag("p", tag("em", "It does not say: "), not_[0].lower() + not_[1:]),
        ),
        class_=look,
        data_level=level.value,
        data_reached="true" if ok else "false",
    )


def identity(case: Case) -> Html:
    """Whose run it was, of what, where."""
    opened, run, job = case.opened, case.run, part(case.opened, "ci")
    who = part(opened, "identity")
    report = case.report
    origin = {"ephemeral": "made for this run", "given": "given from outside the run"}
    rows: list[tuple[str, object]] = [
        ("command", _command(part(opened, "command"))),
        ("exit code", run.get("agent_exit_code", "not on record: the run did not close")),
        ("agent", run.get("agent_identity", "")),
        ("started", opened.get("started_at", "")),
        ("ended", run.get("completed_at", "")),
        ("repository", job.get("repository", "")),
        ("commit", _coded(job.get("sha") or opened.get("commit"))),
        ("ref", _coded(job.get("ref"))),
        ("workflow", job.get("workflow", "")),
        ("job", _job(job)),
        ("boundary", _joined(opened.get("tier"), f", uid {who.get('uid', '?')}")),
        ("machine", f"Linux {opened['kernel']}" if "kernel" in opened else ""),
        ("sluicegate", opened.get("sluicegate", "")),
        ("key", join(code(report.signer_key or "none"), f" {origin.get(str(run.get('key')), '')}")),
        ("policy", code(report.policy_hash or "unknown")),
        ("root", code(report.root or "unknown")),
        ("run", code(report.run_nonce or "unknown")),
        ("receipts", f"{report.receipts:,}, lifecycle included"),
    ]
    lead = (
        "Names of the job are what the environment held when the run began: the word of whoever started"
        " it, bound before the command could do anything. Arguments of the command are on record as a"
        " digest only, since they may hold secrets."
    )
    return section("run", "The run", pairs(rows), tag("p", lead, class_="lead"))


def _command(command: Mapping[str, object]) -> object:
    return _joined(command.get("name"), f" with {times(_count(command, 'args'), 'argument')}")


def _joined(found: object, more: str) -> object:
    return join(code(found), more) if found else ""


def _job(job: Mapping[str, object]) -> str:
    number, attempt = job.get("run_id"), job.get("run_attempt")
    return f"{number}, attempt {attempt}" if number and attempt else str(number or "")


def _coded(found: object) -> object:
    return code(found) if found else ""


def posture(case: Case) -> Html:
    """What was tried from inside before the command started, and what the wall was made of."""
    opened = case.opened
    probe = part(opened, "probe")
    results, outcomes = part(probe, "results"), part(probe, "outcomes")
    failed = [name for name, said in results.items() if said != "passed"]
    if not results:
        words: Html = tag("p", badge("unknown", "warn"), " Nothing was probed.")
    elif failed:
        words = tag(
            "p", badge("holes", "bad"), f" {len(failed)} of {len(results)} ways were not shut."
        )
    else:
        words = tag(
            "p",
            badge("measured", "good"),
            f" {len(results)} ways out were tried from inside, by the command's own user behind the same"
            " filter, before it started. All are shut.",
        )
    rows = [
        [
            code(name),
            str(
                outcomes.get(
                    name, "arrived at the gate" if name in _listed(probe) else "not probed"
                )
            ),
            badge("shut", "good") if said == "passed" else badge("open", "bad"),
        ]
        for name, said in sorted(results.items(), key=lambda item: (item[1] == "passed", item[0]))
    ]
    parts: list[object] = [words]
    parts += [
        tag("p", badge("hole", "bad"), " ", str(one)) for one in _texts(probe.get("holes"))[:50]
    ]
    if rows:
        heads = [("way", ""), ("what came of it", ""), ("so", "")]
        parts.append(details(f"The {len(rows)} ways", table("Probes", heads, rows)))
    plan = [step for step in _list(opened.get("plan")) if isinstance(step, list)]
    if plan:
        items = [
            tag("li", *(join(" " if at else "", code(one)) for at, one in enumerate(step)))
            for step in plan[:MAX_STEPS]
        ]
        more = len(plan) - MAX_STEPS
        rest = tag("p", f"and {more:,} more, in boundary.json", class_="more") if more > 0 else ""
        title = f"The {len(plan):,} steps that built the boundary"
        parts.append(details(title, tag("ol", *items), rest))
    withheld = _texts(opened.get("withheld"))
    if withheld:
        items = [tag("li", code(name)) for name in withheld[:MAX_STEPS]]
        parts.append(
            details(
                f"{times(len(withheld), 'variable')} withheld from the command",
                tag("ul", *items, class_="names"),
            )
        )
    return section("posture", "Measured posture", *parts)


def _listed(probe: Mapping[str, object]) -> list[str]:
    return _texts(probe.get("captured"))


def equation(case: Case) -> Html:
    """The kernel's counters against the receipts."""
    solved = part(case.closed, "equation")
    residual = part(solved, "residual")
    if not residual:
        said = "The counters at the end are not on record, so there is nothing to hold the receipts against."
        return section("accounted", "Accounted for", tag("p", said))
    rows = [
        [name, f"{saw:,}", f"{holds:,}", _difference(residual, line)]
        for name, saw, holds, line in _lines(solved)
    ]
    heads = [
        ("", ""),
        ("kernel counted", "number"),
        ("record holds", "number"),
        ("difference", "number"),
    ]
    every = [[code(name), _difference(residual, name)] for name in sorted(residual)]
    lead = (
        "The kernel's counters were read from outside the boundary at both ends of the run. Each line must"
        " agree, or the run ends as an evidence failure. Bytes are those that the kernel counted on the"
        " gate's own sockets."
    )
    return section(
        "accounted",
        "Accounted for",
        tag("p", lead, class_="lead"),
        table("Kernel and record", heads, rows),
        details(
            f"All {len(every)} lines",
            table("Residuals", [("line", ""), ("difference", "number")], every),
        ),
    )


def _lines(solved: Mapping[str, object]) -> list[tuple[str, int, int, str]]:
    """The lines that a reader can follow: what is counted, by the kernel, on record, and the residual's name."""
    kernel, record, derived = (part(solved, name) for name in ("kernel", "record", "derived"))
    return [
        (
            "attempts to connect",
            _sum(kernel, "captured", "captured_dns", "local", "refused_syn"),
            _count(kernel, "Tcp.ActiveOpens") + _count(derived, "repeats"),
            "attempts",
        ),
        (
            "connections",
            _count(kernel, "Tcp.PassiveOpens"),
            _sum(derived, "accepted", "local_established"),
            "established",
        ),
        (
            "DNS questions",
            _count(kernel, "questions"),
            _sum(record, "udp", "udp_lost"),
            "questions",
        ),
        (
            "packets refused",
            _count(kernel, "refused"),
            _sum(record, "drops", "drops_lost"),
            "refused",
        ),
        ("bytes sent", _count(record, "kernel_up"), _count(record, "up"), "bytes_up"),
        ("bytes received", _count(record, "kernel_down"), _count(record, "down"), "bytes_down"),
    ]


def _difference(residual: Mapping[str, object], name: str) -> Html:
    found = _count(residual, name)
    return tag("strong", f"{found:+,}", class_="bad") if found else tag("span", "0", class_="good")


def policy(text: bytes | None) -> Html:
    """The normalised policies that every decision was made by; empty where they are not at hand."""
    if text is None:
        return Html("")
    shown = json.dumps(json.loads(text), indent=2)
    cut = shown[:MAX_POLICY] + ("\n..." if len(shown) > MAX_POLICY else "")
    lead = "Normalised: sorted, and without the names of its files. Every receipt carries its hash."
    return section(
        "policy",
        "Policy",
        tag("p", lead, class_="lead"),
        details(f"policy.json, {size(len(text))}", commands(cut, "policy.json")),
    )


def how(case: Case) -> Html:
    """How a reader finds out without this page."""
    report = case.report
    parts: list[object] = [
        tag(
            "p", "With sluicegate, offline, from the packet and a key that you have from elsewhere:"
        ),
        commands("sluicegate verify PACKET --key release.pub", "verify with sluicegate"),
        tag("p", "With a second program that shares no code with the first, on Node 20:"),
        commands("node sluicegate-verify.js PACKET --key release.pub", "verify with node"),
    ]
    if case.state is State.CONSISTENT:
        words = (
            "The key was made for this run and is gone. "
            if case.ephemeral
            else "No key was given. "
        )
        parts = [
            tag(
                "p",
                words,
                "To pin it, take it from where only the run could write, as the job's own log; the packet"
                " can not vouch for its own key:",
            ),
            commands(
                f"sluicegate verify PACKET --key {report.signer_key}", "verify with this run's key"
            ),
            tag(
                "p",
                "For a key that lasts: ",
                code("sluicegate keygen release"),
                ", the private half as a secret to ",
                code("run --key"),
                ", ",
                code("release.pub"),
                " to whoever verifies.",
            ),
            *parts,
        ]
    if report.signer_key:
        parts.append(
            details(
                "With openssl and sha256sum alone (VERIFY.md)",
                commands(verifymd.of_the_run(report), "VERIFY.md"),
            )
        )
    return section("verify", "Verify it yourself", *parts)


def _count(holder: Mapping[str, object], name: str) -> int:
    found = holder.get(name)
    return found if type(found) is int else 0


def _sum(holder: Mapping[str, object], *names: str) -> int:
    return sum(_count(holder, name) for name in names)


def _list(found: object) -> list[object]:
    return found if isinstance(found, list) else []


def _texts(found: object) -> list[str]:
    return [one for one in _list(found) if isinstance(one, str)]
