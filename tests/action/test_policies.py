"""Whose policy holds: the base branch's, the translated one, the mode that was asked for.

By sluicegate.cli.policyref and sluicegate.cli.actionpolicy.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from sluicegate.cli import policyref
from sluicegate.policy.model import PolicyError
from tests.action.house import HouseJob
from tests.action.test_run import ALLOW, messages, packet, use

WIDE = "version: 1\nallow:\n  - host: allowed.test\n  - host: denied.test\n"
GIT = (
    "git",
    "-c",
    "user.name=t",
    "-c",
    "user.email=t@example.test",
    "-c",
    "init.defaultBranch=main",
)


def git(where: Path, *words: str) -> str:
    done = subprocess.run(
        [*GIT, "-c", "safe.directory=*", *words],
        cwd=where,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


def repository(where: Path) -> str:
    """A clone with a remote branch `main` and, checked out, a pull request that changes the policy; main's commit."""
    git(where, "init", "-q")
    (where / "sluicegate.yaml").write_text(ALLOW)
    (where / "ci").mkdir()
    (where / "ci/team.yaml").write_text(ALLOW)
    (where / "link.yaml").symlink_to("/etc/passwd")
    git(where, "add", ".")
    git(where, "commit", "-q", "-m", "base")
    base = git(where, "rev-parse", "HEAD")
    git(where, "update-ref", "refs/remotes/origin/main", base)
    for name in ("sluicegate.yaml", "ci/team.yaml"):
        (where / name).write_text(WIDE)
    git(where, "checkout", "-q", "-b", "pr")
    git(where, "commit", "-q", "-a", "-m", "wider")
    # What a pull request may not choose: here even the local branch of that name is its own.
    git(where, "branch", "-f", "main", "HEAD")
    return base


ASK = "curl -sS http://denied.test/x; curl -sS http://allowed.test/y"


def test_a_pull_request_does_not_widen_its_own_policy(job: HouseJob) -> None:
    base = repository(job.workspace)
    job.house.give(job.workspace)
    job.env |= {"GITHUB_BASE_REF": "main", "GITHUB_EVENT_NAME": "pull_request"}
    before = len(job.house.world.arrived())
    done = use(job, run=ASK, policy_ref="${{ github.base_ref }}")
    assert done.outcome == "success", done.log
    assert f"policy from main, commit {base}" in done.log
    assert "host: denied.test" in done.log
    named = use(job, run=ASK, policy="ci/team.yaml", policy_ref="main", audit_packet_dir="two")
    assert "host: denied.test" in named.log
    job.house.world.settle()
    assert not any("denied" in str(one) for one in job.house.world.arrived()[before:])
    # Without it the pull request has its way: that is what the input is for.
    own = use(job, run=ASK, audit_packet_dir="three")
    assert "rule: default" not in own.log
    same = use(job, run="true", policy_ref="pr", audit_packet_dir="four")
    assert "holds nothing back" in messages(same, "warning")


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"policy_ref": "nowhere"}, "policy-ref nowhere: is no commit that this clone"),
        ({"policy_ref": "main", "policy": "none.yaml"}, "main:none.yaml: is not there"),
        ({"policy_ref": "main", "policy": "link.yaml"}, "main:link.yaml: is a link or a directory"),
        ({"policy_ref": "main", "policy": "ci"}, "main:ci: is a link or a directory"),
        ({"policy_ref": "main", "policy": "../x"}, "takes no path from / or with .."),
        ({"policy_ref": "main", "policy": "/etc/passwd"}, "takes no path from / or with .."),
        ({"policy_ref": "main", "config": "none.yaml"}, "main:none.yaml: is not there"),
        (
            {"policy_ref": "main", "working_directory": "ci"},
            "main:ci/sluicegate.yaml: is not there",
        ),
    ],
)
def test_what_the_base_has_not_stops_the_run(
    tmp_path_factory: pytest.TempPathFactory, job: HouseJob, inputs: dict[str, str], message: str
) -> None:
    repository(job.workspace)
    job.house.give(job.workspace)
    done = use(job, run="touch ran", **inputs)
    assert done.outcome == "failure"
    assert message in messages(done, "error")
    assert not list(job.workspace.glob("**/ran"))
    assert not (job.workspace / "pipelock-audit-packet").exists()


def test_replaced_objects_are_seen_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = repository(tmp_path)
    git(tmp_path, "replace", base, "HEAD")
    monkeypatch.chdir(tmp_path)
    assert policyref.commit("main") == base
    assert policyref.text(base, "sluicegate.yaml", "main") == ALLOW.encode()
    assert policyref.text(base, "none", "main") is None
    assert policyref.text(base, "*.yaml", "main") is None
    assert policyref.text(base, ":(top)sluicegate.yaml", "main") is None
    assert policyref.commit(base) == base
    assert not policyref.is_head(base)
    assert policyref.is_head(policyref.commit("pr"))
    (tmp_path / "ci/deep").mkdir()
    monkeypatch.chdir(tmp_path / "ci/deep")
    assert policyref.text(base, "sluicegate.yaml", "main") is None
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(PolicyError, match="git can not be asked"):
        policyref.commit("main")


def test_a_branch_that_is_called_as_the_commit_does_not_stand_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = repository(tmp_path)
    for place in ("remotes/origin", "remotes", "tags", "heads"):
        git(tmp_path, "update-ref", f"refs/{place}/{base}", "HEAD")
    monkeypatch.chdir(tmp_path)
    assert policyref.commit(base) == base
    assert policyref.commit(base.upper()) == base


def test_a_pipelock_configuration_is_found_and_its_errors_stop_the_run(job: HouseJob) -> None:
    job.write(".pipelock/ci.yaml", "mode: strict\napi_allowlist: [allowed.test]\n")
    done = use(job, run=ASK)
    assert "sink" in done.log
    assert "host: denied.test" in done.log
    job.write(
        "bad.yaml", "mode: strict\napi_allowlist: [allowed.test]\ntrusted_domains: [x.test]\n"
    )
    bad = use(job, run="touch ran", config="bad.yaml", audit_packet_dir="two")
    assert "bad.yaml:3:1: trusted_domains opens internal addresses" in messages(bad, "error")
    assert bad.outcome == "failure"
    # A policy of ours goes first, and both hold where both are named.
    job.write("sluicegate.yaml", "version: 1\n")
    (job.temp / "sluicegate-no-policy").unlink()  # as another job
    own = use(job, run="curl -sS http://allowed.test/", audit_packet_dir="three")
    assert "host: allowed.test" in own.log
    both = use(
        job,
        run="curl -sS http://allowed.test/",
        config=".pipelock/ci.yaml",
        policy="sluicegate.yaml",
        audit_packet_dir="four",
    )
    assert "host: allowed.test" in both.log


def test_modes_and_fail_on_deny(job: HouseJob) -> None:
    job.write("sluicegate.yaml", ALLOW)
    seen = use(job, run="curl -sS http://denied.test/x", mode="observe")
    assert "sink" in seen.log
    assert packet(job)["summary"]["totals"]["warn"] > 0
    denied = use(
        job,
        run="curl -sS http://denied.test/x",
        mode="enforce",
        fail_on_deny="true",
        audit_packet_dir="two",
    )
    assert denied.code == 121
    assert "fail-on-deny is set" in messages(denied, "error")
    assert denied.outputs["verifier-verdict"] == "self_consistent_only"
    job.write("watch.yaml", "version: 1\nmode: observe\n")
    wrong = use(job, run="touch ran", mode="enforce", policy="watch.yaml", audit_packet_dir="three")
    assert "watch.yaml says mode: observe" in messages(wrong, "error")
    assert not (job.workspace / "ran").exists()


def test_what_sluicegate_refuses_is_an_error_of_the_step(job: HouseJob) -> None:
    job.write("sluicegate.yaml", "version: 1\nallow:\n  - hots: x\n")
    done = use(job, run="touch ran")
    assert (done.code, done.outcome) == (125, "failure")
    assert "sluicegate.yaml:3:5" in done.log
    assert "the command was not started" in messages(done, "error")
    assert done.outputs["verifier-verdict"] == "error"
    assert done.outputs["receipt-count"] == "0"
    job.write("pipelock-audit-packet/old", "x")
    full = use(job, run="touch ran", policy="none.yaml")
    assert full.outcome == "failure"
    assert not (job.workspace / "ran").exists()


def test_the_command_does_not_write_the_policy_of_the_next_step(job: HouseJob) -> None:
    job.write("conf/pipelock.yaml", "mode: strict\napi_allowlist: [allowed.test]\n")
    job.write(".pipelock/ci.yaml", "mode: strict\napi_allowlist: [allowed.test]\n")
    job.write("sluicegate.yaml", ALLOW)
    files = "conf/pipelock.yaml .pipelock/ci.yaml .pipelock/new sluicegate.yaml"
    script = (
        f"for f in {files}; do echo x >$f || rm $f || mv ${{f%/*}} gone; done; mv conf gone; true"
    )
    done = use(job, run=f"set +e; ({script}) 2>/dev/null; true", config="conf/pipelock.yaml")
    assert done.outcome == "success", done.log
    assert (job.workspace / "conf/pipelock.yaml").read_text().startswith("mode: strict")
    assert (job.workspace / ".pipelock/ci.yaml").read_text().startswith("mode: strict")
    assert (job.workspace / "sluicegate.yaml").read_text() == ALLOW
    assert sorted(p.name for p in (job.workspace / ".pipelock").iterdir()) == ["ci.yaml"]


@pytest.mark.parametrize("name", ["sluicegate.yaml", ".pipelock/ci.yaml"])
def test_the_command_makes_no_policy_of_the_next_step(job: HouseJob, name: str) -> None:
    text = ALLOW if name == "sluicegate.yaml" else "mode: strict\\napi_allowlist: [allowed.test]\\n"
    evil = text.replace("\n", "\\n")
    make = f"mkdir -p .pipelock; printf '{evil}' >{name}; test -s {name}"
    first = use(job, run=make)
    if name == "sluicegate.yaml":
        # Nor can it make one there; what an ordinary step makes after it is not taken either.
        assert first.outcome == "failure"
        assert not (job.workspace / name).exists()
        (job.workspace / name).write_text(text)
    else:
        assert first.outcome == "success", first.log
    done = use(job, run="touch ran", audit_packet_dir="two")
    assert done.outcome == "failure"
    assert "was not there when an earlier step ran a command" in messages(done, "error")
    assert not (job.workspace / "ran").exists()
    key = "policy" if name == "sluicegate.yaml" else "config"
    assert use(job, run="true", audit_packet_dir="three", **{key: name}).outcome == "success"
    job.house.give(job.workspace)
    (job.workspace / name).unlink()
    os.mkfifo(job.workspace / name)
    done = use(job, run="touch ran", audit_packet_dir="five", **{key: name})
    assert "policy is not a regular file" in messages(done, "error")


def test_presets_are_added(job: HouseJob) -> None:
    done = use(job, run="true", preset="anthropic\nopenai\n")
    assert done.outcome == "success", done.log
    text = (job.workspace / "pipelock-audit-packet/policy.json").read_text()
    assert '"api.anthropic.com"' in text
    assert '"api.openai.com"' in text
    wrong = use(job, run="touch ran", preset="nonesuch", audit_packet_dir="two")
    assert wrong.code == 125
    assert not (job.workspace / "ran").exists()
