"""One receipt, proven without the others: a tlog-proof that carries the receipt and its facts. Pure."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
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


def write(evidence: Iterable[bytes], flows: Iterable[bytes], checkpoint: bytes, seq: int) -> bytes:
    """The proof of receipt `seq` of a record that was verified before, under its `checkpoint`.

    What is made is read again as a stranger will: a file that changed after it was verified proves nothing.

    Raises:
        VerificationError: there is no such receipt, or the files are not those that were verified.
        NoteError: the receipt and its facts are too long for one proof, or `checkpoint` is none.
    """
    size = note.read_body(note.read(checkpoint).text).size
    need(0 <= seq < size, f"no receipt {seq}: the record has {size} lines")
    siblings, told = tree.siblings(seq, size), iter(flows)
    beside = dict.fromkeys(siblings, tree.EMPTY)
    within = iter(sorted(siblings))
    here, line, facts = (0, 0), b"", b""
    for at, found in enumerate(itertools.islice(evidence, size)):
        if at <= seq:
            facts = _facts(found, told, f"line {at + 1}")
        if at == seq:
            line, shown = found, facts
            continue
        if at >= here[1]:
            here = next(within, (at, size))
        beside[here] = tree.grown(beside.get(here, tree.EMPTY), found)
    need(line, f"no line {seq + 1} any more")
    need(
        strict.value(line, "line").get("type") == "action_receipt", f"line {seq + 1} is no receipt"
    )
    path = [tree.root(beside[one]) for one in siblings]
    made = tlogproof.write(seq, path, checkpoint, line + b"\n" + shown)
    read(made)
    return made


def _facts(line: bytes, flows: Iterator[bytes], what: str) -> bytes:
    """The facts of the receipt in `line`, taken from `flows`; empty where it has none."""
    detail = strict.value(line, what).get("detail")
    record = detail.get("action_record") if isinstance(detail, dict) else None
    return next(flows, b"") if isinstance(record, dict) and "request_id" in record else b""


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
