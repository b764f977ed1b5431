"""More real clients whose TLS the gate opens, none told about it: libraries, languages, and what installs packages.

Each gets what a rule names, and a denial that it can read inside TLS for what none does.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.peers.conftest import GO, Clients, Outcome, Visit
from tests.peers.registry import INSTALLED, TOOL

POLICY = """\
version: 1
allow:
  - host: allowed.test
    methods: [GET]
    paths: ["/read/**"]
"""
PYTHON = "CLIENTS/bin/python -c"
BODY = "print(r.status_code, r.text)"
# Name -> what prints the answer's body, whatever its status. URL, CLIENTS and WORK are put in.
LINES = {
    "requests": f"{PYTHON} 'import requests; r = requests.get(\"URL\"); {BODY}'",
    "httpx": f"{PYTHON} 'import httpx; r = httpx.get(\"URL\"); {BODY}'",
    "urllib3": f'{PYTHON} \'import urllib3; print(urllib3.request("GET", "URL").data.decode())\'',
    "aiohttp": (
        f"{PYTHON} 'import aiohttp, asyncio\nasync def main():\n"
        '  async with aiohttp.ClientSession() as s, s.get("URL") as r: print(await r.text())\n'
        "asyncio.run(main())'"
    ),
    "ruby": "ruby -rnet/http -e 'puts Net::HTTP.get(URI(\"URL\"))'",
    "php": (
        'php -r \'echo file_get_contents("URL", false,'
        ' stream_context_create(["http" => ["ignore_errors" => true]]));\''
    ),
    "java": "java Fetch.java URL",
    "deno": "deno eval 'console.log(await (await fetch(\"URL\")).text())'",
    "bun": "bun -e 'console.log(await (await fetch(\"URL\")).text())'",
    "gnutls-cli": (
        "printf 'GET PATH HTTP/1.1\\r\\nHost: allowed.test\\r\\nConnection: close\\r\\n\\r\\n' |"
        " gnutls-cli --logfile=/dev/null allowed.test"
    ),
    "go": "./fetch URL",
    "go with nothing set": "env -i ./fetch URL",
    "node": "node -e 'fetch(\"URL\").then((r) => r.text()).then(console.log)'",
}
# What can be looked for where it is not the system's.
OWN = {"deno": "node_modules/deno/deno", "bun": "node_modules/bun/bin/bun.exe"}


def there(name: str, installed: Path) -> bool:
    if name in OWN:
        return (installed / OWN[name]).exists()
    program = name.partition(" ")[0]
    return program in {"requests", "httpx", "urllib3", "aiohttp", "go"} or bool(
        shutil.which(program)
    )


@pytest.mark.parametrize("name", LINES)
def test_a_client(
    clients: Clients, installed: Path, name: str, request: pytest.FixtureRequest
) -> None:
    if not there(name, installed):
        pytest.skip(f"an optional client: no {name} on this machine")
    if name.startswith("go"):
        if GO is None:
            pytest.skip("an optional client: no Go on this machine")
        shutil.copy(request.getfixturevalue("go_binary"), clients.tier.work)
    clients.place("Fetch.java")
    visit = clients.visit(
        [command(name, path, installed) for path in ("/read/a", "/write/a")],
        f"--bind={installed}",
        policy=POLICY,
        trusted=True,
        PATH=f"{installed}/node_modules/.bin:{Path('/usr/local/go/bin')}:/usr/sbin:/usr/bin:/sbin:/bin",
    )
    allowed, denied = visit.outcomes
    allowed.allowed("sink GET /read/a")
    if name.startswith("go"):
        denied.denied("403 Forbidden")
    else:
        assert "sluicegate: denied https://allowed.test/write/a" in denied.said, denied.said
        assert 'paths: ["/write/a"]' in denied.said
    # A resolver may ask twice for one thing.
    assert set(visit.heads_of("http")) == {"GET /read/a"}
    inner = [flow for flow in visit.run.flows() if flow.get("protocol") == "https"]
    assert {flow["path"] for flow in inner} == {"/read/a", "/write/a"}


def command(name: str, path: str, installed: Path) -> str:
    line = LINES[name].replace("URL", f"https://allowed.test{path}").replace("PATH", path)
    return line.replace("CLIENTS", str(installed))


# What installs packages, and git: from a forge whose rules name methods and paths.

FORGE = """\
version: 1
allow:
  - host: forge.test
    methods: [GET, HEAD, POST]
    paths: ["/tool.git/info/refs", "/tool.git/git-upload-pack", "/simple/**", "/npm/**"]
  - host: store.test
    methods: [GET, HEAD]
    paths: ["/files/**"]
  - ip: 10.9.9.30/32
    ports: [443]
"""
PUSH = """\
  - host: forge.test
    methods: [POST]
    paths: ["/tool.git/git-receive-pack"]
"""


def denied_inside(visit: Visit) -> set[str]:
    flows = [
        f for f in visit.run.flows() if f.get("protocol") == "https" and f["rule"] == "default"
    ]
    return {flow["url"] for flow in flows}


def clone(into: str) -> str:
    return f"git clone -q https://forge.test/tool.git {into} && cat {into}/content"


def commit(place: str) -> str:
    who = "-c user.name=a -c user.email=a@a.test"
    return f"cd {place} && echo more >more && git add more && git {who} commit -q -m more"


def test_git(clients: Clients) -> None:
    """A clone and a fetch need no more than two paths; a push is another one."""
    push = f"{commit('one')} && git push -q origin main:topic-{clients.tier.name}"
    visit = clients.visit(
        [clone("one"), "cd one && git fetch -q && git log --format=%s -1 origin/main", push],
        policy=FORGE,
        trusted=True,
    )
    cloned, fetched, pushed = visit.outcomes
    cloned.allowed("seven-seals")
    fetched.allowed("first")
    pushed.denied("403")
    assert denied_inside(visit) == {"https://forge.test/tool.git/git-receive-pack"}
    again = clients.visit(
        [
            clone("two"),
            f"cd one && git push -q origin main:topic-{clients.tier.name} && echo pushed",
        ],
        policy=FORGE + PUSH,
        trusted=True,
    )
    again.outcomes[1].allowed("pushed")
    assert not denied_inside(again)


def test_pip_uv_and_npm(clients: Clients, installed: Path) -> None:
    index = "--index-url https://forge.test/simple/"
    pip = "PIP_CONFIG_FILE=/dev/null PYTHON -m pip install -q --no-cache-dir --no-input --retries 0"
    uv = f"UV_NO_CONFIG=1 {installed}/bin/uv pip install -q --no-cache --python /usr/bin/python3"
    npm = "npm install --no-audit --no-fund --no-update-notifier --fetch-retries 0 --cache ../cache"
    npm += " --registry https://forge.test/npm/ --globalconfig /dev/null --userconfig ../npmrc"
    run = "PYTHONPATH={} /usr/bin/python3 -m sealed_tool"
    good = [
        f"{pip} {index} --target a {TOOL} && {run.format('a')}".replace(
            "PYTHON", "/usr/bin/python3", 1
        ),
        f"{pip} {index} --target b {TOOL} && {run.format('b')}".replace(
            "PYTHON", f"{installed}/bin/python", 1
        ),
        f"{uv} {index} --target c {TOOL} && {run.format('c')}",
        f"mkdir d && cd d && {npm} {TOOL} && node -e 'require(\"{TOOL}\")'",
    ]
    bad = [
        good[0].replace("/simple/", "/other/").replace("--target a", "--target no"),
        good[2].replace("/simple/", "/other/").replace("--target c", "--target no"),
        good[3].replace("/npm/", "/other/").replace("mkdir d && cd d", "mkdir none && cd none"),
    ]
    visit = clients.visit([*good, *bad], f"--bind={installed}", policy=FORGE, trusted=True)
    for outcome in visit.outcomes[: len(good)]:
        outcome.allowed(INSTALLED)
    for outcome in visit.outcomes[len(good) :]:
        assert outcome.code != 0
        assert INSTALLED not in outcome.said
    assert denied_inside(visit) == {
        f"https://forge.test/other/{TOOL}{slash}" for slash in ("", "/")
    }


# What brings its own idea of the server's certificate is left closed by `inspect: false`.


def pin(tier_ca: Path) -> str:
    """The digest that curl pins, of the sink's key."""
    return (
        f"openssl x509 -in {tier_ca} -pubkey -noout | openssl pkey -pubin -outform der |"
        " openssl dgst -sha256 -binary | base64"
    )


PINNED = 'curl -sS --cacert ca.pem --pinnedpubkey "sha256//$({pin})" https://allowed.test/read/a'


def test_a_client_that_pins_its_server(clients: Clients) -> None:
    line = PINNED.format(pin=pin(Path("ca.pem")))
    shut = "version: 1\nallow:\n  - host: allowed.test\n    inspect: false\n"
    closed = clients.visit([line], policy=shut + "inspect: all\n", trusted=True)
    closed.outcomes[0].allowed("sink GET /read/a")
    flows = [flow for flow in closed.run.flows() if flow.get("sni") == "allowed.test"]
    assert flows
    assert not [flow for flow in flows if "opened" in flow or flow["protocol"] == "https"]
    opened = clients.visit([line], policy=POLICY, trusted=True)
    outcome: Outcome = opened.outcomes[0]
    outcome.denied("SSL|certificate")
    ends = [f["outcome"] for f in opened.run.flows() if f.get("opened") and "outcome" in f]
    assert [end for end in ends if "inspect: false" in end], ends
    assert not opened.heads_of("http")


def test_a_store_that_is_not_overlaid_takes_the_authority(clients: Clients) -> None:
    """A profile of NSS's, as the guide has it: the command puts the authority into one that it makes itself."""
    if shutil.which("certutil") is None:
        pytest.skip("an optional client: no certutil on this machine")
    store = "sql:$HOME/profile"
    visit = clients.visit(
        [
            "mkdir -p $HOME/profile && certutil -N --empty-password -d " + store,
            (
                f"certutil -A -d {store} -t C,, -n sluicegate -i /run/sluicegate/ca.pem"
                f" && certutil -L -d {store}"
            ),
        ],
        policy=POLICY,
        trusted=True,
    )
    visit.outcomes[1].allowed("sluicegate")
    assert not (clients.tier.world.directory / "profile").exists()
