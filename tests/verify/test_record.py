from __future__ import annotations

import itertools
import json
from collections.abc import Callable

import pytest

from sluicegate.evidence import keys, receipt
from sluicegate.verify import record, strict
from tests import receipts

SIGN, KEY = keys.signer(b"r" * 32)
FIELDS: dict[str, object] = {
    "version": 1,
    "action_id": "a",
    "action_type": "read",
    "timestamp": "2026-01-02T03:04:05Z",
    "principal": "local",
    "actor": "",
    "delegation_chain": None,
    "target": "https://a.example/",
    "side_effect_class": "none",
    "reversibility": "full",
    "policy_hash": "",
    "verdict": "allow",
    "transport": "fetch",
    "chain_prev_hash": "genesis",
    "chain_seq": 0,
}


def made(**changes: object) -> dict[str, object]:
    return dict(json.loads(receipts.sealed({**FIELDS, **changes}, KEY, SIGN)))


def test_a_receipt() -> None:
    found = record.checked(made(), "it")
    assert found.signer == KEY
    assert found.digest == receipt.receipt_hash(receipts.sealed(FIELDS, KEY, SIGN))
    assert found.raw == receipts.sealed(FIELDS, KEY, SIGN)


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 2},
        {"action_id": ""},
        {"action_type": "Read"},
        {"verdict": "ALLOW"},
        {"verdict": ""},
        {"transport": ""},
        {"target": ""},
        {"target": "a\0b"},
        {"timestamp": "2026-01-02T03:04:05.10Z"},
        {"timestamp": "0001-01-01T00:00:00Z"},
        {"timestamp": "2026-13-02T03:04:05Z"},
        {"chain_seq": True},
        {"chain_seq": -1},
        {"decision_phase": "maybe"},
        {"run_nonce": "ABCDEF"},
        {"delegation_chain": "x"},
        {"session_contaminated": 1},
        {"key_transition": {"prior_signer_key": "x"}},
        {"session_control": "open"},
        {"method": 5},
    ],
)
def test_a_well_signed_receipt_of_wrong_values(changes: dict[str, object]) -> None:
    with pytest.raises(strict.VerificationError):
        record.checked(made(**changes), "it")


def without(name: str) -> Callable[[dict[str, object]], object]:
    return lambda whole: whole.pop(name)


@pytest.mark.parametrize(
    "edit",
    [
        without("version"),
        without("signature"),
        without("signer_key"),
        without("action_record"),
        lambda whole: whole.update(ext={}),
        lambda whole: whole.update(record_type="action_receipt_v1"),
        lambda whole: whole.update(version=True),
        lambda whole: whole.update(action_record=[]),
        lambda whole: whole["action_record"].update(unknown=1),
        lambda whole: whole["action_record"].pop("actor"),
        lambda whole: whole["action_record"].update(target="https://b.example/"),
        lambda whole: whole.update(signature=whole["signature"].removeprefix("ed25519:")),
        lambda whole: whole.update(signature=whole["signature"].upper()),
        lambda whole: whole.update(signature="ed25519:00"),
        lambda whole: whole.update(signer_key=keys.signer(b"o" * 32)[1]),
        lambda whole: whole.update(signer_key=KEY.upper()),
    ],
)
def test_a_receipt_of_another_shape(edit: Callable[[dict[str, object]], object]) -> None:
    whole = made()
    edit(whole)
    with pytest.raises(strict.VerificationError):
        record.checked(whole, "it")


@pytest.mark.parametrize("found", [None, [], "x", 1])
def test_not_an_object(found: object) -> None:
    with pytest.raises(strict.VerificationError):
        record.checked(found, "it")


def test_order_in_time() -> None:
    times = ["", "2026-01-02T03:04:05Z", "2026-01-02T03:04:05.000000001Z"]
    times += ["2026-01-02T03:04:05.09Z", "2026-01-02T03:04:05.1Z", "2026-01-02T03:04:06Z"]
    for first, second in itertools.pairwise(times):
        assert record.earlier(first, second)
        assert not record.earlier(second, first)
        assert not record.earlier(first, first)


def test_receipts_alike_have_one_form_and_others_have_none_or_another() -> None:
    first = record.checked(made(), "it")
    varied = {"action_id": "b", "target": "x", "chain_seq": 7, "chain_prev_hash": "y"}
    assert first.form is not None
    assert record.checked(made(**varied), "it").form is first.form
    assert record.checked(made(verdict="block"), "it").form not in {None, first.form}
    # Equal in Python and not in JSON.
    whole = made()
    whole["action_record"] = {**dict(whole["action_record"]), "version": True}  # type: ignore[call-overload]
    with pytest.raises(strict.VerificationError):
        record.checked(whole, "it")
    # Objects and lists have no form: nobody looked for one.
    assert record.checked(made(delegation_chain=["x"]), "it").form is None


def test_another_order_is_put_right_although_the_form_is_known() -> None:
    whole = made()
    fields = dict(whole["action_record"])  # type: ignore[call-overload]
    turned = {**whole, "action_record": dict(reversed(fields.items()))}
    assert record.checked(turned, "it").raw == record.checked(whole, "it").raw
