"""Fixtures of the real clients: the forge beyond the world's link, and a workspace ready for them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sluicegate.evidence import chain, journal, packet
from tests.conftest import TIERS, Run, Tier, new_tier
from tests.evidence import made
from tests.peers.forge import Forge
from tests.peers.second import OTHER_SEED, SIGN, Files
from tests.world import ROOT, USER, World

PROGRAMS = Path(__file__).parent / "programs"
GO = shutil.which("go", path=os.environ["PATH"] + ":/usr/local/go/bin")  # where Go unpacks itself
# A refusal comes at once. Far above what a client needs to start on a busy machine, far below any time-out.
AT_ONCE_SECONDS = 10.0
ALERT = r"(?i)access (was )?denied"  # what OpenSSL and GnuTLS make of the gate's alert

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

    def denied(self, *patterns: str, code: int | None = None) -> None:
        """Refused at once; `code` where the client has one for it, else any but 0."""
        assert self.code == code if code is not None else self.code, (
            f"{self.command}: {self.code}\n{self.said}"
        )
        for pattern in patterns:
            assert re.search(pattern, self.said), f"{self.command}: {self.said}"
        assert self.seconds < AT_ONCE_SECONDS, f"{self.command}: {self.seconds} s"


@dataclass(frozen=True, slots=True)
class Visit:
    """A finished run: one outcome for each command, and what arrived over the network meanwhile."""

    run: Run
    outcomes: tuple[Outcome, ...]
    arrived: tuple[dict[str, Any], ...]

    def heads(self) -> list[str]:
        """The request lines that arrived at the sink, sorted."""
        assert all(entry["protocol"] == "http" for entry in self.arrived), self.arrived
        return sorted(entry["head"].partition(" HTTP/")[0] for entry in self.arrived)

    def heads_of(self, protocol: str) -> list[str]:
        """The request lines of what arrived as `protocol`, whatever else did."""
        came = [entry for entry in self.arrived if entry["protocol"] == protocol]
        return sorted(entry["head"].partition(" HTTP/")[0] for entry in came)


@dataclass(frozen=True, slots=True)
class Clients:
    """Runs commands of real clients in one boundary, one after the other."""

    tier: Tier

    def visit(
        self,
        commands: Sequence[str],
        *options: str,
        policy: str = POLICY,
        trusted: bool = False,
        **more: str,
    ) -> Visit:
        """`trusted`: the gate trusts the world's authority, for what it opens; `more` are variables."""
        world, work = self.tier.world, self.tier.work
        before = len(world.arrived())
        script = [
            f"a=$(date +%s%N); ( {command}\n) >{n}.said 2>&1 </dev/null;"
            f" echo $? $(($(date +%s%N) - a)) >{n}.code"
            for n, command in enumerate(commands)
        ]
        given = {"SSL_CERT_FILE": str(world.ca)} if trusted else {}
        line = ["sh", "-c", "\n".join(script)]
        run = self.tier.run(line, policy, *options, env=given | more)
        assert run.code == 0, run.err
        world.settle()
        outcomes = []
        for n, command in enumerate(commands):
            code, nanoseconds = (work / f"{n}.code").read_text().split()
            said = (work / f"{n}.said").read_text(errors="replace")
            outcomes.append(Outcome(command, int(code), said, int(nanoseconds) / 1e9))
        # Who tries every socket of the machine meanwhile, in another run of the tests, is no client of ours.
        came = [entry for entry in world.arrived()[before:] if entry["protocol"] != "unix"]
        return Visit(run, tuple(outcomes), tuple(came))

    def place(self, program: str) -> None:
        """Put one of our own programs into the workspace."""
        shutil.copy(PROGRAMS / program, self.tier.work)


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


@pytest.fixture(scope="session")
def installed(world: World) -> Path:
    """A copy, where the tiers' users can reach it, of the clients that are no packages of the system."""
    place = ROOT / ".venv-clients"
    if not (place / ".ready").exists():
        pytest.skip("optional clients: `make setup` has not installed them")
    shutil.copytree(place, world.directory / "clients", symlinks=True)
    return world.directory / "clients"


@pytest.fixture(scope="session")
def go_binary(world: World) -> Path:
    """`fetch.go`, built without C: it resolves names by itself."""
    if GO is None:
        pytest.skip("an optional client: no Go on this machine")
    binary = world.directory / "fetch"
    pure = {"CGO_ENABLED": "0", "GO111MODULE": "off", "GOTOOLCHAIN": "local", "GOFLAGS": ""}
    done = subprocess.run(
        [GO, "build", "-o", str(binary), str(PROGRAMS / "fetch.go")],
        env={**os.environ, **pure},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return binary


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet that a run left, the run's exit code, and the digits of the key that signed it."""

    directory: Path
    code: int
    signer: str


@pytest.fixture(scope="session", params=TIERS)
def packets(world: World, request: pytest.FixtureRequest) -> dict[str, Packet]:
    """Of runs of different kinds, by name. `denied` has a given key, whose `release.pub` lies beside it."""
    tier = new_tier(world, request.param)
    pair = tier.work.parent / "release"
    assert tier.sluicegate("keygen", str(pair)).code == 0
    policy = "version: 1\nallow:\n  - host: allowed.test\n"
    fetch = "curl -s -m 5 http://allowed.test/ http://denied.test/ http://allowed.test/"
    # What is refused by the wall itself, and what no rule names.
    more = "; echo x >/dev/udp/203.0.113.10/443; exec 3<>/dev/tcp/203.0.113.20/7000"
    runs = {
        "idle": tier.run(["true"]),
        "denied": tier.run(["bash", "-c", fetch + more], policy, "--key", f"{pair}.key"),
        "observed": tier.run(["sh", "-c", fetch], policy, "--observe", "--agent-identity", "ci"),
        "killed": tier.run(["sh", "-c", f"{fetch}; kill -9 $$"], policy),
        "timed out": tier.run(["tail", "-f", "/dev/null"], policy, "--timeout", "1"),
    }
    found = {}
    for name, run in runs.items():
        evidence = (run.packet / "evidence.jsonl").read_text()
        signer = json.loads(evidence.partition("\n")[0])["detail"]["signer_key"]
        found[name] = Packet(run.packet, run.code, signer)
    return found


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return made.files(tmp_path_factory.mktemp("whole"), made.some())


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """The same run again, of another key."""
    return made.files(tmp_path_factory.mktemp("other"), made.some(), seed=OTHER_SEED)


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """More flows than are read at once, to many hosts, with a warning and two allowed ones."""
    warned = made.message(0, "w.example")
    flows = [made.message(n, f"h{n % 40}.example") for n in range(1, 300)]
    return made.files(
        tmp_path_factory.mktemp("many"), [warned, *flows, *made.pair(400), *made.pair(401)]
    )


@pytest.fixture(scope="module")
def beating(files: Files) -> Files:
    """A record with heartbeats, closed; its end is not signed."""
    measured = packet.opening_digest(made.OPENED).removeprefix("sha256:")
    run = chain.Run("1" * 32, "2" * 32, made.digest(made.POLICY), made.PUBLIC, 60, measured)
    book, at = journal.Journal(run, SIGN), "2026-01-02T03:04:05"
    told = made.numbered(made.some())
    closed = made.closing(told)
    boundary = packet.boundary(made.OPENED, closed)
    lines = [book.open(made.own(0), f"{at}Z"), book.heartbeat(made.own(1), f"{at}.00001Z")]
    flows = [book.flow(message, f"{at}.1Z") for message in told]
    lines += [evidence for _, evidence in flows] + [book.heartbeat(made.own(2), f"{at}.25Z")]
    counters: dict[str, object] = dict(closed["counters"])  # type: ignore[call-overload]
    end = {"boundary_sha256": made.digest(boundary), **counters}
    flows.append(book.boundary(end, made.own(3), f"{at}.3Z"))
    lines += [flows[-1][1], book.close(made.own(4), "done", f"{at}.300000001Z")]
    left = {"policy.json": made.POLICY, "boundary.json": boundary}
    evidence = b"".join(b"".join(lines).splitlines(keepends=True)[:-2])
    return left | {"evidence.jsonl": evidence, "flows.jsonl": b"".join(f for f, _ in flows)}
