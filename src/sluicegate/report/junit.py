"""A case as JUnit XML: levels and probes as test cases, denials as cases that were skipped. Pure.

A denial is what the boundary is for, so it fails no build; a secret on its way out does, and so does a level that is
not reached. Readers: GitLab, Jenkins, Azure; there is no schema but theirs, and what all of them read is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sluicegate.report.annotations import grouped
from sluicegate.report.escape import page
from sluicegate.report.summary import severity
from sluicegate.report.verdict import MEANS, Case, State, part
from sluicegate.verify.packet import Level

MAX_CASES = 1000  # of one suite


@dataclass(frozen=True, slots=True)
class Test:
    """One test case; `failure` and `skipped` are why, or empty."""

    name: str
    failure: str = ""
    skipped: str = ""
    output: str = ""


def junit(case: Case) -> str:
    """The document. Probes and policy are left out of a record that does not hold."""
    suites = {"levels": [_level(case, level) for level in Level]}
    if case.state is not State.INVALID:
        suites["boundary"] = _probes(case)
        suites["policy"] = _denials(case)
    tests = [test for suite in suites.values() for test in suite]
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<testsuites name="sluicegate" {_counts(tests)}>',
    ]
    for name, suite in suites.items():
        lines += [f'<testsuite name="sluicegate.{name}" {_counts(suite)}>']
        lines += [_case(name, test) for test in suite]
        lines += ["</testsuite>"]
    return "\n".join([*lines, "</testsuites>"]) + "\n"


def _counts(tests: list[Test]) -> str:
    failed, skipped = sum(bool(t.failure) for t in tests), sum(bool(t.skipped) for t in tests)
    return f'tests="{len(tests)}" failures="{failed}" errors="0" skipped="{skipped}" time="0"'


def _case(suite: str, test: Test) -> str:
    head = f'<testcase classname="sluicegate.{suite}" name="{page(test.name)}" time="0"'
    body = ""
    if test.failure:
        body = (
            f'<failure type="{suite}" message="{page(test.failure)}">{page(test.failure)}</failure>'
        )
    elif test.skipped:
        body = f'<skipped message="{page(test.skipped)}"/>'
    if test.output:
        body += f"<system-out>{page(test.output)}</system-out>"
    return f"{head}>{body}</testcase>" if body else f"{head}/>"


def _level(case: Case, level: Level) -> Test:
    ok, why = case.report.reached[level]
    if ok:
        return Test(level.value, output=f"{why}. {MEANS[level][0]}")
    if level is Level.PINNED and case.state is State.CONSISTENT:
        return Test(level.value, skipped=why)
    return Test(level.value, failure=why or "not reached")


def _probes(case: Case) -> list[Test]:
    probe = part(case.opened, "probe")
    results, outcomes = part(probe, "results"), part(probe, "outcomes")
    return [
        Test(f"probe: {name}", failure="" if said == "passed" else _found(outcomes, name))
        for name, said in sorted(results.items())[:MAX_CASES]
    ]


def _found(outcomes: Mapping[str, object], name: str) -> str:
    return f"not shut: {outcomes.get(name, 'not probed')}"


def _denials(case: Case) -> list[Test]:
    tests = []
    for denial, denied in grouped(case.told)[:MAX_CASES] if case.told is not None else ():
        word = "would be denied" if denial.observed else "denied"
        why = f"{word} {denied.count} times: {denial.reason}"
        grave = severity(denial) == 0
        name = (
            f"{denial.where} {'watched' if denial.observed else 'by'} {denial.rule or denial.word}"
        )
        tests.append(Test(name, failure=why if grave else "", skipped="" if grave else why))
    return tests
