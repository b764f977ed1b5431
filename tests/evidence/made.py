"""A packet as a run makes it: the real notary on real files, driven over its two sockets."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from sluicegate.evidence import keys, notary, packet, trace
from sluicegate.report import summary
from sluicegate.verify import packet as check

SEED = b"k" * 32
PUBLIC = keys.signer(SEED)[1]
PIN = bytes.fromhex(PUBLIC)
POLICY = b'{"allow":[]}'
NAMES = ("evidence.jsonl", "flows.jsonl")
OPENED: dict[str, object] = {
    "tier": "netns-root",
    "command": ["curl", "https://a.example/`x`"],
    "started_at": "2026-01-02T03:04:05Z",
    "posture": {
        "enforcement_mode": "linux_netns_tproxy",
        "runner_os": "Linux",
        "raw_socket_status": "denied",
        "docker_socket_status": "absent",
        "dns_udp_status": "proxied",
        "browser_proxy_status": "forced",
        "websocket_frame_scanning": "off",
        "unsupported_paths": [],
    },
}
CLOSED: dict[str, object] = {
    "counters": {"captured": 2, "refused": 3},
    "run": {
        "agent_identity": "ci",
        "agent_exit_code": 7,
        "provider": "local",
        "key": "given",
    },
}


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def message(number: int, **changes: object) -> dict[str, object]:
    """A block of the gate; `changes` replace members, those of `flow` within it."""
    flow = {"kind": "connection", "reason": "no rule", "remedy": "- host: a.example\n  ports: [1]"}
    flow |= changes.pop("flow", {})  # type: ignore[arg-type]
    made: dict[str, object] = {
        "flow": flow,
        "action_id": f"id-{number}",
        "action_type": "read",
        "verdict": "block",
        "target": "tls://a.example:443",
        "transport": "forward",
        "layer": "allowlist",
        "pattern": "default",
    }
    return made | changes


def pair(number: int) -> list[dict[str, object]]:
    """An allowed flow from intent to outcome."""
    allowed: dict[str, object] = {"verdict": "allow", "layer": None, "pattern": None}
    flow = {"remedy": None}
    return [
        message(number, phase=phase, flow=flow | {"outcome": phase}, **allowed)
        for phase in ("intent", "outcome")
    ]


class Desk:
    """The notary in a thread, and the two peers it serves."""

    def __init__(self, directory: Path, heartbeat_s: int = 0, seed: bytes = SEED) -> None:
        self.directory = directory
        self.gate, gate_end = socket.socketpair()
        self.boss, boss_end = socket.socketpair()
        self.fds = [os.open(directory / n, os.O_CREAT | os.O_RDWR | os.O_APPEND) for n in NAMES]
        self.code: int | None = None
        args = (gate_end, boss_end, self.fds[0], self.fds[1], seed, heartbeat_s)
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
        whole = packet.boundary(OPENED, CLOSED)
        flow = {"boundary_sha256": digest(whole), **CLOSED["counters"]}  # type: ignore[dict-item]
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
        return found | {"boundary.json": packet.boundary(OPENED, CLOSED if closed else None)}


def files(
    directory: Path,
    messages: Sequence[Mapping[str, object]],
    act: Callable[[Desk], object] = Desk.close,
    seed: bytes = SEED,
) -> dict[str, bytes]:
    """The files of a whole packet with `messages` in it."""
    desk = Desk(directory, seed=seed)
    desk.open()
    desk.record(*messages)
    closed = act(desk)
    made = desk.files()
    pin = bytes.fromhex(keys.signer(seed)[1])
    report = check.verify(made, [pin], finished=False)
    assert report.outcome == check.VALID, report.reached
    written = packet.packet(
        report.tally, report.boundary, report.policy_hash, report.root, report.signer_key
    )
    assert isinstance(closed, dict)
    made |= {
        "packet.json": written,
        "summary.md": summary.of_the_run(report).encode(),
        "checkpoint": closed["closed"]["checkpoint"].encode(),
    }
    made |= desk.seal(report, made)
    desk.join()
    return made


def some() -> list[dict[str, object]]:
    """One of each kind the gate tells."""
    groups = [{"protocol": "udp", "destination": "192.0.2.1", "port": 443, "count": 3}]
    asked = [{"name": "a.example", "count": 2}, {"name": "b.example", "count": 1}]
    drop = message(1, transport="drop", target="drop://192.0.2.1:443")
    names = message(2, transport="dns", target="dns://*", verdict="allow", layer=None, pattern=None)
    drop["flow"] = {"kind": "drop", "groups": groups, "lost": 1}
    names["flow"] = {"kind": "dns", "questions": asked}
    return [message(0), drop, names, *pair(3), message(4)]
