"""Recorder files that must be refused, by the reasons that the format's public conformance corpus names.

Of its reasons one is not here: `expired` asks how old a record may be, which only its reader knows.
"""

from __future__ import annotations

import re

import pytest

from sluicegate.evidence import canonical, keys, receipt
from sluicegate.verify import bare
from sluicegate.verify.packet import INVALID, VALID, Level
from tests import receipts
from tests.evidence import made
from tests.vectors import recipes, runs
from tests.vectors.recipes import EVIDENCE
from tests.vectors.runs import Files
from tests.verify.test_bare import WANTED
from tests.verify.test_record import FIELDS

RECIPES = recipes.bare()
SIGN, KEY = keys.signer(b"r" * 32)


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Files]:
    return runs.bases(tmp_path_factory.mktemp("bases"))


@pytest.mark.parametrize("told", RECIPES, ids=lambda told: f"{told['reason']}: {told['name']}")
def test_refused_for_the_reason(bases: dict[str, Files], told: dict[str, object]) -> None:
    data = recipes.edited(told["edits"], bases)[EVIDENCE]  # type: ignore[arg-type]
    pins = [bytes.fromhex(recipes.PUBLIC[pin]) for pin in told.get("pins", ["record"])]  # type: ignore[attr-defined]
    report = bare.verify(data, pins, WANTED)
    assert report.outcome == told.get("outcome", INVALID)
    said = next(report.reached[level][1] for level in WANTED if not report.reached[level][0])
    assert re.search(str(told["says"]), said), said


def test_untouched_it_is_accepted(bases: dict[str, Files]) -> None:
    assert bare.verify(bases["whole"][EVIDENCE], [made.PIN], WANTED).outcome == VALID


def test_what_nobody_signs_is_let_pass_where_the_next_link_covers_it() -> None:
    """`ext` of other producers; our own packets never have it."""
    first = dict(canonical.record(FIELDS))
    envelopes, prev = [], "genesis"
    for seq in range(2):
        record = canonical.record(
            first | {"chain_seq": seq, "chain_prev_hash": prev, "action_id": f"a{seq}"}
        )
        signature = SIGN(receipts.sign_input(record)).hex()
        envelope = {"version": 1, "action_record": record, "signature": f"ed25519:{signature}"}
        envelopes.append(envelope | {"signer_key": KEY, "ext": {"note": seq}})
        prev = receipt.receipt_hash(canonical.encode(envelopes[-1]))
    lines = [canonical.encode(envelope) for envelope in envelopes]
    wanted = [Level.INTACT, Level.PINNED]
    pins = [bytes.fromhex(KEY)]
    assert bare.verify(b"\n".join(lines) + b"\n", pins, wanted).outcome == VALID
    assert bare.single(lines[0], pins, wanted).outcome == VALID
    changed = lines[0].replace(b'{"note":0}', b'{"note":1}')
    assert bare.verify(b"\n".join([changed, lines[1]]) + b"\n", pins).outcome == INVALID


def test_every_reason_has_a_recipe() -> None:
    wanted = {
        *("signature_invalid", "signer_key_untrusted", "signer_key_mismatch", "replay_detected"),
        *("malformed_json", "missing_required_field", "padding_attack", "chain_break"),
        *("verdict_chain_mismatch", "receipt_count_mismatch", "body_tampered", "header_injection"),
        *("unsupported_version", "invalid_action_type", "duplicate_key"),
    }
    assert wanted <= {told["reason"] for told in RECIPES}
