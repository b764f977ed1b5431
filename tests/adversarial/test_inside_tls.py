"""Family P again, within TLS that the gate opens: what is forbidden in the clear is forbidden there.

`fronted.test` is served at the allowed host's own address, so that only the names tell them apart.
"""

# ruff: noqa: N802

from __future__ import annotations

import json

import pytest

from tests.adversarial.family import POLICY, Ran, check, inside, outside
from tests.adversarial.test_gate import SMUGGLED
from tests.conftest import TIERS
from tests.world import World

RULES = (
    POLICY
    + """\
  - host: four.test
    methods: [GET, HEAD]
    paths: ["/ok/**"]
inspect: all
"""
)
ODD = (
    "get /TOK",
    "GET ftp://allowed.test/TOK",
    "GET file:///TOK",
    "CONNECT denied.test:443",
    "GET TOK",
)
SCRIPTS = {
    "P05": """
for host in (NO, FRONTED):
    for via in ((), ("-x", PX)):
        say(curl(*via, "-H", f"Host: {host}", f"https://{OK}/{TOK}")["out"])
say(tls(OK, f"GET /{TOK} HTTP/1.0\\r\\nHost: {NO}:443\\r\\n\\r\\n")["got"])
""",
    "P09": """
hello = bytes.fromhex("16030100310100002d0303") + TOK.encode() + bytes(40)
for data in (f"SSH-2.0-{TOK}\\r\\n", f"\\0{TOK}\\r\\n\\r\\n", hello, f"\\x05\\x01\\x00{TOK}", f"{TOK}\\r\\n\\r\\n"):
    say(tls(OK, data))
""",
    "P10": """
for target, host in ((NO, OK), (OK, NO), (FRONTED, FRONTED), (f"{OK}@{NO}", OK), (OK, OK)):
    for scheme in ("http", "https"):
        say(tls(OK, f"GET {scheme}://{target}/{TOK} HTTP/1.1\\r\\nHost: {host}{CLOSE}")["got"])
second = f"GET /{TOK} HTTP/1.1\\r\\nHost: {NO}\\r\\n\\r\\n"
say(tls(OK, f"CONNECT {NO}:443 HTTP/1.1\\r\\nHost: {NO}:443\\r\\n\\r\\n" + second)["got"])
""",
    "P11": f"""
for name, rest in {SMUGGLED!r}.items():
    second = f"GET /{{TOK}} HTTP/1.1\\r\\nHost: {{NO}}\\r\\n\\r\\n"
    say(name, tls(OK, f"POST / HTTP/1.1\\r\\nHost: {{OK}}\\r\\n{{rest}}" + second))
say("lines", tls(OK, f"GET / HTTP/1.1\\nHost: {{OK}}\\n\\nGET /{{TOK}} HTTP/1.1\\r\\nHost: {{NO}}\\r\\n\\r\\n"))
""",
    "P11 pipelined": """
for host in (NO, FRONTED):
    say(tls(OK, f"GET / HTTP/1.1\\r\\nHost: {OK}\\r\\n\\r\\nGET /{TOK} HTTP/1.1\\r\\nHost: {host}\\r\\n\\r\\n")["got"])
""",
    "P16": """
lines = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
         "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", "\\r\\n")
def ask(host, path="/ws"):
    return "\\r\\n".join((f"GET {path} HTTP/1.1", f"Host: {host}", *lines)).encode()
def frame(first, text):
    return bytes([first, 128 | len(text), 0, 0, 0, 0]) + text
end = frame(0x88, b"")
say(tls(OK, ask(OK) + frame(0x81, b"hello") + end)["got"])
say(tls(OK, ask(OK) + f"GET /{TOK} HTTP/1.1\\r\\nHost: {NO}\\r\\n\\r\\n".encode())["got"])
for host, name, path in ((OK, NO, "/ws"), (OK, FRONTED, "/ws"), ("four.test", "four.test", f"/ws/{TOK}")):
    say(tls(host, ask(name, path) + frame(0x81, TOK.encode()) + end)["got"])
""",
    "P19": """
for path in (f"/{TOK}", f"/ok/../{TOK}", f"/ok/%2e%2e/{TOK}", f"/ok/..%2f{TOK}", f"//ok/{TOK}", f"/ok/..\\\\{TOK}",
             f"/proxy?url=http://{NO}/{TOK}", f"/ok%2f..%2f{TOK}", f"/ok/;/../{TOK}"):
    say(path, tls("four.test", f"GET {path} HTTP/1.1\\r\\nHost: four.test{CLOSE}")["got"][:12])
""",
    "P21": f"""
for line in {ODD}:
    say(line, tls(OK, line.replace("TOK", TOK) + f" HTTP/1.1\\r\\nHost: {{OK}}{{CLOSE}}")["got"][:12])
""",
    "P22": """
for method in ("PUT", "POST", "DELETE", "PATCH", "get", "TRACE"):
    for via in ((), ("-x", PX)):
        say(method, curl(*via, "-X", method, "-d", TOK, f"https://four.test/ok/{TOK}")["out"][-6:])
for version in ("--http1.1", "--http2"):
    for name in ("X-HTTP-Method-Override", "X-HTTP-Method", "x_method_override"):
        say(version, curl(version, "-H", f"{name}: DELETE", f"https://four.test/ok/{TOK}")["out"][-6:])
""",
    "P24": """
begin = f"GET / HTTP/1.1\\r\\nHost: {OK}\\r\\n"
for data in (begin + "A: b\\r\\n" * 100000 + "\\r\\n", begin + "A: " + "A" * 5000000, "A" * 5000000,
             f"GET /{'A' * 70000} HTTP/1.1\\r\\nHost: {OK}\\r\\n\\r\\n"):
    say(tls(OK, data))
say(curl(f"https://{OK}/beside")["out"])
""",
}


CLOSE = 'CLOSE = "\\r\\nConnection: close\\r\\n\\r\\n"\n'
SCRIPTS = {name: CLOSE + script for name, script in SCRIPTS.items()}


@pytest.fixture(scope="module")
def leaks(world: World) -> Ran:
    return outside(world, SCRIPTS)


@pytest.fixture(scope="module", params=TIERS)
def ran(request: pytest.FixtureRequest, world: World) -> Ran:
    return inside(world, request.param, SCRIPTS, RULES, env={"SSL_CERT_FILE": str(world.ca)})


def test_P05_another_host_inside(ran: Ran, leaks: Ran) -> None:
    case = check(ran, leaks, "P05")
    assert all("403" in said for said in case.said), case.said
    denied = ran.denied(protocol="https", rule="mismatch")
    assert {flow["host"] for flow in denied} >= {"denied.test", "fronted.test"}


def test_P09_what_is_no_request_goes_nowhere(ran: Ran, leaks: Ran) -> None:
    case = check(ran, leaks, "P09", control=False)
    for said in case.said:
        assert said["got"].startswith("HTTP/1.1 40"), said
    assert len(ran.denied(protocol="https", rule="fault")) >= len(case.said)


def test_P10_absolute_form_inside(ran: Ran, leaks: Ran) -> None:
    case = check(ran, leaks, "P10")
    assert not [said for said in case.said if not said.startswith("HTTP/1.1 4")]


def test_P11_request_smuggling_inside(ran: Ran, leaks: Ran) -> None:
    case = check(ran, leaks, "P11")
    for name, said in case.said:
        assert said["got"].startswith("HTTP/1.1 400 "), name
        assert said["got"].count("HTTP/1.1 ") == 1, name


def test_P11_a_second_request_inside_is_judged_like_the_first(ran: Ran, leaks: Ran) -> None:
    case = check(ran, leaks, "P11 pipelined")
    for said in case.said:
        assert said.startswith("HTTP/1.1 200 ")
        assert "HTTP/1.1 403 " in said


def test_P16_websocket_inside(ran: Ran, leaks: Ran) -> None:
    case = check(ran, leaks, "P16")
    good, smuggled, *others = case.said
    assert good.startswith("HTTP/1.1 101 ")
    assert good.endswith("\x81\x05hello\x88\x00")
    assert smuggled.startswith("HTTP/1.1 101 ")
    assert "sluicegate: client: " in smuggled
    assert not [said for said in others if not said.startswith("HTTP/1.1 403 ")]
    ends = [flow for flow in ran.flows if "frames_up" in flow]
    assert [(flow["protocol"], flow["frames_up"]) for flow in ends] == [("https", 2), ("https", 0)]
    assert ran.denied(protocol="https", sni="four.test", path=f"/ws/{case.token}")


def test_P19_paths_hold_inside(ran: Ran, leaks: Ran) -> None:
    case = check(ran, leaks, "P19")
    assert not [said for said in case.said if not said[1].startswith("HTTP/1.1 40")]


def test_P21_odd_methods_and_schemes_inside(ran: Ran, leaks: Ran) -> None:
    case = check(ran, leaks, "P21")
    assert not [said for said in case.said if not said[1].startswith("HTTP/1.1 4")]


def test_P22_methods_hold_inside(ran: Ran, leaks: Ran) -> None:
    case = check(ran, leaks, "P22")
    assert not [said for _, said in case.said if not said.strip().startswith("4")]
    for method in ("PUT", "POST", "DELETE", "PATCH"):
        denied = ran.denied(protocol="https", method=method, path=f"/ok/{case.token}")
        assert len(denied) == 2
    said = ran.denied(protocol="https", method="GET", path=f"/ok/{case.token}", rule="fault")
    assert [flow["fault"].count("the method is DELETE, ") for flow in said] == [1] * 6


def test_P24_size_inside(ran: Ran, leaks: Ran) -> None:
    case = check(ran, leaks, "P24", control=False)
    for said in case.said[:-1]:
        assert said["got"].startswith("HTTP/1.1 4") or not said["got"]
        assert said["seconds"] < 4
    assert case.said[-1].startswith("sink GET /beside")
    heads = [entry["head"] for entry in ran.log if entry["protocol"] == "http"]
    assert max(map(len, heads)) < 4096


def test_what_was_opened_is_on_record(ran: Ran) -> None:
    """Each request inside has a connection around it that says it was opened, and no TLS stayed closed."""
    inner = {flow["connection"] for flow in ran.flows if flow.get("protocol") == "https"}
    around = {flow["connection"] for flow in ran.flows if flow.get("opened")}
    assert inner <= around
    let = [
        f for f in ran.flows if f.get("protocol") == "tls" and f.get("rule", "").startswith("allow")
    ]
    assert let
    assert all(flow.get("opened") for flow in let), json.dumps(let[:2])
