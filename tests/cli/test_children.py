"""Gate, notary and witness as processes (sluicegate.cli.children)."""

from __future__ import annotations

import pytest

from sluicegate.cli import children

EVERYTHING = "         0          0 4294967295\n"


@pytest.mark.parametrize(
    ("uid_map", "span"),
    [
        (EVERYTHING, children.HIGH_UIDS),
        ("0 100000 65536\n", children.DYNAMIC_UIDS),
        ("0 0 1\n1 100000 65536\n", children.DYNAMIC_UIDS),
    ],
)
@pytest.mark.parametrize("number", [0, 1, 12_345, 2**64 - 1])
def test_three_identities_of_their_own(uid_map: str, span: tuple[int, int], number: int) -> None:
    gate, notary, witness = children.service_uids(uid_map, number)
    assert (notary, witness) == (gate + 1, gate + 2)
    assert span[0] <= gate < witness <= span[1]


def test_two_runs_have_other_identities() -> None:
    one, other = (children.service_uids(EVERYTHING, number) for number in (8, 9))
    assert not {*one} & {*other}
