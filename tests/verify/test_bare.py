"""The published conformance data and our own vector, with the results the format's reference lists."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sluicegate.verify import bare
from sluicegate.verify.packet import DEFAULT, INVALID, UNPROVEN, UNTRUSTED, VALID, Level

VECTORS = Path(__file__).parent.parent / "vectors"
DATA = VECTORS / "pipelock"
PIN = bytes.fromhex("4655a7e605c12ebb00a46037881c33c5bca5eb74b45a02e8e7261a7ff5a21678")
LIVE = bytes.fromhex("7b50779c51c9968bd70551d777d3672dedf3d68e008fbffa1c0de18dedb92897")
RFC8032 = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
OURS = bytes.fromhex("ff7d15919431f75c048dc53965eb4293fbe1b6415f3d2fe3c46b01f071622648")
# A recorder file has no facts and no counters to account for.
WANTED = (Level.INTACT, Level.CLOSED, Level.PINNED)
FIRST, SECOND = "g1-rotation-endorsement.json", "g1-rotation-endorsement-2.json"


def read(name: str) -> bytes:
    return (DATA / name).read_bytes()


def test_a_live_record_of_another_producer_is_closed_and_pinned() -> None:
    report = bare.verify(read("v3_2_0_live_chain.jsonl"), [LIVE], WANTED)
    assert report.outcome == VALID, report.reached
    assert report.receipts == 11
    assert report.root == "623d13a756891c52b6a4b3d400a95c3324da7b5c3b11c95446fb11aee2ea3063"


def test_a_chain_without_an_end_is_a_prefix() -> None:
    report = bare.verify(read("valid-chain.jsonl"), [PIN], session="conformance-session")
    assert report.outcome == UNPROVEN
    assert report.root.startswith("be904bd5")
    assert report.root.endswith("2b5a")
    relaxed = [Level.INTACT, Level.PINNED]
    assert bare.verify(read("valid-chain.jsonl"), [PIN], relaxed).outcome == VALID


def test_the_broken_chain_breaks_at_receipt_3() -> None:
    report = bare.verify(read("broken-chain.jsonl"), [PIN])
    assert report.outcome == INVALID
    assert report.reached[Level.INTACT] == (False, "receipt 3: chain_prev_hash mismatch")


def test_single_receipts() -> None:
    report = bare.single(read("valid-single.json"), [PIN])
    assert report.outcome == UNPROVEN
    assert report.reached[Level.INTACT][0]
    assert report.reached[Level.PINNED][0]
    assert bare.single(read("invalid-signature.json"), [PIN]).outcome == INVALID


@pytest.mark.parametrize("kind", ["promote-committed", "proxy-decision", "shadow-delta"])
def test_receipts_of_the_second_version(kind: str) -> None:
    data = read(f"valid-evidence-{kind}.json")
    report = bare.single(data, [RFC8032], [Level.INTACT, Level.PINNED])
    assert report.outcome == VALID, report.reached
    assert bare.single(data, [PIN]).outcome == INVALID
    assert bare.single(data, []).outcome == INVALID


@pytest.mark.parametrize(
    ("name", "given", "count"),
    [
        ("g1-rotated-close-count-valid.jsonl", [FIRST], 6),
        ("g1-rotated-twice-valid.jsonl", [FIRST, SECOND], 9),
        ("g1-rotated-twice-valid.jsonl", [SECOND, FIRST], 9),
    ],
)
def test_an_endorsed_change_of_key(name: str, given: list[str], count: int) -> None:
    texts = [read(one) for one in given]
    session = "conformance-session"
    report = bare.verify(read(name), [PIN], endorsements=texts, session=session)
    assert report.reached[Level.INTACT][0], report.reached
    assert report.reached[Level.PINNED][0]
    assert report.receipts == count
    assert report.outcome == UNPROVEN  # the files hold no transcript root
    assert bare.verify(read(name), [PIN], endorsements=texts, session="proxy").outcome == INVALID


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("g1-rotated-close-count-valid.jsonl", []),
        ("g1-rotated-close-count-valid.jsonl", [SECOND]),
        ("g1-rotated-close-count-valid.jsonl", [FIRST, SECOND]),
        ("g1-rotated-close-count-valid.jsonl", [FIRST, FIRST]),
        ("g1-rotated-twice-valid.jsonl", [FIRST]),
    ],
)
def test_each_change_of_key_wants_exactly_its_endorsement(name: str, given: list[str]) -> None:
    texts = [read(one) for one in given]
    assert bare.verify(read(name), [PIN], endorsements=texts).outcome == INVALID


def test_our_own_vector() -> None:
    data = (VECTORS / "clean-room-vector-1.jsonl").read_bytes()
    report = bare.verify(data, [OURS], WANTED)
    assert report.outcome == VALID
    assert bare.verify(data, [OURS], DEFAULT).outcome == UNTRUSTED
    assert report.root == "ceb4c9ff5ef00db939aac239d539f889a968e572d2a5eae9250a56ef70240351"
    assert bare.verify(data, []).outcome == UNTRUSTED
    assert bare.verify(data, [PIN]).outcome == UNTRUSTED


def test_bare_receipts_are_never_closed() -> None:
    lines = (VECTORS / "clean-room-vector-1.jsonl").read_bytes().splitlines()
    only = [json.dumps(json.loads(line)["detail"]).encode() for line in lines[:3]]
    report = bare.verify(b"\n".join(only) + b"\n", [OURS])
    assert report.outcome == UNPROVEN
    assert report.reached[Level.INTACT][0]
    mixed = b"\n".join([lines[0], only[1]]) + b"\n"
    assert bare.verify(mixed, [OURS]).outcome == INVALID


@pytest.mark.parametrize(
    "name", ["v3_2_0_live_chain.jsonl", "../clean-room-vector-1.jsonl"], ids=["live", "ours"]
)
def test_no_change_is_accepted(name: str) -> None:
    data, pins = read(name), [LIVE, OURS]
    assert bare.verify(data, pins, WANTED).outcome == VALID
    lines = data.splitlines(keepends=True)
    for at in range(len(lines)):
        without = b"".join(lines[:at] + lines[at + 1 :])
        twice = b"".join(lines[: at + 1] + lines[at:])
        assert bare.verify(without, pins).outcome in {INVALID, UNPROVEN}
        assert bare.verify(twice, pins).outcome == INVALID
    for at in range(0, len(data), 211):
        flipped = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        assert bare.verify(flipped, pins).outcome in {INVALID, UNPROVEN}, at
    assert bare.verify(data[:-1], pins).outcome in {INVALID, UNPROVEN}
    assert bare.verify(b"", pins).outcome == INVALID


def test_a_relabelled_end_is_an_unknown_type() -> None:
    data = read("v3_2_0_live_chain.jsonl").replace(b'"type":"checkpoint"', b'"type":"capture"')
    assert bare.verify(data, [LIVE]).outcome == INVALID
