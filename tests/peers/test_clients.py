"""Real clients inside the boundary, none told about a proxy: what is allowed is reached, the rest refused at once.

The sink and the forge are outside: what they saw is what went out.
"""

from __future__ import annotations

import shutil

import pytest

from tests.peers.conftest import ALERT, Clients
from tests.peers.forge import SECRET, postgres


def test_curl_to_names(clients: Clients) -> None:
    visit = clients.visit(
        [
            "curl -sS -f http://allowed.test/clear",
            "curl -sS -f --cacert ca.pem https://allowed.test/tls",
            "curl -sS -f -4 --cacert ca.pem https://six.test/only-six",
            "curl -sS -f -I http://allowed.test/head",
            "curl -sS -f --http1.0 http://allowed.test/old",
            "curl -sS http://denied.test/no",
            "curl -sS -f http://denied.test/no",
            "curl -sS --cacert ca.pem https://denied.test/no",
            "curl -sS http://allowed.test:8080/no",
            "curl -sS --cacert ca.pem https://allowed.test:8443/no",
        ]
    )
    clear, tls, six, head, old, *refused = visit.outcomes
    clear.allowed("GET /clear")
    tls.allowed("GET /tls")
    six.allowed("GET /only-six")
    head.allowed("200 OK")
    old.allowed("GET /old")
    assert visit.heads() == ["GET /clear", "GET /old", "GET /only-six", "GET /tls", "HEAD /head"]
    page, failed, alert, port, tls_port = refused
    assert page.code == 0
    assert "- host: denied.test" in page.said
    failed.denied("403", code=22)
    alert.denied(ALERT, code=35)
    assert "ports: [8080]" in port.said
    tls_port.denied(ALERT, code=35)


def test_curl_to_bare_addresses(clients: Clients) -> None:
    visit = clients.visit(
        [
            "curl -sS -f http://203.0.113.10/clear4",
            "curl -sS -f -6 'http://[2001:db8::10]/clear6'",
            "curl -sS -f --cacert ca.pem https://203.0.113.10/tls4",
            "curl -sS -f -6 --cacert ca.pem 'https://[2001:db8::10]/tls6'",
            "curl -sS -f --cacert ca.pem --connect-to four.test:443:203.0.113.10:443 https://four.test/to4",
            "curl -sS -f -6 --cacert ca.pem --connect-to 'six.test:443:[2001:db8::10]:443' https://six.test/to6",
            "curl -sS -f http://203.0.113.20/no",
            "curl -sS -f -6 'http://[2001:db8::20]/no'",
            "curl -sS -k https://203.0.113.20/no",
            "curl -sS -k -6 'https://[2001:db8::20]/no'",
            "curl -sS -k --connect-to denied.test:443:203.0.113.20:443 https://denied.test/no",
        ]
    )
    for outcome in visit.outcomes[:6]:
        outcome.allowed("sink GET")
    assert visit.heads() == [f"GET /{p}{n}" for p in ("clear", "tls", "to") for n in (4, 6)]
    for outcome in visit.outcomes[6:8]:
        outcome.denied("403", code=22)
    for outcome in visit.outcomes[8:]:
        outcome.denied(ALERT, code=35)


def test_curl_keeps_connections_and_streams_bodies(clients: Clients) -> None:
    connects = r"-w '%{num_connects}\n'"
    visit = clients.visit(
        [
            f"curl -sS -f {connects} http://allowed.test/1 http://allowed.test/2 http://allowed.test/3",
            "head -c 300000 /dev/zero | curl -sS -f -T - -X POST http://allowed.test/chunked",
            "head -c 3000000 /dev/zero | curl -sS -f -T - http://allowed.test/upload",
            "head -c 3000000 /dev/zero | curl -sS -f --cacert ca.pem -T - https://allowed.test/upload",
            "curl -sS -f http://allowed.test/big/5000000 | wc -c",
            "curl -sS -f --cacert ca.pem https://allowed.test/big/5000000 | wc -c",
            # Two hosts, one after the other on one connection.
            "curl -sS http://allowed.test/4 --next -sS -H 'Host: denied.test' http://allowed.test/5",
            "head -c 3000000 /dev/zero | curl -sS -f -T - http://denied.test/no",
        ]
    )
    kept, chunked, upload, tls_upload, big, tls_big, host, refused = visit.outcomes
    kept.allowed()
    assert [line for line in kept.said.splitlines() if line.isdigit()] == ["1", "0", "0"]
    chunked.allowed("body=300000")
    upload.allowed("body=3000000")
    tls_upload.allowed("body=3000000")
    big.allowed("5000000")
    tls_big.allowed("5000000")
    assert host.said.startswith("sink GET /4")
    assert "sluicegate: denied" in host.said
    refused.denied("403")
    bodies = sorted(entry["body"] for entry in visit.arrived)
    assert bodies == [0, 0, 0, 0, 0, 0, 300_000, 3_000_000, 3_000_000]


def test_wget(clients: Clients) -> None:
    visit = clients.visit(
        [
            "wget -nv -O- http://allowed.test/clear",
            "wget -nv -O- --ca-certificate=ca.pem https://allowed.test/tls",
            "wget -nv -O- --post-data=abc http://allowed.test/post",
            "wget -nv -O- --ca-certificate=ca.pem 'https://[2001:db8::10]/six'",
            "wget -nv -O- --tries=1 http://denied.test/no",
            "wget -nv -O- --tries=1 --ca-certificate=ca.pem https://denied.test/no",
            "wget -nv -O- --tries=1 'http://[2001:db8::20]/no'",
        ]
    )
    for outcome in visit.outcomes[:4]:
        outcome.allowed("sink ")
    assert visit.heads() == ["GET /clear", "GET /six", "GET /tls", "POST /post"]
    clear, tls, six = visit.outcomes[4:]
    clear.denied("403", code=8)
    tls.denied(ALERT)
    six.denied("403", code=8)


def test_openssl_s_client(clients: Clients) -> None:
    client = "openssl s_client -quiet -CAfile ca.pem -verify_return_error"
    request = r"printf 'GET /%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'"
    visit = clients.visit(
        [
            f"{request} named | {client} -connect allowed.test:443 -servername allowed.test",
            f"{request} two | {client} -tls1_2 -connect allowed.test:443 -servername allowed.test",
            f"{request} six | {client} -connect '[2001:db8::10]:443' -noservername",
            f"{request} bare | {client} -connect 203.0.113.10:443 -noservername",
            f"{request} no | {client} -connect denied.test:443 -servername denied.test",
            f"{request} no | {client} -connect 203.0.113.20:443 -noservername",
            f"{request} no | {client} -connect '[2001:db8::20]:443' -noservername",
            # Whom it meant and whom it says it means are two.
            f"{request} no | {client} -connect allowed.test:443 -servername fronted.test",
        ]
    )
    for outcome in visit.outcomes[:4]:
        assert "sink GET" in outcome.said, outcome
    assert visit.heads() == ["GET /bare", "GET /named", "GET /six", "GET /two"]
    for outcome in visit.outcomes[4:]:
        outcome.denied(ALERT)


def test_git_over_https(clients: Clients) -> None:
    push = (
        "cd {0}; echo {0} >>content; git -c user.name=n -c user.email=e@x commit -qam {0};"
        " git push -q origin HEAD:{1} && git ls-remote origin {1}"
    )
    visit = clients.visit(
        [
            "git clone -q https://forge.test/tool.git named && cat named/content",
            push.format("named", clients.tier.name),
            "git clone -q https://203.0.113.30/tool.git four && cat four/content",
            "git clone -q 'https://[2001:db8::30]/tool.git' six && cat six/content",
            "git clone -q https://denied.test/tool.git no",
            "git -C named push -q https://denied.test/tool.git HEAD",
            "git clone -q https://203.0.113.20/tool.git no",
            "git clone -q git://denied.test/tool.git no",
            "git clone -q http://denied.test/tool.git no",
        ],
        f"--env=GIT_SSL_CAINFO={clients.tier.work}/ca.pem",
    )
    named, pushed, four, six, *refused = visit.outcomes
    for outcome in (named, four, six):
        outcome.allowed(SECRET)
    pushed.allowed(f"refs/heads/{clients.tier.name}")
    assert not visit.arrived
    for outcome in refused[:3]:
        outcome.denied(ALERT, code=128)
    refused[3].denied(code=128)
    refused[4].denied("returned error: 403", code=128)


def test_git_and_ssh(clients: Clients) -> None:
    ssh = "ssh -F none -i key -o IdentitiesOnly=yes -o UserKnownHostsFile=known_hosts -o BatchMode=yes"
    anywhere = ssh.replace("-i ", f"-i {clients.tier.work}/")
    anywhere = anywhere.replace("known_hosts", f"{clients.tier.work}/known_hosts")
    visit = clients.visit(
        [
            f"{ssh} git@forge.test cat srv/tool.git/HEAD",
            f"{ssh} git@2001:db8::30 'cat >/dev/null; id -un'",
            f"head -c 2000000 /dev/zero | {ssh} git@203.0.113.30 wc -c",
            "git clone -q git@forge.test:srv/tool.git named && cat named/content",
            "git clone -q 'ssh://git@[2001:db8::30]/~/srv/tool.git' six && cat six/content",
            "cd named; git push -q origin HEAD:over-ssh && git ls-remote origin over-ssh",
            f"{ssh} git@denied.test true",
            f"{ssh} git@203.0.113.20 true",
            f"{ssh} git@2001:db8::20 true",
            f"{ssh} git@store.test true",  # allowed by name, but its address is internal
            "git clone -q git@denied.test:srv/tool.git no",
        ],
        f"--env=GIT_SSH_COMMAND={anywhere}",
    )
    head, who, count, named, six, pushed, *refused = visit.outcomes
    head.allowed("ref: refs/heads/main")
    who.allowed("git")
    count.allowed("2000000")
    named.allowed(SECRET)
    six.allowed(SECRET)
    pushed.allowed("refs/heads/over-ssh")
    assert not visit.arrived
    for outcome in refused:
        outcome.denied("reset by", code=128 if outcome.command.startswith("git") else 255)


def test_redis_cli(clients: Clients) -> None:
    visit = clients.visit(
        [
            f"redis-cli -h store.test set k {SECRET}; redis-cli -h store.test get k",
            "redis-cli -h 203.0.113.30 get k",
            "redis-cli -h 2001:db8::30 get k",
            "redis-cli -h 10.9.9.30 get k",
            "head -c 3000000 /dev/zero | redis-cli -h store.test -x set big; redis-cli -h store.test strlen big",
            "redis-cli -e -h denied.test ping",
            "redis-cli -e -h 203.0.113.20 ping",
            "redis-cli -e -h 2001:db8::20 ping",
            "redis-cli -e -h 10.9.9.9 ping",
        ]
    )
    for outcome in visit.outcomes[:4]:
        outcome.allowed(SECRET)
    visit.outcomes[4].allowed("3000000")
    assert not visit.arrived
    for outcome in visit.outcomes[5:]:
        outcome.denied("reset by peer", code=1)


@pytest.mark.skipif(
    postgres() is None or shutil.which("psql") is None,
    reason="an optional client: no PostgreSQL server and psql on this machine",
)
def test_psql(clients: Clients) -> None:
    ask = f"psql -At -U tester -d postgres -c \"select '{SECRET}'\" -h"
    visit = clients.visit(
        [
            f"{ask} store.test",
            f"{ask} 203.0.113.30",
            f"{ask} 2001:db8::30",
            f"{ask} denied.test",
            f"{ask} 2001:db8::20",
            f"{ask} 10.9.9.9",
        ]
    )
    for outcome in visit.outcomes[:3]:
        outcome.allowed(SECRET)
    assert not visit.arrived
    for outcome in visit.outcomes[3:]:
        outcome.denied("server closed the connection", code=2)
