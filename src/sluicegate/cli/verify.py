"""`sluicegate verify PACKET`: prints the verdict and the ladder. Never opens a socket."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence

from sluicegate.cli import say
from sluicegate.evidence import keys
from sluicegate.verify import expect, files, library, packet
from sluicegate.verify.reservations import reservations
from sluicegate.verify.strict import VerificationError
from sluicegate.verify.workers import Workers

SCHEMA = "sluicegate.verification.v0"
LOG_BYTES = 1 << 28  # of a job's log with checkpoints in it; hosted runners cut theirs far below
DENIED = 5
WORDS = {
    packet.VALID: "verified",
    packet.INVALID: "INVALID",
    packet.UNPROVEN: "an intact prefix; its end is not proven",
    packet.UNTRUSTED: "sound, but below the required trust",
    DENIED: "verified; the record holds denials",
}


def main(argv: Sequence[str]) -> int:
    """The exit code of the verification: 0 to 5 as the design lists them."""
    parser = _parser()
    try:
        args = parser.parse_args(argv)
    except SystemExit as stop:
        return packet.USAGE if stop.code else packet.VALID
    try:
        report = _verify(args)
    except (VerificationError, keys.KeyTextError) as error:
        say.complain(str(error))
        return packet.USAGE
    except OSError as error:
        name = error.filename if isinstance(error.filename, str) else args.packet
        say.complain(f"{name}: {error.strerror}")
        return packet.USAGE
    code = report.outcome
    if code == packet.VALID and args.fail_on_deny and report.tally.totals["block"]:
        code = DENIED
    print(_as_json(report, code) if args.json else _as_text(report, code))
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="sluicegate verify", allow_abbrev=False)
    add = parser.add_argument
    add("packet", help="a packet's directory, or a recorder file (.jsonl) or receipt (.json) alone")
    add("--key", action="append", default=[], help="a trusted public key: a file, or 64 hex digits")
    levels = ",".join(level.value for level in packet.DEFAULT)
    add(
        "--require",
        action="append",
        help=f"the levels that must be reached (default {levels}); several add up",
    )
    names = ", ".join(expect.EXPECTABLE)
    add(
        "--expect",
        action="append",
        nargs="+",
        default=[],
        metavar="NAME=VALUE",
        help=f"NAME of {names}",
    )
    add(
        "--checkpoint",
        action="append",
        default=[],
        help="what the run told meanwhile: its --checkpoint-file, or a log with its stderr",
    )
    add(
        "--endorsement", action="append", default=[], help="a rotation endorsement (recorder files)"
    )
    add("--session", help="the session the recorder must be of (recorder files)")
    add("--fail-on-deny", action="store_true", help="exit 5 if the record holds a denial")
    add("--json", action="store_true", help="print one JSON object")
    return parser


def _verify(args: argparse.Namespace) -> packet.Report:
    pins = [_key(text) for text in args.key]
    asked = args.require or [",".join(level.value for level in packet.DEFAULT)]
    require = [library.level(name) for text in asked for name in text.split(",") if name]
    if not all(text.strip(",") for text in asked):
        # A variable of a job that was never set must not ask for nothing.
        raise library.UsageError("--require names no level: for example --require INTACT,CLOSED")
    pairs = [_pair(text) for some in args.expect for text in some]
    wanted = dict(pairs)
    if len(wanted) != len(pairs):
        raise library.UsageError("--expect names one thing twice: each can have one value")
    endorsements = [files.contents(name, library.KEY_BYTES) for name in args.endorsement]
    told = library.told([(name, _outside(name)) for name in args.checkpoint])
    with Workers() as signatures:
        return library.examine(
            args.packet, pins, require, wanted, endorsements, args.session, told, signatures
        )


def _outside(name: str) -> bytes:
    """What `--checkpoint` names. It may come by a link or a pipe: whoever names it vouches for it."""
    with open(name, "rb") as source:
        data = source.read(LOG_BYTES + 1)
    if len(data) > LOG_BYTES:
        raise library.UsageError(f"{name}: more than {LOG_BYTES} bytes")
    return data


def _key(text: str) -> bytes:
    try:
        return library.key(text)
    except OSError as error:
        raise library.UsageError(f"--key {text}: {error.strerror}") from error


def _pair(text: str) -> tuple[str, str]:
    name, mark, value = text.partition("=")
    if not mark or name not in expect.EXPECTABLE:
        raise library.UsageError(
            f"--expect {text}: want NAME=VALUE, NAME of {', '.join(expect.EXPECTABLE)}"
        )
    return name, value


def _as_json(report: packet.Report, code: int) -> str:
    levels = {
        level.value: {"reached": ok, "reason": why} for level, (ok, why) in report.reached.items()
    }
    account = report.account
    told = expect.of_a_boundary(report.boundary)
    whole = {
        "schema": SCHEMA,
        "outcome": code,
        "verdict": WORDS[code],
        "levels": levels,
        "expectations": [
            {"name": one.name, "expected": one.wanted, "found": list(one.found), "met": one.met}
            for one in report.expectations
        ],
        "receipts": report.receipts,
        "root": report.root,
        "signer_key": report.signer_key,
        "run_nonce": report.run_nonce,
        "policy_hash": report.policy_hash,
        "totals": report.tally.totals,
        "counts": {
            "allowed": account.allowed,
            "denied": account.denied,
            "warned": account.warned,
            "dropped": account.dropped,
            "questions": account.questions,
        },
        "run": {name: list(found) for name, found in told.items()},
        "reservations": list(reservations(report.boundary, account)),
    }
    return json.dumps(whole, sort_keys=True)


def _as_text(report: packet.Report, code: int) -> str:
    """The verdict, then a line for each level, then what was expected in vain."""
    lines = [f"result: {WORDS[code]} (exit {code})"]
    lines += [
        f"{level.value}: {'yes' if ok else 'no'} ({why})"
        for level, (ok, why) in report.reached.items()
    ]
    lines += [f"reservation: {one}" for one in reservations(report.boundary, report.account)]
    lines += [f"expected: {one.words}" for one in report.expectations if not one.met]
    return "\n".join(map(say.visible, lines))
