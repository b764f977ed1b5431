"""Real clients whose TLS the gate opens, none told about it: a request that a rule names goes through, no other does.

The packet of such a run is accepted by both verifiers, each request decided again.
"""

from __future__ import annotations

import json
import os
import shutil

import pytest

from tests.conftest import Tier
from tests.peers.second import VERIFIER, node

POLICY = """\
version: 1
allow:
  - host: allowed.test
    methods: [GET, HEAD]
    paths: ["/read/**"]
  - host: four.test
"""
CLIENTS = {
    "curl": "curl -sS {url}",
    "wget": "wget -q -O - {url}",
    "python3": "python3 -c 'import urllib.request as u; print(u.urlopen(\"{url}\").read().decode())'",
    "node": "node -e 'fetch(\"{url}\").then((r) => r.text()).then(console.log)'",
    "openssl": (
        "printf 'GET {path} HTTP/1.1\\r\\nHost: allowed.test\\r\\nConnection: close\\r\\n\\r\\n' |"
        " openssl s_client -quiet -verify_return_error -connect allowed.test:443 -servername allowed.test"
    ),
}


def run(tier: Tier, script: str) -> tuple[str, list[dict[str, object]]]:
    env = {**os.environ, "SSL_CERT_FILE": str(tier.world.ca), "NODE_EXTRA_CA_CERTS": ""}
    done = tier.run(["sh", "-c", script], POLICY, env=env)
    assert done.code == 0, done.err
    key = json.loads((done.packet / "packet.json").read_text())["verifier"]["signer_key"]
    checked = tier.verify(done, "--key", key)
    assert checked.code == 0, checked.out + checked.err
    code, out = node(VERIFIER, done.packet, "--key", key)
    assert code == 0, out
    flows = (done.packet / "flows.jsonl").read_text().splitlines()
    return done.out, [flow for flow in map(json.loads, flows) if flow["kind"] == "connection"]


@pytest.mark.parametrize("client", CLIENTS)
def test_a_request_that_a_rule_names(tier: Tier, client: str) -> None:
    if shutil.which(client) is None:
        pytest.skip(f"an optional client: no {client} on this machine")
    before = len(tier.world.arrived())
    line = CLIENTS[client].format(url="https://allowed.test/read/a", path="/read/a")
    out, flows = run(tier, f"{line} 2>&1")
    assert "GET /read/a" in out, out
    tier.world.settle()
    came = [entry for entry in tier.world.arrived()[before:] if entry["protocol"] == "http"]
    assert [entry["head"].partition(" HTTP/")[0] for entry in came] == ["GET /read/a"]
    assert [flow["url"] for flow in flows if flow["protocol"] == "https"] == [
        "https://allowed.test/read/a"
    ] * 2


def test_what_no_rule_names_is_told_inside_tls(tier: Tier) -> None:
    before = len(tier.world.arrived())
    out, flows = run(
        tier,
        "curl -sS https://allowed.test/write/a; curl -sS -d x https://allowed.test/read/a;"
        "env -i $(command -v curl) -sS https://allowed.test/read/../write; true",
    )
    assert out.count("sluicegate: denied https://allowed.test/") == 3, out
    assert '  paths: ["/write/a"]' in out
    tier.world.settle()
    assert [e for e in tier.world.arrived()[before:] if e["protocol"] == "http"] == []
    assert {flow["rule"] for flow in flows if flow["protocol"] == "https"} == {"default"}


def test_beside_it_what_needs_no_look_stays_closed(tier: Tier) -> None:
    out, flows = run(tier, "curl -sS https://four.test/a; curl -sS https://allowed.test/read/b")
    assert "GET /a" in out
    assert "GET /read/b" in out
    assert {flow["url"] for flow in flows if "opened" not in flow} == {
        "tls://four.test:443",
        "https://allowed.test/read/b",
    }
    assert {flow["url"] for flow in flows if "opened" in flow} == {"tls://allowed.test:443"}
