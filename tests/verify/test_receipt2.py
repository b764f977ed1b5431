from __future__ import annotations

import json

import pytest

from sluicegate.verify import receipt2, strict
from tests.verify.test_bare import LIVE, RFC8032, read

ONE = json.loads(read("valid-evidence-proxy-decision.json"))


def test_it_says_who_signed() -> None:
    assert receipt2.checked(ONE, [LIVE, RFC8032], "it") == RFC8032.hex()


@pytest.mark.parametrize(
    "change",
    [
        {"payload_kind": "other"},
        {"receipt_version": 3},
        {"record_type": "x"},
        {"timestamp": "2026-04-25T22:00:00.0Z"},
        {"chain_seq": "1"},
        {"payload": []},
        {"payload": {**ONE["payload"], "target": "e\u0301.example"}},
        {"crit": ["unheard-of"]},
        {"unknown": 1},
        {"actor": "x"},
        {"signature": {**ONE["signature"], "key_purpose": "contract-activation-signing"}},
        {"signature": {**ONE["signature"], "algorithm": "none"}},
        {"signature": {**ONE["signature"], "extra": ""}},
        {"signature": {**ONE["signature"], "signature": ""}},
    ],
)
def test_any_change_breaks_it(change: dict[str, object]) -> None:
    with pytest.raises(strict.VerificationError):
        receipt2.checked(ONE | change, [RFC8032], "it")


def test_its_chain() -> None:
    lines = map(json.loads, read("v3_2_0_live_chain.jsonl").splitlines())
    details = [line["detail"] for line in lines if line["type"] == "evidence_receipt"]
    found = receipt2.Chain(())
    for detail in details:
        found.add(detail, LIVE.hex(), "it")
    assert found.seq == 6
    with pytest.raises(strict.VerificationError, match="chain_seq"):
        receipt2.Chain((LIVE,)).add(details[1], "", "it")
    with pytest.raises(strict.VerificationError, match="chain_seq"):
        found.add(details[-1], LIVE.hex(), "it")
