"""`sluicegate doctor`: which tier this machine gives, why not the other, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence

from sluicegate.boundary import doctor
from sluicegate.boundary.model import ROOT_TIER, ROOTLESS_TIER
from sluicegate.cli import say

USAGE = "usage: sluicegate doctor\n"


def main(argv: Sequence[str]) -> int:
    """0 when a command can be run behind the wall here, 1 when not, 2 for a usage error."""
    if list(argv) in (["-h"], ["--help"]):
        print(USAGE, end="")
        return 0
    if argv:
        say.complain(f"doctor takes no arguments, got {argv[0]!r}", USAGE.strip())
        return 2
    findings = doctor.examine()
    for finding in findings:
        mark = "ok  " if finding.ok else ("NO  " if finding.tiers else "--  ")
        print(say.visible(f"{mark}{finding.name}: {finding.detail}"))
        if not finding.ok and finding.remedy:
            print(say.visible(f"    remedy: {finding.remedy}"))
    possible = doctor.tiers(findings)
    for tier in (ROOT_TIER, ROOTLESS_TIER):
        against = [f.name for f in findings if not f.ok and tier in f.tiers]
        print(f"tier {tier}: " + ("not here: " + ", ".join(against) if against else "yes"))
    return 0 if possible else 1
