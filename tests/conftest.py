"""Fixtures of the tiers that run the product: one world per session, both tiers of the wall."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.world import USER, Done, World

TIERS = ("netns-root", "netns-rootless")
# What started the tests may have left signals ignored, as a shell does for its background jobs. A run keeps to
# that, and so would every command of the tests.
for _number in (signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, signal.SIG_DFL)
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def catcher(number: signal.Signals) -> list[str]:
    """A command that says `ready`, waits for `number`, says `caught` and exits with 9.

    Not a shell's trap around `read`: one signal in some thousands comes between the shell's look at its traps and
    the system call, and then the shell waits for ever.
    """
    script = (
        "import signal, sys; wanted = {int(sys.argv[1])}; signal.pthread_sigmask(0, wanted); "
        "print('ready', flush=True); signal.sigwait(wanted); print('caught'); sys.exit(9)"
    )
    return ["/usr/bin/python3", "-c", script, str(int(number))]


@pytest.fixture(scope="session")
def world() -> Iterator[World]:
    assert os.geteuid() == 0, "these tests make namespaces: run them as root, as `make test` does"
    directory = Path(tempfile.mkdtemp(prefix="sluicegate-world-"))
    directory.chmod(0o777)
    try:
        with World(directory) as made:
            yield made
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class Run:
    """A finished `sluicegate run` and its packet's directory."""

    code: int
    out: str
    err: str
    packet: Path

    def flows(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.packet / "flows.jsonl").read_text().splitlines()]

    def boundary(self) -> dict[str, Any]:
        found = json.loads((self.packet / "boundary.json").read_text())
        assert isinstance(found, dict)
        return found


@dataclass(slots=True)
class Tier:
    """`sluicegate run` in the world at one tier; each instance has a fresh workspace."""

    world: World
    name: str
    work: Path
    count: int = 0

    @property
    def user(self) -> int | None:
        return None if self.name == "netns-root" else USER

    def argv(self, command: Sequence[str], policy: str, *options: str) -> tuple[list[str], Path]:
        self.count += 1
        packet = self.work.parent / f"packet-{self.count}"
        rules = self.work.parent / f"policy-{self.count}.yaml"
        rules.write_text(policy)
        argv = [sys.executable, "-m", "sluicegate", "run", "--policy", str(rules)]
        argv += ["--packet", str(packet), "--workdir", str(self.work), *options, "--", *command]
        return argv, packet

    def run(
        self,
        command: Sequence[str],
        policy: str = "version: 1\n",
        *options: str,
        env: Mapping[str, str] | None = None,
        stdin: str | None = None,
    ) -> Run:
        argv, packet = self.argv(command, policy, *options)
        done = self.world.run(argv, user=self.user, env=env, cwd=self.work, stdin=stdin)
        return Run(done.code, done.out, done.err, packet)

    def python(self, script: str, policy: str = "version: 1\n", *options: str) -> Run:
        """Run a Python script inside the boundary."""
        return self.run(["/usr/bin/python3", "-c", script], policy, *options)

    def sluicegate(self, *arguments: str) -> Done:
        """Another command of ours, in the world, as the tier's user."""
        argv = [sys.executable, "-m", "sluicegate", *arguments]
        return self.world.run(argv, user=self.user, cwd=self.work)

    def verify(self, run: Run, *options: str) -> Done:
        argv = [sys.executable, "-m", "sluicegate", "verify", str(run.packet), *options]
        return self.world.run(argv)


def new_tier(world: World, name: str) -> Tier:
    """`name` with a workspace of its own."""
    top = Path(tempfile.mkdtemp(dir=world.directory))
    work = top / "work"
    work.mkdir()
    for path in (top, work):
        os.chown(path, USER, USER)
    return Tier(world, name, work)


@pytest.fixture(params=TIERS)
def tier(world: World, request: pytest.FixtureRequest) -> Tier:
    return new_tier(world, request.param)
