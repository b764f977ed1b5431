from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given

from sluicegate.report import sarif as module
from sluicegate.report.sarif import sarif, uri
from sluicegate.report.verdict import Case
from tests.report import cases

# What of the schema of SARIF 2.1.0 is about what we write, and what GitHub demands besides.
TEXT = {
    "type": "object",
    "required": ["text"],
    "properties": {"text": {"type": "string", "minLength": 1}},
}
RESULT: dict[str, Any] = {
    "type": "object",
    "required": ["ruleId", "ruleIndex", "level", "message", "locations", "partialFingerprints"],
    "properties": {
        "ruleId": {"type": "string", "minLength": 1},
        "ruleIndex": {"type": "integer", "minimum": 0},
        "level": {"enum": ["none", "note", "warning", "error"]},
        "message": TEXT,
        "occurrenceCount": {"type": "integer", "minimum": 1},
        "partialFingerprints": {"type": "object", "additionalProperties": {"type": "string"}},
        "locations": {
            "type": "array",
            "minItems": 1,
            "maxItems": 1,
            "items": {
                "type": "object",
                "required": ["physicalLocation"],
                "properties": {
                    "physicalLocation": {
                        "type": "object",
                        "required": ["artifactLocation", "region"],
                        "properties": {
                            "artifactLocation": {
                                "type": "object",
                                "required": ["uri"],
                                "properties": {
                                    "uri": {
                                        "type": "string",
                                        "format": "uri-reference",
                                        "minLength": 1,
                                    }
                                },
                            },
                            "region": {
                                "type": "object",
                                "required": ["startLine"],
                                "properties": {"startLine": {"type": "integer", "minimum": 1}},
                            },
                        },
                    }
                },
            },
        },
        "properties": {"type": "object"},
    },
    "additionalProperties": False,
}
RULE = {
    "type": "object",
    "required": [
        "id",
        "name",
        "shortDescription",
        "fullDescription",
        "help",
        "defaultConfiguration",
    ],
    "properties": {"shortDescription": TEXT, "fullDescription": TEXT, "help": TEXT},
}
SCHEMA = {
    "type": "object",
    "required": ["$schema", "version", "runs"],
    "properties": {
        "version": {"const": "2.1.0"},
        "runs": {
            "type": "array",
            "minItems": 1,
            "maxItems": 1,
            "items": {
                "type": "object",
                "required": ["tool", "results"],
                "properties": {
                    "results": {"type": "array", "maxItems": 5001, "items": RESULT},
                    "tool": {
                        "type": "object",
                        "properties": {
                            "driver": {
                                "type": "object",
                                "required": ["name", "version", "rules"],
                                "properties": {
                                    "rules": {"type": "array", "uniqueItems": True, "items": RULE}
                                },
                            }
                        },
                    },
                },
            },
        },
    },
}


def read(case: Case, fallback: str = "sluicegate.yaml") -> list[dict[str, Any]]:
    import jsonschema

    whole = json.loads(sarif(case, fallback, "/checkout"))
    jsonschema.validate(whole, SCHEMA)
    [run] = whole["runs"]
    names = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    results: list[dict[str, Any]] = run["results"]
    assert all(names[one["ruleIndex"]] == one["ruleId"] for one in results)
    return results


def where(result: dict[str, Any]) -> tuple[str, int]:
    found = result["locations"][0]["physicalLocation"]
    return found["artifactLocation"]["uri"], found["region"]["startLine"]


def test_a_finding_is_a_destination_and_stands_at_its_rule() -> None:
    rows = [
        cases.row(1, "https://a/1", rule="deny[2] ci/my policy.yaml:9"),
        cases.row(2, "https://a/2", rule="deny[2] ci/my policy.yaml:9"),
        cases.row(3, "https://b/", rule="default"),
        cases.row(4, "https://c/", rule="secret"),
        cases.row(5, "https://d/", "warn", rule="default"),
        cases.drops(6, "udp"),
    ]
    found = read(cases.of(rows))
    assert [(one["ruleId"], one["level"]) for one in found] == [
        ("denied/secret", "error"),
        ("denied/deny", "warning"),
        ("denied/default", "warning"),
        ("denied/boundary", "note"),
        ("denied/default", "note"),
    ]
    assert found[1]["occurrenceCount"] == 2
    assert where(found[1]) == ("ci/my%20policy.yaml", 9)
    assert where(found[2]) == ("sluicegate.yaml", 1)


def test_a_destination_keeps_its_fingerprint() -> None:
    def prints(line: int) -> list[dict[str, str]]:
        rows = [cases.row(line, f"https://a/{line}", rule=f"deny[2] p.yaml:{line}")]
        return [one["partialFingerprints"] for one in read(cases.of(rows))]

    assert prints(4) == prints(5)


@pytest.mark.parametrize("failing", ["INTACT", "CLOSED", "ACCOUNTED", "PINNED", "INVALID"])
def test_what_does_not_hold_is_a_finding_of_its_own(failing: str) -> None:
    found = read(cases.evil("why", failing))
    level = "intact" if failing == "INVALID" else failing.lower()
    assert (found[0]["ruleId"], found[0]["level"]) == (f"verdict/{level}", "error")
    assert (len(found) > 1) is (failing not in {"INTACT", "INVALID"})


@cases.anything
@given(cases.hostile)
def test_any_text_gives_a_sound_document(text: str) -> None:
    for failing in ("sound", "PINNED", "INVALID"):
        read(cases.evil(text, failing), text or "x")


def test_a_thousand_findings_are_bounded() -> None:
    rows = [cases.row(n, f"https://h{n}/", rule=f"limits.x{n}") for n in range(1500)]
    found = read(cases.of(rows))
    assert len(found) == 1000 <= module.MAX_RESULTS


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("p.yaml", "p.yaml"),
        ("./a/../b c.yaml", "b%20c.yaml"),
        ("/checkout/ci/p.yaml", "ci/p.yaml"),
        ("/etc/p.yaml", "file:///etc/p.yaml"),
        ("../../etc/passwd", "file:///etc/passwd"),
        ("javascript:alert(1)", "javascript%3Aalert%281%29"),
    ],
)
def test_a_path_is_a_reference_below_the_checkout(path: str, said: str) -> None:
    assert uri(path, "/checkout") == said
