from __future__ import annotations

from pathlib import Path

import pytest

from sluicegate.report import told as telling
from sluicegate.report.told import Told, destination, epoch, program_of, told
from tests.evidence import made
from tests.report import cases


def test_a_record_adds_up(tmp_path: Path) -> None:
    found = cases.case(cases.written(tmp_path, made.some()), made.PIN).told
    assert found is not None
    assert (found.total.allowed, found.total.denied) == (1, 2)
    assert (found.total.up, found.total.down) == (3, 4)
    assert found.rows == 9
    held = found.destinations["b.example:443"]
    assert (held.count.allowed, held.count.up, held.protocols) == (1, 3, {"tls"})
    denials = {denial.where: denied.count for denial, denied in found.denials.items()}
    assert denials == {"a.example:443": 2, "192.0.2.1:443": 3}
    assert [(e.seq, e.verdict) for e in found.events] == [
        (1, "deny"),
        (2, "deny"),
        (4, "allow"),
        (6, "deny"),
    ]
    assert sum(map(sum, found.timeline.buckets.values())) == 4


@pytest.mark.parametrize(
    ("target", "where"),
    [
        ("tls://example.org:443", "example.org:443"),
        ("http://example.org/a:9", "example.org:80"),
        ("https://example.org:8443/x", "example.org:8443"),
        ("https://[2001:db8::1]/x", "[2001:db8::1]:443"),
        ("tcp://[::1]:22", "[::1]:22"),
        ("tcp://overload", "overload"),
        ("", ""),
        ("://", "://"),
        ("what is it", "what is it"),
    ],
)
def test_a_target_has_a_destination(target: str, where: str) -> None:
    assert destination(target) == where


def test_observe_mode_counts_once_and_says_so() -> None:
    found = told([cases.row(1, "x", "warn"), cases.row(2, "x", "allow", observed=True)])
    assert (found.total.allowed, found.total.observed, found.total.denied) == (1, 1, 0)
    assert [denial.observed for denial in found.denials] == [True]
    assert [event.verdict for event in found.events] == ["observed"]


def test_bytes_of_a_request_inside_are_those_of_its_connection() -> None:
    def ended(protocol: str) -> list[telling.Row]:
        begun = cases.row(1, protocol, "allow", protocol=protocol, url="x")
        end = cases.row(
            1, protocol, "allow", protocol=protocol, outcome="x", bytes_up=5, bytes_down=6
        )
        end.record["decision_phase"] = "outcome"  # type: ignore[index]
        return [begun, end]

    found = told([*ended("tls"), *ended("https")])
    assert (found.total.up, found.total.down) == (5, 6)
    assert sum(held.failed for held in found.destinations.values()) == 2


def test_what_a_run_may_have_any_number_of_is_bounded() -> None:
    found = Told()
    many = telling.MAX_DENIALS + 50
    for n in range(many):
        found.add(cases.row(n, f"h{n}"))
    assert len(found.denials) == telling.MAX_DENIALS
    assert len(found.destinations) == telling.MAX_DESTINATIONS
    assert len(found.programs) == telling.MAX_PROGRAMS
    assert len(found.events) == telling.MAX_EVENTS
    assert found.unlisted == {
        "denials": 50,
        "destinations": 50,
        "events": 50,
        "programs": many - 500,
    }
    assert found.total.denied == many


def test_methods_and_digests_of_one_are_bounded() -> None:
    found = Told()
    for n in range(40):
        row = cases.row(n, "same", method=f"M{n}")
        row.facts["process"]["holders"][0]["exe_sha256"] = f"{n}"  # type: ignore[index]
        found.add(row)
    assert len(found.destinations["same"].methods) == telling.MAX_METHODS
    assert len(found.programs["same"].digests) == telling.MAX_DIGESTS


def test_a_long_timeline_grows_coarser() -> None:
    line = telling.Timeline()
    for second in range(0, 10_000, 7):
        line.add(1000 + second, "deny" if second % 2 else "allow")
    line.add(0, "allow")  # a clock that went back
    assert max(line.buckets) < telling.BUCKETS
    assert line.width == 128
    assert sum(map(sum, line.buckets.values())) == len(range(0, 10_000, 7)) + 1


def test_programs_have_words_where_nothing_is_known() -> None:
    assert program_of({}) == ""
    assert program_of({"process": {"found": "exited", "holders": []}}) == telling.UNKNOWN
    assert program_of({"process": {"holders": [{"pid": 1}]}}) == telling.UNKNOWN


def test_a_time_that_is_none() -> None:
    assert epoch("2026-01-02T03:04:05Z") == 1767323045
    assert epoch("yesterday") is None
