"""Programs inside the boundary that bring their own network code: Node, Python, a static Go binary."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.peers.conftest import ALERT, Clients

PYTHON = "/usr/bin/python3 ask.py"


def test_node_fetch(clients: Clients) -> None:
    clients.place("fetch.js")
    visit = clients.visit(
        [
            "node fetch.js http://allowed.test/clear https://allowed.test/tls https://six.test/six",
            "node fetch.js http://203.0.113.10/4 'http://[2001:db8::10]/6'",
            "node fetch.js https://203.0.113.10/tls4 'https://[2001:db8::10]/tls6'",
            "node fetch.js http://denied.test/no",
            "node fetch.js http://203.0.113.20/no",
            "node fetch.js 'http://[2001:db8::20]/no'",
            "node fetch.js https://denied.test/no",
            "node fetch.js https://203.0.113.20/no",
            "node fetch.js 'https://[2001:db8::20]/no'",
        ],
        f"--env=NODE_EXTRA_CA_CERTS={clients.tier.work}/ca.pem",
    )
    for outcome in visit.outcomes[:3]:
        outcome.allowed("200 sink GET")
    paths = ("4", "6", "clear", "six", "tls", "tls4", "tls6")
    assert visit.heads() == [f"GET /{path}" for path in paths]
    for outcome in visit.outcomes[3:6]:
        outcome.denied("403 sluicegate: denied", code=1)
    for outcome in visit.outcomes[6:]:
        outcome.denied(ALERT, code=1)


def test_python_over_http(clients: Clients) -> None:
    clients.place("ask.py")
    visit = clients.visit(
        [
            f"{PYTHON} page allowed.test 80",
            f"{PYTHON} page six.test 443",
            f"{PYTHON} page 203.0.113.10 443",
            f"{PYTHON} page 2001:db8::10 80",
            f"{PYTHON} url allowed.test 443",
            f"{PYTHON} tasks allowed.test 443",
            f"{PYTHON} page denied.test 80",
            f"{PYTHON} url 203.0.113.20 80",
            f"{PYTHON} page 2001:db8::20 80",
            f"{PYTHON} page denied.test 443",
            f"{PYTHON} tasks 203.0.113.20 443",
            f"{PYTHON} page 2001:db8::20 443",
        ]
    )
    for outcome in visit.outcomes[:6]:
        outcome.allowed("sink GET")
    tasks = [f"GET /task{number}" for number in range(5)]
    assert visit.heads() == [*["GET /first"] * 4, *["GET /second"] * 4, *tasks, "GET /url"]
    for outcome in visit.outcomes[6:9]:
        outcome.denied("403", code=1)
    for outcome in visit.outcomes[9:]:
        outcome.denied(ALERT, code=1)


def test_python_sockets(clients: Clients) -> None:
    """Of no protocol that the gate knows; port 7000 is an echo."""
    clients.place("ask.py")
    visit = clients.visit(
        [
            f"{PYTHON} echo 203.0.113.10 7000",
            f"{PYTHON} echo 2001:db8::10 7000",
            f"{PYTHON} ping store.test 6379",
            f"{PYTHON} patient 203.0.113.10 7000",
            f"{PYTHON} patient 2001:db8::10 7000",
            f"{PYTHON} mapped 203.0.113.10 7000",
            f"{PYTHON} echo allowed.test 7000",
            f"{PYTHON} ping denied.test 6379",
            f"{PYTHON} echo 203.0.113.20 7000",
            f"{PYTHON} echo 2001:db8::20 7000",
            f"{PYTHON} patient 203.0.113.20 7000",
            f"{PYTHON} mapped 203.0.113.20 7000",
            f"{PYTHON} echo 203.0.113.10 5432",
        ]
    )
    for outcome in visit.outcomes[:2]:
        outcome.allowed("half a dialogue")
    visit.outcomes[2].allowed("+PONG")
    for outcome in visit.outcomes[3:5]:
        outcome.allowed("error 0", "no hurry")
    visit.outcomes[5].allowed("peer ::ffff:203.0.113.10", "mapped")
    assert [entry["protocol"] for entry in visit.arrived] == ["tcp"] * 5
    for outcome in visit.outcomes[6:]:
        outcome.denied("ConnectionResetError", code=1)


def test_a_static_go_binary(clients: Clients, go_binary: Path) -> None:
    shutil.copy(go_binary, clients.tier.work)
    visit = clients.visit(
        [
            "./fetch http://allowed.test/clear https://allowed.test/tls https://six.test/six",
            "./fetch http://203.0.113.10/4 'http://[2001:db8::10]/6'",
            "./fetch https://203.0.113.10/tls4 'https://[2001:db8::10]/tls6'",
            "./fetch tcp://203.0.113.10:7000 'tcp://[2001:db8::10]:7000'",
            "./fetch http://denied.test/no",
            "./fetch 'http://[2001:db8::20]/no'",
            "./fetch https://denied.test/no",
            "./fetch https://203.0.113.20/no",
            "./fetch tcp://denied.test:7000",
            "./fetch 'tcp://[2001:db8::20]:7000'",
        ],
        f"--env=SSL_CERT_FILE={clients.tier.work}/ca.pem",
    )
    clear, bare, tls, opaque, *refused = visit.outcomes
    for outcome in (clear, bare, tls):
        outcome.allowed("sink GET")
    assert opaque.said.count("half a dialogue") == 2
    assert opaque.code == 0
    assert len(visit.arrived) == 9
    for outcome in refused[:2]:
        outcome.denied("403 Forbidden", "- (host|ip): ", code=1)
    for outcome in refused[2:4]:
        outcome.denied(ALERT, code=1)
    for outcome in refused[4:]:
        outcome.denied("connection reset by peer", code=1)
