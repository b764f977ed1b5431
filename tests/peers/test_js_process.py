"""The program behind a connection: both verifiers take what the witness says and refuse what it can not have said."""

from __future__ import annotations

from pathlib import Path

from sluicegate.evidence import counts
from sluicegate.verify.packet import INVALID, UNPROVEN
from tests.evidence import made
from tests.peers.second import Case, Files, agree
from tests.verify.test_process import CHANGES, exact, gone, shared, unhashed, unsearched


def record(directory: Path, *flows: dict[str, object]) -> Files:
    """The files of a record that was not closed, with such members in the facts of its connections."""
    directory.mkdir()
    desk = made.Desk(directory)
    desk.open()
    desk.record(*(made.message(n, flow=flow) for n, flow in enumerate(flows, 1)))
    desk.join()
    return desk.files(closed=False)


def test_both_take_what_the_witness_says(tmp_path: Path) -> None:
    flows = [{"process": make()} for make in (exact, shared, unsearched, gone, unhashed)]
    assert agree([Case("said", record(tmp_path / "said", *flows))], tmp_path) == [UNPROVEN]


def test_both_refuse_what_it_can_not_have_said(tmp_path: Path) -> None:
    cases = []
    for number, (why, (make, change)) in enumerate(CHANGES.items()):
        facts = make()
        change(facts)
        cases.append(Case(why, record(tmp_path / str(number), {"process": facts})))
    assert agree(cases, tmp_path) == [INVALID] * len(cases)


def test_both_refuse_a_process_where_none_is_looked_for(tmp_path: Path) -> None:
    overload = {**counts.overload(1, "record", made.action(1))}
    overload["flow"] = {**overload["flow"], "process": exact()}  # type: ignore[dict-item]
    intent, outcome = made.pair(1)
    outcome["flow"] = {**outcome["flow"], "process": exact()}  # type: ignore[dict-item]
    cases = []
    for name, messages in (("overload", [overload]), ("outcome", [intent, outcome])):
        (tmp_path / name).mkdir()
        desk = made.Desk(tmp_path / name)
        desk.open()
        desk.record(*messages)
        desk.join()
        cases.append(Case(name, desk.files(closed=False)))
    assert agree(cases, tmp_path) == [INVALID, INVALID]
