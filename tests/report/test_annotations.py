from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given

from sluicegate.report.annotations import MAX_EACH, Place, below, commands, grouped, place
from sluicegate.report.told import told
from tests.evidence import made
from tests.report import cases
from tests.report.test_escape import unescaped

_COMMAND = re.compile(
    r"::(error|warning|notice) (?:file=([^,:\n]*),line=([0-9]+),)?title=sluicegate::(.*)\Z"
)


def parsed(text: str) -> list[tuple[str, str, str, str]]:
    """Each line as a runner reads it: kind, file, line, message."""
    found = []
    for line in text.split("\n")[:-1]:
        match = _COMMAND.match(line)
        assert match, line
        found.append((match[1], unescaped(match[2] or ""), match[3] or "", unescaped(match[4])))
    return found


def test_denials_are_warnings_with_the_line_to_add(tmp_path: Path) -> None:
    found = parsed(
        commands(cases.case(cases.written(tmp_path, made.some()), made.PIN), "/checkout")
    )
    said = "denied tls://a.example:443 (2 times): no rule allows a.example port 443; to allow it: - host: a.example"
    assert [kind for kind, *_ in found] == ["warning"] * 3  # the first is of the workspace
    assert found[1] == ("warning", "", "", said)


def test_a_rule_of_the_policy_is_pointed_to() -> None:
    case = cases.evil("x")
    rows = [cases.row(1, "http://h/", rule="deny[0] dir/a,b:c.yaml:12")]
    found = parsed(commands(replace(case, told=told(rows)), "/checkout"))
    assert ("warning", "dir/a,b:c.yaml", "12") in [one[:3] for one in found]
    assert below("/checkout/ci/../p.yaml", "/checkout/") == "p.yaml"
    assert below("../p.yaml", "/checkout") is None
    assert below("/checkouts/p.yaml", "/checkout") is None
    elsewhere = [cases.row(1, "http://h/", rule="deny[0] /etc/p.yaml:12")]
    found = parsed(commands(replace(case, told=told(elsewhere)), "/checkout"))
    assert ("warning", "", "") in [one[:3] for one in found]
    assert place("default") is None
    assert place("allow[3] p.yaml:8") == Place("p.yaml", 8)


@pytest.mark.parametrize("failing", ["INTACT", "CLOSED", "ACCOUNTED", "PINNED", "INVALID"])
def test_what_does_not_hold_is_the_first_error(failing: str) -> None:
    found = parsed(commands(cases.evil("why", failing), "/checkout"))
    assert found[0][0] == "error"
    assert found[0][3].endswith(": why")
    assert (len(found) > 2) is (failing not in {"INTACT", "INVALID"})


def test_an_unknown_signer_is_a_notice(tmp_path: Path) -> None:
    found = parsed(commands(cases.case(cases.written(tmp_path, [])), "/checkout"))
    assert [(kind, made.PUBLIC in text) for kind, *_, text in found][-1:] == [("notice", True)]


def test_there_are_few_of_each_kind() -> None:
    rows = [cases.row(n, f"http://h{n}/") for n in range(40)]
    rows += [cases.row(100 + n, f"http://s{n}/", rule="secret") for n in range(11)]
    rows += [cases.row(200 + n, f"http://w{n}/", "warn") for n in range(10)]
    found = parsed(commands(cases.of(rows), "/checkout"))
    kinds = [kind for kind, *_ in found]
    assert kinds == ["error"] * MAX_EACH + ["warning"] * MAX_EACH + ["notice"] * MAX_EACH
    assert found[2 * MAX_EACH - 1][3] == "and 32 more, in the job's summary"
    assert all("http://w" in text for *_, text in found[2 * MAX_EACH :])


def test_paths_of_one_host_are_one_finding() -> None:
    rows = [cases.row(n, f"https://h/{n}", rule="default") for n in range(9)]
    [(denial, denied)] = grouped(told(rows))
    assert (denial.target, denied.count) == ("https://h/0", 9)


@cases.anything
@given(cases.hostile)
def test_no_text_is_a_command_of_its_own(text: str) -> None:
    for failing in ("sound", "INVALID"):
        made_ = commands(cases.evil(text, failing), "/checkout")
        assert parsed(made_)
        assert "##[" not in made_
