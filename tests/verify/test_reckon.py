from __future__ import annotations

from typing import Any

import pytest

from sluicegate.verify.reckon import Reckoning
from sluicegate.verify.strict import VerificationError
from tests.evidence import made


def add(sums: Reckoning, message: dict[str, Any], **changes: Any) -> None:
    flow = {**message["flow"], **changes}
    record = {"decision_phase": message.get("phase"), "verdict": message["verdict"]}
    sums.add(record, flow, "receipt 1")


def test_connections_are_counted_once_in_any_order() -> None:
    sums = Reckoning()
    for number in (2, 5, 1, 2, 3, 1, 5, 4, 4):
        add(sums, made.message(number))
    assert (sums.sums.flows, sums.highest, sums.missing) == (5, 5, 0)
    add(sums, made.message(8))
    assert (sums.sums.flows, sums.missing) == (6, 2)


def test_what_has_been_seen_takes_no_room() -> None:
    sums = Reckoning()
    for number in range(1, 1000):
        add(sums, made.message(number))
    assert not sums._ahead


def test_bytes_are_those_of_outcomes() -> None:
    sums, (intent, outcome) = Reckoning(), made.pair(1)
    add(sums, intent)
    add(sums, outcome, bytes_up=5, kernel_up=6, bytes_down=7, kernel_down=8)
    add(sums, outcome, kernel_down=0)
    held = sums.held(0)
    assert (held.up, held.kernel_up, held.down, held.kernel_down) == (8, 9, 11, 8)


def test_questions_by_the_way_they_came() -> None:
    sums = Reckoning()
    ways = {"udp": 3, "udp-loopback": 10, "tcp": 2}
    asked = [{"via": via, "count": count} for via, count in ways.items()]
    sums.add({}, {"kind": "dns", "questions": asked}, "")
    sums.add({}, {"kind": "dns", "questions": [], "lost": 4}, "")
    held = sums.held(2)
    assert (held.udp, held.udp_lost, held.tcp, held.dns_tcp) == (3, 4, 2, 2)
    assert sums.claims(2)["dns_asked"] == 15


def test_what_the_gate_must_have_counted() -> None:
    sums = Reckoning()
    for message in made.numbered([*made.some(), made.message(9, "w.example")]):
        record = {"decision_phase": message.get("phase"), "verdict": message["verdict"]}
        sums.add(record, message["flow"], "")  # type: ignore[arg-type]
    sums.add({}, {"kind": "boundary"}, "")
    assert sums.claims(1) == {
        "connections": 5,
        "flows": 4,
        "dns_tcp": 1,
        "overload": 0,
        "receipts": 7,
        "allowed": 1,
        "denied": 2,
        "observed": 1,
        "dns_asked": 3,
        "dns_captured": 2,
        "dns_stream": 0,
        "dns_lost": 0,
        "drops_seen": 3,
        "drops_lost": 1,
        "drops_sequence": 4,
        "broken": 0,
        "refused_requests": 0,
        "proxied": 0,
        "http": 0,
        "http_up": 0,
        "bytes_up": 3,
        "bytes_down": 4,
        "kernel_up": 3,
        "kernel_down": 4,
    }


def test_drops_and_overload() -> None:
    sums = Reckoning()
    sums.add(
        {}, {"kind": "drop", "groups": [{"count": 3}, {"count": 4}], "lost": 2, "sequence": 8}, ""
    )
    for limit in ("connections", "record", "accept", "descriptors", "requests", "memory"):
        sums.add({}, {"kind": "overload", "count": 10, "limit": limit}, "")
    held = sums.held(0)
    assert (held.drops, held.drops_lost, held.sequence) == (7, 2, 8)
    assert (held.overload, held.requests) == (40, 20)


@pytest.mark.parametrize("sequence", [6, 9])
def test_the_kernels_numbers_never_fall(sequence: int) -> None:
    sums, line = Reckoning(), {"kind": "drop", "groups": [{"count": 3}], "lost": 0}
    sums.add({}, line | {"sequence": 7}, "")
    with pytest.raises(VerificationError, match="the sequence fell"):
        sums.add({}, line | {"sequence": sequence, "groups": [{"count": sequence}]}, "")


def test_what_may_exceed_the_bytes_of_outcomes() -> None:
    sums, (_, outcome) = Reckoning(), made.pair(1)
    add(sums, made.message(1), via="connect")
    add(sums, outcome, bytes_up=5, protocol="http", via="socks")
    add(sums, outcome, bytes_up=7, outcome="idle for too long", via="absolute-form")
    held = sums.held(0)
    assert (held.denied, held.broken, held.proxied, held.http, held.http_up) == (1, 1, 2, 1, 5)


@pytest.mark.parametrize(
    ("flow", "said"),
    [
        ({"kind": "connection", "connection": 0}, "numbered from 1"),
        ({"kind": "connection", "connection": True}, "not a count"),
        ({"kind": "connection"}, "not a count"),
        ({"kind": "dns", "questions": {}}, "not a list"),
        ({"kind": "dns", "questions": [3]}, "not an object"),
        ({"kind": "dns", "questions": [{"count": -1}]}, "not a count"),
        ({"kind": "drop", "groups": []}, "lost"),
        ({"kind": "drop", "groups": [], "lost": 0}, "sequence"),
        ({"kind": "overload", "count": "1", "limit": "record"}, "not a count"),
    ],
)
def test_what_no_gate_writes(flow: dict[str, Any], said: str) -> None:
    with pytest.raises(VerificationError, match=said):
        Reckoning().add({}, flow, "receipt 1")


def test_an_outcome_without_its_bytes() -> None:
    with pytest.raises(VerificationError, match="bytes_up"):
        Reckoning().add({"decision_phase": "outcome"}, made.message(1)["flow"], "")  # type: ignore[arg-type]


def test_numbers_far_ahead_are_not_kept_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sluicegate.verify.reckon.MAX_AHEAD", 3)
    sums = Reckoning()
    for number in (2, 3, 4):
        add(sums, made.message(number))
    with pytest.raises(VerificationError, match="left out"):
        add(sums, made.message(5))
