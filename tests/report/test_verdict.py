from __future__ import annotations

from pathlib import Path

import pytest

from sluicegate.report.verdict import MEANS, SAYS, State, part
from sluicegate.verify.packet import FINISHED, Level
from tests.evidence import made
from tests.report import cases


def test_every_state_and_level_has_its_words() -> None:
    assert SAYS.keys() == set(State)
    assert MEANS.keys() == set(Level)


def test_a_sound_record_with_and_without_a_key(tmp_path: Path) -> None:
    where = cases.written(tmp_path, made.some())
    pinned, open_, other = (cases.case(where, *keys) for keys in ([made.PIN], [], [b"x" * 32]))
    assert (pinned.state, pinned.sound, pinned.why) == (State.VERIFIED, True, "")
    assert (open_.state, open_.sound) == (State.CONSISTENT, True)
    assert (other.state, other.sound) == (State.FOREIGN, False)
    assert other.why.startswith("signed by another key")
    assert not pinned.ephemeral
    assert pinned.opened["tier"] == "netns-root"
    assert pinned.run["agent_exit_code"] == 7


def test_what_does_not_hold(tmp_path: Path) -> None:
    where = cases.written(tmp_path, made.some())
    for name in FINISHED:
        (where / name).unlink()
    lines = (where / "evidence.jsonl").read_bytes().splitlines(keepends=True)
    (where / "evidence.jsonl").write_bytes(b"".join(lines[:4]))
    (where / "boundary.json").unlink()
    cut = cases.case(where, made.PIN)
    assert (cut.state, cut.sound, cut.closed) == (State.PREFIX, False, {})
    (where / "evidence.jsonl").write_bytes(b"".join(lines[1:]))
    forged = cases.case(where, made.PIN)
    assert (forged.state, forged.sound, forged.told) == (State.INVALID, False, None)


@pytest.mark.parametrize(
    ("failing", "state"),
    [
        ("sound", State.VERIFIED),
        ("INTACT", State.INVALID),
        ("CLOSED", State.PREFIX),
        ("ACCOUNTED", State.OPEN),
        ("PINNED", State.FOREIGN),
        ("INVALID", State.INVALID),
    ],
)
def test_the_lowest_rung_that_is_open_names_the_state(failing: str, state: State) -> None:
    assert cases.evil("x", failing).state is state


def test_reservations_are_told() -> None:
    assert cases.evil("a hole").reservations == (
        "the boundary had holes that the caller chose to ignore: a hole",
    )


def test_a_part_that_is_none() -> None:
    assert part({"x": 3}, "x") == part({}, "x") == {}
