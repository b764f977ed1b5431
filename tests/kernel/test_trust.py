"""That programs inside trust the run's authority where something may be opened, and that nothing is touched elsewhere.

Both tiers (sluicegate.boundary.trustsurvey, .mounts, sluicegate.cli.trusting, .children).
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path

from sluicegate.boundary import rootstore
from tests.conftest import Tier

OPENS = """\
version: 1
allow:
  - host: allowed.test
  - host: "*.wide.test"
    ports: [8443]
    methods: [GET]
"""
SHOWN = "cat /run/sluicegate/ca.pem; env; tail -n 40 /etc/ssl/certs/ca-certificates.crt"


def test_a_run_that_may_open_something_is_bound_to_its_authority(tier: Tier) -> None:
    done = tier.run(["sh", "-c", SHOWN], OPENS)
    assert done.code == 0, done.err
    first, *rest = rootstore.certificates(done.out.encode())
    assert rest == []  # what ends the system's bundle is the same
    assert done.out.count("BEGIN CERTIFICATE") >= 2
    assert done.boundary()["open"]["authority"] == {
        "sha256": hashlib.sha256(first).hexdigest(),
        "names": ["*.wide.test"],
    }
    assert re.search("^SSL_CERT_FILE=/run/sluicegate/ca-bundle.pem$", done.out, re.MULTILINE)
    assert "Certificate" not in done.err
    key = json.loads((done.packet / "packet.json").read_text())["verifier"]["signer_key"]
    checked = tier.verify(done, "--key", key)
    assert checked.code == 0, checked.out + checked.err


def test_a_run_that_may_open_nothing_is_untouched(tier: Tier) -> None:
    script = (
        "ls /run/sluicegate; env; sha256sum /etc/ssl/certs/ca-certificates.crt; ls /etc/ssl/certs"
    )
    done = tier.run(["sh", "-c", script], env={"PATH": os.environ["PATH"]})
    assert "/run/sluicegate" not in done.out
    assert "CERT" not in done.out
    bundle = Path("/etc/ssl/certs/ca-certificates.crt").read_bytes()
    assert hashlib.sha256(bundle).hexdigest() in done.out
    assert "sluicegate" not in done.out.partition("ca-certificates.crt")[2]
    assert "authority" not in done.boundary()["open"]
