"""pip and npm inside the boundary: an index and its files on hosts of their own, each allowed or denied."""

from __future__ import annotations

from tests.peers.conftest import ALERT, POLICY, Clients, Visit
from tests.peers.registry import INSTALLED, TOOL

# The index is forge.test; its files are on store.test, whose address is internal.
NAMED = f"{POLICY}  - host: store.test\n"
WHOLE = f"{NAMED}  - ip: 10.9.9.30/32\n    ports: [443]\n"
# What the command runs as may not reach the interpreter of the tests.
PIP = (
    "env PIP_CONFIG_FILE=/dev/null /usr/bin/python3 -m pip install -q --no-cache-dir --no-input"
    " --cert ca.pem --trusted-host denied.test"
)
# Left alone, npm tries again after 10 seconds and after 60.
NPM = (
    "npm install --no-audit --no-fund --no-update-notifier --fetch-retries 0 --cache ../cache"
    " --cafile ../ca.pem --globalconfig /dev/null --userconfig ../npmrc"
)


def pip(index: str, into: str = "no", *options: str) -> str:
    install = f"{PIP} {' '.join(options)} --target {into} --index-url '{index}' {TOOL}"
    return f"{install} && PYTHONPATH={into} /usr/bin/python3 -m sealed_tool"


def npm(registry: str, into: str = "no") -> str:
    install = f"{NPM} --registry '{registry}' {TOOL}"
    return f"mkdir -p {into} && cd {into} && {install} && node -e 'require(\"{TOOL}\")'"


def refused(visit: Visit, rule: str) -> set[str]:
    """What the record says was denied by `rule`."""
    return {flow["url"] for flow in visit.run.flows() if flow.get("rule") == rule}


def test_pip(clients: Clients) -> None:
    visit = clients.visit(
        [
            pip("https://forge.test/simple/", "named"),
            pip("https://203.0.113.30/simple/", "four"),
            pip("https://[2001:db8::30]/simple/", "six"),
            pip("https://denied.test:8443/simple/", "no", "--retries 1"),
            pip("https://203.0.113.20/simple/", "no", "--retries 0"),
            pip("https://[2001:db8::20]/simple/", "no", "--retries 0"),
            pip("http://denied.test/simple/"),
        ],
        policy=WHOLE,
    )
    for outcome in visit.outcomes[:3]:
        outcome.allowed(INSTALLED)
    assert not visit.arrived
    for outcome in visit.outcomes[3:]:
        outcome.denied("No matching distribution", code=1)
    visit.outcomes[3].denied(ALERT)  # pip says why only where it tries again
    assert refused(visit, "default") == {
        *("tls://denied.test:8443", "tls://203.0.113.20:443", "tls://[2001:db8::20]:443"),
        f"http://denied.test/simple/{TOOL}/",
    }


def test_pip_where_only_the_index_is_allowed(clients: Clients) -> None:
    index = "https://forge.test/simple/"
    for policy, rule in ((POLICY, "default"), (NAMED, "internal-address")):
        visit = clients.visit([pip(index, "no", "--retries 0")], policy=policy)
        visit.outcomes[0].denied("store.test", ALERT, code=1)
        assert refused(visit, rule) == {"tls://store.test:443"}


def test_npm(clients: Clients) -> None:
    visit = clients.visit(
        [
            npm("https://forge.test/npm/", "named"),
            # A bare IPv6 address npm takes for a name.
            npm("https://203.0.113.30/npm/", "four"),
            npm("https://denied.test/npm/"),
            npm("https://203.0.113.20/npm/"),
            npm("http://denied.test/npm/"),
        ],
        policy=WHOLE,
    )
    for outcome in visit.outcomes[:2]:
        outcome.allowed(INSTALLED)
    assert not visit.arrived
    for outcome in visit.outcomes[2:4]:
        outcome.denied(ALERT, code=1)
    visit.outcomes[4].denied("E403", code=1)


def test_npm_where_only_the_registry_is_allowed(clients: Clients) -> None:
    for policy, rule in ((POLICY, "default"), (NAMED, "internal-address")):
        visit = clients.visit([npm("https://forge.test/npm/")], policy=policy)
        visit.outcomes[0].denied("store.test", ALERT, code=1)
        assert refused(visit, rule) == {"tls://store.test:443"}
