"""Runs a family of attacks: once in the open, where each must leak, and once behind the wall of each tier.

The verdict is what arrived outside: at the sink's servers, and as packets of the world. A case's canary is fresh in
each run, so that what the open one leaked excuses nothing.
"""

from __future__ import annotations

import base64
import contextlib
import json
import secrets
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tests.conftest import Run, Tier, new_tier
from tests.world import World

HERE = Path(__file__).parent
PRELUDE = (HERE / "inside.py").read_text()
ATTACKER = ("203.0.113.66", "2001:db8::66")
ALLOWED = ("203.0.113.10", "2001:db8::10")
PROXY = ("192.0.2.1", 8118)
# Allows what the legitimate request needs, and the names that the cases abuse.
POLICY = """\
version: 1
allow:
  - host: allowed.test
  - host: "*.wild.test"
  - host: "*.ok.test"
"""
HOSTILE = "version: 1\nmode: observe\nallow:\n  - ip: 0.0.0.0/0\n    ports: [53, 80, 443]\n"
DRIVER = """
import json, os, subprocess, sys, time
for name, token, script in json.loads(sys.stdin.read()):
    begin = time.monotonic()
    done = subprocess.run([sys.executable, "-c", script, token], capture_output=True, text=True,
                          errors="replace", stdin=subprocess.DEVNULL, timeout=60)
    seconds = time.monotonic() - begin
    legitimate = subprocess.run(["curl", "-s", "-m5", "http://allowed.test/after-" + name[:3]],
                                capture_output=True, text=True).stdout
    print(json.dumps([name, done.stdout.splitlines(), done.stderr, seconds, legitimate]), flush=True)
"""


@dataclass(frozen=True, slots=True)
class Case:
    """What one script said, and what the sink and the wire saw of its canary."""

    said: list[Any]
    errors: str
    seconds: float
    legitimate: str
    token: str
    arrived: list[dict[str, Any]]
    packets: list[dict[str, Any]]

    @property
    def leaked(self) -> bool:
        return bool(self.arrived or self.packets)


class Ran:
    """One family in one place. `run` is None in the open."""

    def __init__(
        self,
        lines: list[list[Any]],
        tokens: Mapping[str, str],
        log: list[dict[str, Any]],
        packets: list[dict[str, Any]],
    ) -> None:
        self.log, self.packets = log, packets
        self.run: Run | None = None
        self.tier: Tier | None = None
        self.verified: Any = None
        self.flows: list[dict[str, Any]] = []
        self.cases = {
            name: Case(
                [json.loads(line) for line in said],
                errors,
                seconds,
                legitimate,
                tokens[name],
                [entry for entry in log if _has(entry, tokens[name])],
                [packet for packet in packets if _has(packet, tokens[name])],
            )
            for name, said, errors, seconds, legitimate in lines
        }

    def __getitem__(self, name: str) -> Case:
        return self.cases[name]

    def to(self, *targets: str, port: int | None = None) -> list[dict[str, Any]]:
        """The packets of the world that went to these addresses."""
        return [
            packet
            for packet in self.packets
            if packet["target"] in targets and port in {None, packet.get("port")}
        ]

    def asked(self, part: str) -> list[str]:
        """The names with `part` that reached the name server outside."""
        return [
            entry["name"]
            for entry in self.log
            if entry["protocol"] == "dns" and part in entry["name"]
        ]

    def denied(self, **facts: Any) -> list[dict[str, Any]]:
        """The connection records with these facts that did not end in an outcome."""
        return [
            flow
            for flow in self.flows
            if flow["kind"] == "connection"
            and "outcome" not in flow
            and not flow["rule"].startswith("allow")
            and all(flow.get(key) == value for key, value in facts.items())
        ]

    def dropped(self, **facts: Any) -> int:
        """How many refused packets with these facts are on record."""
        return _sum(self.flows, "drop", "groups", facts)

    def questions(self, **facts: Any) -> int:
        """How many questions with these facts are on record."""
        return _sum(self.flows, "dns", "questions", facts)


def _sum(flows: list[dict[str, Any]], kind: str, member: str, facts: Mapping[str, Any]) -> int:
    return sum(
        group["count"]
        for flow in flows
        if flow["kind"] == kind
        for group in flow[member]
        if all(group.get(key) == value for key, value in facts.items())
    )


def _has(thing: Mapping[str, Any], token: str) -> bool:
    """Is the canary in it, plain or in the disguises that our scripts use?"""
    text = "\n".join(str(value) for value in thing.values()).lower()
    forms = (
        token,
        token[::-1],
        token.encode().hex(),
        base64.b64encode(token.encode()).decode().rstrip("=").lower(),
    )
    return any(form in text for form in forms)


class Witness:
    """The capture process of one world."""

    def __init__(self, world: World) -> None:
        self._process = world.popen([sys.executable, str(HERE / "capture.py"), "203.0.113.10"])
        self._expect("ready")

    def flush(self) -> list[dict[str, Any]]:
        """The packets since the last call; none is missing."""
        assert self._process.stdin is not None
        self._process.stdin.write("flush\n")
        self._process.stdin.flush()
        assert self._process.stdout is not None
        found = json.loads(self._process.stdout.readline())
        assert found["lost"] == 0
        packets: list[dict[str, Any]] = found["packets"]
        return packets

    def _expect(self, word: str) -> None:
        assert self._process.stdout is not None
        assert self._process.stdout.readline().strip() == word

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()


@contextlib.contextmanager
def naive(world: World) -> Iterator[None]:
    """An open proxy where the scripts believe theirs to be."""
    world.run(["ip", "addr", "add", f"{PROXY[0]}/32", "dev", "lo"])
    process = world.popen([sys.executable, str(HERE / "naive.py"), PROXY[0], str(PROXY[1])])
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield
    finally:
        process.kill()
        process.communicate()
        world.run(["ip", "addr", "del", f"{PROXY[0]}/32", "dev", "lo"])


def outside(
    world: World,
    scripts: Mapping[str, str],
    work: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> Ran:
    """The scripts with no wall around them, as root: the most that they could do."""
    given, tokens = _given(scripts)
    with Witness(world) as witness:
        before = len(world.arrived())
        with naive(world):
            done = world.run(["/usr/bin/python3", "-c", DRIVER], stdin=given, cwd=work, env=env)
        packets = witness.flush()
        world.settle()
        log = world.arrived()[before:]
    assert done.code == 0, done.err
    return Ran([json.loads(line) for line in done.out.splitlines()], tokens, log, packets)


def inside(
    world: World,
    name: str,
    scripts: Mapping[str, str],
    policy: str = POLICY,
    tier: Tier | None = None,
    env: Mapping[str, str] | None = None,
) -> Ran:
    """The scripts behind the wall, in one run; its packet is verified with a pinned key."""
    tier = tier or new_tier(world, name)
    given, tokens = _given(scripts)
    (tier.work / "sluicegate.yaml").write_text(HOSTILE)
    key = tier.work.parent / "signer"
    world.run([sys.executable, "-m", "sluicegate", "keygen", str(key)], user=tier.user)
    with Witness(world) as witness:
        before = len(world.arrived())
        with naive(world):
            command = ["/usr/bin/python3", "-c", DRIVER]
            run = tier.run(command, policy, "--key", f"{key}.key", env=env, stdin=given)
        packets = witness.flush()
        world.settle()
        log = world.arrived()[before:]
    assert run.code == 0, run.err
    ran = Ran([json.loads(line) for line in run.out.splitlines()], tokens, log, packets)
    ran.run, ran.tier, ran.flows = run, tier, run.flows()
    ran.verified = tier.verify(run, "--key", f"{key}.pub")
    return ran


def _allowed(entry: Mapping[str, Any]) -> bool:
    local = str(entry.get("local", "")).removeprefix("::ffff:")
    return local in ALLOWED and "\nhost: allowed.test\r\n" in str(entry.get("head")).lower()


def _given(scripts: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    tokens = {name: f"tok{secrets.token_hex(8)}" for name in scripts}
    cases = [[name, tokens[name], PRELUDE + script] for name, script in scripts.items()]
    return json.dumps(cases), tokens


def check(ran: Ran, leaks: Ran, name: str, *, control: bool = True, own: bool = False) -> Case:
    """What every case must show: it leaks in the open, not behind the wall, and harms nobody else there.

    Without `control` the case has a better measure than its canary, and the test applies it. With `own`
    the canary may reach the host that the policy allows, as a request to that host.
    """
    case = ran[name]
    assert not control or leaks[name].leaked, f"void: {name} does not leak in the open"
    arrived = [entry for entry in case.arrived if not (own and _allowed(entry))]
    packets = [packet for packet in case.packets if not (own and packet["target"] in ALLOWED)]
    assert not arrived, f"{name} reached the sink: {arrived}"
    assert not packets, f"{name} reached the wire: {packets}"
    assert case.legitimate.startswith("sink GET"), f"after {name}: {case.legitimate!r}"
    assert ran.verified.code == 0, ran.verified.out + ran.verified.err
    return case
