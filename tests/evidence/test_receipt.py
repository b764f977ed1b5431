from __future__ import annotations

import hashlib
import json

from sluicegate.evidence import canonical, keys, receipt
from tests import receipts
from tests.evidence.test_journal import VECTOR

SIGN, KEY = keys.signer(hashlib.sha256(b"clean-room-vector-1").digest())
HASHES = [
    "6dfb445777b6eae9a025c3df9379e4f180484b2610b1e747047545892e27d63a",
    "744664878ed4a3d0393d82e14c159ca054b1482722a5f7527207f05b6d4ea7d0",
    "ceb4c9ff5ef00db939aac239d539f889a968e572d2a5eae9250a56ef70240351",
]


def test_signatures_and_hashes_of_the_vector() -> None:
    for line, expected in zip(VECTOR.read_bytes().splitlines(), HASHES, strict=False):
        detail = json.loads(line)["detail"]
        raw = receipts.sealed(detail["action_record"], KEY, SIGN)
        assert raw == canonical.encode(detail)
        assert receipt.receipt_hash(raw) == expected


def test_what_is_signed_is_a_digest_of_the_canonical_record() -> None:
    record = json.loads(VECTOR.read_bytes().splitlines()[1])["detail"]["action_record"]
    assert (
        receipts.sign_input(record).hex()
        == "c1effdb1e2ef2cfabc05737347b6019b845783d3b7711cfa226541f31491d3cd"
    )
    shuffled = dict(reversed(record.items()))
    assert receipts.sign_input(shuffled) == receipts.sign_input(record)


def test_effects() -> None:
    assert receipt.effects("read") == ("external_read", "full")
    assert receipt.effects("unclassified") == ("none", "unknown")
    assert receipt.effects("spend") == ("external_write", "unknown")
