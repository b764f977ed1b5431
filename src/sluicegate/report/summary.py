"""A case as Markdown for a job's summary: the verdict first, and under GitHub's limit whatever the run was. Pure.

The `summary.md` inside a packet is another page: sealed, rebuilt by verifiers, without what only the rows know.
"""

from __future__ import annotations

from collections.abc import Sequence

from sluicegate.report import workspace
from sluicegate.report.escape import code, lines, markdown, size, times
from sluicegate.report.told import Count, Denial, Denied, Told
from sluicegate.report.verdict import SAYS, Case, State
from sluicegate.verify.packet import Level

# Of one step's summary; more is not shown at all. Source: GitHub's "Step isolation and limits", 1 MiB.
MAX_BYTES = 1_048_576
MAX_DENIALS, MAX_DESTINATIONS, MAX_PROGRAMS = 50, 20, 20
MAX_REMEDY_LINES = 12
# How receipts name what no policy was asked about (evidence/counts.py).
UNSPOKEN = frozenset(("refused-packet", "refused-question"))
# What follows from a run in observe mode.
SUGGEST = "A policy that covers what observe mode let through"
SUGGESTING = "sluicegate policy suggest PACKET"
_MARKS = {True: "\u2705", False: "\u274c"}


def summary(case: Case) -> str:
    """The page. Bounded by the rows above, each cell by `escape.MAX_TEXT`: under 200 KiB at most."""
    told = case.told
    body = [*_head(case), *_ladder(case)]
    if case.state is not State.INVALID and told is not None:
        body += [*_run(case, told), *_denials(told), *workspace.summary(case.workspace)]
        body += [*_destinations(told), *_programs(told)]
    return "\n".join([*body, *_how(case)]) + "\n"


def _head(case: Case) -> list[str]:
    mark = "\u2705" if case.sound else "\u26d4"
    words = [f"## {mark} sluicegate: {markdown(case.state.value)}", "", SAYS[case.state], ""]
    if not case.sound:
        words = [
            *words[:2],
            "> [!CAUTION]",
            f"> **{markdown(case.state.value)}**: {markdown(case.why)}",
            "",
            *words[2:],
        ]
    for one in case.reservations:
        words += ["> [!WARNING]", f"> {markdown(one)}", ""]
    return words


def _ladder(case: Case) -> list[str]:
    rows = ["| level | | why |", "|---|---|---|"]
    for level, (ok, why) in case.report.reached.items():
        soft = level is Level.PINNED and case.state is State.CONSISTENT
        mark = "\u2796" if soft else _MARKS[ok]
        rows.append(f"| {level.value} | {mark} {'yes' if ok else 'no'} | {markdown(why)} |")
    return [*rows, ""]


def _run(case: Case, told: Told) -> list[str]:
    account, total = case.report.account, told.total
    command = case.opened.get("command")
    name = command.get("name", "?") if isinstance(command, dict) else "?"
    said = f"{code(name)} under {code(case.opened.get('tier', 'unknown'))}"
    if "agent_exit_code" in case.run:
        said += f", exit code {markdown(case.run['agent_exit_code'])}"
    words = [
        times(account.allowed, "connection or request", "connections and requests") + " allowed",
        f"**{account.denied:,} denied**" if account.denied else "none denied",
    ]
    if total.observed:
        words.append(f"**{total.observed:,} let through by observe mode alone**")
    words += [f"{size(total.up)} sent", f"{size(total.down)} received"]
    if account.dropped:
        words.append(times(account.dropped, "packet") + " refused")
    names = times(len(account.named), "name")
    words.append(f"{times(account.questions, 'DNS question')} for {names}")
    return [f"{said}: {'; '.join(words)}.", ""]


def _denials(told: Told) -> list[str]:
    some = ranked(told)
    if not some:
        return []
    rows = ["### Denied", ""]
    for denial, denied in some[:MAX_DENIALS]:
        rows += _denial(denial, denied)
    beyond = sum(denied.count for _, denied in some[MAX_DENIALS:]) + told.unlisted.get("denials", 0)
    rows += [f"- and {beyond:,} more", ""] if beyond else [""]
    return [*rows, *([f"{SUGGEST}: `{SUGGESTING}`", ""] if told.total.observed else [])]


def ranked(told: Told) -> list[tuple[Denial, Denied]]:
    """Denials, the most severe and then the most frequent first."""
    return sorted(
        told.denials.items(), key=lambda item: (severity(item[0]), -item[1].count, item[1].seq)
    )


def severity(denial: Denial) -> int:
    """0: a secret on its way out. 1: denied. 2: a packet or question that nobody speaks for. 3: observed only."""
    if denial.observed:
        return 3
    if denial.rule == "secret":
        return 0
    return 2 if denial.rule in UNSPOKEN else 1


def _denial(denial: Denial, denied: Denied) -> list[str]:
    many = f" \u00d7 {denied.count:,}" if denied.count > 1 else ""
    by = f" by {code(denied.program)}" if denied.program else ""
    word = "would be denied: " if denial.observed else ""
    rows = [f"- {code(denial.target)}{many}{by}: {word}{markdown(denial.reason)}"]
    if denial.remedy:
        rows += ["", "  to allow it, add under `allow:`", "", "  ```yaml"]
        rows += [f"  {line}" for line in lines(denial.remedy)[:MAX_REMEDY_LINES]]
        rows += ["  ```", ""]
    return rows


def _destinations(told: Told) -> list[str]:
    some = sorted(
        told.destinations.items(), key=lambda item: (-_bytes(item[1].count), -item[1].count.denied)
    )
    if not some:
        return []
    rows = ["### Destinations", "", "| host and port | allowed | denied | sent | received | how |"]
    rows.append("|---|--:|--:|--:|--:|---|")
    for where, held in some[:MAX_DESTINATIONS]:
        how = ", ".join(
            [*sorted(held.methods), *(sorted(held.protocols) if not held.methods else ())]
        )
        rows.append(f"| {code(where)} | {_counts(held.count)} | {markdown(how)} |")
    return [*rows, *_more(len(some) - MAX_DESTINATIONS, told, "destinations")]


def _programs(told: Told) -> list[str]:
    some = sorted(told.programs.items(), key=lambda item: (-_bytes(item[1].count), item[0]))
    some = [(name, held) for name, held in some if name]
    if not some:
        return []
    rows = ["### Programs", "", "| program | allowed | denied | sent | received | destinations |"]
    rows.append("|---|--:|--:|--:|--:|--:|")
    for name, held in some[:MAX_PROGRAMS]:
        rows.append(f"| {code(name)} | {_counts(held.count)} | {len(held.destinations):,} |")
    return [*rows, *_more(len(some) - MAX_PROGRAMS, told, "programs")]


def _more(hidden: int, told: Told, what: str) -> Sequence[str]:
    beyond = max(0, hidden) + told.unlisted.get(what, 0)
    return ["", f"and {beyond:,} more", ""] if beyond else [""]


def _counts(count: Count) -> str:
    denied = f"**{count.denied:,}**" if count.denied else "0"
    return f"{count.allowed:,} | {denied} | {size(count.up)} | {size(count.down)}"


def _bytes(count: Count) -> int:
    return count.up + count.down


def _how(case: Case) -> list[str]:
    signer = case.report.signer_key
    key = signer if case.pinned and case.sound else "KEY"
    words = [
        "### Verify it yourself",
        "",
        "```sh",
        f"sluicegate verify PACKET --key {key}",
        "```",
        "",
    ]
    if case.state is State.CONSISTENT and case.ephemeral:
        words += [
            (
                "The key was made for this run and is gone. To pin it, take it from where only the run could write,"
                f" as the job's own log or this summary: `--key {signer}`. For a key that lasts: `sluicegate keygen"
                " release`, the private half as a secret to `run --key`, `release.pub` to whoever verifies."
            ),
            "",
        ]
    elif case.state is State.CONSISTENT:
        words += [f"Signed by {code(signer)}: give the key you expect as `--key`.", ""]
    if signer:
        words += [f"root {code(case.report.root)}, policy {code(case.report.policy_hash)}", ""]
    return words
