"""The SDK of AWS, and a model's SDK for it, with placeholders only: what the server gets is signed with the key."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from sluicegate.evidence import signatures
from tests.peers import amazon
from tests.peers.conftest import PROGRAMS, Clients
from tests.peers.forge import Forge
from tests.peers.second import VERIFIER, node

POLICY = """\
version: 1
allow:
  - host: forge.test
agent: {env: [AWS_ACCESS_KEY_ID, AWS_DEFAULT_REGION]}
secrets:
  - {env: AWS_SECRET_ACCESS_KEY, hosts: [forge.test], methods: [GET, PUT, POST], sigv4: true}
  - {env: AWS_SESSION_TOKEN, hosts: [forge.test], header: x-amz-security-token}
"""
GIVEN = {
    "AWS_ACCESS_KEY_ID": amazon.KEY_ID,
    "AWS_SECRET_ACCESS_KEY": amazon.SECRET,
    "AWS_SESSION_TOKEN": amazon.TOKEN,
    "AWS_DEFAULT_REGION": "eu-west-1",
}
CURL = (
    "curl -sS --aws-sigv4 aws:amz:eu-west-1:execute-api -u $AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY"
    " -H x-amz-security-token:$AWS_SESSION_TOKEN -d a=1 'https://forge.test/stage?a=1&b=%20'"
)
SIGNED = """\
POST /stage?a=1&b=%20 - good
PUT /a-bucket/streams%20/of%20%20b%C3%BCtes STREAMING-UNSIGNED-PAYLO good
PUT /a-bucket/a//b/../c%2Bd STREAMING-UNSIGNED-PAYLO good
GET /a-bucket/x%20y e3b0c44298fc1c149afbf4c8 good
POST / - good
POST /model/m%3A0%2Fx/invoke - good
POST /model/m/invoke - good
"""


def test_sdks_of_aws(clients: Clients, installed: Path, forge: Forge) -> None:
    clients.place("amazon.py")
    record = forge.repositories / amazon.SEEN
    record.unlink(missing_ok=True)
    python = installed / "bin/python"
    visit = clients.visit(
        [f"{CURL}; {python} amazon.py; echo $AWS_SECRET_ACCESS_KEY"],
        f"--bind={installed}",
        policy=POLICY,
        trusted=True,
        **GIVEN,
    )
    (asked,) = visit.outcomes
    asked.allowed("</GetCallerIdentityResponse>", "an object\n123456789012\n", "signed and sent")
    files = b"".join(path.read_bytes() for path in visit.run.packet.iterdir())
    lines = record.read_text()
    for value in (amazon.SECRET, amazon.TOKEN):
        assert value not in asked.said + visit.run.out + visit.run.err
        assert value.encode() not in files
    assert amazon.SECRET not in lines
    assert lines.count(amazon.TOKEN) == len(lines.splitlines())
    seen = subprocess.run(
        [python, PROGRAMS / "amazon_seen.py", amazon.KEY_ID, amazon.SECRET],
        input=lines,
        capture_output=True,
        text=True,
        check=True,
    )
    assert seen.stdout == SIGNED
    assert asked.said.splitlines()[-1] not in lines
    # What the key is not for is not signed with it; this SDK hides why, the receipt says it.
    assert "(403) when calling the DeleteObject" in asked.said
    (denied,) = [flow for flow in visit.run.flows() if flow.get("rule") == "signature"]
    assert (denied["method"], denied["path"]) == ("DELETE", "/a-bucket/x")
    assert denied["reason"] == signatures.reason("AWS_SECRET_ACCESS_KEY", "elsewhere")
    key = json.loads((visit.run.packet / "packet.json").read_text())["verifier"]["signer_key"]
    checked = clients.tier.verify(visit.run, "--key", key)
    assert checked.code == 0, checked.out + checked.err
    assert node(VERIFIER, visit.run.packet, "--key", key)[0] == 0
