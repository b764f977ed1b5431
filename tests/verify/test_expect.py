from __future__ import annotations

import pytest

from sluicegate.verify import expect
from sluicegate.verify.strict import VerificationError

JOB = {"repository": "o/r", "sha": "a" * 40, "run_id": "7", "run_attempt": "2", "ref": "main"}
MEASURED = {
    "open": {"tier": "netns-root", "commit": "b" * 40, "ci": JOB},
    "close": {"run": {"agent_identity": "me"}},
}
CHAIN = expect.of_a_chain("r", 9, "k", "n", "sha256:p")


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("repo", ["o/r"]),
        ("sha", ["a" * 40, "b" * 40]),
        ("run", ["7", "7-2"]),
        ("identity", ["me"]),
        ("tier", ["netns-root"]),
        ("policy", ["sha256:p", "p"]),
        ("policy_hash", ["sha256:p"]),
        ("receipts", ["9"]),
    ],
)
def test_what_the_record_says(name: str, values: list[str]) -> None:
    found = CHAIN | expect.of_a_boundary(MEASURED)
    for value in values:
        assert all(one.met for one in expect.held({name: value}, found))
    for wrong in ("", "x", values[0] + " ", values[0].upper() + "x"):
        try:
            assert not any(one.met for one in expect.held({name: wrong}, found))
        except VerificationError:
            assert name in expect.ITSELF


def test_what_the_record_does_not_say_is_not_met() -> None:
    for measured in ({}, {"open": 1}, {"open": {"ci": {"repository": 5, "sha": ""}}}):
        found = expect.of_a_boundary(measured)
        for name in ("repo", "sha", "run", "identity", "tier"):
            (one,) = expect.held({name: ""}, found)
            assert not one.met
            assert "not in the record" in one.words


def test_another_record_is_an_error_and_another_subject_is_told() -> None:
    for name in expect.ITSELF:
        with pytest.raises(VerificationError, match=f"{name} is "):
            expect.held({name: "other"}, CHAIN)
    told = expect.unmet(expect.held({"signer_key": "x", "policy": "p", "tier": "y"}, CHAIN))
    assert told == (
        "signer_key is k, not the expected x; tier is not in the record, not the expected y"
    )
