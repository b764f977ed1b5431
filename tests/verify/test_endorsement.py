from __future__ import annotations

import json

import pytest

from sluicegate.verify import endorsement, strict
from tests.verify.test_bare import FIRST, read

GOOD = json.loads(read(FIRST))


def test_it_names_the_boundary() -> None:
    found = endorsement.read(read(FIRST)).boundary
    assert (found.session, found.prior_seq) == ("conformance-session", 2)
    assert found.new_key == GOOD["new_signer_key"]


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"version": True},
        {"session_id": "other"},
        {"session_id": " "},
        {"prior_final_seq": 3},
        {"prior_final_seq": "2"},
        {"prior_tail_hash": "0" * 64},
        {"new_signer_key": GOOD["prior_signer_key"]},
        {"new_signer_key": "0" * 64},
        {"rotated_at": "2026-04-15T12:00:10.0Z"},
        {"rotated_at": "2026-04-15T12:00:11Z"},
        {"endorsement": GOOD["endorsement"][:-2] + "ff"},
        {"endorsement": GOOD["endorsement"].removeprefix("ed25519:")},
        {"extra": 1},
    ],
)
def test_any_change_breaks_it(change: dict[str, object]) -> None:
    with pytest.raises(strict.VerificationError):
        endorsement.read(json.dumps(GOOD | change).encode())


def test_a_missing_member() -> None:
    for name in GOOD:
        left = {other: value for other, value in GOOD.items() if other != name}
        with pytest.raises(strict.VerificationError):
            endorsement.read(json.dumps(left).encode())
