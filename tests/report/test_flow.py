from __future__ import annotations

import json

from hypothesis import given

from sluicegate.report.flow import flows, line
from sluicegate.verify.rows import Row
from tests.report import cases


def test_a_connection_and_its_end() -> None:
    begun, ended = (cases.row(1, "http://h:81/p", "allow", protocol="http") for _ in range(2))
    ended.record["decision_phase"] = "outcome"  # type: ignore[index]
    facts = {**ended.facts, "bytes_up": 1, "bytes_down": 2, "duration_ms": 3, "outcome": "complete"}
    [first], [last] = list(flows(begun)), list(flows(Row(2, ended.record, facts)))
    assert (first.host, first.port, first.up, first.ended) == ("h", 81, None, False)
    assert (last.up, last.down, last.millis, last.reason) == (1, 2, 3, "complete")
    assert first.holder["pid"] == 7


def test_groups_are_flows_with_a_count() -> None:
    [packets] = flows(cases.drops(1, "udp"))
    assert (packets.transport, packets.host, packets.port, packets.count) == ("udp", "udp", 9, 3)
    *_, questions, overload, change = cases.all_rows("n")
    [asked] = flows(questions)
    assert (asked.word, asked.host, asked.count, asked.denied) == ("dns", "n", 2, True)
    [refused] = flows(overload)
    assert (refused.count, refused.rule) == (2, "limits.n")
    assert not list(flows(change))
    assert not list(flows(Row(0, {"verdict": "allow"}, {})))


def test_an_address_in_brackets_loses_them() -> None:
    [flow] = flows(cases.row(1, "tls://[2001:db8::1]:443"))
    assert (flow.host, flow.port) == ("2001:db8::1", 443)


@cases.anything
@given(cases.hostile)
def test_a_line_is_one_line_and_comes_back(text: str) -> None:
    made = line({"a": text, "b": [text], "c": {"d": "", "e": None}, "n": 0})
    assert made.count("\n") == 1
    assert made.isascii()
    assert "##[" not in made
    wanted = {"a": text, "b": [text], "n": 0} if text else {"b": [text], "n": 0}
    assert json.loads(made) == wanted
