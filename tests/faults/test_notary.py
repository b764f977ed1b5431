"""The notary (sluicegate.evidence.notary) under faults: whatever happens, what is on disk is a valid prefix."""

from __future__ import annotations

import errno
import functools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from sluicegate.evidence import keys, notary, note, tree
from sluicegate.verify import checkpoints, packet
from tests.evidence import made

# The notary as a process of its own; prints its peak memory (KiB) at the end.
CHILD = """
import resource, socket, sys
from sluicegate.evidence import notary
limit, gate, boss, evidence, facts = map(int, sys.argv[1:])
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
code = notary.serve(socket.socket(fileno=gate), socket.socket(fileno=boss), evidence, facts, b"k" * 32, 0)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, flush=True)
sys.exit(code)
"""


class Process(made.Desk):
    """As `Desk`, in a process that can be killed."""

    def __init__(self, directory: Path, limit: int = 0) -> None:
        self.directory, self.told, self.numbers, self.closed = directory, [], {}, None
        self.gate, gate_end = socket.socketpair()
        self.boss, boss_end = socket.socketpair()
        self.fds = [
            os.open(directory / n, os.O_CREAT | os.O_RDWR | os.O_APPEND) for n in made.NAMES
        ]
        passed = [gate_end.fileno(), boss_end.fileno(), *self.fds]
        command = [sys.executable, "-c", CHILD, str(limit), *map(str, passed)]
        self.child = subprocess.Popen(command, pass_fds=passed, stdout=subprocess.PIPE, text=True)
        gate_end.close()
        boss_end.close()

    def join(self) -> int:
        self.gate.close()
        self.boss.close()
        for fd in self.fds:
            os.close(fd)
        self.said = self.child.communicate(timeout=60)[0]
        return self.child.returncode


def prefix(desk: made.Desk) -> packet.Report:
    report = packet.verify(desk.files(closed=False), [made.PIN])
    assert report.outcome == packet.UNPROVEN, report.reached
    return report


def hung_up(peer: socket.socket) -> bool:
    peer.settimeout(10)
    try:
        while peer.recv(65_536):
            pass
    except ConnectionError:
        return True
    return True


def test_killed_while_writing(tmp_path: Path) -> None:
    desk = Process(tmp_path)
    desk.open()
    desk.record(*[made.message(n) for n in range(50)])
    desk.tell(desk.gate, *[made.message(n) for n in range(50, 150)])
    desk.child.send_signal(signal.SIGKILL)
    assert hung_up(desk.gate)
    assert desk.join() == -signal.SIGKILL
    assert prefix(desk).receipts >= 51


def test_a_write_that_was_cut_anywhere_leaves_a_prefix(tmp_path: Path) -> None:
    desk = made.Desk(tmp_path)
    desk.open()
    first = len(desk.files(closed=False)["evidence.jsonl"])
    desk.record(*made.pair(1), made.message(2))
    before = len(desk.files(closed=False)["evidence.jsonl"])
    desk.close()
    assert desk.join() == notary.DONE
    # As the disk is when the kernel got as far as `cut` with the last write: boundary.json is closed after the record.
    files = desk.files(closed=False)
    whole = files["evidence.jsonl"]
    ends = [n + 1 for n, byte in enumerate(whole) if byte == 10]
    cuts = {at + by for at in ends for by in (-1, 0, 1)} | {*range(first, len(whole), 997)}
    for cut in sorted(cut for cut in cuts if first <= cut <= len(whole)):
        report = packet.verify({**files, "evidence.jsonl": whole[:cut]}, [made.PIN])
        # Behind that, the record may name a boundary.json that is not there yet.
        allowed = {packet.UNPROVEN} if cut <= before else {packet.UNPROVEN, packet.INVALID}
        assert report.outcome in allowed, (cut, report.reached)


@pytest.mark.parametrize("limit", [4000, 9999, 20_000, 20_001])
def test_the_file_can_not_grow(tmp_path: Path, limit: int) -> None:
    desk = Process(tmp_path, limit)
    desk.open()
    for number in range(40):
        try:
            if not desk.ask(desk.gate, made.message(number)):
                break
        except ConnectionError:
            break
    assert hung_up(desk.gate)
    assert hung_up(desk.boss)
    assert desk.join() == notary.FAILED
    for name in made.NAMES:
        assert (tmp_path / name).read_bytes().endswith(b"\n"), "a torn line was left"
    report = prefix(desk)
    assert report.receipts == len((tmp_path / made.NAMES[1]).read_bytes().splitlines()) + 1


class _FullDisk:
    """`os`, but writes take at most a few bytes and end in ENOSPC."""

    def __init__(self, room: int) -> None:
        self.room = room

    def __getattr__(self, name: str) -> object:
        return getattr(os, name)

    def write(self, descriptor: int, data: memoryview) -> int:
        if not self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken = os.write(descriptor, data[: min(self.room, 700)])
        self.room -= taken
        return taken


def test_a_full_disk_and_short_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = _FullDisk(12_345)
    monkeypatch.setattr(notary, "os", disk)
    desk = made.Desk(tmp_path)
    desk.open()
    answers = []
    for number in range(40):
        try:
            answers.append(desk.ask(desk.gate, made.message(number)))
        except ConnectionError:
            break
        if not answers[-1]:
            break
    assert desk.join() == notary.FAILED
    assert disk.room == 0
    committed = [answer["committed"] for answer in answers if answer]
    assert prefix(desk).receipts == 1 + len(committed)


def test_a_gate_that_never_reads_blocks_nobody(tmp_path: Path) -> None:
    desk = made.Desk(tmp_path)
    desk.open()
    desk.gate.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    done = threading.Event()

    def pour() -> None:
        for number in range(3000):
            desk.tell(desk.gate, made.message(number))
        done.set()

    pouring = threading.Thread(target=pour)
    pouring.start()
    assert done.wait(60), "the notary stopped reading"
    pouring.join()
    assert "closed" in desk.close()
    assert desk.join() == notary.DONE
    report = packet.verify(desk.files(), [made.PIN], finished=False)
    assert report.outcome == packet.VALID
    assert report.receipts == 3003


def test_the_supervisor_is_gone(tmp_path: Path) -> None:
    desk = made.Desk(tmp_path)
    desk.open()
    desk.record(made.message(1))
    desk.boss.close()
    assert hung_up(desk.gate)
    assert desk.join() == notary.FAILED
    prefix(desk)


def test_the_gate_is_gone_and_the_record_is_closed(tmp_path: Path) -> None:
    desk = made.Desk(tmp_path)
    desk.open()
    desk.record(made.message(1))
    desk.gate.sendall(b'{"flow":{"kind":"never fini')
    desk.gate.close()
    assert "closed" in desk.close()
    assert desk.join() == notary.DONE
    assert packet.verify(desk.files(), [made.PIN], finished=False).receipts == 4


@pytest.mark.parametrize(
    "said",
    [
        b"nonsense\n",
        b"[]\n",
        b'{"flow":{}}\n',
        b"x" * 70_000,
        b'{"a":' * 2000 + b"1" + b"}" * 2000 + b"\n",
        json.dumps(made.message(1, flow={"kind": "boundary"})).encode() + b"\n",
        json.dumps(made.message(1, transport="boundary")).encode() + b"\n",
        json.dumps(made.message(1, flow={"kind": 5})).encode() + b"\n",
        json.dumps(made.message(1, flow={"a": 0.5})).encode() + b"\n",
        json.dumps(made.message(1, flow={"a": 2**60})).encode() + b"\n",
        json.dumps(made.message(1, flow={"a": "\u2028"})).encode() + b"\n",
        json.dumps(made.message(1, flow={"a": "\0"})).encode() + b"\n",
        json.dumps(made.message(1, flow={"a": [[]] * 2000})).encode() + b"\n",
        json.dumps(made.message(1, flow={"a": [[[[[[[[]]]]]]]]})).encode() + b"\n",
        json.dumps(made.message(1, target="b" * 64_900)).encode() + b"\n",
        json.dumps(made.message(1, target="a\nb")).encode() + b"\n",
        json.dumps(made.message(1, verdict="strip")).encode() + b"\n",
        json.dumps(made.message(1, action_type="browse")).encode() + b"\n",
        json.dumps(made.message(1, phase="later")).encode() + b"\n",
        json.dumps(made.message(1, signer="me")).encode() + b"\n",
    ],
)
def test_what_the_gate_must_not_say_ends_the_run(tmp_path: Path, said: bytes) -> None:
    desk = made.Desk(tmp_path)
    desk.open()
    desk.record(made.message(0))
    desk.gate.sendall(said)
    assert hung_up(desk.gate)
    assert hung_up(desk.boss)
    assert desk.join() == notary.FAILED
    assert prefix(desk).receipts == 2


@pytest.mark.parametrize(
    "command", [{}, {"a": 1, "b": 2}, {"sign": {}}, {"close": {}}, {"open": 1}]
)
def test_what_the_supervisor_must_not_say(tmp_path: Path, command: object) -> None:
    desk = made.Desk(tmp_path)
    assert "refused" in desk.ask(desk.boss, command)
    assert desk.join() == notary.FAILED


def test_receipts_before_the_opening_are_refused(tmp_path: Path) -> None:
    desk = made.Desk(tmp_path)
    assert desk.ask(desk.gate, made.message(1)) == {}
    assert desk.join() == notary.FAILED


def test_it_beats_while_nothing_happens(tmp_path: Path) -> None:
    desk = made.Desk(tmp_path, heartbeat_s=1)
    desk.open()
    desk.gate.settimeout(2.5)
    with pytest.raises(TimeoutError):
        desk.gate.recv(1)
    desk.close()
    assert desk.join() == notary.DONE
    report = packet.verify(desk.files(), [made.PIN], finished=False)
    assert report.outcome == packet.VALID
    assert b'"kind":"heartbeat"' in desk.files()["evidence.jsonl"]


def test_the_clock_may_be_set_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = made.Desk(tmp_path)
    desk.open()

    class _Past:
        monotonic = staticmethod(notary.time.monotonic)
        time_ns = staticmethod(lambda: 1_000_000_000_000_000_000)

    monkeypatch.setattr(notary, "time", _Past)
    desk.record(made.message(1))
    desk.close()
    assert desk.join() == notary.DONE
    assert packet.verify(desk.files(), [made.PIN], finished=False).outcome == packet.VALID


def test_memory_does_not_grow_with_the_record(tmp_path: Path) -> None:
    peaks = []
    for count in (100, 6000):
        directory = tmp_path / str(count)
        directory.mkdir()
        desk = Process(directory)
        desk.open()
        for start in range(0, count, 100):
            desk.tell(desk.gate, *[made.message(n) for n in range(start, start + 100)])
            heard = 0
            while heard < start + 100:
                heard = json.loads(desk.gate.recv(65_536).splitlines()[-1])["committed"]
        desk.boss.close()
        assert desk.join() == notary.FAILED
        peaks.append(int(desk.said))
    assert peaks[1] < peaks[0] + 4096


def test_the_key_is_ephemeral_without_one(tmp_path: Path) -> None:
    signers = set()
    for name in ("a", "b"):
        gate, gate_end = socket.socketpair()
        boss, boss_end = socket.socketpair()
        files = [os.open(tmp_path / f"{name}{n}", os.O_CREAT | os.O_RDWR) for n in range(2)]
        args = (gate_end, boss_end, *files, None)
        thread = threading.Thread(target=notary.serve, args=args)
        thread.start()
        boss.sendall(b'{"open":{"policy_hash":"sha256:00","boundary_open_sha256":"00"}}\n')
        signers.add(json.loads(boss.recv(65_536))["opened"]["signer_key"])
        gate.close()
        boss.close()
        thread.join(30)
        for fd in files:
            os.close(fd)
    assert len(signers) == 2
    assert keys.signer(made.SEED)[1] not in signers


def test_the_seed_and_the_key_are_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[bytearray] = []

    class Watched(keys.Signer):
        def __init__(self, seed: keys.Secret | None) -> None:
            super().__init__(seed)
            assert self._key is not None
            held.append(self._key)

    monkeypatch.setattr(keys, "Signer", Watched)
    seed = bytearray(made.SEED)
    desk = made.Desk(tmp_path, seed=seed)  # type: ignore[arg-type]
    assert desk.open()["opened"]
    assert seed == bytes(32)
    assert held[0].startswith(made.SEED)
    desk.record(made.message(1))
    desk.boss.close()
    assert desk.join() == notary.FAILED
    assert held[0] == bytes(64)


def heads(text: str) -> note.Checkpoint:
    return note.read_body(note.read(text.encode()).text)


def test_checkpoints_are_told_unasked_while_the_record_grows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []

    def sync(number: int) -> None:
        fdatasync(number)
        synced.append((tmp_path / "evidence.jsonl").read_bytes().count(b"\n"))

    fdatasync = os.fdatasync
    monkeypatch.setattr(os, "fdatasync", sync)
    desk = made.Desk(tmp_path, checkpoint_s=0)
    opened = desk.open()["opened"]
    assert isinstance(opened, dict)
    texts = [opened["checkpoint"]]
    told = desk.boss.makefile("r")
    for number in range(3):
        desk.record(made.message(number))
        texts.append(json.loads(told.readline())["checkpoint"])
        head = heads(texts[-1])
        # What is told is on the disk: whoever holds the checkpoint can demand the lines.
        lines = (tmp_path / "evidence.jsonl").read_bytes().splitlines()
        assert head.size == number + 2 == len(lines) == synced[-1]
        assert head.root == tree.root(functools.reduce(tree.grown, lines[: head.size], tree.EMPTY))
    desk.close()
    files = desk.files()
    desk.join()
    asked = checkpoints.Checkpoints([("told", "".join(texts).encode())])
    report = packet.verify(files, [made.PIN], finished=False, checkpoints=asked)
    assert report.outcome == packet.VALID, report.reached


def test_who_does_not_listen_gets_fewer_checkpoints_and_every_answer(tmp_path: Path) -> None:
    desk = made.Desk(tmp_path, checkpoint_s=0)
    desk.boss.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    desk.open()
    for number in range(2000):
        desk.record(made.message(number))
    desk.tell(desk.boss, {"close": {"reason": "done", "flow": {}}})
    said: list[int] = []
    with desk.boss.makefile("r") as lines:
        while "closed" not in (message := json.loads(lines.readline())):
            said.append(heads(message["checkpoint"]).size)
    assert said == sorted(set(said))
    assert 0 < len(said) < 2000
    assert heads(message["closed"]["checkpoint"]).size == 2005
    desk.join()
