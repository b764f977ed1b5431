"""Flight recorder entries, version 2: lines of evidence.jsonl. Pure."""

from __future__ import annotations

import functools
import hashlib

from sluicegate.evidence import canonical
from sluicegate.evidence.chain import SESSION

GENESIS = "genesis"
KEPT_WORDS = 64  # a run has a dozen: by verdict, kind of action and transport


def line(
    seq: int, ts: str, kind: str, event: str, transport: str, summary: str, raw: bytes, prev: str
) -> tuple[bytes, str]:
    """One line without its LF, and its hash, which is over the raw bytes of its detail.

    `ts` is a canonical timestamp, `prev` a hash or `GENESIS`: nothing in them is escaped.
    """
    hashed, text = _templates(kind, event, transport, summary)
    rest = seq, ts.encode(), raw, prev.encode()
    digest = hashlib.sha256(hashed % rest).hexdigest()
    return text % (*rest, digest.encode()), digest


@functools.lru_cache(maxsize=KEPT_WORDS)
def _templates(kind: str, event: str, transport: str, summary: str) -> tuple[bytes, bytes]:
    """What `%` makes the hashed bytes and the line of, with a tuple of the rest as it is given to `line`."""
    words = f"{SESSION}\0\0{kind}\0{event}\0{transport}\0{summary}\0".encode()
    hashed = b"2\0%d\0%b\0" + words.replace(b"%", b"%%") + b"%b\0\0%b"
    line = {
        "v": 2,
        "seq": canonical.NUMBER,
        "ts": canonical.TEXT,
        "session_id": SESSION,
        "type": kind,
        "event_kind": event,
        "transport": transport,
        "summary": summary,
        "detail": canonical.JSON,
        "prev_hash": canonical.TEXT,
        "hash": canonical.TEXT,
    }
    return hashed, canonical.template(line)


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
