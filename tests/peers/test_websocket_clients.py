"""Real clients of WebSocket, clear and within TLS that is opened: a path that a rule names is talked to, no other."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.peers.conftest import Clients, Outcome

POLICY = """\
version: 1
allow:
  - host: allowed.test
    methods: [GET]
    paths: ["/ws/**"]
"""
PYTHON = "CLIENTS/bin/python sockets.py"
NODE = "NODE_PATH=CLIENTS/node_modules node --experimental-websocket --no-warnings sockets.js"
CLIENTS = {
    "websockets": f"{PYTHON} websockets",
    "aiohttp": f"{PYTHON} aiohttp",
    "node": f"{NODE} node",
    "ws": f"{NODE} ws",
}


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("scheme", ["ws", "wss"])
def test_a_conversation(clients: Clients, installed: Path, client: str, scheme: str) -> None:
    if client == "ws" and not (installed / "node_modules/ws").exists():
        pytest.skip("an optional client: no ws for Node on this machine")
    clients.place("sockets.py")
    clients.place("sockets.js")
    line = CLIENTS[client].replace("CLIENTS", str(installed))
    visit = clients.visit(
        [f"{line} {scheme}://allowed.test{path}" for path in ("/ws/a", "/other")],
        f"--bind={installed}",
        policy=POLICY,
        trusted=True,
    )
    allowed, denied = visit.outcomes
    talked(allowed, client)
    if client == "websockets":
        denied.allowed("status 403", "sluicegate: denied http")
    else:
        assert "403" in denied.said or "error" in denied.said, denied.said
        assert "said" not in denied.said
    flows = [flow for flow in visit.run.flows() if flow.get("method") == "GET"]
    assert {flow["rule"] for flow in flows if flow["path"] == "/other"} == {"default"}
    (end,) = [flow for flow in flows if "outcome" in flow]
    assert (end["outcome"], end["status"], end["path"]) == ("complete", 101, "/ws/a")
    heads = [entry["head"] for entry in visit.arrived if entry["protocol"] == "http"]
    assert [head.partition(" HTTP/")[0] for head in heads] == ["GET /ws/a"]
    (came,) = [entry for entry in visit.arrived if entry["protocol"] == "websocket"]
    # As many frames as the server heard, of which it answered each.
    assert end["frames_up"] == end["frames_down"] == len(came["said"])


def talked(outcome: Outcome, client: str) -> None:
    outcome.allowed("said 300000", "closed 1000")
    nothing = {
        "websockets": "compression []",
        "aiohttp": "compression 0",
        "node": 'extensions ""',
        "ws": 'extensions ""',
    }
    assert nothing[client] in outcome.said
