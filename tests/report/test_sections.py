from __future__ import annotations

from pathlib import Path

import pytest

from sluicegate.report import sections
from sluicegate.report.verdict import Case, State
from sluicegate.verify.packet import Level
from tests.evidence import made
from tests.report import cases
from tests.report.dom import Node, read


def one(text: str) -> Node:
    [node] = read(text)
    return node


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return cases.case(cases.written(tmp_path, made.some()), made.PIN)


def test_the_verdict_has_a_rung_for_each_level(case: Case) -> None:
    header = one(sections.verdict(case))
    assert header.find("h1")[0].text == "Verified by a key you named"
    rungs = header.find("li")
    assert [rung.attributes["data-level"] for rung in rungs] == [level.value for level in Level]
    assert all("It does not say: " in rung.text for rung in rungs)
    assert sections.kind(case) == "good"


@pytest.mark.parametrize("failing", ["INTACT", "CLOSED", "ACCOUNTED", "PINNED", "INVALID"])
def test_what_does_not_hold_says_so_and_why(failing: str) -> None:
    found = cases.evil("why it is so", failing)
    header = one(sections.verdict(found))
    assert sections.kind(found) == "bad"
    assert header.find("p", role="alert")[0].text == "why it is so"
    assert any(rung.attributes["data-reached"] == "false" for rung in header.find("li"))


def test_every_state_has_a_title() -> None:
    assert sections._TITLES.keys() == set(State)


def test_the_run_says_whose_it_was(case: Case) -> None:
    pairs = {
        div.children[0].text: div.children[1].text
        for div in one(sections.identity(case)).find("div")
    }
    assert pairs["command"] == "curl with 1 argument"
    assert pairs["exit code"] == "7"
    assert pairs["key"] == f"{made.PUBLIC} given from outside the run"
    assert "repository" not in pairs


def test_the_posture_is_what_was_probed(case: Case) -> None:
    section = one(sections.posture(case))
    assert section.find("p")[0].text.startswith("measured ")
    assert "docker socketENOENTshut" in [row.text for row in section.find("tr")]
    assert "1 variable withheld from the command" in [node.text for node in section.find("summary")]
    holes = one(sections.posture(cases.evil("a hole")))
    assert holes.find("p")[0].text == "holes 1 of 2 ways were not shut."
    assert holes.find("tr")[1].text == "a holea holeopen"


def test_the_equation_is_kernel_against_record(case: Case) -> None:
    rows = [row.text for row in one(sections.equation(case)).find("tr")]
    for row in ("connections330", "DNS questions220", "packets refused440", "bytes sent330"):
        assert row in rows, rows
    open_ = one(sections.equation(cases.evil("line")))
    assert "line+3" in [row.text for row in open_.find("tr")]
    assert "nothing to hold the receipts against" in sections.equation(
        cases.Case(cases.packet.refused("x"), None, pinned=False)
    )


def test_the_policy_is_shown_as_it_was_hashed() -> None:
    assert sections.policy(None) == ""
    section = one(sections.policy(b'{"policies":[{"mode":"</pre>"}]}'))
    assert '"mode": "</pre>"' in section.find("pre")[0].text


def test_how_to_verify_without_the_page(case: Case, tmp_path: Path) -> None:
    section = one(sections.how(case))
    assert "sluicegate verify PACKET --key release.pub" in section.text
    assert "openssl pkeyutl -verify" in section.text
    assert made.PUBLIC in sections.how(cases.case(tmp_path / "packet"))
