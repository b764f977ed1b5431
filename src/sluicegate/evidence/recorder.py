"""Flight recorder entries, version 2: lines of evidence.jsonl. Pure."""

from __future__ import annotations

import hashlib

from sluicegate.evidence import canonical
from sluicegate.evidence.chain import SESSION

GENESIS = "genesis"


def entry_hash(
    seq: int, ts: str, kind: str, event: str, transport: str, summary: str, raw: bytes, prev: str
) -> str:
    """The hash of a version 2 entry over the raw bytes of its detail."""
    head = f"2\0{seq}\0{ts}\0{SESSION}\0\0{kind}\0{event}\0{transport}\0{summary}\0"
    return hashlib.sha256(b"%b%b\0\0%b" % (head.encode(), raw, prev.encode())).hexdigest()


def line(
    seq: int, ts: str, kind: str, event: str, transport: str, summary: str, raw: bytes, prev: str
) -> tuple[bytes, str]:
    """One line without its LF, and its hash."""
    digest = entry_hash(seq, ts, kind, event, transport, summary, raw, prev)
    outer = {
        "v": 2,
        "seq": seq,
        "ts": ts,
        "session_id": SESSION,
        "type": kind,
        "event_kind": event,
        "transport": transport,
        "summary": summary,
    }
    front = canonical.encode(outer)[:-1]
    # Hex, or the word of the first: nothing in them is escaped.
    back = f',"prev_hash":"{prev}","hash":"{digest}"}}'
    return b'%b,"detail":%b%b' % (front, raw, back.encode()), digest


def receipt_summary(verdict: str, action_type: str, transport: str) -> str:
    """The summary of a receipt's entry."""
    return f"receipt: {verdict} {action_type} {transport}"


def root_detail(count: int, root: str, start: str, end: str) -> tuple[bytes, str]:
    """The detail and summary of the transcript_root entry."""
    detail = {
        "session_id": SESSION,
        "final_seq": count - 1,
        "root_hash": root,
        "receipt_count": count,
        "start_time": start,
        "end_time": end,
    }
    return canonical.encode(detail), f"transcript_root: {count} receipts, root={root[:16]}"


def checkpoint_detail(seq: int, signature: bytes) -> tuple[bytes, str]:
    """The detail and summary of the one checkpoint, which stands at `seq`."""
    detail = {
        "entry_count": seq,
        "first_seq": 0,
        "last_seq": seq - 1,
        "signature": signature.hex(),
    }
    return canonical.encode(detail), f"checkpoint: {seq} entries [seq 0-{seq - 1}]"
