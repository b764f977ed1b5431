from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given

from sluicegate.report.escape import visible
from sluicegate.report.junit import junit
from sluicegate.report.told import told
from sluicegate.report.verdict import Case
from tests.evidence import made
from tests.report import cases


def read(case: Case) -> dict[str, dict[str, ET.Element]]:
    """Test cases by suite and name, after the counts were found right."""
    top = ET.fromstring(junit(case))
    assert top.tag == "testsuites"
    found = {}
    for suite in top:
        tests = list(suite.iter("testcase"))
        assert int(suite.attrib["tests"]) == len(tests)
        assert int(suite.attrib["failures"]) == len(list(suite.iter("failure")))
        assert int(suite.attrib["skipped"]) == len(list(suite.iter("skipped")))
        found[suite.attrib["name"]] = {test.attrib["name"]: test for test in tests}
    assert int(top.attrib["tests"]) == len(list(top.iter("testcase")))
    return found


def test_levels_and_probes_are_cases(tmp_path: Path) -> None:
    found = read(cases.case(cases.written(tmp_path, made.some()), made.PIN))
    assert list(found["sluicegate.levels"]) == ["INTACT", "CLOSED", "ACCOUNTED", "PINNED"]
    assert "probe: docker socket" in found["sluicegate.boundary"]
    denied = found["sluicegate.policy"]["a.example:443 by default"]
    skipped = denied.find("skipped")
    assert skipped is not None
    assert skipped.attrib["message"] == "denied 2 times: no rule allows a.example port 443"


def test_an_unknown_signer_is_skipped_and_a_wrong_one_fails(tmp_path: Path) -> None:
    where = cases.written(tmp_path, [])
    for keys, word in (([], "skipped"), ([b"x" * 32], "failure")):
        assert read(cases.case(where, *keys))["sluicegate.levels"]["PINNED"].find(word) is not None


@pytest.mark.parametrize("failing", ["CLOSED", "ACCOUNTED", "PINNED"])
def test_a_level_that_is_not_reached_fails(failing: str) -> None:
    found = read(cases.evil("why", failing))["sluicegate.levels"][failing].find("failure")
    assert found is not None
    assert found.attrib["message"] == found.text == "why"


def test_of_what_does_not_hold_there_are_levels_only() -> None:
    assert list(read(cases.evil("x", "INVALID"))) == ["sluicegate.levels"]


def test_a_hole_and_a_secret_fail() -> None:
    rows = [cases.row(1, "https://h/", rule="secret")]
    found = read(replace(cases.evil("x y"), told=told(rows)))
    assert found["sluicegate.boundary"]["probe: x y"].find("failure") is not None
    assert found["sluicegate.policy"]["h:443 by secret"].find("failure") is not None


@cases.anything
@given(cases.hostile)
def test_any_text_comes_back_from_the_parser(text: str) -> None:
    found = read(cases.evil(text, "ACCOUNTED"))
    failure = found["sluicegate.levels"]["ACCOUNTED"].find("failure")
    assert failure is not None
    assert failure.text == (visible(text) or "not reached")
