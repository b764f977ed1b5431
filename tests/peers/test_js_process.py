"""The program behind a connection: both verifiers take what the witness says and refuse what it can not have said."""

from __future__ import annotations

from pathlib import Path

import pytest

from sluicegate.verify.packet import INVALID, VALID
from tests.evidence import made
from tests.peers.second import both
from tests.verify.test_process import CHANGES, Facts, exact, gone, shared, unhashed, unsearched


def packet(tmp_path: Path, *flows: dict[str, object]) -> Path:
    desk = made.Desk(tmp_path)
    desk.open()
    desk.record(*(made.message(n, flow=flow) for n, flow in enumerate(flows)))
    desk.close()
    return tmp_path


def test_both_take_what_the_witness_says(tmp_path: Path) -> None:
    flows = [{"process": make()} for make in (exact, shared, unsearched, gone, unhashed)]
    assert both(packet(tmp_path, *flows)) == (VALID, VALID)


@pytest.mark.parametrize("why", CHANGES)
def test_both_refuse_what_it_can_not_have_said(tmp_path: Path, why: str) -> None:
    make, change = CHANGES[why]
    facts: Facts = make()
    change(facts)
    assert both(packet(tmp_path, {"process": facts})) == (INVALID, INVALID)


def test_both_refuse_a_process_of_what_is_no_connection(tmp_path: Path) -> None:
    flow = {"kind": "overload", "process": exact()}
    assert both(packet(tmp_path, flow)) == (INVALID, INVALID)
