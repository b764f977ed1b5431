from __future__ import annotations

from pathlib import Path

import pytest

from sluicegate.report import traffic
from sluicegate.report.told import Told, told
from tests.evidence import made
from tests.report import cases
from tests.report.dom import Node, read


def one(text: str) -> Node:
    [node] = read(text)
    return node


@pytest.fixture
def found(tmp_path: Path) -> Told:
    case = cases.case(cases.written(tmp_path, made.some()), made.PIN)
    assert case.told is not None
    return case.told


def test_a_denial_comes_with_the_line_to_add(found: Told) -> None:
    first = one(traffic.denials(found)).find("li")[0]
    assert "a.example:443 \u00d7 2" in first.text
    assert "first asked for" not in first.text
    longer = told([cases.row(1, "https://h/a/path", remedy="")])
    assert "first asked for https://h/a/path" in one(traffic.denials(longer)).text
    [line] = first.find("pre")
    assert line.text == "- host: a.example"


def test_after_observing_comes_a_policy() -> None:
    rows = [cases.row(1, "x", "warn"), cases.row(2, "x", "allow", observed=True)]
    assert (
        one(traffic.denials(told(rows))).find("pre")[-1].text == "sluicegate policy suggest PACKET"
    )


def test_destinations_are_rows_with_bytes(found: Told) -> None:
    rows = [row.text for row in one(traffic.destinations(found)).find("tr")]
    assert rows[1] == "b.example:443103 B4 Btls"
    assert rows[2] == "a.example:443020 B0 Btls"


def test_the_timeline_has_bars_words_and_a_list(found: Told) -> None:
    section = one(traffic.timeline(found))
    [chart] = section.find("svg", role="img")
    assert chart.attributes["aria-label"].startswith("1 allowed and 3 denied between ")
    assert [row.children[0].text for row in section.find("tr")] == ["receipt", "1", "2", "4", "6"]


def test_programs_are_rows_with_their_digests() -> None:
    section = one(traffic.programs(told(cases.all_rows("/bin/x"))))
    assert section.find("tr")[1].text.startswith("/bin/x/bin/x")


def test_nothing_is_said_in_words() -> None:
    made_ = (traffic.denials, traffic.destinations, traffic.programs, traffic.timeline)
    said = [one(make(cases.empty())).find("p")[0].text for make in made_]
    assert said == [
        "Nothing was denied.",
        "The command connected to nothing.",
        "No program of a connection is on record.",
        "There were no decisions.",
    ]


def test_what_a_run_may_have_any_number_of_is_bounded() -> None:
    many = told([cases.row(n, f"https://h{n}/{'<' * 3000}") for n in range(3000)])
    made_ = (traffic.denials, traffic.destinations, traffic.programs, traffic.timeline)
    pages = [make(many) for make in made_]
    assert sum(map(len, pages)) < 8_000_000
    assert "and 800 more destinations" in pages[0]
    assert "and 2,700 more" in pages[1]
    assert "and 2,800 more" in pages[2]
    assert "and 2,500 more, in evidence.jsonl" in pages[3]


def test_figures_say_what_observe_mode_let_through() -> None:
    found = told([cases.row(1, "x", "allow", observed=True)])
    names = [node.text for node in one(traffic.figures(found, 2, 5, 1)).find("dt")]
    assert names[:2] == ["denied", "would be denied"]
    assert names[-1] == "DNS questions, 1 name"


def test_the_time_of_day() -> None:
    assert traffic.clock("2026-01-02T03:04:05.123456789Z") == "03:04:05.123"
    assert traffic.clock("2026-01-02T03:04:05Z") == "03:04:05"
    assert traffic.clock("what") == "what"
