"""What is known when a run begins (sluicegate.cli.opening)."""

from __future__ import annotations

from sluicegate.cli import opening

JOB = {
    "GITHUB_ACTIONS": "true",
    "GITHUB_REPOSITORY": "o/r",
    "GITHUB_SHA": "a" * 40,
    "GITHUB_RUN_ID": "7",
    "GITHUB_RUN_ATTEMPT": "2",
    "GITHUB_REF": "refs/heads/main",
    "GITHUB_WORKFLOW": "ci\n\u00e9",
}


def test_the_job_as_the_runner_names_it() -> None:
    assert opening.ci_job(JOB) == {
        "repository": "o/r",
        "sha": "a" * 40,
        "run_id": "7",
        "run_attempt": "2",
        "ref": "refs/heads/main",
        "workflow": "ci\\n\\xe9",
    }
    long = opening.ci_job(JOB | {"GITHUB_REF": "x" * 10_000})["ref"]
    assert long == "x" * opening.MAX_CI_TEXT


def test_outside_of_a_job_there_is_none() -> None:
    assert opening.ci_job({}) == {}
    assert opening.ci_job(JOB | {"GITHUB_ACTIONS": "false"}) == {}
    assert "sha" not in opening.ci_job(JOB | {"GITHUB_SHA": ""})
