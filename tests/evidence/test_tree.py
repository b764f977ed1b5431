from __future__ import annotations

import functools
import hashlib

import pytest

from sluicegate.evidence import tree

# Leaves, roots and proofs of transparency-dev/merkle, proof/verify_test.go.
LEAVES = [
    bytes.fromhex(text)
    for text in (
        *("", "00", "10", "2021", "3031", "40414243", "5051525354555657"),
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
HASHES = [tree.leaf_hash(leaf) for leaf in LEAVES]
NODE_01 = ROOTS[1]
NODE_23 = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
NODE_45 = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"
NODE_67 = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
NODE_4567 = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"
LEAF_1 = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
LEAF_4 = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
LEAF_6 = "b08693ec2e721597130641e8211e7eedccb4c26413963eee6c1e2ed16ffb1a5f"


def over(leaves: list[bytes]) -> tree.Tree:
    return functools.reduce(tree.grown, leaves, tree.EMPTY)


def test_the_empty_tree() -> None:
    assert tree.root(tree.EMPTY).hex() == (
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    )


def test_known_roots_at_every_size() -> None:
    grown = tree.EMPTY
    for size, (leaf, root) in enumerate(zip(LEAVES, ROOTS, strict=True), start=1):
        grown = tree.grown(grown, leaf)
        assert (grown.size, tree.root(grown).hex()) == (size, root)


@pytest.mark.parametrize(
    ("index", "size", "path"),
    [
        (0, 1, []),
        (0, 8, [LEAF_1, NODE_23, NODE_4567]),
        (5, 8, [LEAF_4, NODE_67, ROOTS[3]]),
        (2, 3, [NODE_01]),
        (1, 5, [ROOTS[0], NODE_23, LEAF_4]),
    ],
)
def test_known_inclusion_proofs(index: int, size: int, path: list[str]) -> None:
    found = tree.inclusion_proof(HASHES[:size], index)
    assert [step.hex() for step in found] == path


@pytest.mark.parametrize(
    ("size", "later", "path"),
    [
        (0, 0, []),
        (0, 8, []),
        (1, 1, []),
        (8, 8, []),
        (1, 8, [LEAF_1, NODE_23, NODE_4567]),
        (6, 8, [NODE_45, NODE_67, ROOTS[3]]),
        (2, 5, [NODE_23, LEAF_4]),
        (6, 7, [NODE_45, LEAF_6, ROOTS[3]]),
    ],
)
def test_known_consistency_proofs(size: int, later: int, path: list[str]) -> None:
    found = tree.consistency_proof(HASHES[:later], size)
    assert [step.hex() for step in found] == path


def test_everything_up_to_70_leaves_is_what_go_makes() -> None:
    """Against golang.org/x/mod v0.43.0 sumdb/tlog: TreeHash, ProveRecord, ProveTree, one hash of all."""
    roots, inclusion, consistency = hashlib.sha256(), hashlib.sha256(), hashlib.sha256()
    grown, hashes = tree.EMPTY, list[bytes]()
    for number in range(70):
        grown = tree.grown(grown, str(number).encode())
        hashes.append(tree.leaf_hash(str(number).encode()))
        roots.update(tree.root(grown))
        for index in range(len(hashes)):
            inclusion.update(b"".join(tree.inclusion_proof(hashes, index)))
            consistency.update(b"".join(tree.consistency_proof(hashes, index + 1)))
    assert [one.hexdigest() for one in (roots, inclusion, consistency)] == [
        "c1453d2033d1c31345849020f255d6de090b3b2df66c9830dea640c594122d06",
        "171a8f098bc497a565d7a8b09f113a160cc9344a6099fdc352f6c3e572bb4d7e",
        "44e41d4cae5a7e40faba4cfa595c70bdc5072c09a14cb334675897fad4be2e88",
    ]


def test_what_is_kept_is_one_hash_per_set_bit_of_the_size() -> None:
    grown = tree.EMPTY
    for size in range(1, 300):
        grown = tree.grown(grown, b"x")
        assert len(grown.peaks) == size.bit_count()
    assert hash(grown) == hash(over([b"x"] * 299))


def test_growing_leaves_the_earlier_tree_as_it_was() -> None:
    five = over(LEAVES[:5])
    tree.grown(five, b"other")
    assert tree.root(five).hex() == ROOTS[4]
    assert tree.root(tree.grown(five, LEAVES[5])).hex() == ROOTS[5]


def test_a_leaf_is_not_taken_for_a_node() -> None:
    inner = HASHES[0] + HASHES[1]
    assert tree.root(over([inner])) != tree.root(over(LEAVES[:2]))


def test_joining_a_hash_is_growing_by_its_data() -> None:
    assert functools.reduce(tree.joined, HASHES, tree.EMPTY) == over(LEAVES)


def test_it_grows_by_many_as_by_one_after_the_other() -> None:
    for first in range(len(HASHES) + 1):
        start = over(LEAVES[:first])
        for end in range(first, len(HASHES) + 1):
            assert tree.extended(start, HASHES[first:end]) == over(LEAVES[:end])


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_leaf_hash_of_another_length(length: int) -> None:
    with pytest.raises(ValueError, match=f"a leaf hash has 32 bytes, not {length}"):
        tree.joined(tree.EMPTY, b"x" * length)


@pytest.mark.parametrize(("index", "size"), [(0, 0), (-1, 3), (3, 3), (4, 3)])
def test_no_such_leaf(index: int, size: int) -> None:
    with pytest.raises(ValueError, match=f"no leaf {index} in a tree of {size}"):
        tree.inclusion_proof(HASHES[:size], index)


@pytest.mark.parametrize(("size", "later"), [(-1, 3), (1, 0), (4, 3)])
def test_no_such_earlier_tree(size: int, later: int) -> None:
    with pytest.raises(ValueError, match=f"no earlier tree of {size} in a tree of {later}"):
        tree.consistency_proof(HASHES[:later], size)
