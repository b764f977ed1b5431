"""A boundary that somebody changes from outside while the command runs.

Proves `sluicegate.gate.watch`, `sluicegate.boundary.measure` and `sluicegate.boundary.netstate` where they are real.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.conftest import Tier
from tests.world import USER, Done

# Says that it runs, then waits; and when the wall is open, tries to get out by every way it knows.
COMMAND = """
import pathlib, socket, sys
pathlib.Path("running").write_text("yes")
print("running", flush=True)
sys.stdin.readline()
"""
CHANGES = {
    "ip route add 203.0.113.0/24 dev lo": "new route 203.0.113.0/24 table 254",
    "ip link set lo mtu 1400": "new link lo mtu 1400 up",
    "ip addr add 203.0.113.10/32 dev lo": "new address 203.0.113.10/32",
    "ip -6 rule add priority 7 lookup 9": "new policy rule ::/0 table 9",
    "ip link add ve0 type bridge": "new link ve0 mtu 1500 down",
    "sysctl -qw net.ipv4.ip_forward=1": "new setting",
    "nft flush ruleset": "deleted table sluicegate",
    "nft add rule inet sluicegate refuse accept": "new rule sluicegate refuse",
}


def changed(tier: Tier, change: str) -> tuple[Done, Path]:
    """A run during which `change` is made in its network namespace by another program."""
    argv, packet = tier.argv(["/usr/bin/python3", "-c", COMMAND], "version: 1\n")
    process = tier.world.popen(argv, user=tier.user, cwd=tier.work)
    assert process.stdout is not None
    assert process.stdout.readline() == "running\n", process.communicate()[1]
    inside = ["nsenter", f"--target={titled(process.pid, 'init')}", "--net"]
    if tier.user is not None:
        # As another program of the same user can: by the user namespace that owns the network.
        inside = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "nsenter"]
        inside += [f"--target={titled(process.pid, 'warden')}", "--user", "--net"]
        inside += ["--preserve-credentials"]
    subprocess.run([*inside, "sh", "-c", change], check=True, capture_output=True)
    out, err = process.communicate(timeout=60)
    return Done(process.returncode, out, err), packet


def titled(supervisor: int, name: str) -> int:
    """The pid of the process of ours with this name."""
    left = [supervisor]
    while left:
        pid = left.pop()
        if Path(f"/proc/{pid}/cmdline").read_bytes().startswith(f"sluicegate: {name}".encode()):
            return pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
        left += [int(child) for child in children.split()]
    raise AssertionError(f"the run has no {name}")


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_ends_the_run_and_is_on_record(tier: Tier, change: str) -> None:
    before = len(tier.world.arrived())
    done, packet = changed(tier, change)
    assert done.code == 120, done.err
    assert "evidence failed: the boundary was changed while the command ran: " in done.err
    flows = [json.loads(line) for line in (packet / "flows.jsonl").read_text().splitlines()]
    told = [one["what"] for flow in flows if flow["kind"] == "change" for one in flow["changes"]]
    assert CHANGES[change] in told
    lines = (packet / "evidence.jsonl").read_text().splitlines()
    records = [json.loads(line)["detail"]["action_record"] for line in lines[:-2]]
    assert records[-1]["session_control"]["close"]["close_reason"] == "boundary_changed"
    receipt, *more = (r for r in records if r["transport"] == "boundary-change")
    assert len(more) <= 1
    assert (receipt["verdict"], receipt["layer"]) == ("block", "boundary")
    key = json.loads((packet / "packet.json").read_text())["verifier"]["signer_key"]
    seen = tier.sluicegate("verify", str(packet), "--key", key)
    assert seen.code == 4, seen.out
    assert "CLOSED: yes" in seen.out
    assert "ACCOUNTED: no (the boundary was changed during the run (" in seen.out
    assert "reservation: the boundary was changed during the run (" in seen.out
    assert "the boundary was changed during the run" in (packet / "summary.md").read_text()
    tier.world.settle()
    assert len(tier.world.arrived()) == before


def test_a_run_that_nobody_disturbs_has_no_change(tier: Tier) -> None:
    script = """
import socket
for family, host in ((socket.AF_INET, "203.0.113.20"), (socket.AF_INET6, "2001:db8::20")):
    for port in (80, 4000):
        s = socket.socket(family)
        try: s.connect((host, port)); s.send(b"x"); s.recv(1)
        except OSError: pass
    u = socket.socket(family, socket.SOCK_DGRAM)
    try: u.sendto(b"x" * 1400, (host, 9))
    except OSError: pass
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for group in ("224.0.0.251", "239.1.2.3"):
    u.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(group) + bytes(4))
"""
    done = tier.python(script)
    assert done.code == 0, done.err
    measured = done.boundary()
    assert measured["close"]["gate"]["changes"] == 0
    assert measured["open"]["network"] == measured["close"]["network"]
    assert [flow for flow in done.flows() if flow["kind"] == "change"] == []
