from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sluicegate.evidence import counts, records
from sluicegate.policy import decide
from sluicegate.verify import packet
from sluicegate.verify.accounted import Audit
from sluicegate.verify.packet import INVALID, UNTRUSTED, VALID, Level
from tests.evidence import made

Closed = dict[str, Any]


def closed(change: Callable[[Closed], object]) -> Callable[[made.Desk], dict[str, object]]:
    """An end whose boundary.json is changed before it is signed: the key's holder lies."""

    def act(desk: made.Desk) -> dict[str, object]:
        whole = made.closing(desk.told)
        change(whole)
        desk.closed = whole
        return desk.close()

    return act


def report(
    directory: Path, change: Callable[[Closed], object] = lambda _: None, *more: dict[str, Any]
) -> packet.Report:
    files = made.files(directory, [*made.some(), *more], closed(change), honest=False)
    return packet.verify(files, [made.PIN])


def test_a_run_that_is_accounted_for(tmp_path: Path) -> None:
    found = packet.verify(made.files(tmp_path, made.some()), [made.PIN])
    assert found.outcome == VALID
    said = (
        "every connection decided again, residual 0: 3 connections, 2 questions, 3 refused packets"
    )
    assert found.reached[Level.ACCOUNTED] == (True, said)


def test_a_counter_that_saw_more_than_the_record(tmp_path: Path) -> None:
    """Honestly written down, it is sound evidence of an unsound run."""

    def change(whole: Closed) -> None:
        made.balance(whole, {"captured": 1, "Tcp.ActiveOpens": 1, "Tcp.PassiveOpens": 1})

    found = report(tmp_path, change)
    assert found.outcome == UNTRUSTED
    ok, why = found.reached[Level.ACCOUNTED]
    assert not ok
    assert why.endswith("does not hold: established: +1, unfinished: +1")


CLAIMS = (
    *("connections", "flows", "overload", "allowed", "denied", "observed", "receipts"),
    *("dns_asked", "dns_captured", "dns_stream", "dns_lost", "drops_seen", "drops_lost"),
    *("kernel_up", "kernel_down"),
)


@pytest.mark.parametrize("name", CLAIMS)
def test_a_gate_that_counted_something_else(tmp_path: Path, name: str) -> None:
    """Its own words contradict each other; the record shows it."""

    def change(whole: Closed) -> None:
        whole["gate"][name] += 2

    found = report(tmp_path, change)
    assert found.outcome == UNTRUSTED
    assert found.reached[Level.ACCOUNTED][1].endswith(f"does not hold: {name}: +2")
    assert found.reached[Level.ACCOUNTED][1].startswith("the gate counted")


def test_the_last_connection_is_not_counted_as_one_that_was_refused(tmp_path: Path) -> None:
    """Without the gate's own count of both, the kernel's would be the same."""

    def change(whole: Closed) -> None:
        whole["gate"] |= made.closing(made.numbered([*made.some(), made.message(9)]))["gate"]  # type: ignore[operator]

    found = report(tmp_path, change, {**counts.overload(1, "accept", made.action(9))})
    assert found.outcome == UNTRUSTED
    lines = "the gate counted what the record does not hold: flows: +1, overload: -1, denied: +1"
    assert found.reached[Level.ACCOUNTED][1] == lines


def test_a_denial_whose_intent_ends_otherwise(tmp_path: Path) -> None:
    facts, who = made.known("b.example"), records.Client(9, 40_000)
    decision = decide.decide(made.POLICIES, facts)
    _, denied = decide.answered(made.POLICIES, decision, ("10.0.0.1",))
    assert denied is not None
    messages = (
        records.decision(who, facts, decision, made.action(8)),
        records.decision(who, facts, denied, made.action(9), addresses=("10.0.0.1",)),
        records.outcome(who, facts, decision, made.action(8), records.Outcome("the run ended")),
    )
    found = report(tmp_path, lambda _: None, *map(dict, messages))
    assert found.outcome == INVALID
    assert "an outcome that does not say it was denied" in found.reached[Level.ACCOUNTED][1]


@pytest.mark.parametrize(
    ("where", "name", "value", "said"),
    [
        ("residual", "established", 5, "residual established"),
        ("residual", "extra", 0, "residual extra"),
        ("record", "flows", 9, "record flows"),
        ("kernel", "captured", 9, "kernel captured"),
        ("derived", "accepted", True, "derived accepted"),
    ],
)
def test_an_equation_that_is_not_that_of_the_record(
    tmp_path: Path, where: str, name: str, value: object, said: str
) -> None:
    def change(whole: Closed) -> None:
        whole["equation"][where][name] = value

    found = report(tmp_path, change)
    assert found.outcome == INVALID
    assert found.reached[Level.INTACT][0]
    assert said in found.reached[Level.ACCOUNTED][1]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda w: w["equation"].update(more={}), "other parts"),
        (lambda w: w["equation"]["residual"].update(more=None), "residual more"),
        (lambda w: w["gate"].pop("dns_tcp"), "dns_tcp: not a count"),
        (lambda w: w["gate"].pop("flows"), "flows: not a count"),
        (lambda w: w["counters"].pop("refused"), "counter refused is missing"),
    ],
)
def test_a_boundary_without_its_counts(
    tmp_path: Path, change: Callable[[Closed], object], said: str
) -> None:
    found = report(tmp_path, change)
    assert found.outcome == INVALID
    assert said in found.reached[Level.ACCOUNTED][1]


def test_a_receipt_that_the_policies_do_not_give(tmp_path: Path) -> None:
    lie = made.message(9, "b.example", verdict="block", layer="allowlist", pattern="default")
    lie.pop("phase")
    files = made.files(tmp_path, [*made.some(), lie], honest=False)
    found = packet.verify(files, [made.PIN])
    assert found.outcome == INVALID
    assert found.reached[Level.ACCOUNTED] == (
        False,
        "receipt 7: the receipt says block, the policies give allow",
    )


def test_a_connection_without_a_receipt() -> None:
    audit = Audit.of(made.POLICY)
    for number in (1, 3):
        message: dict[str, Any] = made.message(number)
        record = {**message, "chain_seq": number}
        del record["flow"]
        audit.add(record, message["flow"])
    told: list[dict[str, Any]] = [made.message(n) for n in (1, 3)]
    measured = {"open": made.OPENED, "close": made.closing(told)}
    assert audit.level(measured) == (
        False,
        "the kernel counted what the record does not hold: connections without a receipt: 1",
    )


def test_facts_of_an_unknown_kind() -> None:
    audit = Audit.of(made.POLICY)
    audit.add({"chain_seq": 4}, {"kind": "rumour"})
    audit.add({"chain_seq": 5}, {"kind": "gossip"})
    assert audit.level({}) == (False, "receipt 4: facts of an unknown kind")


def test_policies_that_can_not_be_read() -> None:
    assert "policy.json" in Audit.of(json.dumps({"allow": []}).encode()).level({})[1]
