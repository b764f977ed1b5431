"""Checkpoints that a run showed while it ran, against the record that it left: a later cut or rewrite shows. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sluicegate.evidence import note, tree
from sluicegate.verify import notes, strict
from sluicegate.verify.strict import need

WHAT = "checkpoint from outside"
MOST = 4096  # checkpoints at once; each is a root to remember


class Marks:
    """The roots that the record's tree had at the sizes which the checkpoints `given` name."""

    def __init__(self, given: Sequence[bytes] = ()) -> None:
        need(len(given) <= MOST, f"more than {MOST} checkpoints")
        self._given = given
        self._roots: dict[int, bytes] = dict(_sizes(given))

    def grown(self, now: tree.Tree) -> None:
        """Told of the tree after each line."""
        if now.size in self._roots:
            self._roots[now.size] = tree.root(now)

    def held(self, origin: str, key: bytes) -> None:
        """Nothing, if the record continues every checkpoint.

        Raises:
            VerificationError: one is of another run or key, of a longer record, or of another one.
        """
        for data in self._given:
            head = notes.checkpoint(data, origin, [key], WHAT)
            root = self._roots[head.size]
            need(root, f"{WHAT}: the record was cut: it covers {head.size} lines")
            need(root == head.root, f"{WHAT}: the first {head.size} lines were other ones")


def _sizes(given: Sequence[bytes]) -> Iterable[tuple[int, bytes]]:
    """Not verified yet: the signer is known only when the record was read."""
    for data in given:
        try:
            size = note.read_body(note.read(data).text).size
        except note.NoteError as error:
            raise strict.VerificationError(f"{WHAT}: {error}") from error
        yield size, tree.EMPTY_ROOT if size == 0 else b""
