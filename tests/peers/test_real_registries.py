"""pip and npm install from the registries that this machine's clients use, through a boundary on this machine.

Which hosts these are is asked of the clients, and of the registries' own pages, at run time.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import pytest

from sluicegate.wire.addresses import internal
from tests.conftest import Run

# Small, without dependencies, and older than any mirror.
PYTHON_TOOL, NODE_TOOL = "six", "is-number"
PIP = ("/usr/bin/python3", "-m", "pip")  # the tests' own may lie where the command may not read
BUILT_IN = "from pip._internal.models.index import PyPI; print(PyPI.simple_url)"
# What curl's exit codes say of a host that can not be reached: no name, no connection, no answer.
UNREACHABLE = {6, 7, 28, 35, 52, 56}


def say(*argv: str) -> str:
    """What a client prints about itself; nothing if it knows no answer."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def page(url: str, authority: str) -> tuple[str, str]:
    """Where `url` led to, and what is there; skips the test if nobody answers."""
    line = ["curl", "-sS", "-f", "-L", "--connect-timeout", "5", "-m", "60", "--noproxy", "*"]
    line += ["-w", "\n%{url_effective}", *(["--cacert", authority] if authority else []), url]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    if done.returncode in UNREACHABLE:
        pytest.skip(f"the registry of this machine can not be reached: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    text, _, led = done.stdout.rpartition("\n")
    return led, text


def policy(urls: Iterable[str]) -> str:
    """What allows the hosts of `urls`, and their addresses where these are internal."""
    rules = set()
    for scheme, authority in {urlsplit(url)[:2] for url in urls}:
        parts = urlsplit(f"{scheme}://{authority}")
        host, port = parts.hostname or "", parts.port or (443 if scheme == "https" else 80)
        rules.add(f"  - host: {host}\n    ports: [{port}]")
        for *_, (address, *_) in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            if internal(str(address)):
                size = 128 if ":" in str(address) else 32
                rules.add(f"  - ip: {address}/{size}\n    ports: [{port}]")
    return "version: 1\nallow:\n" + "\n".join(sorted(rules)) + "\n"


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that the command, another user, can reach; its workspace is `work`."""
    top = Path(tempfile.mkdtemp(prefix="sluicegate-peers-"))
    top.chmod(0o755)
    (top / "work").mkdir()
    if "SUDO_UID" in os.environ:  # then the command is this user
        os.chown(top / "work", int(os.environ["SUDO_UID"]), int(os.environ["SUDO_GID"]))
    yield top
    shutil.rmtree(top)


def run(place: Path, command: Sequence[str], rules: str, **more: str) -> Run:
    """Run `command` on this machine, with this machine's own configuration, and `more` of it."""
    packet = Path(tempfile.mkdtemp(dir=place))
    (place / "policy.yaml").write_text(rules)
    argv = [sys.executable, "-m", "sluicegate", "run", "--policy", str(place / "policy.yaml")]
    argv += ["--packet", str(packet), "--workdir", str(place / "work"), "--", *command]
    env = os.environ | {name: value for name, value in more.items() if value}
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env=env)
    return Run(done.returncode, done.stdout, done.stderr, packet)


def test_pip(place: Path) -> None:
    index = os.environ.get("PIP_INDEX_URL") or say(*PIP, "config", "get", "global.index-url")
    index = index or say(PIP[0], "-c", BUILT_IN)
    authority = os.environ.get("PIP_CERT") or say(*PIP, "config", "get", "global.cert")
    led, text = page(f"{index.rstrip('/')}/{PYTHON_TOOL}/", authority)
    files = [urljoin(led, link) for link in re.findall(r'href="([^"#]+)', text)]
    assert files, text[:500]
    install = [*PIP, "install", "-q", "--no-cache-dir", "--no-input", "--retries", "0"]
    install += ["--index-url", index, "--target", "lib", PYTHON_TOOL]
    install += ["--cert", authority] if authority else []
    denied = run(place, install, "version: 1\n")
    assert denied.code == 1, denied.err
    assert not (place / "work/lib" / f"{PYTHON_TOOL}.py").exists()
    rules = policy([index, led, *files])
    allowed = run(place, install, rules)
    assert allowed.code == 0, allowed.err
    assert (place / "work/lib" / f"{PYTHON_TOOL}.py").exists()
    # A file that it is told to trust alone does not have the run's authority in it; its variable is merged.
    opened = [*(install[: install.index("--cert")] if authority else install), "--upgrade"]
    more = {"PIP_CERT": authority, "SSL_CERT_FILE": authority}
    seen_into(run(place, opened, rules + "inspect: all\n", **more), index)


def test_npm(place: Path) -> None:
    registry, authority = (say("npm", "config", "get", name) for name in ("registry", "cafile"))
    authority = authority.replace("null", "")
    led, text = page(f"{registry.rstrip('/')}/{NODE_TOOL}", authority)
    known = json.loads(text)
    tarball = known["versions"][known["dist-tags"]["latest"]]["dist"]["tarball"]
    install = ["npm", "install", "--no-audit", "--no-fund", "--no-update-notifier"]
    install += ["--fetch-retries", "0", "--cache", "cache", "--registry", registry, NODE_TOOL]
    install += ["--cafile", authority] if authority else []
    denied = run(place, install, "version: 1\n")
    assert denied.code == 1, denied.err
    assert not (place / "work/node_modules" / NODE_TOOL).exists()
    rules = policy([registry, led, tarball])
    allowed = run(place, install, rules)
    assert allowed.code == 0, allowed.err + allowed.out
    assert (place / "work/node_modules" / NODE_TOOL / "package.json").exists()
    shutil.rmtree(place / "work/node_modules")
    shutil.rmtree(place / "work/cache")
    opened = install[: install.index("--cafile")] if authority else install
    more = {"NPM_CONFIG_CAFILE": authority, "SSL_CERT_FILE": authority}
    seen_into(run(place, opened, rules + "inspect: all\n", **more), registry)
    assert (place / "work/node_modules" / NODE_TOOL / "package.json").exists()


def seen_into(done: Run, url: str) -> None:
    """It came through, and what was asked within TLS is on record."""
    assert done.code == 0, done.err + done.out
    asked = {flow["url"] for flow in done.flows() if flow.get("protocol") == "https"}
    if url.startswith("https:"):
        assert [one for one in asked if urlsplit(one).hostname == urlsplit(url).hostname], asked
