"""Proofs about Merkle trees: a leaf is in a tree, a tree only adds to an earlier one. Pure.

Source: RFC 9162 sections 2.1.3.2 and 2.1.4.2, whose tree is that of RFC 6962. The names `fn` and
`sn` are theirs: the places of the node in hand and of the last node, on the level in hand.

A root does not know its size: neighbouring sizes may make the same steps of the same proof. A size and
its root must come out of one signed checkpoint.
"""

from __future__ import annotations

from collections.abc import Sequence

from sluicegate.evidence import tree
from sluicegate.verify.strict import need


def included(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes, what: str
) -> None:
    """Nothing, if the tree of `size` leaves and `root` has the leaf whose hash is `leaf` at `index`.

    Raises:
        VerificationError: the proof does not show it, or is longer or shorter than such a proof.
    """
    need(0 <= index < size, f"{what}: no leaf {index} in a tree of {size}")
    _hashes((leaf, root, *proof), what)
    fn, sn = index, size - 1
    found = leaf
    for step in proof:
        need(sn > 0, f"{what}: the inclusion proof is too long")
        if fn & 1 or fn == sn:
            found = tree.node_hash(step, found)
            fn, sn = _lone(fn, sn)
        else:
            found = tree.node_hash(found, step)
        fn, sn = fn >> 1, sn >> 1
    need(sn == 0, f"{what}: the inclusion proof is too short")
    need(found == root, f"{what}: the inclusion proof leads to another root")


def consistent(
    size: int, root: bytes, later_size: int, later_root: bytes, proof: Sequence[bytes], what: str
) -> None:
    """Nothing, if the tree of `later_size` and `later_root` only adds leaves to that of `size`.

    An empty tree is the beginning of every tree, and a tree of itself; RFC 9162 leaves both out,
    and here their proof must be empty.

    Raises:
        VerificationError: the proof does not show it, or is longer or shorter than such a proof.
    """
    need(0 <= size <= later_size, f"{what}: a tree of {later_size} cannot follow one of {size}")
    _hashes((root, later_root, *proof), what)
    for count, head in ((size, root), (later_size, later_root)):
        need(count or head == tree.EMPTY_ROOT, f"{what}: the root is not that of an empty tree")
    if size in {0, later_size}:
        need(not proof, f"{what}: the consistency proof is too long")
        need(size == 0 or root == later_root, f"{what}: two roots for the same size")
        return
    # The earlier tree is a subtree of the later one: its root is where the path begins.
    path = (root, *proof) if size & (size - 1) == 0 else tuple(proof)
    need(proof, f"{what}: the consistency proof is too short")
    fn, sn = size - 1, later_size - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    early = late = path[0]
    for step in path[1:]:
        need(sn > 0, f"{what}: the consistency proof is too long")
        if fn & 1 or fn == sn:
            early, late = tree.node_hash(step, early), tree.node_hash(step, late)
            fn, sn = _lone(fn, sn)
        else:
            late = tree.node_hash(late, step)
        fn, sn = fn >> 1, sn >> 1
    need(sn == 0, f"{what}: the consistency proof is too short")
    need(early == root, f"{what}: the consistency proof leads to another earlier root")
    need(late == later_root, f"{what}: the consistency proof leads to another later root")


def _lone(fn: int, sn: int) -> tuple[int, int]:
    """The places on the highest level to which a last node without a sibling moves up unchanged."""
    while not fn & 1 and fn:
        fn, sn = fn >> 1, sn >> 1
    return fn, sn


def _hashes(hashes: Sequence[bytes], what: str) -> None:
    for one in hashes:
        wanted = tree.HASH_BYTES
        need(len(one) == wanted, f"{what}: a hash of {len(one)} bytes, not {wanted}")
