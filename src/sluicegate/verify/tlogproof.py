"""The proof of one leaf, down to a pinned key: no network, no log, no other file. Pure.

Source: https://c2sp.org/tlog-proof@v1, the four steps of "Verifying a tlog proof" but for the third:
cosignatures of witnesses are passed over, as those of any key that is not pinned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sluicegate.evidence import note, tlogproof, tree
from sluicegate.verify import inclusion, notes
from sluicegate.verify.strict import VerificationError, need


@dataclass(frozen=True, slots=True)
class Parts:
    """What a proof consists of, none of it verified. `unsafe_extra` never will be."""

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: bytes
    unsafe_extra: bytes


@dataclass(frozen=True, slots=True)
class Proven:
    """A leaf that stands at `index` of the tree `head`; only `proven` makes one."""

    head: notes.TreeHead
    index: int


def proven(data: bytes, leaf: bytes, origin: str, pinned: Sequence[bytes], what: str) -> Proven:
    """Where the leaf with the content `leaf` stands, by the proof `data` and the `pinned` keys.

    Raises:
        VerificationError: not a proof as it is written, its checkpoint is not one that
            `notes.checkpoint` takes, or it does not lead from this leaf to that checkpoint's root.
    """
    parts = read(data, what)
    head = notes.checkpoint(parts.checkpoint, origin, pinned, what)
    hashed = tree.leaf_hash(leaf)
    inclusion.included(hashed, parts.index, head.size, parts.hashes, head.root, what)
    return Proven(head, parts.index)


def read(data: bytes, what: str) -> Parts:
    """The parts of the proof `data`, if the writer makes the same bytes of them.

    Whoever must rebuild the leaf from the extra data reads it here, and then asks `proven`.

    Raises:
        VerificationError: it does not.
    """
    wanted = tlogproof.MAX_PROOF_BYTES
    need(len(data) <= wanted, f"{what}: longer than {wanted} bytes")
    above, empty, checkpoint = data.partition(b"\n\n")
    need(empty, f"{what}: no empty line above the checkpoint")
    try:
        lines = above.decode("ascii").split("\n")
        parts = _parts(lines, checkpoint, what)
        again = tlogproof.write(parts.index, parts.hashes, checkpoint, parts.unsafe_extra)
    except UnicodeDecodeError as error:
        raise VerificationError(f"{what}: text that is not ASCII above the checkpoint") from error
    except note.NoteError as error:
        raise VerificationError(f"{what}: {error}") from error
    need(again == data, f"{what}: a line of extra data with nothing in it")
    return parts


def _parts(lines: list[str], checkpoint: bytes, what: str) -> Parts:
    rest = iter(lines)
    header = tlogproof.HEADER
    need(next(rest) == header, f"{what}: the first line is not {header}")
    line, extra = next(rest, ""), b""
    if line.startswith(tlogproof.EXTRA):
        extra = note.exact_base64(line.removeprefix(tlogproof.EXTRA), "the extra data")
        line = next(rest, "")
    need(line.startswith(tlogproof.INDEX), f"{what}: no index line where it belongs")
    index = note.number(line.removeprefix(tlogproof.INDEX), "the index")
    hashes = tuple(note.exact_base64(line, "a hash") for line in rest)
    return Parts(index, hashes, checkpoint, extra)
