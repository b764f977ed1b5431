from __future__ import annotations

import json

import pytest

from sluicegate.verify import proof
from sluicegate.verify.strict import VerificationError
from tests.evidence import made


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return made.files(tmp_path_factory.mktemp("t"), made.some())


def write(files: dict[str, bytes], seq: int) -> bytes:
    lines = (files[name].split(b"\n")[:-1] for name in ("evidence.jsonl", "flows.jsonl"))
    return proof.write(*lines, files["checkpoint"], seq)


def test_every_receipt_is_proven_alone(files: dict[str, bytes]) -> None:
    lines = [json.loads(line) for line in files["evidence.jsonl"].splitlines()]
    receipts = [line for line in lines if line["type"] == "action_receipt"]
    facts = [json.loads(line) for line in files["flows.jsonl"].splitlines()]
    for seq, line in enumerate(receipts):
        found = proof.read(write(files, seq))
        assert (found.seq, found.size, found.signer) == (seq, len(lines), made.PUBLIC)
        assert found.record == line["detail"]["action_record"]
        if "request_id" in found.record:
            assert found.flow == facts.pop(0)
        else:
            assert found.flow is None
    assert not facts


def test_there_is_no_proof_of_what_is_not_there(files: dict[str, bytes]) -> None:
    count = len(files["evidence.jsonl"].splitlines())
    for seq in (-1, count, count + 9):
        with pytest.raises(VerificationError, match=f"no receipt {seq}"):
            write(files, seq)
    with pytest.raises(VerificationError, match="is no receipt"):
        write(files, count - 1)


def test_no_byte_of_a_proof_can_be_changed(files: dict[str, bytes]) -> None:
    good = write(files, 2)
    for at in range(len(good)):
        with pytest.raises(VerificationError):
            proof.read(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
    for cut in range(0, len(good), 7):
        with pytest.raises(VerificationError):
            proof.read(good[:cut])


def test_a_proof_of_another_run_is_not_ours(
    files: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = made.files(tmp_path_factory.mktemp("o"), made.some())
    mixed = files | {"checkpoint": other["checkpoint"]}
    with pytest.raises(VerificationError):
        proof.read(write(mixed, 2))
