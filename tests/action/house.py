"""A hosted runner's machine in the tests' world: a user `runner` with passwordless sudo, and none of it on the host."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.action.runner import Job
from tests.world import ROOT, World

UID = 64_998  # not that of the other tests, which has no account
WHEELS = ROOT / ".wheels"
# As on the hosted images, where sudo's own PATH is not the job's.
SUDOERS = """\
Defaults env_reset
Defaults secure_path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
root ALL=(ALL:ALL) ALL
"""
PASSWORDLESS = "runner ALL=(ALL) NOPASSWD:ALL\n"


@dataclass
class House:
    """`enter`: the words before a command; `user`: whose it is then; `home`: the runner's work directory."""

    enter: list[str]
    user: int
    home: Path
    world: World
    action: Path

    def popen(self, argv: list[str], env: Mapping[str, str], cwd: Path) -> subprocess.Popen[bytes]:
        words = [*self.enter, f"--wdns={cwd}"]
        words += ["setpriv", f"--reuid={self.user}", f"--regid={self.user}", "--clear-groups"]
        return subprocess.Popen(
            [*words, *argv],
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def give(self, path: Path) -> None:
        """`path` and all below it to the runner's user."""
        for found in (path, *path.rglob("*")):
            os.chown(found, self.user, self.user, follow_symlinks=False)


class HouseJob(Job):
    """A job in a house, with a workspace of its own; what it installed is that of all jobs of the house."""

    def __init__(self, house: House, world: World) -> None:
        self.house = house
        top = Path(tempfile.mkdtemp(prefix="job-", dir=house.home))
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(house.home / "home"),
            "LANG": "C.UTF-8",
            "USER": "runner",
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_WORKSPACE": str(top / "repo/repo"),
            "GITHUB_REPOSITORY": "sluicegate/example",
            "GITHUB_RUN_ID": "77",
            "GITHUB_RUN_ATTEMPT": "1",
            "GITHUB_WORKFLOW": "agents",
            "GITHUB_JOB": "agent",
            "GITHUB_EVENT_NAME": "push",
            "GITHUB_REF": "refs/heads/main",
            "GITHUB_SHA": "0123456789abcdef0123456789abcdef01234567",
            "RUNNER_OS": "Linux",
            "RUNNER_ARCH": "X64",
            "RUNNER_TEMP": str(house.home / "_temp"),
            "RUNNER_TOOL_CACHE": str(house.home / "_tool"),
            "ACTIONS_RUNTIME_TOKEN": "run-time-token",
            # pip's own configuration says where packages come from: here from what `make setup` has fetched.
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(WHEELS),
        }
        super().__init__(house, top, house.action, env)
        self.temp = house.home / "_temp"
        self.workspace.mkdir(parents=True)
        house.give(top)

    def chown(self, path: Path) -> None:
        os.chown(path, self.house.user, self.house.user)

    def write(self, name: str, text: str) -> Path:
        path = self.workspace / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        self.house.give(self.workspace)
        return path


@contextmanager
def house(
    world: World, *, sudo: bool = True, user: int = UID, like: House | None = None
) -> Iterator[House]:
    """A machine in `world`, for as long as the context lasts; what `like` has installed it has, too."""
    home = Path(tempfile.mkdtemp(prefix="runner-", dir=world.directory))
    etc = home / "etc"
    etc.mkdir()
    entry = f"runner:x:{user}:{user}::{home / 'home'}:/bin/bash\n" if user else ""
    files = {
        "passwd": Path("/etc/passwd").read_text() + entry,
        "shadow": Path("/etc/shadow").read_text()
        + ("runner:*:19000:0:99999:7:::\n" if user else ""),
        "group": Path("/etc/group").read_text() + (f"runner:x:{user}:\n" if user else ""),
        # sudo looks its machine's name up.
        "hosts": (world.directory / "hosts").read_text() + f"127.0.1.1 {os.uname().nodename}\n",
        "sudoers": SUDOERS + (PASSWORDLESS if sudo else ""),
    }
    for name, text in files.items():
        (etc / name).write_text(text)
    (etc / "shadow").chmod(0o640)
    (etc / "sudoers").chmod(0o440)
    for name in ("home", "_temp", "_tool"):
        (home / name).mkdir()
    made = House([], user, home, world, like.action if like else _action(home))
    for name in ("home", "_temp", "_tool"):
        made.give(home / name)
    os.chown(home, user, user)
    home.chmod(0o755)
    lines = [f"mount --bind {etc / name} /etc/{name}" for name in files]
    # What is installed lies in memory, and goes with the machine: it is thousands of files.
    (home / "_temp/sluicegate").mkdir()
    os.chown(home / "_temp/sluicegate", user, user)
    what = f"-t tmpfs -o mode=755,uid={user},gid={user} none"
    if like is not None:
        what = f"--bind {like.home}/_temp/sluicegate"
    lines.append(f"mount {what} {home}/_temp/sluicegate")
    lines += ["echo ready", "exec cat"]
    keeper = subprocess.Popen(
        [
            *(like.enter if like else world.enter(None)),
            "unshare",
            "--mount",
            "sh",
            "-ec",
            "\n".join(lines),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert keeper.stdout is not None
        assert keeper.stdout.readline() == "ready\n"
        made.enter = ["nsenter", f"--target={keeper.pid}", "--net", "--mount"]
        yield made
    finally:
        keeper.kill()
        keeper.communicate()


def _action(home: Path) -> Path:
    """Where the runner checks the action out."""
    action = home / "_actions/sluicegate/sluicegate/v1"
    action.mkdir(parents=True)
    for name in ("action.yml", "action", "src/sluicegate", "verifier"):
        source = ROOT / name
        if source.is_dir():
            skip = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, action / name, symlinks=True, ignore=skip)
        else:
            shutil.copy(source, action / name)
    return action
