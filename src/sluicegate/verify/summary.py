"""A verification report to Markdown for people. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from sluicegate.verify import changes
from sluicegate.verify.account import Denial
from sluicegate.verify.packet import DEFAULT, Level, Report, outcome, pinned
from sluicegate.verify.reservations import reservations

# Denials written out; a longer page is not read. The rest is counted.
MAX_DENIALS = 50
MAX_CHANGES = 50  # of those that are flagged, the weightiest first
MAX_TEXT = 300
_MARKUP = re.compile(r"([\\`*_{}\[\]<>#|!&])")


def summary(report: Report) -> str:
    """Markdown made from the verified record only.

    The command chose some of the words (names, paths), so each is escaped: it can not add to the page.
    """
    opened, closed = _part(report.boundary, "open"), _part(report.boundary, "close")
    run, account, totals = _part(closed, "run"), report.account, report.tally.totals
    lines = ["# sluicegate run", "", *_verdict(report, run), ""]
    if command := opened.get("command"):
        lines.append(f"- command: {_command(command)}")
    if "agent_exit_code" in run:
        lines.append(f"- exit code: {_plain(run['agent_exit_code'])}")
    lines += [
        f"- tier: {_plain(opened.get('tier', 'unknown'))}",
        f"- policy: {_code(report.policy_hash or 'unknown')}",
        f"- key: {_code(report.signer_key or 'none')}{_origin(run)}",
        (
            f"- receipts: {report.receipts} (lifecycle included), "
            f"{totals['allow']} allow, {totals['block']} block, {totals['warn']} warn"
        ),
        f"- connections: {account.allowed} allowed, {account.denied} denied",
        f"- dropped packets: {account.dropped}",
        f"- DNS: {account.questions} questions for {len(account.named)} names",
        *([f"- workspace: {_plain(changes.told(report.workspace))}"] if report.workspace else []),
    ]
    if not account.allowed and not account.denied:
        plan = opened.get("plan")
        steps = len(plan) if isinstance(plan, list) else 0
        lines.append(f"- 0 requests; the boundary was made in {steps} steps, each in boundary.json")
    pages = (*_reservations(report), *_denials(report), *_changes(report))
    return "\n".join([*lines, *pages]) + "\n"


def of_the_run(report: Report) -> str:
    """The page that the run itself made of this record: it knew its own key.

    So a reader can make it again, whatever keys the reader trusts.
    """
    own = pinned(report.signer_key, [bytes.fromhex(report.signer_key)])
    reached = {**report.reached, Level.PINNED: own}
    return summary(replace(report, outcome=outcome(reached, DEFAULT), reached=reached))


def _verdict(report: Report, run: Mapping[str, object]) -> list[str]:
    words = ("verified", "INVALID", "unreadable", "a prefix whose end is not proven", "untrusted")
    known = words[report.outcome] if report.outcome < len(words) else "unknown"
    rungs = dict(report.reached)
    if run.get("key") == "ephemeral" and rungs[Level.PINNED][0]:
        # Whoever made the page knew the run's own key; a reader has no reason to.
        known = "consistent with itself"
        rungs[Level.PINNED] = (False, "the key was made for this run; give --key to pin one")
    lines = [
        f"- {level.value}: {'yes' if ok else 'no'} ({_plain(why)})"
        for level, (ok, why) in rungs.items()
    ]
    return [f"Verification: **{known}**", "", *lines]


def _command(command: object) -> str:
    if isinstance(command, dict):
        # Arguments may hold secrets: the record has their number and a digest.
        return (
            f"{_code(command.get('name', '?'))} with {_plain(command.get('args', '?'))} arguments"
        )
    return _code(" ".join(map(str, command)) if isinstance(command, list) else command)


def _origin(run: Mapping[str, object]) -> str:
    if run.get("key") == "ephemeral":
        return " (made for this run: the record is consistent with itself, not tied to anyone)"
    return " (given from outside the run)" if run.get("key") == "given" else ""


def _reservations(report: Report) -> list[str]:
    found = reservations(report.boundary, report.account)
    return ["", "## Reservations", "", *(f"- **{_plain(one)}**" for one in found)] if found else []


def _denials(report: Report) -> list[str]:
    account = report.account
    if not account.denials:
        return []
    lines = ["", "## Denied", ""]
    # A secret on its way out first, then by count.
    ranked = sorted(
        account.denials.items(),
        key=lambda item: (not item[0].alarm, -item[1], item[0].target),
    )
    for denial, count in ranked[:MAX_DENIALS]:
        lines += _denial(denial, count)
    hidden = sum(count for _, count in ranked[MAX_DENIALS:]) + account.unlisted
    if hidden:
        lines.append(f"- and {hidden} more, in flows.jsonl")
    return lines


def _denial(denial: Denial, count: int) -> list[str]:
    times = f" ({count} times)" if count > 1 else ""
    lines = [f"- {_code(denial.target)}{times}: {_plain(denial.reason)}"]
    if denial.remedy:
        lines += ["", "  to allow it, add under `allow:`", "", "  ```yaml"]
        lines += [f"  {_short(line).replace('```', '')}" for line in denial.remedy.splitlines()]
        lines += ["  ```", ""]
    return lines


def _changes(report: Report) -> list[str]:
    found = changes.notable(report.workspace)
    lines = [
        f"- {_plain(change)} {_code(path)} ({_plain(flags)})"
        for change, path, flags in found[:MAX_CHANGES]
    ]
    lines += [f"- {_plain(one)}" for one in changes.reserved(report.workspace, len(lines))]
    return ["", "## Workspace", "", *lines] if lines else []


def _part(holder: Mapping[str, object], name: str) -> Mapping[str, object]:
    found = holder.get(name)
    return found if isinstance(found, dict) else {}


def _short(text: object) -> str:
    shown = "".join(c if " " <= c <= "~" else "?" for c in str(text))
    return shown if len(shown) <= MAX_TEXT else shown[:MAX_TEXT] + "..."


def _plain(text: object) -> str:
    return _MARKUP.sub(r"\\\1", _short(text))


def _code(text: object) -> str:
    return "`" + _short(text).replace("`", "'") + "`"
