from __future__ import annotations

import json

from sluicegate.evidence import recorder
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
    base = recorder.entry_hash(1, *parts, b"raw", "prev")  # type: ignore[arg-type]
    for at in range(len(parts)):
        changed = [*parts[:at], "other", *parts[at + 1 :]]
        assert recorder.entry_hash(1, *changed, b"raw", "prev") != base  # type: ignore[arg-type]
    assert recorder.entry_hash(2, *parts, b"raw", "prev") != base  # type: ignore[arg-type]
    assert recorder.entry_hash(1, *parts, b"war", "prev") != base  # type: ignore[arg-type]
    assert recorder.entry_hash(1, *parts, b"raw", "other") != base  # type: ignore[arg-type]
