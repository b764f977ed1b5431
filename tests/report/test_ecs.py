from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
from hypothesis import given

from sluicegate.report.ecs import Ecs
from sluicegate.verify import library, packet
from sluicegate.verify.packet import Report
from sluicegate.verify.rows import Row, rows
from tests.evidence import made
from tests.report import cases

COUNT = {"type": "integer", "minimum": 0}
# Fields and allowed values of ECS 8.17 that are written.
SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["@timestamp", "ecs", "event", "observer", "network", "labels"],
    "properties": {
        "ecs": {"type": "object", "required": ["version"]},
        "event": {
            "type": "object",
            "required": ["kind", "category", "type", "outcome"],
            "properties": {
                "kind": {"enum": ["alert", "event"]},
                "category": {"const": ["network"]},
                "type": {
                    "type": "array",
                    "items": {"enum": ["connection", "allowed", "denied", "start", "end"]},
                },
                "outcome": {"enum": ["success", "failure"]},
                "duration": COUNT,
                "sequence": COUNT,
                "severity": COUNT,
            },
        },
        "network": {
            "type": "object",
            "properties": {"direction": {"const": "egress"}, "bytes": COUNT},
        },
        "destination": {"type": "object", "properties": {"port": COUNT, "bytes": COUNT}},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
    },
}


def read(given: list[Row], report: Report) -> list[dict[str, Any]]:
    maker = Ecs(report)
    found = [json.loads(one) for row in given for one in maker.lines(row).splitlines()]
    for document in found:
        jsonschema.validate(document, SCHEMA)
    return found


def test_a_record_as_documents(tmp_path: Path) -> None:
    where = cases.written(tmp_path, made.some())
    report = library.examine(str(where), [made.PIN], packet.DEFAULT, {})
    found = read(list(rows(str(where), report)), report)
    assert [one["event"]["action"] for one in found] == [
        *("denied", "denied", "allowed", "allowed", "start", "end", "denied"),
    ]
    end = found[5]
    assert (end["source"]["bytes"], end["destination"]["bytes"], end["network"]["bytes"]) == (
        3,
        4,
        7,
    )
    assert end["event"]["duration"] == 5_000_000
    assert end["destination"]["domain"] == "b.example"
    assert found[1]["destination"] == {"ip": "192.0.2.1", "address": "192.0.2.1", "port": 443}
    assert found[2]["dns"] == {"question": {"name": "a.example"}}


def test_observe_mode_is_an_alert_that_was_allowed() -> None:
    [one] = read([cases.row(1, "https://h/p?q", "warn")], cases.evil("x").report)
    assert (one["event"]["kind"], one["event"]["action"]) == ("alert", "observed")
    assert one["url"]["full"] == "https://h/p?q"


@cases.anything
@given(cases.hostile)
def test_any_text_gives_sound_documents(text: str) -> None:
    read(cases.all_rows(text or "x"), cases.evil(text).report)
