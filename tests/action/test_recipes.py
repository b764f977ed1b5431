"""docs/ci and .github/workflows: what is written there runs, as far as this machine can be what they are for."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.action.house import House, HouseJob
from tests.action.test_inputs import DEFAULTS
from tests.action.test_run import ALLOW, key
from tests.world import ROOT

DOCS = ROOT / "docs/ci"
AGENT = "#!/bin/sh\nid -u\ncurl -sS http://allowed.test/recipe\ncurl -sS http://denied.test/\n"
# What Docker and Podman leave root of capabilities(7), by their documentation.
DOCKER = (
    *("chown", "dac_override", "fowner", "fsetid", "kill", "setgid", "setuid", "setpcap"),
    *("net_bind_service", "net_raw", "sys_chroot", "mknod", "audit_write", "setfcap"),
)


def block(page: str, language: str, number: int = 0) -> str:
    return re.findall(
        rf"^```{language}\n(.*?)^```", (DOCS / page).read_text(), re.DOTALL | re.MULTILINE
    )[number]


def prepared(job: HouseJob) -> None:
    """A repository with a policy and an agent, its first commit, and sluicegate's checkout beside."""
    job.write("sluicegate.yaml", ALLOW)
    job.write("ci/agent.sh", AGENT).chmod(0o755)
    (job.workspace / "sluicegate").symlink_to(job.action)
    (job.workspace / ".gitignore").write_text("sluicegate\npacket\nout*\nrelease.*\n")
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.test", "-c", "safe.directory=*"]
    for words in (
        ["init", "-q"],
        ["add", "."],
        ["commit", "-q", "-m", "x"],
        ["update-ref", "refs/remotes/origin/main", "HEAD"],
    ):
        subprocess.run([*git, *words], cwd=job.workspace, check=True)
    job.house.give(job.workspace)


def installed(job: HouseJob, place: str) -> None:
    """What the action has installed stands in for what install.sh would: it finds that it has nothing to do."""
    Path(place, "sluicegate").symlink_to(job.temp / "sluicegate")


def shell(job: HouseJob, argv: list[str], text: str, **env: str) -> str:
    """What `text` says as a script for `argv`; it must end well."""
    path = job.temp / "recipe.sh"
    path.write_text(text)
    job.chown(path)
    environment = {k: v for k, v in job.env.items() if not k.startswith(("GITHUB_", "RUNNER_"))}
    process = job.machine.popen([*argv, str(path)], {**environment, **env}, job.workspace)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0, said.decode()
    return said.decode()


def judged(job: HouseJob, said: str, before: int) -> None:
    assert "host: denied.test" in said
    job.house.world.settle()
    arrived = str(job.house.world.arrived()[before:])
    assert "/recipe" in arrived
    assert "denied" not in arrived


def test_shell(job: HouseJob, container: House) -> None:
    prepared(job)
    before = len(job.house.world.arrived())
    home = str(job.temp / "home")
    os.mkdir(home)
    job.chown(Path(home))
    installed(job, home)
    text = block("shell.md", "sh") + block("shell.md", "sh", 1)
    said = shell(job, ["sh", "-e"], text, HOME=home, LANG="C.UTF-8")
    assert said.count("result: verified (exit 0)") == 1
    assert (job.workspace / "out2/seal.sigstore.json").exists()
    judged(job, said, before)


def test_gitlab(container: House) -> None:
    job = HouseJob(container, container.world)
    prepared(job)
    recipe = yaml.safe_load(block("gitlab.md", "yaml"))["agent"]
    install, clone, command = recipe["before_script"]
    assert install.startswith("apt-get update")
    assert clone.endswith(" /opt/source")
    place = str(job.temp / "gitlab")
    os.mkdir(place)
    Path(place, "source").symlink_to(job.action)
    installed(job, place)
    lines = "\n".join([command, *recipe["script"]]).replace("/opt", place)
    private, public = key(job, "gitlab.key", 9)
    before = len(job.house.world.arrived())
    said = shell(
        job, ["bash", "-eo", "pipefail"], lines,
        SLUICEGATE_KEY=private.read_text(), SLUICEGATE_PUBLIC_KEY=public,
        GITLAB_CI="true", CI_PROJECT_DIR=str(job.workspace),
    )  # fmt: skip
    assert "result: verified (exit 0)" in said
    assert recipe["artifacts"]["paths"] == ["packet"]
    judged(job, said, before)


def test_jenkins(ordinary: House) -> None:
    job = HouseJob(ordinary, ordinary.world)
    prepared(job)
    (steps,) = re.findall(r"sh '''\n(.*?)'''", block("jenkins.md", "groovy"), re.DOTALL)
    private, _ = key(job, "jenkins.key", 9)
    private.chmod(0o644)
    temp = job.workspace.parent / "repo@tmp"
    temp.mkdir()
    job.chown(temp)
    installed(job, str(temp))
    before = len(job.house.world.arrived())
    # Jenkins starts `sh -xe`, and a line that goes on ends with a backslash as in the shell.
    said = shell(
        job, ["sh", "-xe"], steps,
        WORKSPACE=str(job.workspace), WORKSPACE_TMP=str(temp), BUILD_TAG="jenkins-agent-7", SLUICEGATE_KEY=str(private),
    )  # fmt: skip
    judged(job, said, before)
    assert (job.workspace / "packet/seal.sigstore.json").exists()


def test_the_capabilities_of_the_container_are_enough(container: House) -> None:
    job = HouseJob(container, container.world)
    prepared(job)
    command = block("container.md", "sh")
    added = [name.lower() for name in re.findall(r"--cap-add (\w+)", command)]
    options = re.search(r"options: (.*)", block("container.md", "yaml"))
    assert options is not None
    assert [n.lower() for n in re.findall(r"--cap-add (\w+)", options[1])] == added
    gitlab = re.search(r"cap_add = \[(.*?)\]", (DOCS / "gitlab.md").read_text())
    assert gitlab is not None
    assert [n.lower() for n in re.findall(r'"(\w+)"', gitlab[1])] == added
    program = job.house.home / "_temp/sluicegate/bin/sluicegate"
    line = (
        command.partition("IMAGE")[2]
        .replace("\\\n", "")
        .replace("sluicegate run", f"{program} run")
        .strip()
    )
    bounding = ",".join(f"+{name}" for name in (*DOCKER, *added))
    said = shell(
        job, ["setpriv", f"--bounding-set=-all,{bounding}", "--inh-caps=-all", "sh", "-e"], line
    )
    assert "host: denied.test" in said
    short = ",".join(f"+{name}" for name in (*DOCKER, *added[:-1]))
    with pytest.raises(AssertionError, match="the command was not started"):
        shell(
            job,
            ["setpriv", f"--bounding-set=-all,{short}", "--inh-caps=-all", "sh", "-e"],
            line.replace("out", "out3"),
        )


def test_the_image_is_made_of_what_is_tested_here() -> None:
    text = block("container.md", "dockerfile")
    assert "action/install.sh /opt/sluicegate" in text
    for package in ("nftables", "iproute2", "python3-venv", "ca-certificates", "bash"):
        assert package in text


def test_the_smoke_workflow_of_this_repository(job: HouseJob) -> None:
    text = (ROOT / ".github/workflows/action.yml").read_text()
    text = text.replace("example.com", "allowed.test").replace("example.org", "denied.test")
    job.write("README.md", "x\n")
    steps = job.run(text)
    assert [step.conclusion for step in steps] == ["success"] * len(steps), "".join(
        s.log for s in steps
    )
    assert [step.outcome for step in steps][-3:-1] == ["failure", "failure"]


def test_the_guide_names_every_input_and_its_workflows_use_no_other() -> None:
    text = (DOCS / "github.md").read_text()
    for name in DEFAULTS:
        assert f"`{name}`" in text, name
    for found in re.findall(r"^```yaml\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        whole = yaml.safe_load(found if found.startswith("jobs") else "steps:\n" + found)
        steps = whole["steps"] if "steps" in whole else whole["jobs"]["agent"]["steps"]
        for step in steps:
            if step.get("uses", "").startswith("OWNER/"):
                assert step["with"].keys() <= DEFAULTS.keys()
