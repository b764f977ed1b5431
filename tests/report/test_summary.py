from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given

from sluicegate.report.summary import MAX_BYTES, ranked, severity, summary
from sluicegate.report.told import Denial, told
from sluicegate.report.verdict import Case
from tests.evidence import made
from tests.report import cases


def test_the_page_says_the_verdict_first_and_what_people_ask_for(tmp_path: Path) -> None:
    page = summary(cases.case(cases.written(tmp_path, made.some()), made.PIN))
    assert page.startswith("## \u2705 sluicegate: verified\n")
    for line in (
        "| INTACT | \u2705 yes | 9 receipts, every line reproduces |",
        (
            "`curl` under `netns-root`, exit code 7: 1 connection or request allowed; **2 denied**;"
            " 3 B sent; 4 B received; 4 packets refused; 3 DNS questions for 2 names."
        ),
        "- `tls://a.example:443` \u00d7 2: no rule allows a.example port 443",
        "  ```yaml\n  - host: a.example\n  ```",
        "- `udp://192.0.2.1:443` \u00d7 3: packet refused: the gate does not speak for it",
        "| `b.example:443` | 1 | 0 | 3 B | 4 B | tls |",
        f"sluicegate verify PACKET --key {made.PUBLIC}",
    ):
        assert line in page, line


def test_without_a_key_it_says_how_to_pin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run: dict[str, object] = dict(made.CLOSED["run"])  # type: ignore[call-overload]
    monkeypatch.setitem(made.CLOSED, "run", run | {"key": "ephemeral"})
    page = summary(cases.case(cases.written(tmp_path, [])))
    assert page.startswith("## \u2705 sluicegate: consistent with itself, signer not pinned\n")
    assert "| PINNED | \u2796 no |" in page
    assert f"`--key {made.PUBLIC}`" in page
    assert "### Denied" not in page


@pytest.mark.parametrize("failing", ["INTACT", "CLOSED", "ACCOUNTED", "PINNED", "INVALID"])
def test_what_does_not_hold_says_so_first(failing: str) -> None:
    page = summary(cases.evil("why it is so", failing))
    assert page.startswith("## \u26d4 sluicegate: ")
    assert page.index("> [!CAUTION]") < page.index("| level |")
    assert "why it is so" in page.partition("| level |")[0]
    assert ("### Denied" in page) is (failing not in {"INTACT", "INVALID"})


@cases.anything
@given(cases.hostile)
def test_no_text_adds_to_the_page(text: str) -> None:
    page, plain = summary(cases.evil(text)), summary(cases.evil("x"))
    assert page.replace("\n", "").isprintable()
    assert not any(line.lstrip().startswith("::") for line in page.splitlines())
    assert "##[" not in page
    # Outside of code there is no markup but ours, and in code no end of it.
    rest = re.sub(r"`[^`\n]*`", "", re.sub(r"(?s)```.*?```", "", page))
    assert not re.search(r"<[a-z!/]|\]\(|https?://", rest, re.IGNORECASE)
    assert not text or page.count("```") == plain.count("```")
    rows = [line for line in page.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in rows} <= {4, 7}


def test_the_page_stays_far_below_the_limit() -> None:
    rows = [cases.row(n, f"https://h{n}/{'<&`|' * 2000}") for n in range(5000)]
    found = cases.evil("|" * 9000)
    page = summary(Case(found.report, told(rows), pinned=True))
    assert len(page.encode()) < MAX_BYTES / 2
    assert "- and 4,950 more" in page
    assert "and 4,980 more" in page


def test_after_observing_comes_a_policy() -> None:
    rows = [cases.row(1, "x", "warn"), cases.row(2, "x", "allow", observed=True)]
    line = "A policy that covers what observe mode let through: `sluicegate policy suggest PACKET`"
    assert line in summary(cases.of(rows))
    assert line not in summary(cases.of(rows[:1]))


def test_the_most_severe_come_first() -> None:
    rows = [
        cases.drops(1, "udp"),
        cases.row(2, "watched", "warn"),
        cases.row(3, "often"),
        cases.row(4, "often"),
        cases.row(5, "once"),
        cases.row(6, "leak", rule="secret"),
    ]
    assert [denial.where for denial, _ in ranked(told(rows))] == [
        "leak",
        "often",
        "once",
        "udp:9",
        "watched",
    ]
    assert severity(Denial("x", "x", "dns", "refused-question", "", "", observed=False)) == 2
