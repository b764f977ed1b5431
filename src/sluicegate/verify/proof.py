"""One receipt, proven without the others: a tlog-proof that carries the receipt and its facts. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sluicegate.evidence import note, tlogproof, tree
from sluicegate.verify import record as receipts
from sluicegate.verify import strict
from sluicegate.verify import tlogproof as proofs
from sluicegate.verify.strict import need

WHAT = "proof"


@dataclass(frozen=True, slots=True)
class Proven:
    """A receipt that stands in a signed tree; `flow` are its facts, or None for one of the lifecycle."""

    seq: int
    size: int
    signer: str
    nonce: str
    record: Mapping[str, object]
    flow: Mapping[str, object] | None


def write(evidence: bytes, flows: bytes, checkpoint: bytes, seq: int) -> bytes:
    """The proof of receipt `seq` of a record that was verified before.

    Raises:
        VerificationError: there is no such receipt.
        NoteError: the receipt and its facts are too long for one proof.
    """
    lines = list(strict.lines(evidence))
    entries = [strict.value(line, f"line {n + 1}") for n, line in enumerate(lines[: seq + 1])]
    need(0 <= seq < len(lines), f"no receipt {seq}: the record has {len(lines)} lines")
    need(entries[seq].get("type") == "action_receipt", f"line {seq + 1} is no receipt")
    facts = b""
    if "request_id" in _record(entries[seq]):
        at = sum("request_id" in _record(entry) for entry in entries) - 1
        facts = list(strict.lines(flows))[at]
    path = tree.inclusion_proof([tree.leaf_hash(line) for line in lines], seq)
    return tlogproof.write(seq, path, checkpoint, lines[seq] + b"\n" + facts)


def read(data: bytes) -> Proven:
    """The receipt that `data` proves, by the key that signed it: whose that is, the caller must know.

    Raises:
        VerificationError: the proof, the receipt's signature or the binding of its facts does not hold.
    """
    line, _, facts = proofs.read(data, WHAT).unsafe_extra.partition(b"\n")
    entry = strict.value(line, f"{WHAT}: receipt")
    found = receipts.checked(entry.get("detail"), f"{WHAT}: receipt")
    nonce = strict.text(found.record.get("run_nonce"), f"{WHAT}: run_nonce")
    need(strict.HEX32.match(nonce), f"{WHAT}: run_nonce")
    pins: Sequence[bytes] = [bytes.fromhex(found.signer)]
    proven = proofs.proven(data, line, note.origin(nonce), pins, WHAT)
    need(found.record["chain_seq"] == proven.index, f"{WHAT}: the receipt stands elsewhere")
    flow: Mapping[str, object] | None = None
    if "request_id" in found.record:
        digest = "sha256:" + hashlib.sha256(facts).hexdigest()
        need(found.record["request_id"] == digest, f"{WHAT}: the facts are another receipt's")
        flow = strict.value(facts, f"{WHAT}: facts")
    else:
        need(not facts, f"{WHAT}: facts of a receipt that has none")
    return Proven(proven.index, proven.head.size, found.signer, nonce, found.record, flow)


def _record(entry: Mapping[str, object]) -> Mapping[str, object]:
    detail = entry.get("detail")
    record = detail.get("action_record") if isinstance(detail, dict) else None
    return record if isinstance(record, dict) else {}
