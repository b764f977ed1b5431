from __future__ import annotations

import json
from pathlib import Path

from hypothesis import given

from sluicegate.report.plain import SCHEMA, plain
from tests.evidence import made
from tests.report import cases


def test_totals_and_who_talked_to_whom(tmp_path: Path) -> None:
    found = json.loads(plain(cases.case(cases.written(tmp_path, made.some()), made.PIN)))
    assert (found["schema"], found["sound"], found["state"]) == (SCHEMA, True, "verified")
    assert found["levels"]["PINNED"] == {"reached": True, "reason": "signed by a given key"}
    assert [one["where"] for one in found["destinations"]] == ["a.example:443", "b.example:443"]
    assert found["denials"][0]["remedy"] == "- host: a.example"
    assert found["total"] == {"allowed": 1, "denied": 2, "down": 4, "observed": 0, "up": 3}


def test_of_what_does_not_hold_nothing_is_told() -> None:
    found = json.loads(plain(cases.evil("x", "INVALID")))
    assert not found["sound"]
    assert "denials" not in found


@cases.anything
@given(cases.hostile)
def test_any_text_is_one_line_of_json(text: str) -> None:
    made_ = plain(cases.evil(text))
    assert made_.count("\n") == 1
    assert "##[" not in made_
    assert json.loads(made_)["root"] == text
