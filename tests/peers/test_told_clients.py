"""Clients that are told of a proxy: any address will do, and the policy decides about what they ask it for."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.peers.conftest import ALERT, Clients, Visit
from tests.peers.forge import SECRET
from tests.peers.registry import INSTALLED
from tests.peers.test_languages import PYTHON
from tests.peers.test_packages import WHOLE, npm, pip

CURL = "curl -sS -f --cacert ca.pem"
# One name for the proxy, another in the TLS inside.
MISMATCH = f"{CURL} --connect-to denied.test:443:allowed.test:443 https://denied.test/no"
HTTP, SOCKS = "http://192.0.2.1:3128", "socks5h://192.0.2.1:1080"
NO_ANSWER_FROM_SOCKS = 97


def told(proxy: str) -> tuple[str, ...]:
    """What tells every client, as far as it knows the variables."""
    names = ("HTTP_PROXY", "HTTPS_PROXY") if proxy.startswith("http:") else ("ALL_PROXY",)
    # curl and wget know some of them in small letters alone.
    return tuple(f"--env={n}={proxy}" for name in names for n in (name, name.lower()))


def ways(visit: Visit) -> list[str]:
    """How each connection asked for its destination, in order and once each."""
    flows = [flow for flow in visit.run.flows() if flow["kind"] == "connection"]
    return list(dict.fromkeys(flow["via"] for flow in flows))


@pytest.mark.parametrize("proxy", [HTTP, "http://[2001:db8::99]:8080"])
def test_curl_told_of_an_http_proxy(clients: Clients, proxy: str) -> None:
    visit = clients.visit(
        [
            f"{CURL} http://allowed.test/clear http://six.test/kept",
            f"{CURL} http://203.0.113.10/4",
            f"{CURL} 'http://[2001:db8::10]/6'",
            f"{CURL} https://allowed.test/tls",
            f"{CURL} https://203.0.113.10/tls4 'https://[2001:db8::10]/tls6'",
            f"{CURL} -p http://allowed.test/tunnel",
            "head -c 300000 /dev/zero | curl -sS -f -T - http://allowed.test/upload",
            f"{CURL} http://denied.test/no",
            f"{CURL} http://203.0.113.20/no",
            f"{CURL} 'http://[2001:db8::20]/no'",
            f"{CURL} https://denied.test/no",
            f"{CURL} https://203.0.113.20/no",
            f"{CURL} 'https://[2001:db8::20]/no'",
            f"{CURL} https://allowed.test:8443/no",
            MISMATCH,
        ],
        *told(proxy),
    )
    for outcome in visit.outcomes[:7]:
        outcome.allowed("sink ")
    paths = ("4", "6", "clear", "kept", "tls", "tls4", "tls6", "tunnel")
    assert visit.heads() == [*(f"GET /{path}" for path in paths), "PUT /upload"]
    for outcome in visit.outcomes[7:14]:
        outcome.denied("403")
    visit.outcomes[14].denied(ALERT, code=35)
    assert ways(visit) == ["absolute-form", "connect"]


@pytest.mark.parametrize(
    "proxy",
    [SOCKS, "socks5h://[2001:db8::99]:9050", "socks5://192.0.2.1:1080", "socks4a://192.0.2.1:1080"],
)
def test_curl_told_of_a_socks_proxy(clients: Clients, proxy: str) -> None:
    visit = clients.visit(
        [
            f"{CURL} http://allowed.test/clear",
            f"{CURL} https://allowed.test/tls",
            f"{CURL} https://203.0.113.10/tls4",
            f"{CURL} http://denied.test/no",
            f"{CURL} https://denied.test/no",
            f"{CURL} https://203.0.113.20/no",
            f"{CURL} https://allowed.test:8443/no",
            MISMATCH,
        ],
        *told(proxy),
    )
    for outcome in visit.outcomes[:3]:
        outcome.allowed("sink GET")
    assert visit.heads() == ["GET /clear", "GET /tls", "GET /tls4"]
    for outcome in visit.outcomes[3:7]:
        outcome.denied(code=NO_ANSWER_FROM_SOCKS)
    visit.outcomes[7].denied(ALERT, code=35)
    assert ways(visit) == ["socks"]


def test_bare_ipv6_over_socks(clients: Clients) -> None:
    commands = [f"{CURL} 'https://[2001:db8::10]/six'", f"{CURL} 'https://[2001:db8::20]/no'"]
    visit = clients.visit(commands, *told(SOCKS))
    visit.outcomes[0].allowed("GET /six")
    visit.outcomes[1].denied(code=NO_ANSWER_FROM_SOCKS)


@pytest.mark.parametrize("proxy", [HTTP, SOCKS])
def test_git_told_of_a_proxy(clients: Clients, proxy: str) -> None:
    visit = clients.visit(
        [
            "git clone -q https://forge.test/tool.git tool && cat tool/content",
            "git -C tool push -q origin HEAD:told && git -C tool ls-remote origin told",
            "git clone -q https://denied.test/tool.git no",
        ],
        f"--env=GIT_SSL_CAINFO={clients.tier.work}/ca.pem",
        *told(proxy),
    )
    cloned, pushed, refused = visit.outcomes
    cloned.allowed(SECRET)
    pushed.allowed("refs/heads/told")
    refused.denied(code=128)
    assert not visit.arrived
    assert ways(visit) == ["connect" if proxy == HTTP else "socks"]


def test_wget_and_python_told_of_an_http_proxy(clients: Clients) -> None:
    clients.place("ask.py")
    wget = "wget -nv -O- --tries=1 --ca-certificate=ca.pem"
    visit = clients.visit(
        [
            f"{wget} http://allowed.test/wget https://allowed.test/wget",
            f"{PYTHON} url allowed.test 80",
            f"{PYTHON} url allowed.test 443",
            f"{wget} http://denied.test/no",
            f"{wget} https://denied.test/no",
            f"{PYTHON} url denied.test 80",
            f"{PYTHON} url denied.test 443",
        ],
        *told(HTTP),
    )
    for outcome in visit.outcomes[:3]:
        outcome.allowed("sink GET")
    assert visit.heads() == [f"GET /{name}" for name in ("url", "wget") for _ in range(2)]
    for outcome in visit.outcomes[3:]:
        outcome.denied("403|Forbidden")
    assert ways(visit) == ["absolute-form", "connect"]


@pytest.mark.parametrize("proxy", [HTTP, SOCKS])
def test_a_go_binary_told_of_a_proxy(clients: Clients, go_binary: Path, proxy: str) -> None:
    shutil.copy(go_binary, clients.tier.work)
    visit = clients.visit(
        [
            "./fetch http://allowed.test/a https://allowed.test/b",
            "./fetch http://denied.test/no",
            "./fetch https://denied.test/no",
        ],
        f"--env=SSL_CERT_FILE={clients.tier.work}/ca.pem",
        # It does not know ALL_PROXY, but SOCKS in the others.
        *(f"--env={name}={proxy}" for name in ("HTTP_PROXY", "HTTPS_PROXY")),
    )
    visit.outcomes[0].allowed("GET /a", "GET /b")
    for outcome in visit.outcomes[1:]:
        outcome.denied("Forbidden" if proxy == HTTP else "not allowed", code=1)
    assert ways(visit) == (["absolute-form", "connect"] if proxy == HTTP else ["socks"])


def test_pip_and_npm_told_of_a_proxy(clients: Clients) -> None:
    """Over HTTP: neither speaks SOCKS as it comes."""
    visit = clients.visit(
        [
            pip("https://forge.test/simple/", "pip"),
            npm("https://forge.test/npm/", "npm"),
            pip("https://denied.test/simple/", "no", "--retries 1"),
            npm("https://denied.test/npm/"),
        ],
        *told(HTTP),
        policy=WHOLE,
    )
    for outcome in visit.outcomes[:2]:
        outcome.allowed(INSTALLED)
    for outcome in visit.outcomes[2:]:
        outcome.denied("403", code=1)
    assert ways(visit) == ["connect"]


def test_a_client_told_of_exceptions(clients: Clients) -> None:
    visit = clients.visit([f"{CURL} https://allowed.test/"], "--env=NO_PROXY=.test", *told(HTTP))
    visit.outcomes[0].allowed("sink GET")
    assert ways(visit) == ["direct"]
