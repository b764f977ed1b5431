from __future__ import annotations

from dataclasses import replace

import pytest

from sluicegate.evidence import equation
from sluicegate.evidence.equation import COUNTERS, EquationError, Held, between, open_lines, solved

ZERO = dict.fromkeys(COUNTERS, 0)
TOTALS = {"bytes_up": 10, "bytes_down": 20}
# As measured in both tiers: three decided connections, two to the resolver, one of the command's own, and two attempts
# at its own closed ports.
RISEN = ZERO | {
    "log.lost": 1,
    "dns.lost": 1,
    "captured": 3,
    "captured_dns": 2,
    "local": 3,
    "local_refused": 2,
    "Tcp.ActiveOpens": 8,
    "Tcp.PassiveOpens": 6,
    "questions": 5,
    "refused": 7,
}
HELD = Held(
    *(3, 0, 2, 4, 1, 2, 6, 1),
    up=10,
    down=20,
    kernel_up=10,
    kernel_down=20,
)
# As measured with the gate stopped for five seconds under 6,000 connections at once.
OVERRUN = ZERO | {
    "captured": 16_151,
    "captured_dns": 1,
    "TcpExt.TCPSynRetrans": 10_152,
    "Tcp.ActiveOpens": 6000,
    "Tcp.PassiveOpens": 6000,
}


def lines(risen: dict[str, int], held: Held, totals: dict[str, int] = TOTALS) -> list[str]:
    return open_lines(solved(risen, held, totals))


def test_what_was_measured_comes_out() -> None:
    assert lines(RISEN, HELD) == []
    found = solved(RISEN, HELD, TOTALS)
    assert found["derived"] == {
        "accepted": 5,
        "repeats": 0,
        "local_established": 1,
        "unfinished": 0,
    }
    assert set(found) == {"kernel", "record", "derived", "residual"}


def test_a_queue_that_was_overrun_leaves_no_residual() -> None:
    held = Held(flows=2636, overload=3363, dns_tcp=1, tcp=1)
    assert lines(OVERRUN, held, {"bytes_up": 0, "bytes_down": 0}) == []
    hidden = replace(held, flows=2635)
    assert lines(OVERRUN, hidden, {"bytes_up": 0, "bytes_down": 0}) == ["established: +1"]


@pytest.mark.parametrize(
    ("member", "by", "said"),
    [
        ("flows", -1, "established: +1"),
        ("flows", 1, "captured: -1"),
        ("overload", 1, "unfinished: -1"),
        ("dns_tcp", 1, "captured_dns: -1"),
        ("tcp", -1, "dns_tcp: -1"),
        ("udp", -1, "questions: +1"),
        ("udp_lost", 1, "questions: -1"),
        ("udp_lost", 1, "lost_questions: +1"),
        ("drops_lost", -1, "lost_log: -1"),
        ("drops", -1, "refused: +1"),
        ("drops_lost", 1, "refused: -1"),
        ("up", 1, "bytes_up: +1"),
        ("kernel_down", 1, "bytes_down: -1"),
    ],
)
def test_a_receipt_too_few_or_too_many_shows(member: str, by: int, said: str) -> None:
    assert said in lines(RISEN, replace(HELD, **{member: getattr(HELD, member) + by}))


@pytest.mark.parametrize(
    ("counter", "by", "said"),
    [
        ("captured", 1, "attempts: +1"),
        ("Tcp.ActiveOpens", 1, "attempts: -1"),
        ("Tcp.PassiveOpens", 1, "established: +1"),
        ("Tcp.PassiveOpens", -2, "established: -1"),
        ("local_refused", 1, "established: +1"),
        ("questions", 1, "questions: +1"),
        ("refused", -1, "refused: -1"),
    ],
)
def test_a_packet_that_nobody_recorded_shows(counter: str, by: int, said: str) -> None:
    assert said in lines(RISEN | {counter: RISEN[counter] + by}, HELD)


def test_totals_of_the_gate_are_those_of_its_receipts() -> None:
    assert lines(RISEN, HELD, TOTALS | {"bytes_up": 11}) == ["total_up: +1"]
    assert lines(RISEN, HELD, {"bytes_up": 10}) == ["total_down: -21"]


def test_only_what_rose_during_the_run_counts() -> None:
    before = dict.fromkeys(COUNTERS, 5)
    after = {name: 5 + value for name, value in RISEN.items()}
    assert between(before, after | {"another": 1}) == RISEN


@pytest.mark.parametrize("name", COUNTERS)
@pytest.mark.parametrize("value", [None, -1, 4, True, 7.0, "7"])
def test_counters_that_can_not_be_compared(name: str, value: object) -> None:
    before = dict.fromkeys(COUNTERS, 5)
    with pytest.raises(EquationError, match=name.replace(".", r"\.")):
        between(before, before | {name: value})


def test_what_is_no_object_of_counters() -> None:
    with pytest.raises(EquationError):
        between(None, ZERO)
    with pytest.raises(EquationError):
        between(ZERO, [])


def test_the_gates_own_count() -> None:
    said = {"flows": 3, "dns_tcp": 2, "dns_captured": 4, "dns_lost": 1, "dns_stream": 2}
    said |= {"drops_seen": 6, "drops_lost": 1, **TOTALS, "kernel_up": 10, "kernel_down": 20}
    assert equation.claimed(said) == HELD
    assert equation.claimed({}) == Held()
