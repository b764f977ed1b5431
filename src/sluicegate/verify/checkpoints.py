"""Checkpoints that were told while a record grew, against the record as it is now. Pure.

Whoever holds the key can cut or rewrite a record afterwards and sign it anew. What was printed meanwhile says what the
record was: its tree must have had each of these roots at each of these sizes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from sluicegate.evidence import note, tree
from sluicegate.verify import notes
from sluicegate.verify.strict import VerificationError, need

SHOWN_ORIGINS = 3  # of runs whose checkpoints a log holds, in an error
_ORIGIN = rb"(sluicegate/run/[0-9a-f]{32})"
# Signatures are 68 bytes with the key's id, roots 32.
_SIGNATURE, _ROOT, _SIZE = rb"([A-Za-z0-9+/]{91}=)", rb"([A-Za-z0-9+/]{43}=)", rb"([0-9]{1,19})"
# A log may put anything before it, and the command may have ended its own line or not.
_PRINTED = re.compile(
    rb"sluicegate: checkpoint "
    + rb" ".join((_ORIGIN, _SIZE, _ROOT, _SIGNATURE))
    + rb"(?![A-Za-z0-9+/=])"
)
_NOTE = re.compile(
    _ORIGIN + rb"\n" + _SIZE + rb"\n" + _ROOT + rb"\n\n(?:\xe2\x80\x94 [^\n]+\n)+(?!\xe2\x80\x94)"
)


class NoCheckpointError(Exception):
    """The text holds no checkpoint: whoever gave it meant another file."""


class Checkpoints:
    """What was told of one record, by size; feed it the record's tree as it grows, then `end`. Good for one record.

    `texts`: (name for messages, bytes), each the notes that `--checkpoint-file` gets, one after the other, or a log
    with the lines that a run prints on stderr. Those of other runs in a log are passed over.

    Raises:
        NoCheckpointError: one of the texts holds none at all.
    """

    def __init__(self, texts: Sequence[tuple[str, bytes]]) -> None:
        self._texts = [(name, _found(name, data)) for name, data in texts]
        self._heads: dict[int, tuple[str, bytes]] | None = None

    def grown(self, nonce: str, key: bytes, head: tree.Tree) -> None:
        """The record of the run `nonce`, signed by `key` (raw), has the tree `head` now.

        Raises:
            VerificationError: a checkpoint says that it had another.
        """
        if self._heads is None:
            self._heads = self._signed(note.origin(nonce), key)
        told = self._heads.pop(head.size, None)
        if told is not None:
            name, root = told
            same = root == tree.root(head)
            need(same, f"{name}: the record was rewritten: its first {head.size} lines were others")

    def end(self, size: int) -> None:
        """The record ends here, with `size` lines.

        Raises:
            VerificationError: a checkpoint says that it was longer.
        """
        for told in sorted(self._heads or {}):
            name = (self._heads or {})[told][0]
            why = f"{name}: the record was cut: it had {told} lines, now it has {size}"
            raise VerificationError(why)

    def _signed(self, origin: str, key: bytes) -> dict[int, tuple[str, bytes]]:
        heads: dict[int, tuple[str, bytes]] = {}
        for name, found in self._texts:
            ours = [data for data, of in found if of == origin]
            others = ", ".join(list(dict.fromkeys(of for _, of in found))[:SHOWN_ORIGINS])
            need(ours, f"{name}: its checkpoints are of {others}, not of this record's {origin}")
            for data in ours:
                head = notes.checkpoint(data, origin, [key], name)
                other = heads.setdefault(head.size, (name, head.root))
                # Both are signed: whoever has the key told two stories.
                need(
                    other[1] == head.root, f"{name}: two different checkpoints of {head.size} lines"
                )
        return heads


def _found(name: str, data: bytes) -> list[tuple[bytes, str]]:
    """The notes in `data`, and the origin each claims."""
    found = [(match[0], match[1].decode()) for match in _NOTE.finditer(data)]
    if found and b"".join(text for text, _ in found) != data:
        found = []  # a log may quote a note; a file of notes has nothing else in it
    for match in _PRINTED.finditer(data):
        words = [word.decode() for word in match.groups()]
        found.append((note.from_line(*words), words[0]))
    if not found:
        raise NoCheckpointError(
            f"{name} holds no checkpoint: neither signed notes alone nor a line that a run prints"
        )
    return list(dict.fromkeys(found))
