"""Signed notes and checkpoints against pinned keys. Pure.

Sources: https://c2sp.org/signed-note@v1.0.0, https://c2sp.org/tlog-checkpoint@v1.0.0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sluicegate.evidence import keys, note
from sluicegate.verify.strict import VerificationError, need


@dataclass(frozen=True, slots=True)
class TreeHead:
    """What a pinned key signed about the log `origin`; only `checkpoint` makes one."""

    origin: str
    size: int
    root: bytes


def opened(data: bytes, name: str, pinned: Sequence[bytes], what: str) -> str:
    """The text of the note `data`, signed by one of the `pinned` Ed25519 keys under `name`.

    Signatures of other keys say nothing and are passed over, whatever is in them. One that claims
    a pinned key and does not hold condemns the note, even beside one that holds: somebody tried.

    Raises:
        VerificationError: not a note as it is written, a bad signature of a pinned key, or none.
    """
    try:
        found = note.read(data)
        by_id = [(note.key_id(name, public), public) for public in pinned]
    except note.NoteError as error:
        raise VerificationError(f"{what}: {error}") from error
    text = found.text.encode()
    signed = False
    for line in found.signatures:
        if line.name != name:
            continue
        # Four bytes may stand for two keys; either may then have signed.
        known = [public for short, public in by_id if short == line.key_id]
        good = any(keys.verifies(public, line.value, text) for public in known)
        need(good or not known, f"{what}: the signature of a pinned key does not verify")
        signed = signed or good
    need(signed, f"{what}: no signature by a pinned key of {name}")
    return found.text


def checkpoint(data: bytes, origin: str, pinned: Sequence[bytes], what: str) -> TreeHead:
    """The tree head in the checkpoint `data` of the log `origin`, whose key bears the same name.

    Stricter than the standard: a checkpoint with extension lines is none of ours.

    Raises:
        VerificationError: not a checkpoint as it is written, not signed as it must be, or of
            another log.
    """
    text = opened(data, origin, pinned, what)
    try:
        head = note.read_body(text)
    except note.NoteError as error:
        raise VerificationError(f"{what}: {error}") from error
    # A key may sign for several logs: the signature alone does not say for which.
    need(head.origin == origin, f"{what}: the origin is {head.origin!a}, not {origin!a}")
    return TreeHead(head.origin, head.size, head.root)
