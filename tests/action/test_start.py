"""action/start.sh: which Python, what is installed, and what is said where it can not be."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.world import ROOT

TOOLS = (
    *(
        "bash",
        "cat",
        "chmod",
        "cp",
        "dirname",
        "find",
        "ls",
        "mkdir",
        "mktemp",
        "readlink",
        "rm",
        "sh",
    ),
    *("sha256sum", "sort", "uname", "xargs"),
)
FAKE = "#!/bin/sh\nexit 1\n"  # too old, or without venv: what is asked fails


def start(tmp_path: Path, *, action: Path = ROOT, **env: str) -> subprocess.CompletedProcess[str]:
    tools = tmp_path / "bin"
    tools.mkdir(exist_ok=True)
    for name in TOOLS:
        if not (tools / name).exists():
            (tools / name).symlink_to(str(shutil.which(name)))
    return subprocess.run(
        [tools / "bash", "--noprofile", "--norc", action / "action/start.sh"],
        env={
            "PATH": str(tools),
            "RUNNER_TEMP": str(tmp_path / "temp"),
            "PIP_NO_INDEX": "1",
            "GITHUB_ACTIONS": "true",
            **env,
        },
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )


def executable(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def test_without_a_python_the_remedy_is_said(tmp_path: Path) -> None:
    executable(tmp_path / "bin/python3", FAKE)
    done = start(tmp_path, RUNNER_TOOL_CACHE=str(tmp_path / "tools"))
    assert done.returncode == 125
    assert done.stdout.startswith("::error title=sluicegate::no Python from 3.11 on with venv")
    assert "%0Ain a workflow, a step before this one: uses: actions/setup-python" in done.stdout
    assert len(done.stdout.splitlines()) == 1


def test_a_python_of_the_workspace_is_not_started(tmp_path: Path) -> None:
    work = tmp_path / "work"
    executable(work / ".venv/bin/python3", f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    path = f"{work}/.venv/bin:{tmp_path}/bin"
    env = {"PATH": path, "GITHUB_WORKSPACE": str(work), "RUNNER_TOOL_CACHE": str(tmp_path / "t")}
    done = start(tmp_path, **env)
    assert done.returncode == 125
    assert "no Python from 3.11 on" in done.stdout
    assert not (tmp_path / "ran").exists()


def test_the_tool_cache_is_looked_into(tmp_path: Path) -> None:
    """As on ubuntu-22.04, whose own Python is 3.10."""
    executable(tmp_path / "bin/python3", FAKE)
    executable(tmp_path / "tools/Python/3.9.25/x64/bin/python3", "#!/bin/sh\ntouch used-old\n")
    executable(tmp_path / "tools/Python/3.12.3/arm64/bin/python3", "no program at all\n")
    found = tmp_path / "tools/Python/3.12.3/x64/bin/python3"
    executable(found, f'#!/bin/sh\necho "$@" >>{tmp_path}/used\nexec {sys.executable} "$@"\n')
    done = start(tmp_path, action=broken(tmp_path), RUNNER_TOOL_CACHE=str(tmp_path / "tools"))
    assert (tmp_path / "used").exists()
    assert not (tmp_path / "used-old").exists()
    assert "can not be read" in done.stdout


def broken(tmp_path: Path) -> Path:
    """An action without its source."""
    copy = tmp_path / "100% broken"
    shutil.copytree(ROOT / "action", copy / "action")
    return copy


def test_a_package_with_another_hash_is_not_installed(tmp_path: Path) -> None:
    copy = tmp_path / "action copy"
    shutil.copytree(ROOT / "action", copy / "action")
    shutil.copytree(ROOT / "src/sluicegate", copy / "src/sluicegate")
    lock = copy / "action/requirements.lock"
    lock.write_text(re.sub(r"sha256:[0-9a-f]{8}", "sha256:00000000", lock.read_text()))
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python3").symlink_to("/usr/bin/python3")
    # In memory where there is some: an environment is thousands of files.
    shared = "/dev/shm" if os.path.isdir("/dev/shm") else str(tmp_path)
    with tempfile.TemporaryDirectory(dir=shared) as temp:
        done = start(tmp_path, action=copy, RUNNER_TEMP=temp, PIP_FIND_LINKS=str(ROOT / ".wheels"))
        assert not list(Path(temp).glob("*/.ready"))
    assert done.returncode == 125
    assert "DO NOT MATCH THE HASHES" in done.stderr
    assert done.stdout.startswith("::error title=sluicegate::pip could not install")


def test_a_hostile_path_forges_no_line(tmp_path: Path) -> None:
    done = start(tmp_path, action=broken(tmp_path), PATH=f"{tmp_path}/bin:{os.defpath}")
    assert (
        done.stdout
        == f"::error title=sluicegate::the source of sluicegate can not be read in {tmp_path}/100%25 broken\n"
    )


@pytest.mark.parametrize("name", ["action/start.sh"])
def test_the_script_is_sound_for_bash(name: str) -> None:
    assert subprocess.run(["bash", "-n", ROOT / name], check=False).returncode == 0


def test_no_directory_of_others_is_cleared(tmp_path: Path) -> None:
    (tmp_path / "opt/theirs").mkdir(parents=True)
    for words, said in (
        ([str(tmp_path / "opt")], "holds other files"),
        ([], "wants the directory"),
    ):
        done = subprocess.run(
            ["bash", ROOT / "action/install.sh", *words],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stdout) == (125, "")
        assert said in done.stderr
        assert "\nhint: " in done.stderr
    assert (tmp_path / "opt/theirs").is_dir()


def test_elsewhere_than_on_linux_that_is_said(tmp_path: Path) -> None:
    executable(tmp_path / "bin/uname", "#!/bin/sh\necho Darwin\n")
    done = start(tmp_path)
    assert done.returncode == 125
    assert "made of what Linux has; this is Darwin" in done.stdout
