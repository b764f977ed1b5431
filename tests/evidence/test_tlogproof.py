from __future__ import annotations

import pytest

from sluicegate.evidence import note, tlogproof, tree
from tests.evidence.test_note import HEAD, PUBLIC, SIGN, SIGNED
from tests.evidence.test_tree import HASHES

# What filippo.io/torchwood v0.9.0 FormatProof writes over the first seven leaves of test_tree.
FIVE = (
    b"c2sp.org/tlog-proof@v1\n"
    b"index 5\n"
    b"vBoGQ7EuTS18d5GPROD095qDi2z57FtcKD4fTYhZnms=\n"
    b"sIaT7C5yFZcTBkHoIR5+7cy0wmQTlj7ubB4u0W/7Gl8=\n"
    b"037kGJdt2VdTwcc4Yrk5j6Kiz5tP8P3+izDNlSCWFLc=\n"
    b"\n" + SIGNED
)
SIX = (
    b"c2sp.org/tlog-proof@v1\n"
    b"index 6\n"
    b"DrxdNDf74tsVi58Sah0RjjCBgQMdCpSfje3t68VY72o=\n"
    b"037kGJdt2VdTwcc4Yrk5j6Kiz5tP8P3+izDNlSCWFLc=\n"
    b"\n" + SIGNED
)
# FormatProofWithExtraData.
EXTRA = FIVE.replace(b"index", b"extra YWdlLXYxLjIuMQ==\nindex")


@pytest.mark.parametrize(
    ("index", "extra", "text"), [(5, b"", FIVE), (6, b"", SIX), (5, b"age-v1.2.1", EXTRA)]
)
def test_the_proofs_go_writes(index: int, extra: bytes, text: bytes) -> None:
    path = tree.inclusion_proof(HASHES[:7], index)
    checkpoint = note.sign_checkpoint(HEAD, PUBLIC, SIGN)
    assert tlogproof.write(index, path, checkpoint, extra) == text


def test_a_tree_of_one_leaf_has_no_hashes() -> None:
    assert tlogproof.write(0, (), SIGNED) == b"c2sp.org/tlog-proof@v1\nindex 0\n\n" + SIGNED


def test_the_longest_proof_is_within_the_bound() -> None:
    biggest = tlogproof.write(
        2**63 - 2, [b"h" * 32] * 63, b"n" * note.MAX_NOTE_BYTES, b"e" * tlogproof.MAX_EXTRA_BYTES
    )
    assert len(biggest) == tlogproof.MAX_PROOF_BYTES


@pytest.mark.parametrize(
    ("index", "hashes", "checkpoint", "extra", "message"),
    [
        (-1, [], b"", b"", "the index is not between 0 and 2^63 - 2"),
        (2**63 - 1, [], b"", b"", "the index is not between 0 and 2^63 - 2"),
        (0, [b"h" * 32] * 64, b"", b"", "more than 63 hashes in the proof"),
        (0, [b"h" * 32, b"h" * 31], b"", b"", "a hash is not 32 bytes long"),
        (0, [], b"n" * 131_073, b"", "the note is longer than 131072 bytes"),
        (0, [], b"", b"e" * 65_536, "more than 65535 bytes of extra data"),
    ],
)
def test_what_no_proof_has(
    index: int, hashes: list[bytes], checkpoint: bytes, extra: bytes, message: str
) -> None:
    with pytest.raises(note.NoteError) as found:
        tlogproof.write(index, hashes, checkpoint, extra)
    assert str(found.value) == message
