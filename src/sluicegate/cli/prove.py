"""`sluicegate prove` and `verify-proof`: one receipt proven without the others. Neither opens a socket."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence

from sluicegate.cli import say
from sluicegate.evidence import keys
from sluicegate.evidence.note import NoteError
from sluicegate.evidence.tlogproof import MAX_PROOF_BYTES
from sluicegate.verify import files as reading
from sluicegate.verify import library, packet, proof
from sluicegate.verify.packet import Level
from sluicegate.verify.strict import VerificationError

NEEDED = (Level.INTACT, Level.CLOSED)


def main(argv: Sequence[str]) -> int:
    """0 when the proof was written; 1 for a packet that does not hold or has no such receipt; 2 for wrong usage."""
    parser = argparse.ArgumentParser(prog="sluicegate prove", allow_abbrev=False)
    parser.add_argument("packet", help="a packet's directory")
    parser.add_argument("--seq", type=int, required=True, help="which receipt, from 0")
    parser.add_argument("--out", help="the file to write (default: receipt-SEQ.tlog-proof)")
    args = _parsed(parser, argv)
    if isinstance(args, int):
        return args
    try:
        report = library.examine(args.packet, [], NEEDED, {})
        if report.outcome != packet.VALID:
            why = next(why for ok, why in report.reached.values() if not ok)
            say.complain(f"{args.packet}: {why}", "only a packet that holds proves anything")
            return packet.INVALID
        made = _proof(args.packet, args.seq)
        out = args.out or f"receipt-{args.seq}.tlog-proof"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        with os.fdopen(os.open(out, flags, 0o644), "wb") as file:
            file.write(made)
    except (OSError, reading.UnreadableError, library.UsageError) as error:
        say.complain(str(error), "name a packet, and an --out that does not exist")
        return packet.USAGE
    except (VerificationError, NoteError) as error:
        say.complain(str(error), f"receipts are numbered from 0 to {report.receipts - 1}")
        return packet.INVALID
    print(say.visible(out))
    return packet.VALID


def _proof(directory: str, seq: int) -> bytes:
    """By a second reading, which the proof itself holds against the signed head of the first."""
    with reading.packet(directory) as files:
        evidence, flows, head = (files.get(name, b"") for name in (*packet.STREAMS, "checkpoint"))
        if isinstance(evidence, bytes) or isinstance(flows, bytes) or not isinstance(head, bytes):
            raise VerificationError("a packet of another producer has no facts and no tree")
        return proof.write(evidence, flows, head, seq)


def check(argv: Sequence[str]) -> int:
    """As `verify`: 0 proven and pinned, 1 invalid, 2 wrong usage, 4 proven, but by a key nobody named."""
    parser = argparse.ArgumentParser(prog="sluicegate verify-proof", allow_abbrev=False)
    parser.add_argument("proof", help="a file of `sluicegate prove`")
    parser.add_argument("--key", action="append", default=[], help="a trusted public key")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    args = _parsed(parser, argv)
    if isinstance(args, int):
        return args
    try:
        pins = [library.key(text) for text in args.key]
        found = proof.read(reading.contents(args.proof, MAX_PROOF_BYTES))
    except (OSError, reading.UnreadableError, library.UsageError, keys.KeyTextError) as error:
        say.complain(str(error), "name a proof, and with --key a public key")
        return packet.USAGE
    except VerificationError as error:
        print(f"INVALID: {say.visible(str(error))}")
        return packet.INVALID
    trusted, why = packet.pinned(found.signer, pins)
    if args.json:
        said = {"seq": found.seq, "size": found.size, "signer_key": found.signer}
        whole = {"run_nonce": found.nonce, "pinned": trusted, "record": found.record}
        print(json.dumps({**said, **whole, "flow": found.flow}, sort_keys=True))
        return packet.VALID if trusted else packet.UNTRUSTED
    print(
        f"{'PROVEN' if trusted else 'PROVEN, BUT NOT PINNED'}: receipt {found.seq} of {found.size} lines"
    )
    print(f"{found.record['verdict']} {say.visible(str(found.record['target']))}")
    print(f"run {found.nonce}, {why}")
    return packet.VALID if trusted else packet.UNTRUSTED


def _parsed(parser: argparse.ArgumentParser, argv: Sequence[str]) -> argparse.Namespace | int:
    try:
        return parser.parse_args(argv)
    except SystemExit as stop:
        return packet.USAGE if stop.code else packet.VALID
