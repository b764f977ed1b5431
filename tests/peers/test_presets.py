"""This machine's own package clients install under the presets made from their configuration; nothing else passes.

No host is written here: what the clients are told or have built in is read as a run does (sluicegate.presets.machine).
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from sluicegate.policy.presets import Row
from sluicegate.presets import catalog
from sluicegate.presets.machine import Machine
from sluicegate.wire.addresses import internal
from tests.conftest import Run
from tests.peers.conftest import Clients
from tests.peers.forge import Forge
from tests.peers.private import KEY, SAID
from tests.peers.second import VERIFIER, node
from tests.peers.test_opened_languages import commit
from tests.peers.test_real_registries import UNREACHABLE, place

__all__ = ["place"]

ELSEWHERE = "https://elsewhere.example/"
POM = """<project><modelVersion>4.0.0</modelVersion><groupId>x</groupId><artifactId>x</artifactId><version>1</version>
<packaging>pom</packaging><parent><groupId>org.apache</groupId><artifactId>apache</artifactId><version>30</version>
<relativePath/></parent></project>"""
APT = (
    "-o Dir::State=$PWD/apt -o Dir::State::Lists=$PWD/apt/lists -o Dir::Cache=$PWD/apt/cache"
    " -o Debug::NoLocking=1 -o APT::Sandbox::User= -o Acquire::Languages=none -o Acquire::Retries=0"
)
# By client: the preset, and a script that installs something small and says so.
INSTALLS = {
    "/usr/bin/python3": (
        "python",
        "/usr/bin/python3 -m pip install -q --no-cache-dir --no-input --retries 0 --target lib six && ls lib/six.py",
    ),
    "uv": (
        "python",
        "UV_CACHE_DIR=/tmp/uv ../uv pip install -q --target lib --python /usr/bin/python3 six && ls lib/six.py",
    ),
    "npm": (
        "node",
        # A scoped one is asked for by a path with an escaped slash.
        (
            "npm install --no-audit --no-fund --no-update-notifier --fetch-retries 0 --cache cache"
            " is-number @types/estree && ls node_modules/is-number/package.json node_modules/@types/estree/package.json"
        ),
    ),
    "go": (
        "go",
        "GOPATH=/tmp/go GOCACHE=/tmp/cache GOFLAGS=-modcacherw go mod download -json github.com/pkg/errors@v0.9.1",
    ),
    "mvn": (
        "java",
        "mvn -q -B -Dmaven.repo.local=repo validate && ls repo/org/apache/apache/30/apache-30.pom",
    ),
    "apt-get": (
        "debian",
        (
            f"mkdir -p apt/lists/partial apt/cache/archives/partial && apt-get -q {APT} update"
            f" && apt-get -q {APT} download hello && ls hello_*.deb"
        ),
    ),
}


READ = "version: 1\nallow:\n  - preset: github-read\n    repos: [owner/tool]\n"
PUSH = READ + "  - preset: github-push\n    repos: [owner/tool]\n"


def test_git_under_the_presets_of_repositories(clients: Clients, forge: Forge) -> None:
    """Real git against `git http-backend` under the name of the preset: what it asks is what the rows say."""
    home = forge.repositories / "owner"
    if not home.exists():
        home.symlink_to(forge.repositories)
    clone = "git clone -q https://github.com/owner/{0} {1} && cat {1}/content"
    push = f"cd plain && git push -q origin main:preset-{clients.tier.name} && echo pushed"
    visit = clients.visit(
        [
            clone.format("tool.git", "plain"),
            clone.format("private.git", "no"),
            f"{commit('plain')} && {push.partition(' && ')[2]}",
        ],
        policy=READ,
        trusted=True,
    )
    visit.outcomes[0].allowed("seven-seals")
    visit.outcomes[1].denied("403")
    visit.outcomes[2].denied("403")
    assert refused(visit.run) == [
        "GET https://github.com/owner/private.git/info/refs",
        "GET https://github.com/owner/tool.git/info/refs",
    ]
    again = clients.visit([push], policy=PUSH, trusted=True)
    again.outcomes[0].allowed("pushed")
    assert refused(again.run) == []


SDKS = {
    "anthropic": """
from anthropic import Anthropic, PermissionDeniedError
client = Anthropic(auth_token=KEY, max_retries=0)
print(client.messages.create(model="m", max_tokens=9, messages=ASKED).content[0].text)
upload = lambda: client.beta.files.upload(file=("a.txt", b"secret", "text/plain"))
""",
    "openai": """
from openai import OpenAI, PermissionDeniedError
client = OpenAI(api_key=KEY, max_retries=0)
print(client.chat.completions.create(model="m", messages=ASKED).choices[0].message.content)
upload = lambda: client.files.create(file=("a.txt", b"secret"), purpose="user_data")
""",
}
DENIED = """
try:
    upload()
except PermissionDeniedError as error:
    print("denied by", "sluicegate" in error.response.text)
"""


def test_models_are_asked_and_get_no_files(clients: Clients, forge: Forge, installed: Path) -> None:
    """The services' own SDKs, at their own names: an answer comes, an upload is a 403."""
    given = f"KEY = {KEY!r}\nASKED = [{{'role': 'user', 'content': 'x'}}]\n"
    for name, script in SDKS.items():
        (clients.tier.work / f"ask_{name}.py").write_text(given + script + DENIED)
    visit = clients.visit(
        [f"{installed}/bin/python ask_{name}.py" for name in SDKS],
        f"--bind={installed}",
        policy="version: 1\nallow:\n" + "".join(f"  - preset: {name}\n" for name in SDKS),
        trusted=True,
    )
    for outcome in visit.outcomes:
        outcome.allowed(SAID, "denied by True")
    assert refused(visit.run) == [f"POST https://api.{name}.com/v1/files" for name in SDKS]


def rows(name: str, **env: str) -> tuple[Row, ...]:
    """What the preset is on this machine, for clients with `env`."""
    machine = Machine({**os.environ, **env}, os.path.expanduser("~"))
    return catalog.found(name, (), lambda: machine).rows


def policy(name: str, found: Iterable[Row]) -> str:
    """The preset, and the addresses of its hosts where these are internal."""
    lines = [f"  - preset: {name}"]
    for host, (port, *_) in dict.fromkeys((row.host, row.ports) for row in found):
        with contextlib.suppress(socket.gaierror):  # a client may do without some of them
            for *_, (address, *_) in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
                if internal(str(address)):
                    lines.append(f"  - ip: {address}\n    ports: [{port}]")
    return "version: 1\nallow:\n" + "\n".join(dict.fromkeys(lines)) + "\n"


def url(row: Row, path: str = "") -> str:
    scheme = "http" if row.ports == (80,) else "https"
    host = f"[{row.host}]" if ":" in row.host else row.host
    return f"{scheme}://{host}:{row.ports[0]}{path}"


def reached(row: Row) -> None:
    """Nothing; skips the test where the first host of a preset does not answer."""
    line = [
        "curl",
        "-sS",
        "-o",
        "/dev/null",
        "--connect-timeout",
        "5",
        "-m",
        "20",
        "--noproxy",
        "*",
    ]
    done = subprocess.run([*line, url(row, "/")], check=False, capture_output=True)
    if done.returncode in UNREACHABLE:
        pytest.skip("the registry of this machine can not be reached")


def run(place: Path, name: str, script: str, *options: str, **env: str) -> Run:
    (place / "policy.yaml").write_text(policy(name, rows(name, **env)))
    packet = place / f"packet-{len(list(place.glob('packet-*')))}"
    argv = [sys.executable, "-m", "sluicegate", "run", "--policy", str(place / "policy.yaml")]
    argv += [
        "--packet",
        str(packet),
        "--workdir",
        str(place / "work"),
        *options,
        "--",
        "sh",
        "-c",
        script,
    ]
    done = subprocess.run(
        argv, capture_output=True, text=True, check=False, env={**os.environ, **env}
    )
    return Run(done.returncode, done.stdout, done.stderr, packet)


def refused(done: Run) -> list[str]:
    """`METHOD URL` of what no rule allowed, and URLs whose method was not seen."""
    flows = [flow for flow in done.flows() if flow.get("rule") == "default"]
    return [" ".join(filter(None, (flow.get("method"), flow["url"]))) for flow in flows]


@pytest.mark.parametrize("client", INSTALLS)
def test_a_client_installs_and_a_deviation_fails(place: Path, client: str) -> None:
    name, script = INSTALLS[client]
    found = rows(name)
    uv = Path(__file__).parents[2] / ".venv-clients/bin/uv"
    if client == "uv" and uv.exists():
        shutil.copy(uv, place)
    elif shutil.which(client) is None or not found:
        pytest.skip(f"an optional client: no {client} on this machine")
    reached(found[0])
    (place / "work/pom.xml").write_text(POM)
    post = f"curl -sS -o /dev/null -w 'post:%{{http_code}} ' -d x {url(found[0], '/x')}"
    other = f"curl -sS -m 20 {ELSEWHERE} >/dev/null 2>&1; echo other:$?"
    done = run(place, name, f"set -e; {script}; set +e; {post}; {other}")
    assert done.code == 0, done.err + done.out
    assert "post:403 " in done.out
    assert "other:0" not in done.out
    assert [line.partition("?")[0] for line in refused(done)] == [
        f"POST {url(found[0], '/x')}".replace(":443/", "/").replace(":80/", "/"),
        "tls://elsewhere.example:443",
    ]
    key = json.loads((done.packet / "packet.json").read_text())["verifier"]["signer_key"]
    code, out = node(VERIFIER, done.packet, "--key", key)
    assert code == 0, out
    assert "preset" not in (done.packet / "policy.json").read_text()


def test_cargo_where_it_has_asked_its_index_before(place: Path) -> None:
    learnt = place / "cargo"
    found = rows("rust", CARGO_HOME=str(learnt))
    if shutil.which("cargo") is None or not found:
        pytest.skip("an optional client: no cargo on this machine")
    reached(found[0])
    fetch = "CARGO_HOME=$PWD/{0} cargo fetch -q --manifest-path m/Cargo.toml && ls {0}/registry/cache/*/itoa-*.crate"
    (place / "work/m/src").mkdir(parents=True)
    (place / "work/m/src/lib.rs").touch()
    manifest = '[package]\nname = "m"\nversion = "1.0.0"\n[dependencies]\nitoa = "=1.0.11"\n'
    (place / "work/m/Cargo.toml").write_text(manifest)
    for directory, _, _ in os.walk(place / "work"):
        os.chmod(directory, 0o777)
    # A machine that never ran it: what is missing is told, and learnt.
    first = run(place, "rust", fetch.format("home"), "--observe", CARGO_HOME=str(learnt))
    assert first.code == 0, first.err
    assert "keeps its crates is not known" in first.err
    shutil.copytree(place / "work/home", learnt)
    known = rows("rust", CARGO_HOME=str(learnt))
    assert len(known) > len(found)
    second = run(place, "rust", fetch.format("again"), CARGO_HOME=str(learnt))
    assert second.code == 0, second.err
    assert refused(second) == []
    publish = f"curl -sS -o /dev/null -w 'put:%{{http_code}}' -X PUT {url(known[0], '/api/v1/crates/new')}"
    assert run(place, "rust", publish, CARGO_HOME=str(learnt)).out == "put:403"


def test_npm_does_not_publish(place: Path) -> None:
    found = rows("node")
    if shutil.which("npm") is None or not found:
        pytest.skip("an optional client: no npm on this machine")
    reached(found[0])
    (place / "work/package.json").write_text(
        '{"name": "sluicegate-never-published", "version": "1.0.0"}'
    )
    key = url(found[0]).partition(":")[2].removesuffix(":443")
    (place / "work/npmrc").write_text(f"{key}/:_authToken=nobody\n")
    done = run(
        place,
        "node",
        "npm publish --userconfig npmrc --cache cache --no-update-notifier --fetch-retries 0",
    )
    assert done.code != 0
    assert "E403" in done.err
    assert [line for line in refused(done) if line.startswith("PUT ")], done.err
