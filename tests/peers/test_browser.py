"""Chromium inside a boundary whose gate opens its TLS: a page is rendered, and so is the refusal of another one.

Its own sandbox wants user namespaces, which the boundary's filter refuses: `--no-sandbox`, as in most containers. What
it trusts is a database of NSS (sluicegate.boundary.nssdb), which needs certutil.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from tests.conftest import Tier
from tests.peers.second import VERIFIER, node

POLICY = """\
version: 1
allow:
  - host: allowed.test
    methods: [GET]
    paths: ["/read/**"]
"""
# Without the last ones it looks for servers of its maker's at every start, each of which is a denial.
CHROMIUM = (
    "chromium --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync"
    " --disable-background-networking --disable-component-update --user-data-dir=/tmp/browser"
    " --dump-dom https://allowed.test{path} 2>/tmp/said || cat /tmp/said"
)
STEP = "certificate database, with the run's authority, writes discarded"
MISSING = [name for name in ("chromium", "certutil") if shutil.which(name) is None]
pytestmark = pytest.mark.skipif(
    bool(MISSING), reason=f"optional clients: no {' and no '.join(MISSING)} on this machine"
)


def browse(tier: Tier, script: str, home: Path) -> tuple[str, list[dict[str, object]], list[str]]:
    """What was rendered, the requests on record, and how the plan says that the databases came to be."""
    before = listed(home)
    env = {**os.environ, "SSL_CERT_FILE": str(tier.world.ca), "HOME": str(home)}
    done = tier.run(["bash", "-c", script], POLICY, env=env)
    assert done.code == 0, done.err
    assert listed(home) == before
    key = json.loads((done.packet / "packet.json").read_text())["verifier"]["signer_key"]
    checked = tier.verify(done, "--key", key)
    assert checked.code == 0, checked.out + checked.err
    assert node(VERIFIER, done.packet, "--key", key)[0] == 0
    requests = [flow for flow in done.flows() if flow.get("protocol") == "https"]
    steps = [step for step in done.boundary()["open"]["plan"] if step[0] == STEP]
    return done.out, requests, [outcome for _, _, outcome in steps]


def listed(home: Path) -> list[tuple[str, bytes]]:
    return [(str(p), p.read_bytes() if p.is_file() else b"") for p in sorted(home.rglob("*"))]


@pytest.fixture
def home(tier: Tier) -> Path:
    made = tier.work.parent / "home"
    made.mkdir()
    os.chown(made, tier.work.stat().st_uid, tier.work.stat().st_gid)
    return made


def test_a_page_and_a_refusal(tier: Tier, home: Path) -> None:
    before = len(tier.world.arrived())
    script = "; ".join(CHROMIUM.format(path=path) for path in ("/read/page", "/write/page"))
    out, requests, steps = browse(tier, script, home)
    assert steps == ["done"]
    assert "sink GET /read/page" in out, out
    assert "sluicegate: denied https://allowed.test/write/page" in out
    assert "rule: default" in out
    tier.world.settle()
    heads = [e["head"] for e in tier.world.arrived()[before:] if e["protocol"] == "http"]
    assert [head.split()[1] for head in heads if "/write" in head] == []
    assert {flow["url"] for flow in requests if "outcome" in flow} >= {
        "https://allowed.test/read/page"
    }
