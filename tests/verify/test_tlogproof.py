from __future__ import annotations

import functools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.evidence import keys, note, tlogproof, tree
from sluicegate.verify import notes
from sluicegate.verify import tlogproof as check
from sluicegate.verify.strict import VerificationError
from tests.evidence.test_note import HEAD, ORIGIN, PUBLIC, SIGN, SIGNED
from tests.evidence.test_tlogproof import EXTRA, FIVE, SIX
from tests.evidence.test_tree import LEAVES

HASH = b"vBoGQ7EuTS18d5GPROD095qDi2z57FtcKD4fTYhZnms="


def refused(data: bytes, message: str, leaf: bytes = LEAVES[5]) -> None:
    with pytest.raises(VerificationError) as found:
        check.proven(data, leaf, ORIGIN, [PUBLIC], "it")
    assert str(found.value) == f"it: {message}"


def test_the_proofs_go_writes() -> None:
    head = notes.TreeHead(ORIGIN, 7, HEAD.root)
    for data, index in ((FIVE, 5), (SIX, 6), (EXTRA, 5)):
        found = check.proven(data, LEAVES[index], ORIGIN, [PUBLIC], "it")
        assert found == check.Proven(head, index)


def test_the_parts() -> None:
    parts = check.read(EXTRA, "it")
    assert (parts.index, parts.unsafe_extra, parts.checkpoint) == (5, b"age-v1.2.1", SIGNED)
    assert [step.hex()[:8] for step in parts.hashes] == ["bc1a0643", "b08693ec", "d37ee418"]
    assert check.read(FIVE, "it").unsafe_extra == b""


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no empty line above the checkpoint"),
        (FIVE.replace(b"@v1", b"@v2"), "the first line is not c2sp.org/tlog-proof@v1"),
        (FIVE[1:], "the first line is not c2sp.org/tlog-proof@v1"),
        (b"\n\n" + FIVE, "the first line is not c2sp.org/tlog-proof@v1"),
        (b"\xef\xbb\xbf" + FIVE, "text that is not ASCII above the checkpoint"),
        (b"c2sp.org/tlog-proof@v1\n\n" + SIGNED, "no index line where it belongs"),
        (FIVE.replace(b"index 5\n", b""), "no index line where it belongs"),
        (FIVE.replace(b"index 5", b"index"), "no index line where it belongs"),
        (FIVE.replace(b"index 5", b"Index 5"), "no index line where it belongs"),
        (
            FIVE.replace(b"index 5", b"index  5"),
            "the index is not a number without leading zeros",
        ),
        (FIVE.replace(b"index 5", b"index 05"), "the index is not a number without leading zeros"),
        (FIVE.replace(b"index 5", b"index -1"), "the index is not a number without leading zeros"),
        (FIVE.replace(b"index 5", b"index +5"), "the index is not a number without leading zeros"),
        (FIVE.replace(b"index 5", b"index "), "the index is not a number without leading zeros"),
        (FIVE.replace(b"5\n", b"5\r\n", 1), "the index is not a number without leading zeros"),
        (
            FIVE.replace(b"index 5", b"index 9223372036854775808"),
            "the index is beyond 2^63 - 1",
        ),
        (
            FIVE.replace(b"index 5", b"index 9223372036854775807"),
            "the index is not between 0 and 2^63 - 2",
        ),
        (FIVE.replace(b"index 5\n", b"index 5\n\n"), "the signature of a pinned key does not ver"),
        (FIVE.replace(HASH, HASH + b" "), "a hash is not base64"),
        (FIVE.replace(HASH, HASH[:-1]), "a hash is not base64"),
        (FIVE.replace(HASH, HASH[:-2] + b"t="), "a hash is base64 that encodes differently"),
        (FIVE.replace(HASH, HASH[:-4]), "a hash is not 32 bytes long"),
        (FIVE.replace(HASH, (HASH + b"\n") * 63 + HASH), "more than 63 hashes in the proof"),
        (EXTRA.replace(b"YWdlLXYxLjIuMQ==", b"!"), "the extra data is not base64"),
        (
            EXTRA.replace(b"MQ==", b"MR=="),
            "the extra data is base64 that encodes differently",
        ),
        (
            EXTRA.replace(b"YWdlLXYxLjIuMQ==", b""),
            "a line of extra data with nothing in it",
        ),
        (
            EXTRA.replace(b"\nindex", b"\nextra YWdl\nindex"),
            "no index line where it belongs",
        ),
        (
            FIVE.replace(b"5\n", b"5\nextra YWdl\n", 1),
            "a hash is not base64",
        ),
        (b"x" * 300_000, f"longer than {tlogproof.MAX_PROOF_BYTES} bytes"),
    ],
)
def test_what_is_no_proof(data: bytes, message: str) -> None:
    with pytest.raises(VerificationError) as found:
        check.proven(data, LEAVES[5], ORIGIN, [PUBLIC], "it")
    assert str(found.value).startswith(f"it: {message}")


def test_the_longest_proof_is_read() -> None:
    extra, note_bytes = b"e" * tlogproof.MAX_EXTRA_BYTES, b"n" * note.MAX_NOTE_BYTES
    biggest = tlogproof.write(2**63 - 2, [b"h" * 32] * 63, note_bytes, extra)
    assert check.read(biggest, "it").unsafe_extra == extra


def test_what_a_proof_does_not_prove() -> None:
    refused(FIVE, "the inclusion proof leads to another root", leaf=LEAVES[4])
    refused(FIVE, "the inclusion proof leads to another root", leaf=LEAVES[5] + b"\n")
    refused(FIVE.replace(b"index 5", b"index 4"), "the inclusion proof leads to another root")
    refused(FIVE.replace(b"index 5", b"index 6"), "the inclusion proof is too long")
    refused(FIVE.replace(b"index 5", b"index 7"), "no leaf 7 in a tree of 7")
    refused(FIVE.replace(HASH + b"\n", b""), "the inclusion proof is too short")
    refused(FIVE.replace(HASH, HASH + b"\n" + HASH), "the inclusion proof is too long")


def test_the_checkpoint_is_verified_first() -> None:
    bad = "the signature of a pinned key does not verify"
    refused(FIVE.replace(b"\n7\n", b"\n8\n"), bad)
    refused(FIVE + b"\n", "the note does not end with a signature line and its newline")
    signed = note.sign_checkpoint(HEAD, bytes.fromhex(keys.signer(b"o" * 32)[1]), SIGN)
    refused(FIVE.replace(SIGNED, signed), f"no signature by a pinned key of {ORIGIN}")
    with pytest.raises(VerificationError, match="no signature by a pinned key of other"):
        check.proven(FIVE, LEAVES[5], "other", [PUBLIC], "it")


def test_the_extra_data_proves_nothing() -> None:
    forged = EXTRA.replace(b"YWdlLXYxLjIuMQ==", b"YWdlLXY5LjkuOQ==")
    assert check.proven(forged, LEAVES[5], ORIGIN, [PUBLIC], "it").index == 5
    assert check.read(forged, "it").unsafe_extra == b"age-v9.9.9"


@given(st.lists(st.binary(max_size=8), min_size=1, max_size=70), st.data())
def test_every_leaf_of_a_log(leaves: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    extra = data.draw(st.binary(max_size=8))
    grown = functools.reduce(tree.grown, leaves, tree.EMPTY)
    signed = note.sign_checkpoint(
        note.Checkpoint(ORIGIN, grown.size, tree.root(grown)), PUBLIC, SIGN
    )
    path = tree.inclusion_proof([tree.leaf_hash(leaf) for leaf in leaves], index)
    text = tlogproof.write(index, path, signed, extra)
    found = check.proven(text, leaves[index], ORIGIN, [PUBLIC], "it")
    assert (found.index, found.head.size) == (index, len(leaves))
    assert check.read(text, "it") == check.Parts(index, path, signed, extra)


@given(st.integers(0, len(FIVE) - 1), st.integers(0, 255))
def test_no_byte_can_be_another(place: int, letter: int) -> None:
    data = FIVE[:place] + bytes([letter]) + FIVE[place + 1 :]
    if data != FIVE:
        with pytest.raises(VerificationError):
            check.proven(data, LEAVES[5], ORIGIN, [PUBLIC], "it")
