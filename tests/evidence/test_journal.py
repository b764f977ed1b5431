import hashlib
import json
from pathlib import Path

import pytest

from sluicegate.evidence import canonical, chain, journal, keys, receipt, recorder

VECTOR = Path(__file__).parent.parent / "vectors" / "clean-room-vector-1.jsonl"
SIGN, KEY = keys.signer(hashlib.sha256(b"clean-room-vector-1").digest())


def test_the_published_vector_is_reproduced_byte_for_byte() -> None:
    prev, out = recorder.GENESIS, b""
    for seq, line in enumerate(VECTOR.read_bytes().splitlines()):
        entry = json.loads(line)
        detail = entry["detail"]
        if entry["type"] == "action_receipt":
            detail = json.loads(receipt.sealed(detail["action_record"], KEY, SIGN))
        if entry["type"] == "checkpoint":
            detail = json.loads(recorder.checkpoint_detail(seq, SIGN(prev.encode()))[0])
        words = (entry["type"], entry["event_kind"], entry["transport"], entry["summary"])
        text, prev = recorder.line(seq, entry["ts"], *words, canonical.encode(detail), prev)
        out += text + b"\n"
    digest = "46d9cf29018207b297ac082f3cc83560f80792fd037b3f74f1763ccbf8f579c4"
    assert hashlib.sha256(out).hexdigest() == digest


def test_genesis_of_the_vector() -> None:
    policy = "sha256:" + hashlib.sha256(b"policy-vector").hexdigest()
    run = chain.Run(
        "00112233445566778899aabbccddeeff", "ffeeddccbbaa99887766554433221100", policy, KEY, 60
    )
    assert chain.genesis(run).startswith("g1:ba51bdcb2cfd272c")


def test_a_message_of_another_shape_is_refused() -> None:
    with pytest.raises(journal.MessageError):
        journal.check({"flow": {}})


def test_keys_survive_their_text() -> None:
    assert keys.read_private(keys.write_private(b"s" * 32)) == b"s" * 32
    assert keys.read_public(KEY) == bytes.fromhex(KEY)
