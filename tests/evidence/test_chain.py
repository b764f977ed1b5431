from __future__ import annotations

import dataclasses
import hashlib

import pytest

from sluicegate.evidence import chain

# From the published vector, whose whole file tests/evidence/test_journal.py reproduces.
RUN = chain.Run(
    "00112233445566778899aabbccddeeff",
    "ffeeddccbbaa99887766554433221100",
    "sha256:" + hashlib.sha256(b"policy-vector").hexdigest(),
    "ff7d15919431f75c048dc53965eb4293fbe1b6415f3d2fe3c46b01f071622648",
    60,
)


def test_genesis() -> None:
    assert (
        chain.genesis(RUN) == "g1:ba51bdcb2cfd272cce094cd3244854235c4c60262e2de30933a6c4cc47d42d8e"
    )


@pytest.mark.parametrize(
    "change",
    [
        {"nonce": "0" * 32},
        {"open_nonce": "0" * 32},
        {"policy_hash": ""},
        {"signer_key": ""},
        {"heartbeat_seconds": 0},
        {"posture_sha256": "0" * 64},
    ],
)
def test_genesis_binds_what_names_the_run(change: dict[str, object]) -> None:
    assert chain.genesis(dataclasses.replace(RUN, **change)) != chain.genesis(RUN)


def test_frames_do_not_run_into_each_other() -> None:
    one = dataclasses.replace(RUN, nonce="ab", open_nonce="c")
    two = dataclasses.replace(RUN, nonce="a", open_nonce="bc")
    assert chain.genesis(one) != chain.genesis(two)


def test_the_opening_names_the_posture_only_if_there_is_one() -> None:
    assert "posture_capsule_sha256" not in dict(chain.opening(RUN)["open"])  # type: ignore[call-overload]
    opened = chain.opening(dataclasses.replace(RUN, posture_sha256="1" * 64))["open"]
    assert dict(opened)["posture_capsule_sha256"] == "1" * 64  # type: ignore[call-overload]


def test_heartbeat_and_close_count_differently() -> None:
    head = chain.Head(5, "tail")
    beat = chain.heartbeat(RUN, head, 3, "now")["heartbeat"]
    closed = chain.closing(RUN, head, "done")["close"]
    assert isinstance(beat, dict)
    assert isinstance(closed, dict)
    assert (beat["chain_seq_head"], beat["chain_head"], beat["beat"]) == (4, "tail", 3)
    assert (closed["final_seq"], closed["receipt_count"], closed["root_hash"]) == (5, 6, "tail")
