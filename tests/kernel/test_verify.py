"""`sluicegate verify` on what real runs leave: what a caller expects, order under load, and that it opens no socket."""

from __future__ import annotations

import json
import sys

import pytest

from tests.conftest import Tier

JOB = {
    "GITHUB_ACTIONS": "true",
    "GITHUB_REPOSITORY": "owner/name",
    "GITHUB_SHA": "c" * 40,
    "GITHUB_RUN_ID": "4711",
    "GITHUB_RUN_ATTEMPT": "2",
    "GITHUB_REF": "refs/heads/main",
    "GITHUB_WORKFLOW": "release",
}
# In a network namespace of its own, and killed at the first call that makes or uses a socket, or an io_uring.
# Source: seccomp(2), the numbers of asm/unistd_64.h and asm-generic/unistd.h.
ALONE = """
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
calls = {
    "x86_64": [*range(41, 56), 288, 299, 307, 425, 426, 427],
    "aarch64": [*range(198, 213), 242, 243, 269, 425, 426, 427],
}[os.uname().machine]
assert libc.unshare(0x40000000) == 0  # CLONE_NEWNET
rules = [(0x20, 0, 0, 0)]
for number in calls:
    rules += [(0x15, 0, 1, number), (0x06, 0, 0, 0x80000000)]  # SECCOMP_RET_KILL_PROCESS
rules += [(0x06, 0, 0, 0x7FFF0000)]
packed = b"".join(struct.pack("HBBI", *rule) for rule in rules)
text = ctypes.create_string_buffer(packed)
program = struct.pack("HxxxxxxP", len(rules), ctypes.addressof(text))
assert libc.prctl(38, 1, 0, 0, 0) == 0  # PR_SET_NO_NEW_PRIVS
assert libc.prctl(22, 2, program, 0, 0) == 0  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER
os.execv(sys.argv[1], sys.argv[1:])
"""
CROWD = """
import asyncio, contextlib, resource, socket
with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as drop:
    drop.sendto(b"dropped", ("203.0.113.10", 9))
with contextlib.suppress(OSError):
    socket.getaddrinfo("asked.test", 80)
resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
async def one(number):
    try:
        reader, writer = await asyncio.open_connection(
            "203.0.113.10" if number % 2 else "203.0.113.99", 7000)
        writer.write(b"hello\\n")
        await asyncio.wait_for(reader.read(1), 30)
        writer.close()
    except (OSError, asyncio.TimeoutError):
        pass
async def all():
    await asyncio.gather(*(one(number) for number in range(2000)))
asyncio.run(all())
"""
ALLOW = "version: 1\nallow:\n  - ip: 203.0.113.10/32\n    ports: [7000]\n"


def test_what_a_caller_expects_of_the_job(tier: Tier) -> None:
    done = tier.run(["true"], "version: 1\n", "--agent-identity", "bot", env=JOB)
    assert done.code == 0, done.err
    whole = json.loads((done.packet / "packet.json").read_text())
    key, policy = whole["verifier"]["signer_key"], whole["policy"]["policy_hashes"][0]
    run = {"repository": "owner/name", "run_id": "4711", "run_attempt": "2", "sha": "c" * 40}
    assert whole["run"].items() >= {**run, "workflow": "release", "ref": "refs/heads/main"}.items()
    right = ["repo=owner/name", f"sha={'c' * 40}", "run=4711", "identity=bot", f"policy={policy}"]
    good = tier.verify(done, "--key", key, "--expect", *right)
    assert good.code == 0, good.out
    assert good.out.startswith("result: verified (exit 0)\nINTACT: yes (")
    for wrong in ("repo=owner/other", f"sha={'d' * 40}", "run=4712", "identity=eve", "policy=0"):
        met = next(one for one in right if one[:3] != wrong[:3])
        bad = tier.verify(done, "--key", key, "--expect", met, "--expect", wrong)
        assert bad.code == 4, bad.out
        assert bad.out.startswith("result: sound, but below the required trust (exit 4)\n")
        assert f"not the expected {wrong.partition('=')[2]}" in bad.out


def test_outside_of_a_job_nothing_is_said_of_one(tier: Tier) -> None:
    done = tier.run(["true"])
    assert done.boundary()["open"]["ci"] == {}
    bad = tier.verify(done, "--require", "INTACT", "--expect", "repo=owner/name")
    assert (bad.code, "repo is not in the record" in bad.out) == (4, True)


@pytest.mark.parametrize("observe", [False, True])
def test_ids_rise_in_the_record_whatever_the_load(tier: Tier, observe: bool) -> None:
    options = ["--observe"] if observe else []
    done = tier.run(["python3", "-c", CROWD], ALLOW, *options)
    assert done.code == 0, done.err  # the run verified its own packet
    key = json.loads((done.packet / "packet.json").read_text())["verifier"]["signer_key"]
    good = tier.verify(done, "--key", key, "--json")
    assert good.code == 0, good.out
    found = json.loads(good.out)
    assert found["receipts"] >= 3000
    assert found["counts"]["dropped"] >= 1
    assert found["counts"]["questions"] >= 1


def test_it_opens_no_socket(tier: Tier) -> None:
    done = tier.run(["python3", "-c", CROWD], ALLOW)
    key = json.loads((done.packet / "packet.json").read_text())["verifier"]["signer_key"]
    alone = [sys.executable, "-c", ALONE, sys.executable]
    check = [*alone, "-m", "sluicegate", "verify", str(done.packet), "--key", key]
    good = tier.world.run(check)
    assert good.code == 0, good.out + good.err
    assert good.out.startswith("result: verified")
    for script in ("import socket; socket.socket()", "import socket; socket.socketpair()"):
        killed = tier.world.run([*alone, "-c", script])
        assert killed.code in {-31, 128 + 31}, killed  # SIGSYS
