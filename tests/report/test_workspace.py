from __future__ import annotations

import json
from dataclasses import replace

from sluicegate import orders
from sluicegate.report import workspace
from sluicegate.report.annotations import commands
from sluicegate.report.plain import plain
from sluicegate.report.summary import summary
from sluicegate.report.verdict import Case
from tests.report import cases
from tests.report.dom import read
from tests.report.test_annotations import parsed
from tests.report.test_sarif import read as results
from tests.report.test_sarif import where


def case(found: dict[str, object]) -> Case:
    made = cases.evil("x")
    return replace(made, report=replace(made.report, workspace=found), told=cases.empty())


def test_every_flag_has_its_words() -> None:
    assert workspace.SAYS.keys() == orders.FLAGS.keys()


def test_a_summary_names_what_is_flagged() -> None:
    page = summary(
        case(cases.changed(".husky/pre-commit", "b%0A.sh", flags=["executable", "hook"]))
    )
    assert "### Workspace\n\n2 added, 0 modified, 0 deleted, 0 of another mode.\n" in page
    assert "- \u26a0\ufe0f `.husky/pre-commit` added: executable, hook\n" in page
    assert "`b%0A.sh`" in page
    assert "### Workspace" not in summary(case({}))


def test_a_long_list_is_cut_and_counted() -> None:
    found = cases.changed(*(f"f{n:04}" for n in range(900)), flags=["script"])
    page = summary(case(found))
    assert page.count(" added: script") == workspace.MAX_FLAGGED
    assert "- and 870 more that are flagged, in workspace.json" in page
    [section] = read(workspace.page(found))
    assert len(section.find("tr")) == 2 * (workspace.MAX_ROWS + 1)
    assert "and 400 more" in section.text


def test_the_page_has_flags_with_words_and_every_listed_change() -> None:
    [section] = read(workspace.page(cases.changed(".git/hooks/x", flags=["hook", "executable"])))
    rows = [row.text for row in section.find("tr")]
    assert rows[1].startswith(".git/hooks/xaddedhook executablea hook, which")
    assert rows[3] == f".git/hooks/xadded07557 B{'ab' * 32}"


def test_findings_stand_at_their_files() -> None:
    found = cases.changed("a%20b%25/.husky/x", flags=["hook"])
    [one] = results(case(found))
    assert (one["ruleId"], one["level"], where(one)) == (
        "workspace/hook",
        "warning",
        ("a%20b%25/.husky/x", 1),
    )
    notes = parsed(commands(case(found), "/checkout"))
    assert ("warning", "a b%/.husky/x", "1") in [one[:3] for one in notes]
    assert results(case(cases.changed("x", flags=["script"])))[0]["level"] == "note"
    assert not results(case(cases.changed("x", flags=["executable"])))


def test_json_has_the_manifest_without_its_list() -> None:
    found = json.loads(plain(case(cases.changed("x"))))["workspace"]
    assert found["counts"]["added"] == 1
    assert "changes" not in found
    [one] = found["to_look_at"]
    assert (one["path"], one["file"], one["flags"]) == ("x", "/checkout/x", ["hook"])


def test_of_what_does_not_hold_nothing_is_told() -> None:
    assert cases.evil("x", "INVALID").workspace == {}
    assert cases.evil("x").workspace["unlisted"] == 3
