from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.evidence import tree
from sluicegate.verify import inclusion
from sluicegate.verify.strict import VerificationError

HASHES = [tree.leaf_hash(str(number).encode()) for number in range(70)]
ROOTS = [
    tree.root(functools.reduce(tree.joined, HASHES[:size], tree.EMPTY))
    for size in range(len(HASHES) + 1)
]
OTHER = tree.leaf_hash(b"no leaf of this tree")
SIZES = st.integers(1, len(HASHES))


def refused_inclusion(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes, match: str = "^it: "
) -> None:
    with pytest.raises(VerificationError, match=match):
        inclusion.included(leaf, index, size, proof, root, "it")


def refused_consistency(
    size: int,
    root: bytes,
    later: int,
    later_root: bytes,
    proof: Sequence[bytes],
    match: str = "^it: ",
) -> None:
    with pytest.raises(VerificationError, match=match):
        inclusion.consistent(size, root, later, later_root, proof, "it")


def mutated(proof: Sequence[bytes]) -> Iterator[tuple[bytes, ...]]:
    """Every proof that lacks a hash, has one more, or another in the place of one."""
    for place in range(len(proof)):
        yield (*proof[:place], *proof[place + 1 :])
        yield (*proof[:place], OTHER, *proof[place + 1 :])
        flipped = bytes([proof[place][0] ^ 1]) + proof[place][1:]
        yield (*proof[:place], flipped, *proof[place + 1 :])
        if place and proof[place] != proof[place - 1]:
            yield (*proof[: place - 1], proof[place], proof[place - 1], *proof[place + 1 :])
    for place in range(len(proof) + 1):
        yield (*proof[:place], OTHER, *proof[place:])


def test_every_leaf_of_every_tree() -> None:
    for size in range(1, len(HASHES) + 1):
        for index in range(size):
            proof = tree.inclusion_proof(HASHES[:size], index)
            inclusion.included(HASHES[index], index, size, proof, ROOTS[size], "it")


def test_every_tree_of_every_later_tree() -> None:
    for later in range(len(HASHES) + 1):
        for size in range(later + 1):
            proof = tree.consistency_proof(HASHES[:later], size)
            inclusion.consistent(size, ROOTS[size], later, ROOTS[later], proof, "it")


@given(st.data())
def test_no_mutated_inclusion_proof(data: st.DataObject) -> None:
    size = data.draw(SIZES)
    index = data.draw(st.integers(0, size - 1))
    proof = tree.inclusion_proof(HASHES[:size], index)
    for other in mutated(proof):
        refused_inclusion(HASHES[index], index, size, other, ROOTS[size])
    refused_inclusion(OTHER, index, size, proof, ROOTS[size], match="another root")
    refused_inclusion(HASHES[index], index, size, proof, OTHER, match="another root")


@given(st.data())
def test_an_inclusion_proof_is_for_one_place(data: st.DataObject) -> None:
    size = data.draw(SIZES)
    index = data.draw(st.integers(0, size - 1))
    other = data.draw(st.integers(-1, size).filter(lambda one: one != index))
    proof = tree.inclusion_proof(HASHES[:size], index)
    refused_inclusion(HASHES[index], other, size, proof, ROOTS[size])


@given(st.data())
def test_no_mutated_consistency_proof(data: st.DataObject) -> None:
    later = data.draw(SIZES)
    size = data.draw(st.integers(1, later))
    proof = tree.consistency_proof(HASHES[:later], size)
    for other in mutated(proof):
        refused_consistency(size, ROOTS[size], later, ROOTS[later], other)
    refused_consistency(size, OTHER, later, ROOTS[later], proof)
    refused_consistency(size, ROOTS[size], later, OTHER, proof)


@given(st.data())
def test_a_consistency_proof_is_for_two_sizes(data: st.DataObject) -> None:
    later = data.draw(st.integers(2, len(HASHES)))
    size = data.draw(st.integers(1, later - 1))
    proof = tree.consistency_proof(HASHES[:later], size)
    other = data.draw(st.integers(1, later).filter(lambda one: one != size))
    refused_consistency(other, ROOTS[size], later, ROOTS[later], proof)
    refused_consistency(other, ROOTS[other], later, ROOTS[later], proof)


@given(st.data())
def test_a_changed_past_is_seen(data: st.DataObject) -> None:
    later = data.draw(st.integers(2, len(HASHES)))
    size = data.draw(st.integers(1, later - 1))
    place = data.draw(st.integers(0, size - 1))
    forged = [*HASHES[:place], OTHER, *HASHES[place + 1 : later]]
    root = tree.root(functools.reduce(tree.joined, forged, tree.EMPTY))
    proof = tree.consistency_proof(forged, size)
    refused_consistency(size, ROOTS[size], later, root, proof, match="another (earlier|later) root")


def length(index: int, size: int) -> int:
    """How long an inclusion proof is, computed another way: the borders it meets, and those above."""
    inner = (index ^ (size - 1)).bit_length()
    return inner + (index >> inner).bit_count()


def test_the_length_of_a_proof() -> None:
    for size in (1, 2, 3, 6, 64, 65, 70):
        for index in range(size):
            proof = tree.inclusion_proof(HASHES[:size], index)
            assert len(proof) == length(index, size)
            leaf, root = HASHES[index], ROOTS[size]
            refused_inclusion(leaf, index, size, (*proof, OTHER), root, match="proof is too long")
            if proof:
                refused_inclusion(leaf, index, size, proof[:-1], root, match="proof is too short")


def test_what_is_refused_is_named() -> None:
    proof = tree.inclusion_proof(HASHES[:7], 2)
    leaf, root = HASHES[2], ROOTS[7]
    refused_inclusion(leaf, 7, 7, proof, root, match=r"^it: no leaf 7 in a tree of 7$")
    refused_inclusion(leaf, -1, 7, proof, root, match=r"^it: no leaf -1 in a tree of 7$")
    refused_inclusion(leaf, 0, 0, (), tree.EMPTY_ROOT, match=r"^it: no leaf 0 in a tree of 0$")
    refused_inclusion(leaf, 2, 7, (b"", *proof), root, match=r"^it: a hash of 0 bytes, not 32$")
    refused_inclusion(leaf[1:], 2, 7, proof, root, match=r"^it: a hash of 31 bytes, not 32$")
    refused_inclusion(leaf, 2, 7, proof, root + b"x", match=r"^it: a hash of 33 bytes, not 32$")
    refused_inclusion(HASHES[3], 2, 7, proof, root, match=r"^it: the inclusion proof leads to ano")


def test_what_is_not_consistent_is_named() -> None:
    proof = tree.consistency_proof(HASHES[:7], 6)
    six, seven, empty = ROOTS[6], ROOTS[7], tree.EMPTY_ROOT
    refused_consistency(7, seven, 6, six, proof, match=r"^it: a tree of 6 cannot follow one of 7$")
    refused_consistency(-1, six, 7, seven, proof, match="a tree of 7 cannot follow one of -1")
    refused_consistency(6, six, 7, seven, (), match=r"^it: the consistency proof is too short$")
    refused_consistency(6, six, 7, seven, proof[:-1], match="the consistency proof is too short")
    refused_consistency(6, six, 7, seven, (*proof, six), match="the consistency proof is too long")
    refused_consistency(7, seven, 7, seven, proof, match=r"^it: the consistency proof is too long$")
    refused_consistency(7, seven, 7, six, (), match=r"^it: two roots for the same size$")
    refused_consistency(0, empty, 7, seven, proof, match="the consistency proof is too long")
    refused_consistency(0, six, 7, seven, (), match="the root is not that of an empty tree")
    refused_consistency(0, six, 0, six, (), match="the root is not that of an empty tree")
    refused_consistency(6, six, 7, six, proof, match="leads to another later root")
    refused_consistency(6, b"", 7, seven, proof, match=r"^it: a hash of 0 bytes, not 32$")


def test_a_tree_of_a_power_of_two_needs_its_root_in_no_proof() -> None:
    proof = tree.consistency_proof(HASHES[:5], 4)
    assert proof == (HASHES[4],)
    inclusion.consistent(4, ROOTS[4], 5, ROOTS[5], proof, "it")
    refused_consistency(4, ROOTS[4], 5, ROOTS[5], (ROOTS[4], *proof))
