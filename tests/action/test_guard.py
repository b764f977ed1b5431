"""The command gives no orders to the job, and the job's repository none to us."""

from __future__ import annotations

import os

import pytest

from tests.action.house import House, HouseJob
from tests.action.test_run import ALLOW, messages, packet, use

# What an agent may print to command the runner, and what it may write to command later steps.
ORDERS = r"""
echo '::error title=forged::x'
echo '::set-output name=verifier-verdict::valid'
echo '::set-output name=verifier_verdict::valid'
echo '::add-mask::sluicegate'
echo 'text ##[error]forged' >&2
echo '::stop-commands::mine'
echo '::mine::'
for name in GITHUB_ENV GITHUB_OUTPUT GITHUB_PATH GITHUB_STATE GITHUB_STEP_SUMMARY; do
  eval "path=\${$name:-}"
  [ -n "$path" ] && echo "SEES $name" && echo "EVIL=1" >>"$path"
done
for path in $TEMP_DIR/_runner_file_commands/*; do echo "EVIL=1" >>"$path" && echo "WROTE $path"; done 2>/dev/null
env | grep -E 'ACTIONS_RUNTIME_TOKEN|INPUT_' && echo "SEES a token"
ls "$TEMP_DIR" 2>/dev/null | grep . && echo "SEES the runner's temp"
exit 0
"""


def test_what_the_command_prints_commands_nothing(job: HouseJob) -> None:
    before = dict(job.env)
    done = use(job, run=f"TEMP_DIR={job.temp}\n{ORDERS}")
    assert done.outcome == "success", done.log
    assert "SEES" not in done.log
    assert "WROTE" not in done.log
    assert not any("forged" in str(found) for found in done.annotations)
    assert done.outputs["verifier-verdict"] == "self_consistent_only"
    assert job.env == before
    # The token that makes the runner listen again is nowhere in the log that it keeps.
    (token,) = (
        line.split("::")[2]
        for line in done.raw.splitlines()
        if "::stop-commands::" in line and "mine" not in line
    )
    assert token not in done.log
    assert f"::{token}::" in done.raw.splitlines()
    # It listens again, to us.
    told = use(job, run="exit 3", audit_packet_dir="p")
    assert "exit code 3" in messages(told, "error")


def test_the_job_may_let_the_command_speak_to_the_runner(job: HouseJob) -> None:
    done = use(job, run="echo '::notice title=mine::hello'", workflow_commands="true")
    assert "hello" in messages(done, "notice")


def test_nothing_of_the_repository_is_imported(job: HouseJob) -> None:
    """Its files lie where we start, and we start things as root."""
    evil = (
        f"import os; open(os.path.join({str(job.temp)!r}, 'pwned'), 'w').write(str(os.geteuid()))\n"
    )
    for name in (
        "sluicegate/__init__.py",
        "sluicegate/__main__.py",
        "yaml.py",
        "idna.py",
        "site.py",
        "sitecustomize.py",
        "usercustomize.py",
        "os.py",
        "subprocess.py",
        "venv.py",
        "pip.py",
        "ensurepip.py",
        "setproctitle.py",
    ):
        job.write(name, evil)
    job.write("pip.conf", "[global]\ntarget = /nowhere\n")
    job.write(".git/config", "[core]\n fsmonitor = touch pwned\n")
    job.env |= {
        "PYTHONPATH": str(job.workspace),
        "PYTHONSTARTUP": str(job.workspace / "os.py"),
        "PYTHONHOME": "/nowhere",
    }
    done = use(job, run="true")
    assert done.outcome == "success", done.log
    assert not (job.temp / "pwned").exists()
    assert not list(job.workspace.glob("**/pwned"))


def test_variables_go_in_by_name_alone(job: HouseJob) -> None:
    job.env |= {"API_TOKEN": "t0ken", "OTHER": "x"}
    done = use(job, run='echo "<$API_TOKEN|${OTHER:-none}|$GITHUB_REPOSITORY>"', env="API_TOKEN")
    assert "<t0ken|none|sluicegate/example>" in done.log


@pytest.mark.parametrize("kind", ["container", "ordinary"])
def test_as_root_in_a_container_and_without_any_root(
    kind: str, request: pytest.FixtureRequest
) -> None:
    where: House = request.getfixturevalue(kind)
    job = HouseJob(where, where.world)
    job.write("sluicegate.yaml", ALLOW)
    if kind == "container":
        # The runner's user has checked it out, outside of the container.
        for path in (job.workspace, *job.workspace.rglob("*")):
            os.chown(path, 64_997, 64_997)
    done = use(
        job,
        run="id -u; curl -sS http://allowed.test/ok; touch made; curl -sS http://denied.test/no",
    )
    assert done.outcome == "success", done.log
    assert "- host: denied.test" in done.log
    tier = "netns_rootless" if kind == "ordinary" else "netns_root"
    assert tier in packet(job)["posture"]["enforcement_mode"]
    assert (job.workspace / "made").stat().st_uid == (64_997 if kind == "container" else where.user)


def test_outputs_pass_as_the_policy_grants_them_and_never_for_ours(job: HouseJob) -> None:
    job.write("sluicegate.yaml", "version: 1\nagent: {outputs: [result, verifier_verdict]}\n")
    lines = "result=42", "other=1", "verifier_verdict=valid"
    script = "\n".join(f'echo {line} >>"$GITHUB_OUTPUT"' for line in lines)
    done = job.step({"id": "a", "uses": "./", "with": {"run": script}})
    assert done.outcome == "success", done.log
    assert done.outputs["verifier-verdict"] == "self_consistent_only"
    assert job.expand("${{ fromJSON(steps.a.outputs.outputs).result }}") == "42"
    assert "other" not in done.outputs["outputs"]


def test_the_page_beside_the_packet_is_written_through_no_link(job: HouseJob) -> None:
    """The command may have left one, to what it can not reach itself."""
    victim = job.temp / "victim"
    victim.write_text("as it was\n")
    job.chown(victim)
    done = use(job, run=f"ln -s {victim} pipelock-audit-packet.html")
    assert done.outcome == "success", done.log
    assert victim.read_text() == "as it was\n"
    assert not (job.workspace / "pipelock-audit-packet.html").is_symlink()


def test_debug_says_what_is_run_and_what_the_machine_can_do_as_text(job: HouseJob) -> None:
    done = use(
        job,
        run="true",
        debug="true",
        script_args="a ##[error]forged\n::error title=forged::x",
        audit_packet_dir="-x ##[error]forged",
        agent_identity="##[error]forged",
    )
    assert done.outcome == "success", done.log
    assert "tier netns-root: yes" in done.log
    assert "--agent-identity" in done.log
    assert not any("forged" in str(found) for found in done.annotations), done.annotations
    assert (job.workspace / "-x ##[error]forged/seal.sigstore.json").exists()
    assert done.outputs["report-path"] == "./-x ##[error]forged.html"
