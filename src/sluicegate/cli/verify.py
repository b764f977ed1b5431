"""`sluicegate verify PACKET`: reads the files, prints the ladder. Never opens a socket."""

from __future__ import annotations

import argparse
import json
import os
import stat
import sys
from collections.abc import Sequence

from sluicegate.evidence import keys
from sluicegate.report import summary
from sluicegate.verify import bare, packet, strict
from sluicegate.verify.reservations import reservations

# Name -> the most we read of it. A verifier that is fed a terabyte says so instead of dying of it.
RECORD_BYTES = 1 << 30
SMALL_BYTES = 1 << 24
FILES = {
    "evidence.jsonl": RECORD_BYTES,
    "flows.jsonl": RECORD_BYTES,
    "policy.json": SMALL_BYTES,
    "boundary.json": SMALL_BYTES,
    "packet.json": SMALL_BYTES,
    "checkpoint": SMALL_BYTES,
    "seal.sigstore.json": SMALL_BYTES,
    "probes.sigstore.json": SMALL_BYTES,
    "summary.md": SMALL_BYTES,
}
SUMMARY = "summary.md"
KEY_BYTES = 65_536
DENIED = 5


class UsageError(Exception):
    """What was asked can not be done; the text says why."""


def main(argv: Sequence[str]) -> int:
    """The exit code of the verification: 0 to 5 as the design lists them."""
    parser = _parser()
    try:
        args = parser.parse_args(argv)
    except SystemExit as stop:
        return packet.USAGE if stop.code else packet.VALID
    try:
        report = _verify(args)
    except (UsageError, keys.KeyTextError) as error:
        print(f"sluicegate: {error}", file=sys.stderr)
        return packet.USAGE
    except OSError as error:
        name = error.filename if isinstance(error.filename, str) else args.packet
        print(f"sluicegate: {name}: {error.strerror}", file=sys.stderr)
        return packet.USAGE
    code = report.outcome
    if code == packet.VALID and args.fail_on_deny and report.tally.totals["block"]:
        code = DENIED
    (_as_json if args.json else _as_text)(report, code)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="sluicegate verify", allow_abbrev=False)
    add = parser.add_argument
    add("packet", help="a packet's directory, or a recorder file (.jsonl) or receipt (.json) alone")
    add("--key", action="append", default=[], help="a trusted public key: a file, or 64 hex digits")
    levels = ",".join(level.value for level in packet.DEFAULT)
    add("--require", default=levels, help=f"the levels that must be reached (default {levels})")
    add(
        "--expect",
        action="append",
        default=[],
        help=f"NAME=VALUE of {', '.join(packet.EXPECTABLE)}",
    )
    add(
        "--endorsement", action="append", default=[], help="a rotation endorsement (recorder files)"
    )
    add("--session", help="the session the recorder must be of (recorder files)")
    add("--fail-on-deny", action="store_true", help="exit 5 if the record holds a denial")
    add("--json", action="store_true", help="print one JSON object")
    return parser


def _verify(args: argparse.Namespace) -> packet.Report:
    pins = [keys.read_public(key_text(text)) for text in args.key]
    require = [_level(name) for name in args.require.split(",") if name]
    expect = dict(_pair(text) for text in args.expect)
    if stat.S_ISDIR(os.stat(args.packet).st_mode):
        return _packet(args, pins, require, expect)
    if wrong := expect.keys() - bare.EXPECTABLE:
        raise UsageError(f"--expect {', '.join(sorted(wrong))}: a packet alone has that")
    data = contents(args.packet, RECORD_BYTES)
    endorsements = [contents(name, KEY_BYTES) for name in args.endorsement]
    single = args.packet.endswith(".json")
    return bare.verify(data, pins, require, expect, endorsements, args.session, single=single)


def _packet(
    args: argparse.Namespace,
    pins: list[bytes],
    require: list[packet.Level],
    expect: dict[str, str],
) -> packet.Report:
    if args.endorsement or args.session is not None:
        raise UsageError("--endorsement and --session are for recorder files, not for packets")
    files = packet_files(args.packet)
    unknown = sorted(set(os.listdir(args.packet)) - FILES.keys())
    page = files.get(SUMMARY)
    report = packet.verify(files, pins, require, expect)
    if report.outcome == packet.INVALID:
        return report
    if unknown:
        return packet.refused(f"{unknown[0]!a} is no file of a packet")
    whole = "packet.json" in files
    if page is not None and (not whole or page != summary.of_the_run(report).encode()):
        return packet.refused("summary.md says other things than the record")
    return report


def packet_files(directory: str) -> dict[str, bytes]:
    """The files of a packet that are there, by name."""
    files = {}
    for name, most in FILES.items():
        try:
            files[name] = contents(os.path.join(directory, name), most)
        except FileNotFoundError:
            # The verifier knows which may be missing in which record; without this one there is none.
            if name == "evidence.jsonl":
                raise
    return files


def _level(name: str) -> packet.Level:
    try:
        return packet.Level(name.strip().upper())
    except ValueError as error:
        raise UsageError(
            f"--require {name}: the levels are {', '.join(level.value for level in packet.Level)}"
        ) from error


def _pair(text: str) -> tuple[str, str]:
    name, mark, value = text.partition("=")
    if not mark or name not in packet.EXPECTABLE:
        raise UsageError(
            f"--expect {text}: want NAME=VALUE, NAME of {', '.join(packet.EXPECTABLE)}"
        )
    return name, value


def contents(path: str, most: int) -> bytes:
    """The bytes of a regular file.

    Raises:
        UsageError: it is none, or longer than `most`.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    with os.fdopen(os.open(path, flags), "rb") as source:
        status = os.fstat(source.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise UsageError(f"{path}: not a regular file")
        data = source.read(most + 1)
    if len(data) > most:
        raise UsageError(f"{path}: more than {most} bytes")
    return data


def key_text(text: str) -> str:
    """The text of a public key that an option names: 64 hexadecimal digits, or what the file holds.

    Raises:
        UsageError: it can not be read.
    """
    if strict.HEX64.match(text.lower()):
        return text
    try:
        # A public key may come by a link or a pipe: whoever names it vouches for it.
        with open(text, "rb") as source:
            return source.read(KEY_BYTES).decode("ascii")
    except UnicodeDecodeError as error:
        raise UsageError(f"{text}: not a key text") from error
    except OSError as error:
        raise UsageError(f"--key {text}: {error.strerror}") from error


def _as_json(report: packet.Report, code: int) -> None:
    levels = {
        level.value: {"reached": ok, "reason": why} for level, (ok, why) in report.reached.items()
    }
    print(
        json.dumps(
            {
                "schema": "sluicegate.verification.v0",
                "outcome": code,
                "levels": levels,
                "receipts": report.receipts,
                "root": report.root,
                "signer_key": report.signer_key,
                "run_nonce": report.run_nonce,
                "policy_hash": report.policy_hash,
                "totals": report.tally.totals,
                "reservations": list(reservations(report.boundary, report.account)),
            },
            sort_keys=True,
        )
    )


def _as_text(report: packet.Report, code: int) -> None:
    for level, (ok, why) in report.reached.items():
        print(f"{level.value}: {'yes' if ok else 'no'} ({why})")
    for one in reservations(report.boundary, report.account):
        print(f"reservation: {one}")
    words = {
        packet.VALID: "verified",
        packet.INVALID: "INVALID",
        packet.UNPROVEN: "an intact prefix; its end is not proven",
        packet.UNTRUSTED: "sound, but below the required trust",
        DENIED: "verified; the record holds denials",
    }
    print(f"result: {words[code]} (exit {code})")
