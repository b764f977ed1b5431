"""The text that proves one leaf to be in a checkpointed tree. Pure.

Source: https://c2sp.org/tlog-proof@v1. A file of it has the suffix `.tlog-proof`.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence

from sluicegate.evidence import tree
from sluicegate.evidence.note import MAX_NOTE_BYTES, MAX_TREE_SIZE, NoteError

HEADER = "c2sp.org/tlog-proof@v1"
EXTRA = "extra "
INDEX = "index "
# The path in a tree of 2^63 - 1 leaves.
MAX_HASHES = 63
# As much as one line of evidence; the producer has no use for it, another log may.
MAX_EXTRA_BYTES = 65_535
# All that at once: extra data in base64 (87,380), 63 lines of hashes (2,835), the note, and what
# stands around them (23 for the first line, 7 for extra, 26 for the index, 1 for the empty line).
MAX_PROOF_BYTES = 87_380 + 2_835 + MAX_NOTE_BYTES + 57


def write(index: int, hashes: Sequence[bytes], checkpoint: bytes, extra: bytes = b"") -> bytes:
    """The proof that the tree of the signed `checkpoint` has a certain leaf at `index`.

    `hashes` are what `tree.inclusion_proof` returned for the tree of that very size. `extra` is
    for whoever must rebuild the leaf; nothing authenticates it. If it is empty its line is left
    out, as the standard wants it.

    Raises:
        NoteError: an index, a hash or an amount that no proof has.
    """
    _need(0 <= index < MAX_TREE_SIZE, "the index is not between 0 and 2^63 - 2")
    _need(len(hashes) <= MAX_HASHES, f"more than {MAX_HASHES} hashes in the proof")
    _need(all(len(one) == tree.HASH_BYTES for one in hashes), "a hash is not 32 bytes long")
    _need(len(extra) <= MAX_EXTRA_BYTES, f"more than {MAX_EXTRA_BYTES} bytes of extra data")
    _need(len(checkpoint) <= MAX_NOTE_BYTES, f"the note is longer than {MAX_NOTE_BYTES} bytes")
    lines = [HEADER]
    if extra:
        lines.append(EXTRA + base64.b64encode(extra).decode())
    lines.append(f"{INDEX}{index}")
    lines += [base64.b64encode(one).decode() for one in hashes]
    return "\n".join(lines).encode() + b"\n\n" + checkpoint


def _need(ok: bool, message: str) -> None:
    if not ok:
        raise NoteError(message)
