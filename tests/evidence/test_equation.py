from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
    "local_answered": 1,
    "local_refused": 2,
    "Tcp.ActiveOpens": 8,
    "Tcp.PassiveOpens": 6,
    "questions": 5,
    "refused": 7,
    # 8 bytes in a plain segment of each family up, and what else there was without data.
    "up4": 3,
    "up4.bytes": 3 * 52 + 6,
    "up6": 2,
    "up6.bytes": 2 * 72 + 4,
    "up_odd": 0,
    "down4": 2,
    "down4.bytes": 2 * 52 + 20,
    "down_odd": 1,
    "down_odd.bytes": 60,
}
HELD = Held(
    *(3, 0, 2, 4, 1, 2, 6, 1),
    up=10,
    down=20,
    kernel_up=10,
    kernel_down=20,
    sequence=6,
)
# As measured with the gate stopped for five seconds under 6,000 connections at once.
OVERRUN = ZERO | {
    "captured": 16_151,
    "captured_dns": 1,
    "TcpExt.TCPSynRetrans": 10_152,
    "Tcp.RetransSegs": 10_152,
    "tcp.lost": 9_250,
    "lo.lost": 902,
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
        "unfinished_most": 0,
        "up_least": 10,
        "up_most": 10,
        "down_least": 20,
        "down_most": 40,
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
        ("flows", -1, "unfinished: +1"),
        ("flows", 1, "captured: -1"),
        ("overload", 1, "unfinished: -1"),
        ("dns_tcp", 1, "captured_dns: -1"),
        ("tcp", -1, "dns_tcp: -1"),
        ("udp", -1, "questions: +1"),
        ("udp_lost", 1, "questions: -1"),
        ("udp_lost", 1, "lost_questions: +1"),
        ("drops_lost", -1, "lost_log: -1"),
        ("drops", -1, "refused: +1"),
        ("drops", 1, "sequence: -1"),
        ("sequence", 2, "sequence: +1"),
        ("sequence", -1, "sequence: -1"),
        ("drops_lost", 1, "refused: -1"),
        ("up", 1, "bytes_up: +1"),
        ("up", 1, "segments_up: -1"),
        ("up", -1, "segments_up: +1"),
        ("down", -1, "segments_down: +1"),
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
        ("local_refused", 3, "established: +3"),
        ("local_answered", -1, "established: +1"),
        ("questions", 1, "questions: +1"),
        ("refused", -1, "refused: -1"),
    ],
)
def test_a_packet_that_nobody_recorded_shows(counter: str, by: int, said: str) -> None:
    assert said in lines(RISEN | {counter: RISEN[counter] + by}, HELD)


def test_a_connection_hidden_among_the_commands_own_attempts_shows() -> None:
    """It overran its own listener, which widens one line; no SYN on its way to the gate was lost."""
    risen = RISEN | {"local": 9, "local_answered": 4, "Tcp.ActiveOpens": 14}
    assert lines(risen, HELD) == []
    assert lines(risen, replace(HELD, flows=2)) == ["unfinished: +1"]
    risen |= {"local_answered": 1}
    assert lines(risen, replace(HELD, flows=2)) == ["established: +1", "unfinished: +1"]


@pytest.mark.parametrize(
    "name",
    ["tcp.lost", "dns_tcp.lost", "lo.lost", "TcpExt.EmbryonicRsts", "TcpExt.SyncookiesSent"],
)
def test_an_attempt_that_was_lost_is_unfinished(name: str) -> None:
    risen = RISEN | {"captured": 4, "Tcp.ActiveOpens": 9}
    assert lines(risen, HELD) == ["unfinished: +1"]
    assert lines(risen | {name: 1}, HELD) == []


MIB = 1 << 20


@pytest.mark.parametrize("way", ["up", "down"])
@pytest.mark.parametrize(("plain", "header"), [("4", 52), ("6", 72)])
def test_a_mebibyte_that_no_outcome_has_shows(way: str, plain: str, header: int) -> None:
    risen = dict(RISEN)
    risen[f"{way}{plain}"] += 16
    risen[f"{way}{plain}.bytes"] += 16 * header + MIB
    assert lines(risen, HELD) == [f"segments_{way}: +{MIB}"]
    # Sent again is not sent twice, and a repeated SYN carries nothing.
    assert lines(risen | {"Tcp.RetransSegs": 16}, HELD) == []
    again = risen | {"Tcp.RetransSegs": 16, "TcpExt.TCPSynRetrans": 16}
    assert lines(again, HELD) == [f"segments_{way}: +{MIB}"]


def test_segments_of_unknown_headers_hold_at_least_what_the_longest_leave() -> None:
    odd = {"up_odd": 10, "up_odd.bytes": 10 * 120 + 7}
    assert lines(RISEN | odd, HELD) == ["segments_up: +7"]
    risen = RISEN | {"up4.bytes": RISEN["up4.bytes"] - 6, "up_odd": 1, "up_odd.bytes": 46}
    assert lines(risen, HELD) == []
    assert lines(risen | {"up_odd.bytes": 45}, HELD) == ["segments_up: -1"]


@pytest.mark.parametrize(
    ("way", "member", "count", "slack"),
    [
        ("down", "denied", 1, equation.LAST_WORDS_BYTES),
        ("down", "broken", 1, equation.LAST_WORDS_BYTES),
        ("down", "requests", 1, equation.LAST_WORDS_BYTES),
        ("down", "proxied", 1, equation.PROXY_REPLY_BYTES),
        ("down", "http", 9, 0),
        ("up", "denied", 1, equation.UNPASSED_BYTES),
        ("up", "broken", 1, equation.UNPASSED_BYTES),
        ("up", "http", 1, equation.UNPASSED_BYTES),
        ("up", "proxied", 1, equation.PROXY_HEAD_BYTES),
        ("up", "http_up", 1, equation.CHUNK_LINE_BYTES),
    ],
)
def test_what_segments_may_hold_besides_outcomes(
    way: str, member: str, count: int, slack: int
) -> None:
    risen = RISEN | {f"{way}4.bytes": RISEN[f"{way}4.bytes"] + slack + 1}
    held = replace(HELD, **{member: count})
    assert lines(risen, held) == [f"segments_{way}: +1"]


SEGMENTS = st.lists(
    st.tuples(st.sampled_from("46"), st.booleans(), st.integers(0, 65_000), st.integers(0, 40)),
    min_size=1,
    max_size=30,
)


def carried(way: str, segments: list[tuple[str, bool, int, int]]) -> tuple[dict[str, int], int]:
    """What the counters rise by for segments of a family, plain or with other options; and their data."""
    risen, total = dict.fromkeys((n for n in COUNTERS if n.startswith(way)), 0), 0
    for family, odd, size, options in segments:
        ip = 20 if family == "4" else 40
        name, header = (f"{way}_odd", ip + 20 + options) if odd else (f"{way}{family}", ip + 32)
        risen[name] += 1
        risen[f"{name}.bytes"] += header + size
        total += size
    return risen, total


@given(SEGMENTS, SEGMENTS, st.integers(0, 5), st.integers(0, 5), st.integers(1, 3))
def test_an_honest_run_comes_out_and_what_is_hidden_of_it_does_not(
    sent: list[tuple[str, bool, int, int]],
    answered: list[tuple[str, bool, int, int]],
    lost: int,
    own: int,
    hidden: int,
) -> None:
    (ups, up), (downs, down) = carried("up", sent), carried("down", answered)
    flows = 3
    risen = ZERO | ups | downs | {"captured": flows + lost, "local": own, "local_answered": own}
    risen |= {"Tcp.ActiveOpens": flows + lost + own, "Tcp.PassiveOpens": flows + own}
    risen |= {"tcp.lost": lost}
    held = Held(flows=flows, up=up, down=down, kernel_up=up, kernel_down=down)
    totals = {"bytes_up": up, "bytes_down": down}
    assert lines(risen, held, totals) == []
    assert f"unfinished: +{hidden}" in lines(risen, replace(held, flows=flows - hidden), totals)
    # Of segments with options of their own as much may stay unknown as the longest headers differ from theirs.
    slack = 80 * sum(odd for _, odd, _, _ in [*sent, *answered]) + 1
    for way, count in (("up", up), ("down", down)):
        if count >= slack:
            less = replace(held, **{way: count - slack, f"kernel_{way}": count - slack})
            said = lines(risen, less, totals | {f"bytes_{way}": count - slack})
            assert [line.partition(":")[0] for line in said] == [f"segments_{way}"]


def test_urgent_data_is_in_no_stream() -> None:
    risen = RISEN | {"up4.bytes": RISEN["up4.bytes"] + 2, "up_urgent": 1}
    assert lines(risen, HELD) == ["segments_up: +1"]


def test_what_went_up_by_http_was_made_by_the_gate() -> None:
    risen = RISEN | {"up4.bytes": RISEN["up4.bytes"] - 6}
    assert lines(risen, HELD) == ["segments_up: -6"]
    assert lines(risen, replace(HELD, http=1, http_up=6)) == []


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
    said |= {
        "drops_seen": 6,
        "drops_lost": 1,
        "drops_sequence": 6,
        **TOTALS,
        "kernel_up": 10,
        "kernel_down": 20,
    }
    assert equation.claimed(said) == HELD
    assert equation.claimed({}) == Held()
