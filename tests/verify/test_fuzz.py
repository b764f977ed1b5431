"""Random changes of packets and of all the verifier reads: no false accept, no error of another kind.

`FUZZ=deep` in the environment searches a hundred times longer, each time elsewhere.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sluicegate.verify import packet as check
from sluicegate.verify import strict
from sluicegate.verify.packet import Level
from tests.fuzz import scripts, targets

DEEP = os.environ.get("FUZZ") == "deep"
EXAMPLES = 20_000 if DEEP else 200
search = settings(
    max_examples=EXAMPLES,
    derandomize=not DEEP,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.parametrize("target", targets.TARGETS)
@search
@given(data=st.binary(max_size=64))
def test_nothing_changed_is_taken_for_what_was_signed(target: str, data: bytes) -> None:
    targets.TARGETS[target](data)


@pytest.mark.parametrize("target", targets.TARGETS)
def test_the_seeds(target: str) -> None:
    seeds = targets.seeds(target)
    assert len(seeds) >= 80
    for data in seeds:
        targets.TARGETS[target](data)


def test_scripts_reach_what_they_should() -> None:
    """Every edit changes packets, and some changes leave a clean cut: else the search would be of nothing."""
    bases = targets.bases()
    assert scripts.changed(b"", bases) == bases["whole"]
    for edit in range(len(scripts.EDITS) - 1):
        seeds = [bytes([edit, n, n * 7, n * 3 + 1, n]) for n in range(1, 30)]
        assert any(scripts.changed(data, bases) != bases["whole"] for data in seeds), edit
    assert {len(scripts.bent(bytes([3, n, 9, 1]), b"a" * 99)) for n in range(5)} != {99}


@pytest.mark.parametrize("target", ["packets", "cuts"])
def test_a_verifier_that_accepts_too_much_is_found(
    target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    accepted = dict.fromkeys(Level, (True, ""))
    monkeypatch.setattr(check, "verify", lambda *_, **__: check.Report(0, accepted))
    with pytest.raises(targets.FindingError):
        targets.TARGETS[target](bytes([0, 0, 0, 9, 0, 3, 0, 0]))


def test_a_reader_that_accepts_too_much_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strict, "value", lambda *_: {"a": 2})
    with pytest.raises(targets.FindingError):
        targets.values(b'{"a":1}')
