"""Fixtures of the real clients: the forge beyond the world's link, and a workspace ready for them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from tests.conftest import Run, Tier
from tests.peers.forge import Forge
from tests.world import USER, World

# A refusal comes at once. Far above what a client needs to start on a busy machine, far below any time-out.
AT_ONCE_SECONDS = 10.0

POLICY = """\
version: 1
allow:
  - host: allowed.test
  - host: six.test
  - host: forge.test
    ports: [22, 443]
  - host: store.test
    ports: [22, 5432, 6379]
  - ip: 203.0.113.10/32
    ports: [80, 443, 7000]
  - ip: 2001:db8::10/128
    ports: [80, 443, 7000]
  - ip: 203.0.113.30/32
    ports: [22, 443, 5432, 6379]
  - ip: 2001:db8::30/128
    ports: [22, 443, 5432, 6379]
  - ip: 10.9.9.30/32              # where store.test is
    ports: [5432, 6379]
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one command inside the boundary ended, and what it said on both streams."""

    command: str
    code: int
    said: str
    seconds: float

    def allowed(self, *texts: str) -> None:
        assert self.code == 0, f"{self.command}: {self.code}\n{self.said}"
        for text in texts:
            assert text in self.said, f"{self.command}: {self.said}"

    def denied(self, *texts: str, code: int | None = None) -> None:
        """Refused at once; `code` where the client has one for it, else any but 0."""
        assert self.code == code if code is not None else self.code, (
            f"{self.command}: {self.code}\n{self.said}"
        )
        for text in texts:
            assert text in self.said, f"{self.command}: {self.said}"
        assert self.seconds < AT_ONCE_SECONDS, f"{self.command}: {self.seconds} s"


@dataclass(frozen=True, slots=True)
class Visit:
    """A finished run: one outcome for each command, and what arrived at the sink meanwhile."""

    run: Run
    outcomes: tuple[Outcome, ...]
    arrived: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Clients:
    """Runs commands of real clients in one boundary, each by itself."""

    tier: Tier

    def visit(self, commands: Sequence[str], *options: str, policy: str = POLICY) -> Visit:
        world, work = self.tier.world, self.tier.work
        before = len(world.arrived())
        script = [
            f"a=$(date +%s%N); ( {command}\n) >{n}.said 2>&1 </dev/null;"
            f" echo $? $(($(date +%s%N) - a)) >{n}.code"
            for n, command in enumerate(commands)
        ]
        run = self.tier.run(["sh", "-c", "\n".join(script)], policy, *options)
        assert run.code == 0, run.err
        world.settle()
        outcomes = []
        for n, command in enumerate(commands):
            code, nanoseconds = (work / f"{n}.code").read_text().split()
            said = (work / f"{n}.said").read_text(errors="replace")
            outcomes.append(Outcome(command, int(code), said, int(nanoseconds) / 1e9))
        return Visit(run, tuple(outcomes), tuple(world.arrived()[before:]))


@pytest.fixture(scope="session")
def forge(world: World) -> Iterator[Forge]:
    with Forge(world) as made:
        yield made


@pytest.fixture
def clients(tier: Tier, forge: Forge) -> Clients:
    """The workspace holds the world's authority, the forge's host key, and the key of its user."""
    shutil.copy(tier.world.ca, tier.work / "ca.pem")
    for path in (forge.key, forge.known_hosts):
        shutil.copy(path, tier.work)
        os.chown(tier.work / path.name, USER, USER)
    return Clients(tier)
