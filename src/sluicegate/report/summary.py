"""A verification report to markdown for people. Pure."""

from __future__ import annotations

from sluicegate.verify.packet import Report


def summary(report: Report) -> str:
    """Markdown made from the verified record only."""
    denied = [
        flow
        for flow, verdict in zip(report.flows, report.verdicts, strict=True)
        if verdict == "block"
    ]
    lines = ["# sluicegate run", ""]
    lines += [
        f"- {level.value}: {'yes' if ok else 'no'} ({why})"
        for level, (ok, why) in report.reached.items()
    ]
    if report.flows and report.flows[-1].get("kind") == "boundary":
        lines.append(f"- tier: {report.flows[-1].get('tier', 'unknown')}")
    lines += [f"- key: {report.signer_key or 'none'}", f"- receipts: {report.receipts}"]
    lines += [f"- decisions: {len(report.verdicts)}", f"- denied: {len(denied)}"]
    for flow in denied:
        lines += ["", f"- {flow.get('reason', 'denied')}"]
        if remedy := flow.get("remedy"):
            lines.append(f"  add: `{remedy}`")
    return "\n".join(lines) + "\n"
