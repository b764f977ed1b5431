"""A TLS client that is silent for longer than the grace is opened all the same, or goes nowhere."""

from __future__ import annotations

import pytest

from tests.conftest import Tier

SLOW = """
import socket, ssl, sys, time
port = int(sys.argv[1])
plain = socket.create_connection(("allowed.test", port))
time.sleep(1)  # what is tested: more than three times the grace
try:
    stream = ssl.create_default_context().wrap_socket(plain, server_hostname="allowed.test")
    stream.sendall(b"GET /late HTTP/1.1\\r\\nHost: allowed.test\\r\\nConnection: close\\r\\n\\r\\n")
    print(stream.recv(1000))
except OSError as error:
    print("refused")
"""
POLICY = "version: 1\ninspect: all\nallow: [{host: allowed.test, ports: [443, 7000]}]\n"


@pytest.mark.parametrize("tier", ["netns-root"], indirect=True)
def test_a_late_hello_is_no_way_around_the_look_inside(tier: Tier) -> None:
    before = len(tier.world.arrived())
    given = {"SSL_CERT_FILE": str(tier.world.ca)}
    line = '/usr/bin/python3 -c "$0" 443; /usr/bin/python3 -c "$0" 7000'
    run = tier.run(["sh", "-c", line, SLOW], POLICY, env=given)
    opened, closed = run.out.splitlines()
    assert "200 OK" in opened, run.out + run.err
    assert closed == "refused"
    flows = run.flows()
    asked = [flow["url"] for flow in flows if flow.get("protocol") == "https" and "outcome" in flow]
    assert asked == ["https://allowed.test/late"]
    faults = {flow["fault"] for flow in flows if "fault" in flow}
    assert faults == {"TLS that is to be opened, begun after the server was connected"}
    tier.world.settle()
    came = [one for one in tier.world.arrived()[before:] if one["protocol"] != "unix"]
    assert [one["head"].partition(" HTTP/")[0] for one in came if one.get("head")] == ["GET /late"]
    assert not any(
        flow.get("opened") and "outcome" in flow and flow["port"] == 7000 for flow in flows
    )
