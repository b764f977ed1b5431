"""What a sound record itself says against the run it is of: a wall with known holes, or one that was changed, or a
person who allowed more than the policies. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping

from sluicegate.policy.ask import ALLOWING
from sluicegate.verify.account import Account
from sluicegate.verify.answers import ANSWERS

MAX_HOLES = 10  # named in words; the rest is in boundary.json
MAX_ALLOWED = 10  # destinations that a person allowed, as well


def disturbed(measured: Mapping[str, object], account: Account) -> str:
    """Why the boundary at the close is not the one that was probed, in one sentence; empty if it is.

    `measured` is boundary.json's object. The kernel told of changes while the command ran, or two readings of the
    network differ.
    """
    if account.changes:
        what = "; ".join(account.changed)
        return f"the boundary was changed during the run (changes: {account.changes}): {what}"
    before, after = (_part(_part(measured, name), "network") for name in ("open", "close"))
    if "close" in measured and before != after:
        names = sorted(n for n in before.keys() | after.keys() if before.get(n) != after.get(n))
        return f"the boundary's network is not the same at the close: {', '.join(names)}"
    return ""


def reservations(measured: Mapping[str, object], account: Account) -> tuple[str, ...]:
    """What whoever trusts the record must know of its run, in one sentence each; none for a sound run."""
    probe, found = _part(_part(measured, "open"), "probe"), list[str]()
    holes = probe.get("holes")
    if isinstance(holes, list) and holes:
        some = "; ".join(str(hole) for hole in holes[:MAX_HOLES])
        more = f"; and {len(holes) - MAX_HOLES} more" if len(holes) > MAX_HOLES else ""
        found.append(f"the boundary had holes that the caller chose to ignore: {some}{more}")
    if allowed := _allowed(_part(measured, "close").get(ANSWERS)):
        more = f"; and {len(allowed) - MAX_ALLOWED} more" if len(allowed) > MAX_ALLOWED else ""
        some = "; ".join(allowed[:MAX_ALLOWED])
        found.append(f"a person at the terminal allowed what no rule names: {some}{more}")
    change = disturbed(measured, account)
    return (*found, change) if change else tuple(found)


def _allowed(answers: object) -> list[str]:
    """The destinations of answers that allowed them, each once."""
    given = [one for one in answers if isinstance(one, dict)] if isinstance(answers, list) else []
    return list(
        dict.fromkeys(
            f"{one.get('host')} port {one.get('port')}"
            for one in given
            if isinstance(one.get("answer"), str) and one["answer"] in ALLOWING
        )
    )


def _part(holder: Mapping[str, object], name: str) -> Mapping[str, object]:
    found = holder.get(name)
    return found if isinstance(found, dict) else {}
