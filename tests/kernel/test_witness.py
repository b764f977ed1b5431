"""Which program made a connection, in the record of a real run.

Proves sluicegate.boundary.witness and sluicegate.boundary.procfs where their effects are real.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
from pathlib import Path
from typing import Any

from tests.conftest import Run, Tier
from tests.faults.test_run import WAITING, start, titled
from tests.kernel.test_run import ALLOW

SECRET = "hunter2-in-an-argument"  # must not be found in the packet


def processes(run: Run) -> list[dict[str, Any]]:
    return [flow["process"] for flow in run.flows() if "process" in flow]


def digest(path: str) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def test_each_program_is_named_with_its_digest_and_its_ancestors(tier: Tier) -> None:
    script = (
        "import socket\ns = socket.create_connection(('203.0.113.10', 7000))\n"
        "s.sendall(b'\\0x'); s.recv(9)"
    )
    (tier.work / "client.py").write_text(script)
    curl = ["curl", "-sS", "-H", f"x-secret: {SECRET}", "http://denied.test/"]
    shell = f"curl -sS -H 'x-secret: {SECRET}' http://denied.test/; /usr/bin/python3 client.py; :"
    done = tier.run(["sh", "-c", shell], ALLOW)
    denied, allowed = processes(done)
    assert (denied["found"], allowed["found"]) == ("exact", "exact")
    (one,), (other,) = denied["holders"], allowed["holders"]
    assert one["exe"] == os.path.realpath("/usr/bin/curl")
    assert one["exe_sha256"] == digest("/usr/bin/curl")
    assert other["exe_sha256"] == digest("/usr/bin/python3")
    assert one["argv_sha256"] == hashlib.sha256("\0".join(curl).encode()).hexdigest()
    assert one["pid"] != other["pid"]
    assert one["ancestors"][0]["exe"] == os.path.realpath("/bin/sh")
    assert one["ancestors"][-1]["pid"] == 1
    assert one["start_ticks"] >= one["ancestors"][0]["start_ticks"] > 0
    assert one["cgroup"].startswith("/")
    for path in done.packet.iterdir():
        assert SECRET.encode() not in path.read_bytes(), path
    assert tier.verify(done, "--require", "INTACT,CLOSED").code == 0


def test_an_outcome_leaves_the_program_to_its_decision(tier: Tier) -> None:
    done = tier.run(["curl", "-sS", "http://allowed.test/"], ALLOW)
    flows = [flow for flow in done.flows() if flow["kind"] == "connection"]
    assert ["process" in flow for flow in flows] == [True, False]
    assert len({flow["connection"] for flow in flows}) == 1


FORKED = """
import os, socket, sys
family, address = sys.argv[1:]
s = socket.socket(getattr(socket, family))
read, write = os.pipe()
if not os.fork():
    os.read(read, 1)
    os._exit(0)
s.connect((address, 7000))
s.sendall(b"\\0x")
s.recv(9)
os.write(write, b"x")
os.wait()
"""


def test_a_socket_shared_over_fork_is_told_with_both(tier: Tier) -> None:
    for family, address in (("AF_INET", "203.0.113.10"), ("AF_INET6", "::ffff:203.0.113.10")):
        done = tier.run(["/usr/bin/python3", "-c", FORKED, family, address], ALLOW)
        (process,) = processes(done)
        parent, child = process["holders"]
        assert process["found"] == "shared"
        assert child["ancestors"][0]["pid"] == parent["pid"]


PASSED = """
import os, socket
left, right = socket.socketpair()
read, write = os.pipe()
if not os.fork():
    right.close()
    got = socket.recv_fds(left, 1, 1)
    os.write(write, b"x")
    left.recv(1)
    os._exit(0)
left.close()
s = socket.socket(socket.AF_INET6)
socket.send_fds(right, [b"x"], [s.fileno()])
os.read(read, 1)
s.connect(("2001:db8::10", 5432))
s.sendall(b"\\0x")
s.recv(9)
right.close()
os.wait()
"""


def test_a_socket_handed_over_is_told_with_both(tier: Tier) -> None:
    (process,) = processes(tier.python(PASSED, ALLOW))
    assert (process["found"], len(process["holders"])) == ("shared", 2)


GONE = """
import socket, struct
for _ in range(20):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.connect(("203.0.113.10", 7000))
    s.close()
"""


def test_a_client_that_was_faster_is_said_to_have_exited(tier: Tier) -> None:
    found = processes(tier.python(GONE, ALLOW))
    assert len(found) == 20
    assert {"exited"} <= {process["found"] for process in found} <= {"exited", "exact"}
    assert all(not p["holders"] for p in found if p["found"] == "exited")


def test_a_thread_with_descriptors_of_its_own_is_found(tier: Tier) -> None:
    script = (
        "import ctypes, socket, threading\n"
        "def work():\n"
        "    ctypes.CDLL(None).unshare(0x400)\n"  # CLONE_FILES
        "    s = socket.create_connection(('203.0.113.10', 7000))\n"
        "    s.sendall(b'\\0x'); s.recv(9)\n"
        "t = threading.Thread(target=work); t.start(); t.join()"
    )
    (process,) = processes(tier.python(script, ALLOW))
    assert (process["found"], len(process["holders"])) == ("exact", 1)


MANY = """
import socket
for _ in range(200):
    with socket.create_connection(("203.0.113.10", 7000)) as s:
        s.sendall(b"\\0x")
        s.recv(9)
"""


def test_one_program_with_many_connections_is_always_found(tier: Tier) -> None:
    found = processes(tier.python(MANY, ALLOW))
    assert [process["found"] for process in found] == ["exact"] * 200
    assert len({process["socket_cookie"] for process in found}) == 200


def test_the_proxied_are_named_like_the_captured(tier: Tier) -> None:
    done = tier.run(
        ["curl", "-sS", "-p", "-x", "http://127.0.0.1:15001", "http://denied.test/"], ALLOW
    )
    (process,) = processes(done)
    assert process["holders"][0]["exe"] == os.path.realpath("/usr/bin/curl")


def test_a_witness_that_dies_ends_the_run_and_decides_nothing(tier: Tier) -> None:
    process, packet = start(tier, WAITING)
    os.kill(titled(process, "witness"), signal.SIGKILL)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 120
    assert "the witness ended early" in err or "the gate ended early" in err
    assert tier.verify(Run(120, "", err, packet)).code == 3


STOPPED = """
import socket
print("ready", flush=True)
input()
s = socket.create_connection(("203.0.113.10", 7000))
s.sendall(b"\\0x")
s.settimeout(1)
try:
    print(s.recv(9))
except TimeoutError:
    print("nothing")
"""


def test_without_an_answer_nothing_is_decided(tier: Tier) -> None:
    process, _ = start(tier, ["/usr/bin/python3", "-c", STOPPED])
    number = titled(process, "witness")
    os.kill(number, signal.SIGSTOP)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    assert process.stdout.readline() == "nothing\n"
    os.kill(number, signal.SIGKILL)
    process.communicate(timeout=30)
    assert process.returncode == 120


def test_the_witness_has_little_power(tier: Tier) -> None:
    process, _ = start(tier, ["sh", "-c", "echo ready; read line"])
    number, gate = titled(process, "witness"), titled(process, "gate")
    status = dict(
        line.split(":\t") for line in Path(f"/proc/{number}/status").read_text().splitlines()
    )
    root = tier.user is None
    assert status["CapPrm"] == status["CapEff"] == ("0000000000080004" if root else "0" * 16)
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    if root:
        assert "0" not in status["Uid"].split()
        assert os.readlink(f"/proc/{number}/ns/net") != os.readlink(f"/proc/{gate}/ns/net")
        assert not Path(f"/proc/{number}/root/etc").exists()
    process.communicate("\n", timeout=30)
    assert process.returncode == 0


def test_the_facts_are_in_the_line_that_the_receipt_is_bound_to(tier: Tier) -> None:
    done = tier.run(["curl", "-sS", "http://denied.test/"], ALLOW)
    lines = (done.packet / "flows.jsonl").read_bytes()
    (flow,) = [line for line in lines.splitlines() if b'"process"' in line]
    pid = json.loads(flow)["process"]["holders"][0]["pid"]
    forged = lines.replace(b'"pid":%d,' % pid, b'"pid":%d,' % (pid + 1))
    assert forged != lines
    (done.packet / "flows.jsonl").write_bytes(forged)
    assert tier.verify(done).code == 1
