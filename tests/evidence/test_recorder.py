from __future__ import annotations

import hashlib
import json

from hypothesis import given
from hypothesis import strategies as st

from sluicegate.evidence import canonical, recorder
from tests.evidence.test_journal import VECTOR


def test_the_hashes_of_the_vector() -> None:
    prev = recorder.GENESIS
    for seq, line in enumerate(VECTOR.read_bytes().splitlines()):
        entry = json.loads(line)
        raw = line[line.index(b'"detail":') + 9 : line.index(b',"prev_hash"')]
        if entry["type"] == "action_receipt":  # its record has a chain_prev_hash, not a prev_hash
            raw = line[line.index(b'"detail":') + 9 : line.rindex(b',"prev_hash"')]
        words = (entry["type"], entry["event_kind"], entry["transport"], entry["summary"])
        text, digest = recorder.line(seq, entry["ts"], *words, raw, prev)
        assert text == line
        assert digest == entry["hash"]
        prev = digest


def test_the_last_two_details() -> None:
    raw, summary = recorder.root_detail(3, "ab" * 32, "first", "last")
    assert json.loads(raw) == {
        "session_id": "proxy",
        "final_seq": 2,
        "root_hash": "ab" * 32,
        "receipt_count": 3,
        "start_time": "first",
        "end_time": "last",
    }
    assert summary == "transcript_root: 3 receipts, root=" + "ab" * 8
    raw, summary = recorder.checkpoint_detail(4, b"\x01" * 64)
    assert json.loads(raw)["signature"] == "01" * 64
    assert summary == "checkpoint: 4 entries [seq 0-3]"


def test_every_part_is_hashed() -> None:
    parts = ["ts", "type", "event", "transport", "summary"]
    base = recorder.line(1, *parts, b"raw", "prev")[1]  # type: ignore[arg-type]
    for at in range(len(parts)):
        changed = [*parts[:at], "other", *parts[at + 1 :]]
        assert recorder.line(1, *changed, b"raw", "prev")[1] != base  # type: ignore[arg-type]
    assert recorder.line(2, *parts, b"raw", "prev")[1] != base  # type: ignore[arg-type]
    assert recorder.line(1, *parts, b"war", "prev")[1] != base  # type: ignore[arg-type]
    assert recorder.line(1, *parts, b"raw", "other")[1] != base  # type: ignore[arg-type]


TEXTS = st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(["%b", "%%", "\ufffd"])


@given(st.integers(0, 2**63), TEXTS, TEXTS, TEXTS, TEXTS)
def test_a_line_is_what_its_members_written_out_are(
    seq: int, kind: str, event: str, transport: str, summary: str
) -> None:
    text, digest = recorder.line(seq, "now", kind, event, transport, summary, b'"%b"', "prev")
    head = "\0".join(("2", str(seq), "now", "proxy", "", kind, event, transport, summary, ""))
    hashed = head.encode() + b'"%b"\0\0prev'
    assert digest == hashlib.sha256(hashed).hexdigest()
    assert text == canonical.encode(
        {
            "v": 2,
            "seq": seq,
            "ts": "now",
            "session_id": "proxy",
            "type": kind,
            "event_kind": event,
            "transport": transport,
            "summary": summary,
            "detail": "%b",
            "prev_hash": "prev",
            "hash": digest,
        }
    )
