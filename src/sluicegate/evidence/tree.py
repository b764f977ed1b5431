"""RFC 6962 Merkle trees over SHA-256: a tree that grows, its root, and proofs about it. Pure."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

HASH_BYTES = 32
# MTH of the empty list: the hash of an empty string (RFC 6962 section 2.1).
EMPTY_ROOT = hashlib.sha256(b"").digest()


@dataclass(frozen=True, slots=True)
class Tree:
    """`size` leaves, kept as the roots of the perfect subtrees they fill, largest first.

    One peak per set bit of `size`: a tree of 2^40 leaves is at most 40 hashes.
    """

    size: int
    peaks: tuple[bytes, ...]


EMPTY = Tree(0, ())


def leaf_hash(data: bytes) -> bytes:
    """The hash of a leaf. The prefix keeps a leaf from being taken for a node."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node over the hashes of its two children."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def grown(tree: Tree, data: bytes) -> Tree:
    """`tree` with one more leaf, whose content is `data`."""
    return joined(tree, leaf_hash(data))


def joined(tree: Tree, leaf: bytes) -> Tree:
    """`tree` with one more leaf, whose hash is `leaf`.

    Raises:
        ValueError: `leaf` is not 32 bytes long.
    """
    return extended(tree, (leaf,))


def extended(tree: Tree, leaves: Iterable[bytes]) -> Tree:
    """`tree` with a leaf more for each hash in `leaves`, in their order.

    Raises:
        ValueError: one of `leaves` is not 32 bytes long.
    """
    size, peaks = tree.size, list(tree.peaks)
    for leaf in leaves:
        if len(leaf) != HASH_BYTES:
            raise ValueError(f"a leaf hash has {HASH_BYTES} bytes, not {len(leaf)}")
        # Each low bit that is set is a subtree as large as the one just made: they become one.
        made, carry = leaf, size
        while carry & 1:
            made = node_hash(peaks.pop(), made)
            carry >>= 1
        peaks.append(made)
        size += 1
    return Tree(size, tuple(peaks))


def root(tree: Tree) -> bytes:
    """The Merkle tree hash of `tree`: MTH(D[size]) of RFC 6962 section 2.1."""
    if not tree.peaks:
        return EMPTY_ROOT
    return functools.reduce(lambda right, left: node_hash(left, right), reversed(tree.peaks))


def inclusion_proof(leaves: Sequence[bytes], index: int) -> tuple[bytes, ...]:
    """The path from leaf `index` to the root over the leaf hashes, the leaf's sibling first.

    PATH(m, D[n]) of RFC 6962 section 2.1.1, for n = `len(leaves)`; hashes every other leaf once.

    Raises:
        ValueError: there is no such leaf, or a hash in `leaves` is not 32 bytes long.
    """
    ranges = siblings(index, len(leaves))
    return tuple(_range_root(leaves, start, stop) for start, stop in ranges)


def siblings(index: int, size: int) -> tuple[tuple[int, int], ...]:
    """The ranges of leaves whose roots are the path from leaf `index` in a tree of `size`, the sibling first.

    Whoever reads the leaves as a stream grows one tree for each.

    Raises:
        ValueError: there is no such leaf.
    """
    if not 0 <= index < size:
        raise ValueError(f"no leaf {index} in a tree of {size}")
    start, stop = 0, size
    path: list[tuple[int, int]] = []
    while stop - start > 1:
        middle = start + _split(stop - start)
        if index < middle:
            path.append((middle, stop))
            stop = middle
        else:
            path.append((start, middle))
            start = middle
    return tuple(reversed(path))


def consistency_proof(leaves: Sequence[bytes], size: int) -> tuple[bytes, ...]:
    """The proof that the tree over `leaves` only adds to the tree over the first `size` of them.

    PROOF(m, D[n]) of RFC 6962 section 2.1.2, for n = `len(leaves)`. Empty where there is nothing
    to prove: the earlier tree is empty, or is this one.

    Raises:
        ValueError: there are fewer than `size` leaves, or a hash in `leaves` is not 32 bytes long.
    """
    if not 0 <= size <= len(leaves):
        raise ValueError(f"no earlier tree of {size} in a tree of {len(leaves)}")
    if size == 0:
        return ()
    start, stop = 0, len(leaves)
    path: list[bytes] = []
    while size != stop:
        middle = start + _split(stop - start)
        if size <= middle:
            path.append(_range_root(leaves, middle, stop))
            stop = middle
        else:
            path.append(_range_root(leaves, start, middle))
            start = middle
    # The earlier tree ends with this subtree. If it is the whole of it, its root is known already.
    if start > 0:
        path.append(_range_root(leaves, start, stop))
    return tuple(reversed(path))


def _split(size: int) -> int:
    """The largest power of two below `size`, which is at least 2: where RFC 6962 cuts a list."""
    return 1 << ((size - 1).bit_length() - 1)


def _range_root(leaves: Sequence[bytes], start: int, stop: int) -> bytes:
    return root(extended(EMPTY, leaves[start:stop]))
