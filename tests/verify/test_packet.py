import hashlib
import json
import os
import socket
import threading
from pathlib import Path

import pytest

from sluicegate.evidence import keys, notary
from sluicegate.report.summary import summary
from sluicegate.verify import packet

SEED = b"k" * 32
PIN = bytes.fromhex(keys.signer(SEED)[1])


@pytest.fixture
def files(tmp_path: Path) -> dict[str, bytes]:
    """A packet our notary (sluicegate.evidence.notary) wrote."""
    gate, gate_end = socket.socketpair()
    boss, boss_end = socket.socketpair()
    names = ("evidence.jsonl", "flows.jsonl")
    fds = [os.open(tmp_path / n, os.O_CREAT | os.O_RDWR | os.O_APPEND) for n in names]
    args = (gate_end, boss_end, fds[0], fds[1], SEED)
    thread = threading.Thread(target=notary.serve, args=args)
    thread.start()
    digest = {n: "sha256:" + hashlib.sha256(n.encode()).hexdigest() for n in "pb"}

    def ask(peer: socket.socket, message: object) -> None:
        peer.sendall(json.dumps(message).encode() + b"\n")
        assert peer.recv(9999).endswith(b"\n")

    ask(boss, {"open": {"policy_hash": digest["p"], "boundary_open_sha256": digest["b"]}})
    flow = {"kind": "tcp", "reason": "no rule", "remedy": "- host: a.example"}
    ask(gate, {"flow": flow, "action_id": "1", "action_type": "read", "verdict": "block",
               "target": "a.example", "transport": "connect"})  # fmt: skip
    ask(boss, {"close": {"reason": "done", "flow": {"boundary_sha256": digest["b"]}}})
    thread.join()
    for fd in fds:
        os.close(fd)
    gate.close()
    boss.close()
    found = {n: (tmp_path / n).read_bytes() for n in names}
    return found | {"policy.json": b"p", "boundary.json": b"b"}


def test_honest_packet(files: dict[str, bytes]) -> None:
    report = packet.verify(files, [PIN])
    assert report.outcome == packet.VALID
    assert "- host: a.example" in summary(report)
    assert packet.verify(files, []).outcome == packet.UNTRUSTED


def test_every_edit_is_rejected(files: dict[str, bytes]) -> None:
    for name, data in files.items():
        for at in range(0, len(data), 29):
            edited = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
            assert packet.verify(files | {name: edited}, [PIN]).outcome == packet.INVALID, (name, at)


def test_a_dropped_end_is_never_valid(files: dict[str, bytes]) -> None:
    lines = files["evidence.jsonl"].splitlines(keepends=True)
    for kept in range(len(lines)):
        cut = files | {"evidence.jsonl": b"".join(lines[:kept])}
        assert packet.verify(cut, [PIN]).outcome != packet.VALID
