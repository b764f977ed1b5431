"""A packet as a run makes it: the real notary on real files, driven over its two sockets."""

from __future__ import annotations

import hashlib
import ipaddress
import json
import os
import re
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from sluicegate import posture
from sluicegate.evidence import counts, equation, keys, notary, packet, records, trace
from sluicegate.evidence.workspace import Change, Gathered, Node, Tree, manifest
from sluicegate.facts import Facts, Protocol
from sluicegate.jcs import Json
from sluicegate.policy import normal
from sluicegate.policy.decide import decide
from sluicegate.policy.model import Policy, Rule
from sluicegate.verify import packet as check
from sluicegate.verify import summary, verifymd
from sluicegate.verify.counted import Counted
from sluicegate.verify.reckon import Reckoning

SEED = b"k" * 32
PUBLIC = keys.signer(SEED)[1]
PIN = bytes.fromhex(PUBLIC)
# b.example is allowed, w.example only by a policy that observes, everything else denied.
POLICIES = (
    Policy("made", allow=(Rule("allow[0] made", "b.example"), Rule("allow[1] made", "w.example"))),
    Policy("watched", observe=True, allow=(Rule("allow[0] watched", "b.example"),)),
)
POLICY = normal.policy_text(POLICIES)
NAMES = ("evidence.jsonl", "flows.jsonl")
# What a sound boundary's probe says, and a network without devices.
OUTCOMES = {
    **dict.fromkeys(posture._REFUSED, "EPERM"),
    **dict.fromkeys(posture._TAKEN, "open"),
    **posture._EXACT,
    "docker socket": "ENOENT",
    "uid": "1000",
    "gid": "1000",
    "host sockets tried": "0 of 0",
}
CAPTURED = sorted({*posture._TAKEN, "log"})
NETWORK: dict[str, object] = {
    **{name: [] for name in ("addresses", "routes", "rules", "settings")},
    "links": ["index=1 name=lo"],
    "generation": 2,
    "ruleset": "sha256:" + "0" * 64,
}
OPENED: dict[str, object] = {
    "run": "0123456789abcdef",
    "tier": "netns-root",
    "started_at": "2026-01-02T03:04:05Z",
    "sluicegate": "0.0.0",
    "kernel": "6.1.0",
    "plan": [["net namespace", "net:[1]", "done"]],
    "counters": dict.fromkeys(equation.COUNTERS, 0),
    "network": NETWORK,
    "withheld": ["AWS_SECRET_ACCESS_KEY"],
    "workspace_credentials": [],
    "command": {"name": "curl", "args": 1, "argv_sha256": "0" * 64},
    "identity": {"uid": 1000, "gid": 1000},
    "probe": {
        "outcomes": OUTCOMES,
        "captured": CAPTURED,
        "docker": False,
        "holes": [],
        "results": posture.results(OUTCOMES, frozenset(CAPTURED)),
    },
    "commit": "",
    "ci": {},
    "holes_ignored": False,
    "posture": {
        "enforcement_mode": posture.enforcement("netns-root"),
        "runner_os": "Linux",
        "runner_arch": "x86_64",
        **posture.members(OUTCOMES, frozenset(CAPTURED), False),
        "websocket_frame_scanning": "off",
    },
}


def workspace() -> bytes:
    """workspace.json of a run that changed something of each kind, in two trees."""
    old, new = Node("file", 0o644, 2, sha256="a" * 64), Node("file", 0o755, 3)
    gathered = Gathered()
    for change in (
        Change(0, b"a", "modified", old, replace(old, size=3, links=2)),
        Change(0, b"b c", "added", None, Node("dir", 0o755)),
        Change(0, b"b c/package.json", "added", None, new),
        Change(0, b"gone", "deleted", Node("link", target=b"a"), None),
        Change(0, "h\u00f6\n%".encode(), "added", None, Node("link", target=b"../../x")),
        Change(0, b".git/hooks/pre-commit", "mode", old, replace(old, mode=0o4755)),
        Change(0, b".git/objects/0a/1b", "added", None, old),
        Change(1, b".", "mode", Node("dir", 0o755), Node("dir", 0o700)),
        Change(1, b"pipe", "added", None, Node("fifo", 0o600)),
    ):
        gathered.add(change)
    trees = (Tree(b"/work", "workspace", "stat", 7), Tree(b"/cache/\xff", "bind", "read", 1))
    unread = ((1, b"dark"), (0, b"d\x80rk"))
    # Of one file the digest could not be had.
    return manifest(trees, gathered, lambda c: "" if c.path == b"a" else "b" * 64, unread)


WORKSPACE = workspace()
CLOSED: dict[str, object] = {
    "network": NETWORK,
    "workspace": {"sha256": hashlib.sha256(WORKSPACE).hexdigest()},
    "run": {
        "agent_identity": "ci",
        "agent_exit_code": 7,
        "provider": "local",
        "key": "given",
    },
}


def probed(changes: Mapping[str, str]) -> dict[str, object]:
    """The members of the open part that follow from other outcomes."""
    outcomes = {**OUTCOMES, **changes}
    taken = frozenset(CAPTURED)
    holes = list(posture.holes(outcomes, taken))
    results = posture.results(outcomes, taken)
    return {
        "probe": {
            "outcomes": outcomes,
            "captured": CAPTURED,
            "docker": False,
            "holes": holes,
            "results": results,
        },
        "holes_ignored": bool(holes),
        "posture": {
            **OPENED["posture"],  # type: ignore[dict-item]
            **posture.members(outcomes, taken, docker=False),
        },
    }


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def action(number: int) -> str:
    """The gate's id `number`: they rise with it."""
    return f"00000000-0000-7000-8000-{number:012x}"


def own(number: int) -> str:
    """The notary's id `number`."""
    return f"00000000-0000-8000-8000-{number:012x}"


def bound(host: str) -> str:
    """The address that our resolver gave to `host`: each has its own, by its number or else its first letter."""
    number = 1000 + int(digits) if (digits := re.sub(r"\D", "", host)) else ord(host[0])
    return str(ipaddress.IPv4Address(counts.FIRST_BOUND + number))


def known(host: str) -> Facts:
    """The facts of a TLS connection to `host`."""
    return Facts(Protocol.TLS, bound(host), 443, synthetic=host, sni=host)


def message(number: int, host: str = "a.example", **changes: object) -> dict[str, object]:
    """What the gate says of connection `number` to `host`; `changes` replace members, those of `flow` within it."""
    facts, who = known(host), records.Client(number, 40_000)
    judged = decide(POLICIES, facts)
    kind = records.warning if judged.observed else records.decision
    made: dict[str, object] = {**kind(who, facts, judged, action(number))}
    flow = {**made["flow"], **changes.pop("flow", {})}  # type: ignore[dict-item]
    return made | {"flow": flow} | changes


def pair(number: int) -> list[dict[str, object]]:
    """An allowed flow from intent to outcome."""
    facts, who = known("b.example"), records.Client(number, 40_000)
    judged = decide(POLICIES, facts)
    end = records.Outcome("complete", 3, 4, 5, ("192.0.2.9",), "192.0.2.9", kernel=(3, 4))
    return [
        message(number, "b.example"),
        {**records.outcome(who, facts, judged, action(number), end)},
    ]


def numbered(
    messages: Sequence[Mapping[str, object]], numbers: dict[object, int] | None = None
) -> list[dict[str, object]]:
    """`messages` with their connections numbered as they come, after those in `numbers`, which grows."""
    numbers, out = {} if numbers is None else numbers, []
    for message in messages:
        flow = message.get("flow")
        if isinstance(flow, dict) and "connection" in flow:
            number = numbers.setdefault(flow["connection"], len(numbers) + 1)
            out.append({**message, "flow": flow | {"connection": number}})
        else:
            out.append(dict(message))
    return out


def closing(messages: Sequence[Mapping[str, object]]) -> dict[str, object]:
    """The close part of boundary.json, if the kernel saw what these messages tell."""
    sums = Reckoning()
    for said in messages:
        record = {"decision_phase": said.get("phase"), "verdict": said["verdict"]}
        sums.add(record, said["flow"], "made")  # type: ignore[arg-type]
    return settled(sums)


def settled(sums: Reckoning) -> dict[str, object]:
    """As `closing`, of what was added up already."""
    held = sums.held(0)
    accepted = held.flows + held.overload
    seen = dict.fromkeys(equation.COUNTERS, 0) | {
        **dict.fromkeys(("captured", "Tcp.ActiveOpens", "Tcp.PassiveOpens"), accepted),
        "questions": held.udp + held.udp_lost,
        "refused": held.drops + held.drops_lost,
        "dns.lost": held.udp_lost,
        "log.lost": held.drops_lost,
        "up4": 1,
        "up4.bytes": held.up + equation.PLAIN4_BYTES,
        "down4": 1,
        "down4.bytes": held.down + equation.PLAIN4_BYTES,
    }
    gate = sums.claims(0)
    return CLOSED | {"counters": seen, "gate": gate, "equation": equation.solved(seen, held, gate)}


def balance(closed: dict[str, object], risen: Mapping[str, int]) -> None:
    """Have the kernel count more, and the equation say so, as an honest supervisor would."""
    counters, gate, solution = closed["counters"], closed["gate"], closed["equation"]
    assert isinstance(counters, dict)
    assert isinstance(gate, dict)
    assert isinstance(solution, dict)
    counters |= {name: counters[name] + by for name, by in risen.items()}
    closed["equation"] = equation.solved(counters, equation.Held(**solution["record"]), gate)


class Desk:
    """The notary in a thread, and the two peers it serves."""

    def __init__(
        self,
        directory: Path,
        heartbeat_s: int = 0,
        seed: bytes = SEED,
        checkpoint_s: int = notary.CHECKPOINT_SECONDS,
    ) -> None:
        self.directory = directory
        self.gate, gate_end = socket.socketpair()
        self.boss, boss_end = socket.socketpair()
        self.fds = [os.open(directory / n, os.O_CREAT | os.O_RDWR | os.O_APPEND) for n in NAMES]
        self.code: int | None = None
        self.closed: dict[str, object] | None = None
        self.told: list[Mapping[str, object]] = []
        self.numbers: dict[object, int] = {}
        args = (gate_end, boss_end, *self.fds, seed, heartbeat_s, None, checkpoint_s)
        self.thread = threading.Thread(target=self._serve, args=args)
        self.thread.start()

    def _serve(self, *args: object) -> None:
        self.code = notary.serve(*args)  # type: ignore[arg-type]

    def ask(self, peer: socket.socket, *messages: object) -> dict[str, object]:
        """The last answer after `messages`; empty if the notary hung up."""
        self.tell(peer, *messages)
        peer.settimeout(30)
        heard = peer.recv(65_536)
        return dict(json.loads(heard.splitlines()[-1])) if heard else {}

    def tell(self, peer: socket.socket, *messages: object) -> None:
        """Say `messages`; the gate's connections are numbered as they come."""
        if peer is self.gate:
            messages = tuple(numbered(messages, self.numbers))  # type: ignore[arg-type]
            self.told += messages  # type: ignore[arg-type]
        peer.sendall(b"".join(json.dumps(m).encode() + b"\n" for m in messages))

    def open(self) -> dict[str, object]:
        bound = {
            "policy_hash": digest(POLICY),
            "boundary_open_sha256": packet.opening_digest(OPENED),
        }
        return self.ask(self.boss, {"open": bound})

    def record(self, *messages: object) -> None:
        """Have every message committed."""
        self.tell(self.gate, *messages)
        count = 0
        while count < len(messages):
            count = json.loads(self.gate.recv(65_536).splitlines()[-1])["committed"]

    def close(self) -> dict[str, object]:
        closed = self.closed or closing(self.told)
        whole = packet.boundary(OPENED, closed)
        flow = {"boundary_sha256": digest(whole), **closed["counters"]}  # type: ignore[dict-item]
        return self.ask(self.boss, {"close": {"reason": "done", "flow": flow}})

    def seal(self, report: check.Report, made: Mapping[str, bytes]) -> dict[str, bytes]:
        """The two bundles over the files so far."""
        asked = {
            "subjects": {name: hashlib.sha256(data).hexdigest() for name, data in made.items()},
            "results": trace.results(OPENED),
            "commit": trace.commit(OPENED),
            "trace": trace.trace(report.tally, OPENED, report.policy_hash, report.run_nonce),
        }
        said = self.ask(self.boss, {"seal": asked})
        return {name: text.encode() for name, text in said["sealed"].items()}  # type: ignore[attr-defined]

    def join(self) -> int | None:
        self.gate.close()
        self.boss.close()
        self.thread.join(30)
        for fd in self.fds:
            os.close(fd)
        return self.code

    def files(self, *, closed: bool = True) -> dict[str, bytes]:
        found = {n: (self.directory / n).read_bytes() for n in NAMES}
        found |= {"policy.json": POLICY}
        ended = self.closed or closing(self.told)
        return found | {"boundary.json": packet.boundary(OPENED, ended if closed else None)}


def files(
    directory: Path,
    messages: Sequence[Mapping[str, object]],
    act: Callable[[Desk], object] = Desk.close,
    seed: bytes = SEED,
    *,
    honest: bool = True,
    desk_of: type[Desk] = Desk,
) -> dict[str, bytes]:
    """The files of a whole packet with `messages` in it; not `honest`: the gate said what no gate would."""
    desk = desk_of(directory, seed=seed)
    desk.open()
    desk.record(*messages)
    closed = act(desk)
    made = desk.files() | {"workspace.json": WORKSPACE}
    pin = bytes.fromhex(keys.signer(seed)[1])
    report = check.verify(made, [pin], finished=False)
    assert report.reached[check.Level.CLOSED][0], report.reached
    assert (report.outcome == check.VALID) is honest, report.reached
    written = packet.packet(
        report.tally, report.boundary, report.policy_hash, report.root, report.signer_key
    )
    assert isinstance(closed, dict)
    made |= {
        "packet.json": written,
        "summary.md": summary.of_the_run(report).encode(),
        "VERIFY.md": verifymd.of_the_run(report).encode(),
        "checkpoint": closed["closed"]["checkpoint"].encode(),
    }
    made |= desk.seal(report, made)
    desk.join()
    return made


def made_again(check: Counted, message: Mapping[str, Json]) -> None:
    """Nothing, if a stranger makes this message of its facts."""
    record = {**message, "decision_phase": message.get("phase")}
    check.check(record, message["flow"], "it")  # type: ignore[arg-type]


def some() -> list[dict[str, object]]:
    """One of each kind the gate tells."""
    udp: dict[str, Json] = {"protocol": "udp", "destination": "192.0.2.1", "port": 443, "count": 3}
    asked = [question("a.example", 2), question("b.example", 1, "udp-loopback")]
    drop = {**counts.drops([udp], 1, action(1), 4)}
    names = {**counts.questions(asked, None, action(2))}
    return [message(0), drop, names, *pair(3), message(4)]


def question(host: str, count: int, via: str = "udp") -> dict[str, Json]:
    """A group of questions for `host`, answered."""
    return {
        "name": host,
        "type": "A",
        "via": via,
        "rcode": "NOERROR",
        "reason": "bound",
        "address": bound(host),
        "count": count,
    }
