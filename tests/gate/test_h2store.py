from __future__ import annotations

from sluicegate.gate.h2store import SPARE, Store


def test_full_at_the_most_and_over_behind_the_spare_part() -> None:
    store = Store(800)
    store.held = 799
    assert (store.full, store.over) == (False, False)
    store.held = 800
    assert (store.full, store.over) == (True, False)
    store.held = 800 + 800 // SPARE
    assert (store.full, store.over) == (True, True)
    assert store.why.endswith("hold 800 bytes already")
