"""The equation on the kernel's own numbers: load, floods, overrun queues, and gates that keep something back."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Run, Tier
from tests.faults.test_run import start, titled
from tests.kernel.test_run import ALLOW

NEEDED = ("--require", "INTACT,CLOSED,ACCOUNTED")

EVERY_WAY = """
import socket, struct
def tcp(family, *address):
    s = socket.socket(family)
    s.settimeout(10)
    try:
        s.connect(address)
    except OSError:
        pass
    return s
held = [tcp(socket.AF_INET, "203.0.113.7", 4444), tcp(socket.AF_INET6, "2001:db8::9", 443)]
own = socket.create_server(("127.0.0.1", 0))
held += [tcp(socket.AF_INET, *own.getsockname()), own.accept()[0]]
for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
    held += [tcp(family, host, port) for port in (9, 53, 15001)]
held += [tcp(socket.AF_INET, "203.0.113.9", 53), tcp(socket.AF_INET, "224.0.0.1", 80)]
alone = socket.socket()
alone.bind(("127.0.0.1", 5999))
alone.connect(("127.0.0.1", 5999))
for number in range(100):
    s = socket.socket()
    s.setblocking(False)
    if number % 2:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.connect_ex(("203.0.113.7", 1000 + number))
    s.close()
for host in ("203.0.113.7", "127.0.0.1"):
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"a question?", (host, 53))
for port in (99, 100):
    try:
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("203.0.113.7", port))
    except PermissionError:
        pass
"""


def equation(run: Run) -> dict[str, Any]:
    found = run.boundary()["close"]["equation"]
    assert isinstance(found, dict)
    return found


def test_every_way_a_program_can_try_is_accounted_for(tier: Tier) -> None:
    run = tier.python(EVERY_WAY, ALLOW)
    assert run.code == 0, run.err
    found = equation(run)
    assert not any(found["residual"].values())
    assert found["kernel"]["captured"] == 2 + 2 + 100
    assert found["kernel"]["captured_dns"] == 3
    assert found["kernel"]["local"] == 1 + 2 + 1
    assert found["kernel"]["local_refused"] == 2
    assert found["derived"] == {
        "accepted": 107,
        "repeats": 0,
        "local_established": 1,
        "unfinished": 0,
        "unfinished_most": 0,
        "up_least": 0,
        "up_most": 0,
        "down_least": 0,
        "down_most": found["derived"]["down_most"],
    }
    # A socket that connects to itself answers itself, and is no connection that was accepted.
    assert found["kernel"]["local_answered"] == 2
    assert (found["record"]["udp"], found["record"]["drops"]) == (1, 2)
    checked = tier.verify(run, *NEEDED)
    assert checked.code == 0, checked.out


# Longer than the kernel's timer for a first report, which is a random part of a second (net/ipv4/igmp.c).
JOINS = """
import select, socket, struct
held = []
for group in range(20):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, bytes([239, 1, 2, group]) + bytes(4))
    t = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    name = bytes([255, 2] + [0] * 13 + [group + 9])
    t.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, name + struct.pack("I", 1))
    held += [s, t]
try:
    held[0].sendto(b"x", ("239.1.2.3", 9))
except PermissionError:
    print("refused")
select.select([], [], [], 1.5)
"""


def test_what_the_kernel_says_of_memberships_is_no_packet_of_the_command(tier: Tier) -> None:
    """It says so when its timers do, also when the record is being closed."""
    for _ in range(2):
        run = tier.python(JOINS, ALLOW)
        assert (run.code, run.out) == (0, "refused\n"), run.err
        found = equation(run)
        assert found["kernel"]["refused"] == found["record"]["drops"] == 1
        assert run.boundary()["close"]["counters"]["memberships"] > 0


CROWD = """
import resource, select, socket
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
print("ready", flush=True)
input()
poll, held, waiting = select.poll(), [], set()
for number in range(%d):
    s = socket.socket()
    s.setblocking(False)
    s.connect_ex(("203.0.113.7", 1 + number %% 60000))
    held.append(s)
    waiting.add(s.fileno())
    poll.register(s, select.POLLOUT)
    if number == %d:
        print("half", flush=True)
while waiting:
    for number, _ in poll.poll():
        waiting.discard(number)
        poll.unregister(number)
print("end")
"""


def test_two_thousand_at_once_leave_no_residual(tier: Tier) -> None:
    process, packet = start(tier, ["/usr/bin/python3", "-c", CROWD % (2000, -1)])
    out, err = process.communicate("\n", timeout=60)
    run = Run(process.returncode, out, err, packet)
    assert (run.code, out) == (0, "end\n"), err
    found = equation(run)
    assert found["derived"]["accepted"] == 2000
    assert not any(found["residual"].values())
    assert tier.verify(run, *NEEDED).code == 0


def test_a_queue_that_overflows_is_accounted_for(tier: Tier) -> None:
    """The gate stands still while more connect than its queue holds: the kernel drops, and they try again."""
    process, packet = start(tier, ["/usr/bin/python3", "-c", CROWD % (6000, 5999)])
    assert process.stdin is not None
    assert process.stdout is not None
    gate = titled(process, "gate")
    os.kill(gate, signal.SIGSTOP)
    process.stdin.write("\n")
    process.stdin.flush()
    assert process.stdout.readline() == "half\n"
    os.kill(gate, signal.SIGCONT)
    out, err = process.communicate(timeout=120)
    run = Run(process.returncode, out, err, packet)
    assert (run.code, out) == (0, "end\n"), err
    found = equation(run)
    assert found["kernel"]["captured"] > found["derived"]["accepted"]
    assert found["derived"]["accepted"] == found["kernel"]["Tcp.PassiveOpens"] == 6000
    assert found["derived"]["unfinished"] == found["derived"]["repeats"] > 0
    # Each was dropped at the gate's listener or before it; what else is lost on the way only widens that.
    lost = found["kernel"]["tcp.lost"] + found["kernel"]["lo.lost"]
    assert 0 < found["derived"]["unfinished"] <= lost
    assert tier.verify(run, *NEEDED).code == 0


ABANDONS = """
import resource, socket, struct
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
print("ready", flush=True)
input()
for number in range(6000):
    s = socket.socket()
    s.setblocking(False)
    if number % 2:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.connect_ex(("203.0.113.7", 1 + number))
    s.close()
print("end", flush=True)
"""


def test_what_was_abandoned_before_the_gate_could_take_it_is_accounted_for(tier: Tier) -> None:
    """Nobody tries again: an attempt without a connection is known by its loss alone."""
    process, packet = start(tier, ["/usr/bin/python3", "-c", ABANDONS])
    assert process.stdin is not None
    assert process.stdout is not None
    gate = titled(process, "gate")
    os.kill(gate, signal.SIGSTOP)
    process.stdin.write("\n")
    process.stdin.flush()
    assert process.stdout.readline() == "end\n"
    os.kill(gate, signal.SIGCONT)
    _, err = process.communicate(timeout=120)
    run = Run(process.returncode, "", err, packet)
    assert run.code == 0, err
    found = equation(run)
    assert not any(found["residual"].values())
    assert found["derived"]["repeats"] == 0
    assert found["derived"]["unfinished"] > 1000
    assert tier.verify(run, *NEEDED).code == 0


# Flows both ways at once, all of which are read late: windows close, segments are sent again.
BULK = """
import socket, threading
def carry(family, host, port):
    s = socket.socket(family)
    s.connect((host, port))
    def send():
        s.sendall(bytes(%d))
        s.shutdown(socket.SHUT_WR)
    sending = threading.Thread(target=send)
    sending.start()
    got = 0
    while data := s.recv(1 << 20):
        got += len(data)
    sending.join()
    assert got == %d
all = []
for _ in range(%d):
    for to in ((socket.AF_INET, "203.0.113.10", 7000), (socket.AF_INET6, "2001:db8::10", 5432)):
        all.append(threading.Thread(target=carry, args=to))
for one in all: one.start()
for one in all: one.join()
print("end")
"""


@pytest.mark.parametrize(("size", "count"), [(1 << 20, 100), (8 << 20, 8), (100 << 20, 1)])
def test_bytes_of_many_flows_are_those_of_their_segments(tier: Tier, size: int, count: int) -> None:
    run = tier.python(BULK % (size, size, count), ALLOW)
    assert (run.code, run.out) == (0, "end\n"), run.err
    found = equation(run)
    assert not any(found["residual"].values())
    for way in ("up", "down"):
        assert found["record"][way] == 2 * size * count
        assert found["derived"][f"{way}_most"] >= 2 * size * count


URGENT = """
import socket
s = socket.create_connection(("203.0.113.10", 7000))
s.send(b"\\0first!", socket.MSG_OOB)
s.shutdown(socket.SHUT_WR)
try:
    while s.recv(99):
        pass
except ConnectionResetError:
    pass  # whoever closes a socket with urgent data in it resets the connection
"""


def test_urgent_data_is_no_byte_that_was_hidden(tier: Tier) -> None:
    run = tier.python(URGENT, ALLOW)
    assert run.code == 0, run.err
    found = equation(run)
    assert not any(found["residual"].values())
    assert found["record"]["broken"] == 0
    assert (found["derived"]["up_least"], found["record"]["up"]) == (7, 6)
    assert found["kernel"]["up_urgent"] > 0


FROM_LOOPBACK = """
import errno, socket
for family, here, there in ((socket.AF_INET, "127.0.0.1", "203.0.113.10"),
                            (socket.AF_INET6, "::1", "2001:db8::10")):
    s = socket.socket(family)
    s.settimeout(10)
    s.bind((here, 0))
    try:
        s.connect((there, 443))
    except OSError as error:
        print(error.errno in (errno.EPERM, errno.EHOSTUNREACH, errno.EACCES))
    own = socket.create_server((here, 0), family=family)
    s = socket.socket(family)
    s.bind(("10.255.0.1" if family == socket.AF_INET else "fd00::1", 0))
    s.connect(own.getsockname()[:2])
    peer, _ = own.accept()
    peer.sendall(bytes(1 << 20))
    peer.close()
    got = 0
    while data := s.recv(1 << 20):
        got += len(data)
    print(got)
"""


def test_loopback_addresses_do_not_go_out(tier: Tier) -> None:
    """As on any host; what such an address sends elsewhere is then an answer of the command's own."""
    run = tier.python(FROM_LOOPBACK, ALLOW)
    assert (run.code, run.out) == (0, f"True\n{1 << 20}\n" * 2), run.err
    found = equation(run)
    assert not any(found["residual"].values())
    # The kernel may ask twice before it believes a refusal.
    assert found["kernel"]["refused_syn"] == found["record"]["drops"] >= 2
    assert found["derived"]["local_established"] == found["kernel"]["local_answered"] == 2
    assert found["derived"]["up_most"] == 0


# A gate that is wrong or taken over, between an honest kernel and an honest notary.
DISHONEST = """
import sys
from sluicegate.cli import main
from sluicegate.gate import desk, drops, flow, resolver, serve
{change}
sys.exit(main.main(sys.argv[1:]))
"""

UNREPORTED = """
Start, Seen = flow.Flow.start, []
def start(self):
    Seen.append(self)
    if len(Seen) == 2:
        self._client.close()
        self._desk.counts["flows"] -= 1
        self._times.stop()
        self._gone(self)
        return
    Start(self)
flow.Flow.start = start
"""

UNCOUNTED_DROPS = """
Count, Seen = drops.Drops._count, []
def count(self, packet):
    Seen.append(packet)
    if len(Seen) != 2:
        Count(self, packet)
drops.Drops._count = count
"""

# It says that the kernel numbered more packets than were refused.
MISNUMBERED = """
drops.Drops.sequence = property(lambda self: self.seen + 1)
"""

UNCOUNTED_QUESTION = """
Datagram, Seen = resolver.Resolver._datagram, []
def datagram(self, *given):
    Seen.append(given)
    if len(Seen) != 2:
        Datagram(self, *given)
resolver.Resolver._datagram = datagram
"""

BYTES_KEPT_BACK = """
Close = desk.Deed.close
def close(self, *given, **named):
    self.bytes_up = max(0, self.bytes_up - 1)
    Close(self, *given, **named)
desk.Deed.close = close
"""

# It meters and writes down a mebibyte less than it carried.
MEBIBYTE = """
from sluicegate.gate import meter
Settle, Close = meter.Meter.settle, desk.Deed.close
def settle(self):
    up, down = Settle(self)
    return max(0, up - {up}), max(0, down - {down})
def close(self, *given, **named):
    self.bytes_up, self.bytes_down = max(0, self.bytes_up - {up}), max(0, self.bytes_down - {down})
    Close(self, *given, **named)
meter.Meter.settle, desk.Deed.close = settle, close
"""

COVERED = """
import socket
own = socket.socket()
own.bind(("127.0.0.1", 0))
own.listen(0)
held = []
for _ in range(6):
    s = socket.socket()
    s.setblocking(False)
    s.connect_ex(own.getsockname())
    held.append(s)
for number in range(3):
    try:
        socket.create_connection(("203.0.113.10", 9000 + number)).recv(1)
    except OSError:
        pass
"""

# Every window is open, so nothing is sent twice: each block is read before the next one is sent.
TAKES = """
import socket
s = socket.create_connection(("203.0.113.10", 7000))
for _ in range(64):
    s.sendall(bytes(32768))
    left = 32768
    while left:
        left -= len(s.recv(left))
s.shutdown(socket.SHUT_WR)
assert not s.recv(1)
"""

LET_THROUGH = """
from sluicegate.facts import Verdict
from dataclasses import replace
Judge = desk.Desk.judge
def judge(self, facts):
    made = Judge(self, facts)
    if facts.host != "denied.test":
        return made
    return replace(made, verdict=Verdict.ALLOW, rule="allow[0] x", reason="x", remedy=None)
desk.Desk.judge = judge
"""

ASKS = """
import socket, urllib.request, urllib.error
for name in ("allowed.test", "denied.test"):
    try:
        urllib.request.urlopen(f"http://{name}/").read()
    except OSError:
        pass
for port in (99, 100, 101):
    try:
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("203.0.113.7", port))
    except PermissionError:
        pass
for _ in range(3):
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"a question?", ("203.0.113.7", 53))
"""


def dishonest(tier: Tier, change: str, command: str = ASKS) -> Run:
    argv, packet = tier.argv(["/usr/bin/python3", "-c", command], ALLOW)
    program = DISHONEST.format(change=change)
    argv = [sys.executable, "-c", program, *argv[argv.index("run") :]]
    done = tier.world.run(argv, user=tier.user, cwd=tier.work)
    return Run(done.code, done.out, done.err, packet)


def test_the_same_with_nothing_changed_passes(tier: Tier) -> None:
    run = dishonest(tier, "")
    assert run.code == 0, run.err
    assert tier.verify(run, *NEEDED).code == 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (UNREPORTED, "established: +1"),
        (UNCOUNTED_DROPS, "lost_log: +1"),
        (UNCOUNTED_QUESTION, "questions: +1"),
        (MISNUMBERED, "sequence: +1"),
        (BYTES_KEPT_BACK, "bytes_up: -"),
    ],
    ids=["a connection", "a refused packet", "a question", "a number", "a byte"],
)
def test_a_gate_that_keeps_something_back_ends_the_run(tier: Tier, change: str, said: str) -> None:
    run = dishonest(tier, change)
    assert run.code == 120, run.err
    assert f"the kernel counted what the record does not hold: {said}" in run.err
    # The packet is whole, sealed evidence of that.
    signer = json.loads((run.packet / "packet.json").read_text())["verifier"]["signer_key"]
    checked = tier.verify(run, "--key", signer)
    assert checked.code == 4, checked.out
    assert said in checked.out
    assert tier.verify(run, "--require", "INTACT,CLOSED").code == 0


@pytest.mark.parametrize("way", ["up", "down"])
def test_a_gate_that_hides_a_mebibyte_is_found_by_the_segments(tier: Tier, way: str) -> None:
    hidden = {"up": 0, "down": 0} | {way: 1 << 20}
    run = dishonest(tier, MEBIBYTE.format(**hidden), TAKES)
    assert run.code == 120, run.err
    found = equation(run)
    assert found["kernel"]["Tcp.RetransSegs"] == 0
    assert found["record"][way] == found["record"][f"kernel_{way}"] == 1 << 20
    assert {name for name, value in found["residual"].items() if value} == {f"segments_{way}"}
    assert 0 <= found["residual"][f"segments_{way}"] - (1 << 20) < 1024
    assert tier.verify(run, "--require", "INTACT,CLOSED").code == 0


def test_a_connection_hidden_behind_an_overrun_listener_is_found(tier: Tier) -> None:
    honest = dishonest(tier, "", COVERED)
    assert honest.code == 0, honest.err
    found = equation(honest)
    assert found["kernel"]["local"] > found["kernel"]["local_answered"] > 0
    run = dishonest(tier, UNREPORTED, COVERED)
    assert run.code == 120, run.err
    # Of the command's attempts only those that were answered can have become connections.
    assert "established: +1, unfinished: +1" in run.err


def test_a_gate_that_lets_through_what_the_policy_denies_is_found_out(tier: Tier) -> None:
    run = dishonest(tier, LET_THROUGH)
    assert run.code == 120, run.err
    assert "the receipt says allow, the policies give deny" in run.err
    checked = tier.verify(run)
    assert checked.code == 1, checked.out
    numbers = [
        json.loads(line)["detail"]["action_record"]["chain_seq"]
        for line in Path(run.packet / "evidence.jsonl").read_text().splitlines()
        if '"target":"http://denied.test/' in line
    ]
    assert f"receipt {numbers[0]}: the receipt says allow" in checked.out
