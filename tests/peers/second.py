"""The verifier in JavaScript beside ours, and packets changed and signed again by whoever has the key."""

from __future__ import annotations

import base64
import contextlib
import functools
import hashlib
import io
import json
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sluicegate.cli import verify
from sluicegate.evidence import (
    canonical,
    keys,
    note,
    packet,
    receipt,
    recorder,
    seal,
    trace,
    tree,
)
from sluicegate.verify import lifecycle, summary
from sluicegate.verify import packet as check
from sluicegate.verify.strict import VerificationError
from tests.evidence import made

VERIFIER = Path(__file__).parents[2] / "verifier" / "sluicegate-verify.js"

PROGRAM = Path(__file__).parent / "programs" / "verify_cases.js"

OTHER_SEED = b"x" * 32

OTHER = keys.signer(OTHER_SEED)[1]

SIGN = keys.signer(made.SEED)[0]

FINISHED = check.FINISHED

Files = dict[str, bytes]

Record = dict[str, Any]

# What an honest notary does not sign, signed by its key all the same, in a record whose links are right.
Change = Callable[[int, Record], object]


@dataclass(frozen=True, slots=True)
class Case:
    """A packet and the keys its reader trusts."""

    name: str
    files: Mapping[str, bytes]
    pins: Sequence[str] = (made.PUBLIC,)


def node(*arguments: str | Path) -> tuple[int, str]:
    """The exit code of a Node program, and what it prints."""
    done = subprocess.run(["node", *arguments], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


def second(cases: Sequence[Case], directory: Path) -> list[dict[str, Any]]:
    """What the JavaScript verifier reports on each case, all in one process."""
    blobs: dict[str, str] = {}
    asked = []
    for case in cases:
        files = {name: hashlib.sha256(data).hexdigest() for name, data in case.files.items()}
        blobs |= {files[n]: base64.b64encode(data).decode() for n, data in case.files.items()}
        asked.append({"files": files, "keys": case.pins})
    file = directory / "cases.json"
    file.write_text(json.dumps({"blobs": blobs, "cases": asked}))
    code, out = node(PROGRAM, VERIFIER, file)
    assert code == 0
    return list(json.loads(out))


def first(case: Case, directory: Path, *options: str) -> dict[str, Any]:
    """What `sluicegate verify --json` prints of the case."""
    for old in directory.iterdir():
        old.unlink()
    for name, data in case.files.items():
        (directory / name).write_bytes(data)
    said = io.StringIO()
    pins = [word for pin in case.pins for word in ("--key", pin)]
    pins += options
    with contextlib.redirect_stdout(said):
        code = verify.main([str(directory), "--json", *pins])
    report = json.loads(said.getvalue())
    assert report["outcome"] == code
    return dict(report)


def why(report: Mapping[str, Any]) -> str:
    """The reason of the first level that was not reached."""
    names = ("INTACT", "CLOSED", "ACCOUNTED", "PINNED")
    levels = (report["levels"][name] for name in names if name in report["levels"])
    return next((str(level["reason"]) for level in levels if not level["reached"]), "")


def agree(cases: Sequence[Case], directory: Path) -> list[int]:
    """The second's outcomes, after both said the same of each case."""
    place = directory / "packet"
    place.mkdir()
    outcomes = []
    for case, ours in zip(cases, second(cases, directory), strict=True):
        outcomes.append(ours["outcome"])
        theirs = first(case, place)
        # The words differ; what they are about does not.
        for report in (ours, theirs):
            for level in report["levels"].values():
                assert len(level.pop("reason")) < 400
        # The first says more: what was expected, and who ran what.
        assert ours == {name: theirs[name] for name in ours}, case.name
    return outcomes


def prefix(files: Files, lines: int) -> Files:
    """What is left of a run that died after so many lines of evidence."""
    kept = files["evidence.jsonl"].splitlines(keepends=True)[:lines]
    left = {name: data for name, data in files.items() if name not in FINISHED}
    opened = packet.boundary(made.OPENED, None)
    return left | {"evidence.jsonl": b"".join(kept), "boundary.json": opened}


def unchanged(_seq: int, _record: Record) -> None:
    pass


def signed(record: Record, seed: bytes = made.SEED) -> Record:
    """The envelope of `record`, whatever is in it."""
    sign, signer = keys.signer(seed)
    signature = sign(hashlib.sha256(canonical.encode(record)).digest()).hex()
    envelope = {"version": 1, "action_record": record, "signature": f"ed25519:{signature}"}
    return envelope | {"signer_key": signer}


def rebuilt(
    lines: Sequence[bytes], change: Change, later: Change = unchanged, seed: bytes = made.SEED
) -> bytes:
    """Lines of evidence again: numbered, linked and signed by the key after `change` of each record.

    `later` changes an entry when all but its hash is made.
    """
    root, prev, receipts, first_time, out = "", recorder.GENESIS, 0, "", b""
    for seq, text in enumerate(lines):
        entry = json.loads(text)
        detail = entry["detail"]
        entry |= {"seq": seq, "prev_hash": prev}
        del entry["hash"]
        if entry["type"] == "action_receipt":
            record = detail["action_record"] | {"chain_seq": receipts}
            linked(record, root, receipts)
            change(seq, record)
            bound(record, first=seq == 0)
            entry["detail"] = signed(record, seed)
            words = [str(record.get(name)) for name in ("verdict", "action_type", "transport")]
            entry |= {"event_kind": words[1], "transport": words[2]}
            entry["summary"] = recorder.receipt_summary(*words)
            receipts, last = receipts + 1, record["timestamp"]
            first_time = first_time or last
        elif entry["type"] == "transcript_root":
            raw, entry["summary"] = recorder.root_detail(receipts, root, first_time, last)
            entry["detail"] = json.loads(raw)
        else:
            raw, entry["summary"] = recorder.checkpoint_detail(
                seq, keys.signer(seed)[0](prev.encode())
            )
            entry["detail"] = json.loads(raw)
        later(seq, entry)
        raw = canonical.encode(entry["detail"])
        if entry["type"] == "action_receipt":
            root = receipt.receipt_hash(raw)
        head = [entry[name] for name in ("v", "seq", "ts", "session_id")]
        head += ["", *(entry[name] for name in ("type", "event_kind", "transport", "summary"))]
        hashed = [*(str(part).encode() for part in head), raw, b"", entry["prev_hash"].encode()]
        entry.setdefault("hash", hashlib.sha256(b"\0".join(hashed)).hexdigest())
        prev = entry["hash"]
        out += canonical.encode(entry) + b"\n"
    return out


def linked(record: Record, root: str, receipts: int) -> None:
    """What a record claims of the receipts before it."""
    if root:
        record["chain_prev_hash"] = root
    for payload in record.get("session_control", {}).values():
        claims = {"chain_head": root, "root_hash": root, "chain_seq_head": receipts - 1}
        claims |= {"final_seq": receipts, "receipt_count": receipts + 1}
        if root and isinstance(payload, dict):
            payload.update({name: claims[name] for name in claims.keys() & payload.keys()})


def bound(record: Record, *, first: bool) -> None:
    """The first link made of what the opening says now, unless the opening itself says another."""
    payload = record.get("session_control", {}).get("open")
    if first and payload and payload.get("genesis_hash") == record["chain_prev_hash"]:
        with contextlib.suppress(VerificationError):
            payload["genesis_hash"] = lifecycle._genesis(payload, "")
            record["chain_prev_hash"] = payload["genesis_hash"]


def signed_again(files: Files, change: Change, lines: int, later: Change = unchanged) -> Files:
    kept = files["evidence.jsonl"].splitlines()[:lines]
    return prefix(files, lines) | {"evidence.jsonl": rebuilt(kept, change, later)}


def ordered(record: Record) -> None:
    """Fields in signed order again."""
    again = canonical.record(record)
    record.clear()
    record.update(again)


def put(at: int, **members: object) -> Callable[[int, Record], None]:
    def change(seq: int, record: Record) -> None:
        if seq == at:
            record.update(members)
            ordered(record)

    return change


def sealed_again(files: Files, change: Callable[[dict[str, Any]], object], name: str) -> Files:
    """The packet with another statement in one of its seals, signed by the right key."""
    bundle = json.loads(files[name])
    statement = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
    change(statement)
    text = json.dumps(statement, sort_keys=True, separators=(",", ":")).encode()
    changed = files | {name: seal.bundle(text, made.PIN, SIGN)}
    if name == seal.SEAL:
        return changed
    probes = hashlib.sha256(changed[name]).hexdigest()

    def sealed(whole: dict[str, Any]) -> None:
        for subject in whole["subject"]:
            if subject.get("name") == name:
                subject["digest"]["sha256"] = probes

    return sealed_again(changed, sealed, seal.SEAL)


def resealed(files: Files) -> Files:
    """The packet with seals over the files it has now."""

    def sealed(statement: dict[str, Any]) -> None:
        for subject in statement["subject"] + statement["predicate"].get("configuration", []):
            if subject.get("name"):
                data = files[subject["name"]]
                subject["digest"]["sha256"] = hashlib.sha256(data).hexdigest()

    files = sealed_again(files, sealed, seal.PROBES)
    return sealed_again(files, sealed, seal.SEAL)


def finished(files: Files, before: Files) -> Files:
    """The packet again with its tree head, packet.json, page and both seals made anew for what it holds now."""
    was, now = root_of(before), root_of(files)
    lines = whole_lines(files)
    head = functools.reduce(tree.grown, lines, tree.EMPTY)
    first = json.loads(lines[0])["detail"]["action_record"]
    whole = note.Checkpoint(note.origin(first["run_nonce"]), head.size, tree.root(head))
    tally = counted(lines)
    measured, policy = json.loads(files["boundary.json"]), first["policy_hash"]
    try:
        claimed = packet.packet(tally, measured, policy, now.decode(), made.PUBLIC)
    except packet.PacketError:
        claimed = files["packet.json"].replace(was, now)
    told = {
        "checkpoint": note.sign_checkpoint(whole, made.PIN, SIGN),
        "packet.json": claimed,
        "summary.md": files["summary.md"].replace(was[:16], now[:16]),
    }
    record = {n: data for n, data in files.items() if n == "workspace.json" or n not in FINISHED}
    report = check.verify(record, [made.PIN], finished=False)
    if report.reached[check.Level.INTACT][0]:
        told["summary.md"] = summary.of_the_run(report).encode()
    said = trace.trace(tally, measured["open"], policy, first["run_nonce"])
    files = sealed_again(files | told, lambda s: s.update(predicate=said), seal.SEAL)
    return resealed(files)


def counted(lines: Sequence[bytes]) -> packet.Tally:
    """What the receipts among these lines add up to."""
    tally = packet.Tally()
    for entry in map(json.loads, lines):
        if "action_record" in entry["detail"]:
            with contextlib.suppress(KeyError):  # a record that lacks what is counted
                tally.add(entry["detail"]["action_record"])
    return tally


def whole_lines(files: Files) -> list[bytes]:
    return files["evidence.jsonl"].split(b"\n")[:-1]


def root_of(files: Files) -> bytes:
    """What the last receipt hashes to."""
    entries = [json.loads(line) for line in whole_lines(files)]
    last = [entry["detail"] for entry in entries if entry["type"] == "action_receipt"][-1]
    return receipt.receipt_hash(canonical.encode(last)).encode()
