from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given

from sluicegate.report.ocsf import Ocsf
from sluicegate.verify import library, packet
from sluicegate.verify.packet import Report
from sluicegate.verify.rows import Row, rows
from tests.evidence import made
from tests.report import cases

# What OCSF 1.7 demands of network_activity and http_activity, of the objects in them, and the numbers it knows.
COUNT = {"type": "integer", "minimum": 0}
NAME = {"type": "string", "minLength": 1}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": [
        *(
            "activity_id",
            "category_uid",
            "class_uid",
            "metadata",
            "severity_id",
            "time",
            "type_uid",
        ),
        *("action_id", "disposition_id", "connection_info", "dst_endpoint"),
    ],
    "properties": {
        "activity_id": {"enum": [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 99]},
        "category_uid": {"const": 4},
        "class_uid": {"enum": [4001, 4002]},
        "severity_id": {"enum": [1, 2, 3, 4]},
        "status_id": {"enum": [1, 2]},
        "action_id": {"enum": [1, 2]},
        "disposition_id": {"enum": [1, 2, 17]},
        "time": COUNT,
        "duration": COUNT,
        "count": {"type": "integer", "minimum": 1},
        "is_alert": {"type": "boolean"},
        "metadata": {
            "type": "object",
            "required": ["product", "version"],
            "properties": {
                "version": {"const": "1.7.0"},
                "sequence": COUNT,
                "product": {"type": "object", "required": ["name", "vendor_name"]},
            },
        },
        "connection_info": {
            "type": "object",
            "required": ["direction_id"],
            "properties": {
                "direction_id": {"const": 2},
                "protocol_num": {"type": "integer", "minimum": -1},
            },
        },
        "dst_endpoint": {
            "type": "object",
            "properties": {"port": COUNT, "hostname": NAME, "ip": NAME},
        },
        "traffic": {"type": "object", "additionalProperties": COUNT},
        "http_request": {
            "type": "object",
            "required": ["http_method"],
            "properties": {"url": {"type": "object", "properties": {"port": COUNT}}},
        },
        "http_response": {"type": "object", "required": ["code"], "properties": {"code": COUNT}},
        "actor": {
            "type": "object",
            "properties": {
                "process": {
                    "type": "object",
                    "properties": {
                        "pid": COUNT,
                        "file": {"type": "object", "required": ["name", "type_id"]},
                    },
                }
            },
        },
        "tls": {"type": "object", "required": ["version"]},
        "firewall_rule": {"type": "object", "required": ["name"]},
    },
    "additionalProperties": True,
}


def read(given: list[Row], report: Report) -> list[dict[str, Any]]:
    maker = Ocsf(report)
    found = [json.loads(one) for row in given for one in maker.lines(row).splitlines()]
    for event in found:
        jsonschema.validate(event, SCHEMA)
        assert event["type_uid"] == event["class_uid"] * 100 + event["activity_id"]
        http = event["class_uid"] == 4002
        assert ("http_request" in event) is http
    return found


def test_a_record_as_events(tmp_path: Path) -> None:
    where = cases.written(tmp_path, made.some())
    report = library.examine(str(where), [made.PIN], packet.DEFAULT, {})
    found = read(list(rows(str(where), report)), report)
    assert [(event["activity_name"], event["action"]) for event in found] == [
        ("Refuse", "Denied"),
        ("Refuse", "Denied"),
        ("Traffic", "Allowed"),
        ("Traffic", "Allowed"),
        ("Open", "Allowed"),
        ("Close", "Allowed"),
        ("Refuse", "Denied"),
    ]
    assert found[5]["traffic"] == {"bytes": 7, "bytes_out": 3, "bytes_in": 4}
    assert found[5]["dst_endpoint"] == {"hostname": "b.example", "ip": "192.0.2.9", "port": 443}
    assert [event["metadata"]["sequence"] for event in found] == [1, 2, 3, 3, 4, 5, 6]


@pytest.mark.parametrize(("method", "number"), [("GET", 3), ("PATCH", 9), ("BREW", 99)])
def test_a_request_is_of_the_class_of_http(method: str, number: int) -> None:
    row = cases.row(1, "https://h/p", method=method)
    [event] = read([row], cases.evil("x").report)
    assert (event["class_uid"], event["activity_id"]) == (4002, number)
    assert event["http_request"]["url"]["url_string"] == "https://h/p"


def test_what_observe_mode_let_through_is_logged_and_a_secret_is_severe() -> None:
    given = [cases.row(1, "https://h/", "warn"), cases.row(2, "https://h/", rule="secret")]
    watched, leaked = read(given, cases.evil("x").report)
    assert (watched["action_id"], watched["disposition"]) == (1, "Logged")
    assert leaked["severity"] == "High"


@cases.anything
@given(cases.hostile)
def test_any_text_gives_sound_events(text: str) -> None:
    read(cases.all_rows(text or "x"), cases.evil(text).report)
