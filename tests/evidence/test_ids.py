from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.evidence import ids

FULL = b"\xff" * ids.SEED_BYTES


@given(times=st.lists(st.integers(0, 2**40), min_size=2, max_size=50), dice=st.binary(min_size=10))
def test_ids_rise_whatever_the_clock_does(times: list[int], dice: bytes) -> None:
    for version in (ids.GATE, ids.NOTARY):
        sequence = ids.Rising(version)
        made = [sequence.next(now, dice[:10]) for now in times]
        assert made == sorted(set(made))
        assert len(made) == len(times)


@pytest.mark.parametrize("version", [ids.GATE, ids.NOTARY])
def test_an_id_is_a_uuid_of_its_version(version: int) -> None:
    made = ids.Rising(version).next(0x0123456789AB, FULL)
    assert uuid.UUID(made).version == version
    assert uuid.UUID(made).variant == uuid.RFC_4122
    assert made.startswith("01234567-89ab-")
    assert ids.is_id(made, version)
    assert not ids.is_id(made, ids.GATE + ids.NOTARY - version)


def test_a_counter_that_is_full_borrows_from_the_time() -> None:
    sequence = ids.Rising(ids.GATE)
    first = sequence.next(5, FULL)
    sequence._counter = (1 << ids.COUNTER_BITS) - 2
    last, over = sequence.next(5, FULL), sequence.next(5, FULL)
    assert first < last < over
    assert ids.is_id(over, ids.GATE)


def test_what_is_no_id() -> None:
    good = ids.Rising(ids.GATE).next(1, FULL)
    for bad in ("", "id-1", good.upper(), good[:-1], good + "\n", good.replace("-", "")):
        assert not ids.is_id(bad, ids.GATE)


def test_the_moment_of_an_id_is_that_of_its_making_or_of_the_one_before() -> None:
    rising = ids.Rising(ids.GATE)
    made = [rising.next(at, bytes(ids.SEED_BYTES)) for at in (1_700_000_000_123, 5)]
    assert [ids.moment_ms(one) for one in made] == [1_700_000_000_123] * 2
