"""Real boundaries on this kernel, in both tiers, judged from outside.

Proves `sluicegate.boundary.build`, `sluicegate.boundary.warden`, `sluicegate.boundary.mounts`,
`sluicegate.boundary.network` and `sluicegate.boundary.survey`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import select
import socket
import subprocess
from typing import Any

import pytest

from sluicegate.boundary import rules
from sluicegate.boundary.build import Boundary
from sluicegate.boundary.model import ROOT_TIER
from tests.kernel.host import PYTHON, TIERS, UID, ground, run, spec

both = pytest.mark.parametrize("tier", TIERS)


@both
def test_files_are_as_promised(tier: str) -> None:
    with ground() as top:
        for name in (".ssh/id_ed25519", ".netrc", ".npmrc", ".profile"):
            path = top / "home" / name
            path.parent.mkdir(exist_ok=True)
            path.write_text("token")
            os.chown(path, UID, UID)
        (top / "work" / "packet").mkdir()
        (top / "work" / "packet" / "secret").write_text("s")
        found = run(
            spec(
                tier,
                top,
                "id -u; echo made > made; echo $(cat ~/.profile) $(cat ~/.netrc) $(ls -A ~/.ssh);"
                "echo lost > ~/lost && cat ~/lost; touch /usr/x /etc/x /x 2>/dev/null && echo BAD;"
                "ls packet; touch packet/y 2>/dev/null && echo BAD; hostname 2>/dev/null; "
                "grep -c . /etc/resolv.conf; ls /run /tmp; ls -d /proc/[0-9]* | wc -l;"
                "echo x > /proc/sys/net/ipv4/ip_forward && echo BAD; touch /tmp/x /dev/shm/x",
                packet=str(top / "work" / "packet"),
            )
        )
        assert found.error == ""
        assert "BAD" not in found.said
        assert found.said.splitlines()[0] == str(UID)
        assert "token\nlost\n" in found.said
        assert (top / "work" / "made").stat().st_uid == UID
        assert not (top / "home" / "lost").exists()
        assert not (top / "work" / "packet" / "y").exists()
        assert ["bind, writable", str(top / "work"), "done"] in found.plan


def test_workspace_of_root_is_mapped_to_the_command_and_back() -> None:
    with ground() as top:
        os.chown(top / "work", 0, 0)
        (top / "work" / "old").write_text("old")
        found = run(spec(ROOT_TIER, top, "stat -c %u old; echo more >> old; echo new > new"))
        assert found.said == f"{UID}\n"
        assert (top / "work" / "old").read_text() == "oldmore\n"
        assert (top / "work" / "new").stat().st_uid == 0
        assert ["bind, writable", str(top / "work"), "done, id-mapped"] in found.plan


CONNECT = """
import socket, sys
for path in sys.argv[1:]:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        s = socket.socket(socket.AF_UNIX, kind)
        try:
            s.connect(path.replace('@', '\\0'))
            print('OPEN', path)
        except OSError as error:
            print('refused', path)
"""


@both
def test_no_socket_of_the_host_is_reachable(tier: str) -> None:
    with ground() as top, contextlib.ExitStack() as held:
        (top / "connect.py").write_text(CONNECT)
        (top / "work" / "connect.py").write_text(CONNECT)
        places = [str(top / "work/s"), str(top / "home/s"), f"/srv/{top.name}.s", f"@{top.name}"]
        for place in places:
            listener = held.enter_context(socket.socket(socket.AF_UNIX))
            listener.bind(place.replace("@", "\0"))
            listener.listen(1)
            if place[0] == "/":
                held.callback(os.unlink, place)
                os.chmod(place, 0o777)
        control = subprocess.run(
            [PYTHON, str(top / "connect.py"), *places], capture_output=True, text=True, check=True
        )
        assert control.stdout.count("OPEN") == len(places)
        found = run(spec(tier, top, f"{PYTHON} connect.py {' '.join(places)}"))
        assert found.said.count("refused") == 2 * len(places)
        assert "OPEN" not in found.said


CLIENT = """
import socket
def tcp(family, *address):
    s = socket.socket(family); s.settimeout(5); s.connect(address); return s
held = [tcp(socket.AF_INET, '192.0.2.7', 4444), tcp(socket.AF_INET6, '2001:db8::9', 443)]
for family, address in ((socket.AF_INET, '8.8.8.8'), (socket.AF_INET6, '2001:db8::53')):
    s = socket.socket(family, socket.SOCK_DGRAM); s.sendto(b'question', (address, 53))
for port in (99, 100, 101):
    try:
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.7', port))
    except PermissionError:
        print('refused')
own = socket.create_server(('127.0.0.1', 0)); tcp(socket.AF_INET, *own.getsockname())
tcp(socket.AF_INET, '127.0.0.1', 53)
print('end')
"""


@both
def test_network_reaches_the_gate_or_nothing(tier: str) -> None:
    def meanwhile(boundary: Boundary) -> dict[str, Any]:
        def ready(held: socket.socket) -> socket.socket:
            assert select.select([held], [], [], 10)[0]
            return held

        accepted = [ready(boundary.tcp).accept()[0] for _ in range(2)]
        ready(boundary.dns_udp)
        ready(boundary.dns_tcp)
        ready(boundary.nflog)
        return {"asked": [s.getsockname()[:2] for s in accepted]}

    with ground() as top:
        (top / "work" / "client.py").write_text(CLIENT)
        found = run(spec(tier, top, f"{PYTHON} client.py"), meanwhile)
        assert found.said == "refused\n" * 3 + "end\n"
        assert found.extra["asked"] == [["::ffff:192.0.2.7", 4444], ["2001:db8::9", 443]]
        # How many segments a connection takes is the kernel's affair.
        segments = ("up", "down")
        named = {k: v for k, v in found.counters.items() if "." not in k}
        named = {k: v for k, v in named.items() if not k.startswith(segments)}
        assert named == {
            "captured": 2,
            "captured_dns": 1,
            "local": 1,
            "local_answered": 1,
            "local_refused": 0,
            "memberships": 0,
            "questions": 2,
            "refused": 3,
            "refused_syn": 0,
        }
        assert found.counters["Tcp.ActiveOpens"] == 4
        assert found.counters["Tcp.PassiveOpens"] == 4


def test_counters_are_those_that_nft_lists() -> None:
    def meanwhile(boundary: Boundary) -> dict[str, int]:
        assert select.select([boundary.nflog], [], [], 10)[0]
        assert select.select([boundary.wire], [], [], 10)[0]
        listed = subprocess.run(
            ["nsenter", "-t", str(boundary.warden), "-n", "nft", "-j", "list", "counters"],
            capture_output=True, check=True,
        )  # fmt: skip
        rows = [row["counter"] for row in json.loads(listed.stdout)["nftables"] if "counter" in row]
        return {row["name"]: row["packets"] for row in rows}

    with ground() as top:
        (top / "work" / "client.py").write_text(CLIENT)
        found = run(spec(ROOT_TIER, top, f"{PYTHON} client.py"), meanwhile)
        assert found.extra["refused"] == 3
        assert found.extra == {k: v for k, v in found.counters.items() if "." not in k}


def test_socket_bound_by_a_relative_name_is_covered() -> None:
    with ground() as top:
        (top / "work" / "connect.py").write_text(CONNECT)
        (top / "work" / "deep").mkdir()
        listener = socket.socket(socket.AF_UNIX)
        before = os.getcwd()
        os.chdir(top / "work" / "deep")
        try:
            listener.bind("relative")
        finally:
            os.chdir(before)
        listener.listen(1)
        os.chmod(top / "work" / "deep" / "relative", 0o777)
        control = subprocess.run(
            [PYTHON, "connect.py", "deep/relative"],
            cwd=top / "work", capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert "OPEN" in control.stdout
        found = run(spec(ROOT_TIER, top, f"{PYTHON} connect.py deep/relative"))
        listener.close()
        assert found.said == "refused deep/relative\n" * 2


@both
def test_plan_tells_namespaces_routes_and_rules(tier: str) -> None:
    with ground() as top:
        found = run(spec(tier, top, "readlink /proc/self/ns/net /proc/self/ns/mnt"))
        told = {what: where for what, where, _ in found.plan}
        assert found.said.split() == [told["net namespace"], told["mnt namespace"]]
        assert told["net namespace"] != os.readlink("/proc/self/ns/net")
        # Rootless gid 1 has no name, and the kernel shows its own 1 0 so.
        nobody = "1 0" if tier == ROOT_TIER else "65534 65534"
        assert ["sysctl", "net.ipv4.ping_group_range", nobody] in found.plan
        digest = hashlib.sha256(rules.ruleset().encode()).hexdigest()
        assert ["ruleset", "inet sluicegate", f"sha256:{digest}"] in found.plan
