"""That programs inside trust the run's authority where something may be opened, and that nothing is touched elsewhere.

Both tiers (sluicegate.boundary.trustsurvey, .mounts, sluicegate.cli.trusting, .children).
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sluicegate.boundary import rootstore, trust, trustsurvey
from sluicegate.boundary.model import Spec
from sluicegate.gate import certificates
from tests.conftest import Tier
from tests.kernel.host import PYTHON, TIERS, UID, ground, run, spec

OPENS = """\
version: 1
allow:
  - host: allowed.test
  - host: "*.wide.test"
    ports: [8443]
    methods: [GET]
"""
SHOWN = "cat /run/sluicegate/ca.pem; env; tail -n 40 /etc/ssl/certs/ca-certificates.crt"
BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
both = pytest.mark.parametrize("name", TIERS)


def optional(client: str) -> Any:
    """A parameter for a client that not every machine has."""
    program = client.split(maxsplit=1)[0].strip(",")
    why = f"an optional client: no {program} on this machine"
    missing = shutil.which(program, path="/usr/bin:/bin") is None
    return pytest.param(client, marks=pytest.mark.skipif(missing, reason=why))


def test_a_run_that_may_open_something_is_bound_to_its_authority(tier: Tier) -> None:
    done = tier.run(["sh", "-c", SHOWN], OPENS)
    assert done.code == 0, done.err
    first = rootstore.certificates(done.out.encode())[0]
    assert done.out.count(rootstore.pem([first])) == 2  # the file's, and the end of the bundle
    assert done.boundary()["open"]["authority"] == {
        "sha256": hashlib.sha256(first).hexdigest(),
        "names": ["*.wide.test"],
    }
    assert re.search("^SSL_CERT_FILE=/run/sluicegate/ca-bundle.pem$", done.out, re.MULTILINE)
    key = json.loads((done.packet / "packet.json").read_text())["verifier"]["signer_key"]
    checked = tier.verify(done, "--key", key)
    assert checked.code == 0, checked.out + checked.err


def test_a_run_that_may_open_nothing_is_untouched(tier: Tier) -> None:
    script = f"ls /run/sluicegate; env; sha256sum {BUNDLE}; ls /etc/ssl/certs"
    done = tier.run(["sh", "-c", script], env={"PATH": os.environ["PATH"]})
    assert "/run/sluicegate" not in done.out
    assert "CERT" not in done.out
    assert hashlib.sha256(BUNDLE.read_bytes()).hexdigest() in done.out
    assert "sluicegate" not in done.out.partition(str(BUNDLE))[2]
    assert "authority" not in done.boundary()["open"]


SERVER = r"""
import http.server, ssl, sys, threading, subprocess
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        refs = b'0' * 40 + b'\trefs/heads/inside\n'
        body = refs if 'info/refs' in self.path else b'inside'
        self.send_response(200); self.send_header('Content-Length', str(len(body)))
        self.end_headers(); self.wfile.write(body)
    def log_message(self, *_): pass
server = http.server.ThreadingHTTPServer(('127.0.0.1', 8443), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain('leaf.pem')
server.socket = context.wrap_socket(server.socket, server_side=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
for env in (None, {'PATH': '/usr/bin:/bin'}):
    done = subprocess.run(['/bin/sh', '-c', sys.argv[1]], env=env)
"""
NAME = "localhost"
URL = f"https://{NAME}:8443/"
FETCH = f"import urllib.request as u; print(u.urlopen('{URL}').read().decode())"
NODE = f"fetch('{URL}').then(r => r.text()).then(console.log)"
SHAKE = "openssl s_client -connect localhost:8443 -verify_return_error {} </dev/null 2>/dev/null"
SHAKE += " | grep -q 'return code: 0' && echo inside"
JAVA = f"""
import java.net.URI;
public class Get {{
    public static void main(String[] arguments) throws Exception {{
        System.out.println(new String(new URI("{URL}").toURL().openStream().readAllBytes()));
    }}
}}
"""
CLIENTS = {
    "curl": f"curl -sS {URL}",
    "wget (GnuTLS)": f"wget -qO- {URL}",
    "git (GnuTLS)": f"git ls-remote {URL}x.git",
    "openssl": SHAKE.format(""),
    "openssl, hashed directory": SHAKE.format("-CApath /etc/ssl/certs -no-CAfile -no-CAstore"),
    "python3": f'{PYTHON} -c "{FETCH}"',
    "java": "java -XX:TieredStopAtLevel=1 -Xshare:auto Get.java",
}
# A client that has no roots but its own, which a variable alone adds to.
BUNDLED = {"node": f'node -e "{NODE}"'}


@contextmanager
def served(name: str, script: str, env: dict[str, str] | None = None) -> Iterator[Spec]:
    """A boundary whose programs trust an authority, and a server inside that has a leaf of it."""
    with ground() as top:
        of = certificates.issuer(frozenset({(NAME, False)}), "test", 1, datetime.now(UTC))
        key = certificates.new_key()
        leaf = certificates.leaf(of, key, NAME, datetime.now(UTC))
        (top / "work" / "leaf.pem").write_bytes(certificates.key_pem(key) + leaf)
        (top / "work" / "server.py").write_text(SERVER)
        (top / "work" / "Get.java").write_text(JAVA)
        asked = spec(name, top, f'exec {PYTHON} server.py "$SCRIPT"')
        given = {**dict(asked.command.env), **(env or {}), "WORK": str(top / "work")}
        given["SCRIPT"] = script
        roots = trustsurvey.roots({})
        found = trustsurvey.found(roots, {}, given, str(top / "work"))
        files, given = trust.overlay(found, of.pem, given)
        command = replace(asked.command, env=tuple(given.items()))
        yield replace(asked, command=command, trust=files)


@both
@pytest.mark.parametrize("client", [*map(optional, CLIENTS)])
def test_clients_trust_it_with_and_without_their_environment(name: str, client: str) -> None:
    with served(name, CLIENTS[client]) as asked:
        found = run(asked)
    assert (found.error, found.exit) == ("", {"code": 0}), found.said
    assert found.said.count("inside") == 2, found.said


@both
@pytest.mark.parametrize("client", [*map(optional, BUNDLED)])
def test_clients_with_roots_of_their_own_trust_it_by_their_environment(
    name: str, client: str
) -> None:
    with served(name, BUNDLED[client]) as asked:
        found = run(asked)
    assert found.said.count("inside") == 1, found.said


@both
def test_a_host_outside_the_authority_is_still_not_trusted(name: str) -> None:
    with served(name, "curl -sS https://127.0.0.1:8443/ 2>&1; true") as asked:
        found = run(asked)
    assert "SSL:" in found.said or "SSL certificate problem" in found.said


@both
def test_stores_keep_what_they_had_and_are_read_only(name: str) -> None:
    script = (
        "for f in /etc/ssl/certs/ca-certificates.crt /run/sluicegate/ca-bundle.pem; do"
        " grep -c BEGIN $f; (echo x >> $f) 2>/dev/null && echo BAD; done;"
        "touch /etc/ssl/certs/x /run/sluicegate/x 2>/dev/null && echo BAD;"
        "ls /run/sluicegate; ls -l /etc/ssl/certs | grep -c sluicegate-ca.pem"
    )
    with served(name, script) as asked:
        found = run(asked)
    system, every, *rest = found.said.split()[: len(found.said.split()) // 2]
    count = len(rootstore.certificates(BUNDLE.read_bytes())) + 1
    assert int(system) == count <= int(every)
    assert rest == ["ca-bundle.pem", "ca.pem", "certs", "2"]


@both
def test_a_virtual_environment_of_the_workspace_and_the_users_bundle(name: str) -> None:
    with ground() as top:
        of = certificates.issuer(frozenset({(NAME, False)}), "test", 1, datetime.now(UTC))
        own = certificates.issuer(frozenset({(NAME, False)}), "company", 1, datetime.now(UTC))
        place = top / "work/.venv/lib/python3.11/site-packages/certifi"
        place.mkdir(parents=True)
        (place / "cacert.pem").write_bytes(own.pem)
        (top / "work/company.pem").write_bytes(b"# ours\n" + own.pem)
        secret = top / "work/.venv/lib/python3.11/site-packages/pip/_vendor/certifi"
        secret.mkdir(parents=True)
        (top / "shadow").write_bytes(b"root:hash\n" + own.pem)
        (secret / "cacert.pem").symlink_to(top / "shadow")
        shutil.chown(top / "shadow", UID, UID)
        script = (
            "cat .venv/lib/python3.11/site-packages/certifi/cacert.pem; echo %; cat $CURL_CA_BUNDLE;"
            "echo %; cat $NODE_EXTRA_CA_CERTS; echo %; cat $DENO_CERT"
        )
        asked = spec(name, top, script)
        given = {
            **dict(asked.command.env),
            "VIRTUAL_ENV": str(top / "work/.venv"),
            "REQUESTS_CA_BUNDLE": "company.pem",
            "NODE_EXTRA_CA_CERTS": str(top / "work/company.pem"),
        }
        found = trustsurvey.found(trustsurvey.roots({}), {}, given, str(top / "work"))
        files, env = trust.overlay(found, of.pem, given)
        assert not [path for path, _ in files.texts if path == str(top / "shadow")]
        command = replace(asked.command, env=tuple(env.items()))
        ran = run(replace(asked, command=command, trust=files))
    (ours,), (company,) = rootstore.certificates(of.pem), rootstore.certificates(own.pem)
    certifi, every, node, deno = (
        rootstore.certificates(part.encode()) for part in ran.said.split("%\n")
    )
    assert certifi == node == (company, ours)
    assert deno == (ours,)
    assert every[-2:] == (company, ours)
    assert len(every) > 2


def test_more_names_than_a_certificate_holds_begin_no_run(tier: Tier) -> None:
    hosts = "".join(
        f"  - host: n{number}.{'n' * 60}.{'m' * 60}.test\n    ports: [8443]\n    methods: [GET]\n"
        for number in range(260)
    )
    done = tier.run(["touch", "started"], f"version: 1\nallow:\n{hosts}")
    assert done.code == 125
    assert "and 32768 fit a certificate: name fewer hosts" in done.err
    assert not (tier.work / "started").exists()
    assert not done.packet.exists()


@both
def test_an_environment_that_is_not_there_inside_is_not_made_there(name: str) -> None:
    with ground() as top:
        of = certificates.issuer(frozenset({(NAME, False)}), "test", 1, datetime.now(UTC))
        place = top / "venv/lib/python3.11/site-packages/certifi"
        place.mkdir(parents=True)
        (place / "cacert.pem").write_bytes(of.pem)
        asked = spec(name, top, "mkdir -p ../venv/own && ls ../venv")
        given = {**dict(asked.command.env), "VIRTUAL_ENV": str(top / "venv")}
        files, _ = trust.overlay(trustsurvey.found((), {}, given, "/"), of.pem, given)
        assert str(place / "cacert.pem") in dict(files.texts)
        step = ["trust store, with the run's authority", str(place / "cacert.pem"), "not there"]
        # In the private /tmp, of which the workspace alone is the host's.
        ran = run(replace(asked, trust=files, binds=()))
    assert step in ran.plan
    assert "lib" not in ran.said
