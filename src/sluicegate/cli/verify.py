"""`sluicegate verify PACKET`: reads the files, prints the ladder."""

from __future__ import annotations

import argparse
import json
import os
import sys

from sluicegate.evidence import keys
from sluicegate.verify import packet

NAMES = ("evidence.jsonl", "flows.jsonl", "policy.json", "boundary.json")
DENIED = 5


def main(argv: list[str]) -> int:
    """The exit code of the verification: 0 to 5 as the design lists them."""
    parser = argparse.ArgumentParser(prog="sluicegate verify")
    parser.add_argument("packet")
    parser.add_argument("--key", action="append", default=[])
    parser.add_argument("--require", default=",".join(level.value for level in packet.DEFAULT))
    parser.add_argument("--expect", action="append", default=[])
    parser.add_argument("--fail-on-deny", action="store_true")
    parser.add_argument("--json", action="store_true")
    try:
        args = parser.parse_args(argv)
        pins = [keys.read_public(_key(text)) for text in args.key]
        require = [packet.Level(name) for name in args.require.split(",") if name]
        expect = dict(pair.split("=", 1) for pair in args.expect)
        files = {}
        for name in NAMES:
            with open(os.path.join(args.packet, name), "rb") as source:
                files[name] = source.read()
    except SystemExit as stop:
        return packet.USAGE if stop.code else 0
    except (OSError, ValueError, keys.KeyTextError) as error:
        print(f"sluicegate: {error}", file=sys.stderr)
        return packet.USAGE
    report = packet.verify(files, pins, require, expect)
    ladder = {k.value: {"reached": ok, "reason": why} for k, (ok, why) in report.reached.items()}
    if args.json:
        out = {"outcome": report.outcome, "levels": ladder, "receipts": report.receipts}
        print(json.dumps(out | {"signer_key": report.signer_key, "root": report.root}))
    else:
        for name, rung in ladder.items():
            print(f"{name}: {'yes' if rung['reached'] else 'no'} ({rung['reason']})")
    if report.outcome == packet.VALID and args.fail_on_deny and "block" in report.verdicts:
        return DENIED
    return report.outcome


def _key(text: str) -> str:
    if not os.path.exists(text):
        return text
    with open(text, encoding="ascii") as source:
        return source.read()
