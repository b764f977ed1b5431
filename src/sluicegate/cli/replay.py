"""`sluicegate replay --policy NEW PACKET`: what a policy would have changed in runs that are on record."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence

from sluicegate.cli import packets, policyfiles, say
from sluicegate.policy import retold
from sluicegate.policy.model import PolicyError
from sluicegate.policy.retold import Group, Retold

SAME, CHANGES, WRONG = 0, 1, 2
SCHEMA = "sluicegate.replay.v0"
# Groups of each kind in the text; --json has all.
MAX_SHOWN = 40
# Characters of a path, host or rule that the command chose.
MAX_WORDS = 120
_KINDS = (
    (False, "newly denied", "newly_denied"),
    (True, "newly allowed", "newly_allowed"),
    (None, "can not be said from the record", "unknown"),
)


def main(argv: Sequence[str]) -> int:
    """0 nothing would have changed, 1 something would or may have, 2 usage or a packet that does not verify."""
    parser = _parser()
    try:
        args = parser.parse_args(argv)
    except SystemExit as stop:
        return WRONG if stop.code else SAME
    try:
        policies = tuple(policyfiles.read(path, path) for path in args.policy)
        found = packets.verified(args)
        told = retold.retell((one.seen() for one in found), policies)
    except (PolicyError, packets.PacketError) as error:
        say.complain(str(error), error.hint)
        return WRONG
    text = _as_json(told, args.packet) if args.json else _as_text(told, args.packet)
    print("\n".join(map(say.visible, text)))
    return CHANGES if told.groups else SAME


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sluicegate replay",
        description="Decide every connection and request of verified packets again under another policy.",
        epilog="Limits are not counted again, and nothing is looked for in what was sent. "
        "exit: 0 nothing would have changed; 1 something would have, or the record does not say; 2 usage, "
        "or a packet that does not verify",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--policy", action="append", required=True, help="repeatable: every file must allow"
    )
    packets.arguments(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def _as_text(told: Retold, paths: Sequence[str]) -> list[str]:
    lines = []
    for passes, title, _ in _KINDS:
        groups = told.of(passes)
        if not groups:
            continue
        lines.append(f"{title}:")
        for group in groups[:MAX_SHOWN]:
            lines += _lines(group, many=len(paths) > 1)
        if len(groups) > MAX_SHOWN:
            lines.append(f"  ... and {len(groups) - MAX_SHOWN} more: see --json")
    counts = ", ".join(f"{told.count(passes)} {title}" for passes, title, _ in _KINDS[:2])
    unknown = told.count(None)
    counts += f", {unknown} that the record does not say" if unknown else ""
    return [*lines, f"replay: {counts}, {told.same} as before"]


def _lines(group: Group, *, many: bool) -> list[str]:
    seqs = [f"{packet}:{seq}" if many else str(seq) for packet, seq in group.seqs]
    more = ", ..." if group.count > len(seqs) else ""
    by = f" by {_cut(group.program)}" if group.program else ""
    head = f"  {group.count}x {_cut(group.where)}{by}, such as {_cut(group.example)}"
    size = f"{group.up} bytes up, {group.down} down"
    return [
        f"{head}; {size}; seq {', '.join(seqs)}{more}",
        f"    was {_cut(group.was)}; now {_cut(group.now)}: {_cut(group.reason)}",
    ]


def _cut(text: str) -> str:
    return text if len(text) <= MAX_WORDS else text[:MAX_WORDS] + "..."


def _as_json(told: Retold, paths: Sequence[str]) -> list[str]:
    whole: dict[str, object] = {"schema": SCHEMA, "packets": list(paths), "same": told.same}
    for passes, _, name in _KINDS:
        whole[name] = [
            {
                "where": group.where,
                "program": group.program,
                "was": group.was,
                "now": group.now,
                "reason": group.reason,
                "example": group.example,
                "count": group.count,
                "bytes_up": group.up,
                "bytes_down": group.down,
                "receipts": [{"packet": at, "seq": seq} for at, seq in group.seqs],
            }
            for group in told.of(passes)
        ]
    return [json.dumps(whole, sort_keys=True)]
