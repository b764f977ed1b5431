from __future__ import annotations

import json

import pytest

from sluicegate.verify import profile
from sluicegate.verify.strict import VerificationError
from tests.vectors import runs

Record = dict[str, object]


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> list[Record]:
    files = runs.made_by(tmp_path_factory.mktemp("r") / "run", b"k" * 32, "1")
    entries = [json.loads(line) for line in files["evidence.jsonl"].splitlines()]
    return [e["detail"]["action_record"] for e in entries if e["type"] == "action_receipt"]


def test_what_our_notary_writes_is_kept(records: list[Record]) -> None:
    for record in records:
        profile.kept(record, "it")


@pytest.mark.parametrize(
    ("at", "change", "said"),
    [
        (1, {"venue": "x"}, "venue has no place here"),
        (1, {"delegation_chain": []}, "delegation_chain is not"),
        (1, {"principal": "x"}, "principal is not"),
        (1, {"side_effect_class": "x"}, "side_effect_class is not"),
        (1, {"action_type": "write"}, "side_effect_class is not"),
        (1, {"transport": "receipt_session"}, "do not belong together"),
        (1, {"session_control": {}}, "has no place here"),
        (0, {"request_id": "x"}, "request_id has no place here"),
        (0, {"layer": "x"}, "layer has no place here"),
        (0, {"transport": "forward"}, "do not belong together"),
        (0, {"actor": "x"}, "actor is not"),
        (0, {"verdict": "block"}, "verdict is not"),
        (0, {"target": "pipelock://session/close"}, "target is not"),
        (0, {"session_control": "open"}, "target is not"),
    ],
)
def test_anything_else_is_not(records: list[Record], at: int, change: Record, said: str) -> None:
    with pytest.raises(VerificationError, match=said):
        profile.kept(records[at] | change, "it")
