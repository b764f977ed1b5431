"""The demo: an agent behind the wall, the packet it leaves, and that packet verified with a pinned key."""

from __future__ import annotations

import http.server
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from urllib.parse import urlsplit

HERE = Path(__file__).resolve().parent
CONNECT_SECONDS = 5.0
PAGE = b"<html>a page of the demo's own server</html>\n"


def index() -> str:
    """The package index that this machine's pip is configured for."""
    found = os.environ.get("PIP_INDEX_URL", "")
    if not found:
        asked = subprocess.run(
            [sys.executable, "-m", "pip", "config", "get", "global.index-url"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        found = asked.stdout.strip()
    if not found:
        from pip._internal.models.index import PyPI

        found = str(PyPI.simple_url)
    return found.rstrip("/") + "/pip/"


def reachable(url: str) -> bool:
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname or "", port), CONNECT_SECONDS).close()
    except OSError:
        return False
    return True


class Handler(http.server.BaseHTTPRequestHandler):
    """One page, no log."""

    def do_GET(self) -> None:  # the library's name for it
        self.send_response(200)
        self.send_header("Content-Length", str(len(PAGE)))
        self.end_headers()
        self.wfile.write(PAGE)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


def own_server() -> str:
    """The URL of a server on this machine's own address, for when the index is out of reach."""
    asked = subprocess.run(["hostname", "-I"], capture_output=True, text=True, check=True)
    addresses = [text for text in asked.stdout.split() if ":" not in text]
    if not addresses:
        sys.exit("the demo needs a network interface besides loopback")
    server = http.server.ThreadingHTTPServer((addresses[0], 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://{addresses[0]}:{server.server_port}/page"


def rule(url: str) -> str:
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    host = parts.hostname or ""
    lines = [f"  - host: {host}", f"    ports: [{port}]"]
    try:
        address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][4][0]
    except OSError:
        return "\n".join(lines)
    from sluicegate.wire.addresses import internal

    if host == address:
        lines = []
    if internal(str(address)):  # an index inside the company: its address needs a rule of its own
        size = 128 if ":" in str(address) else 32
        lines += [f"  - ip: {address}/{size}", f"    ports: [{port}]"]
    return "\n".join(lines)


def main() -> int:
    url = index()
    if not reachable(url):
        url = own_server()
    work = Path(tempfile.mkdtemp(prefix="sluicegate-demo-"))
    try:
        return show(url, work)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def show(url: str, work: Path) -> int:
    workspace = work / "workspace"
    workspace.mkdir()
    shutil.copy(HERE / "agent.sh", workspace)
    work.chmod(0o755)
    if os.environ.get("SUDO_UID"):
        os.chown(workspace, int(os.environ["SUDO_UID"]), int(os.environ["SUDO_GID"]))
    policy = work / "sluicegate.yaml"
    policy.write_text(f"version: 1\nallow:\n{rule(url)}\n")
    print("The policy:\n" + policy.read_text(), flush=True)
    gate = [sys.executable, "-m", "sluicegate"]
    subprocess.run([*gate, "keygen", str(work / "demo")], check=True)
    ran = subprocess.run(
        [
            *(*gate, "run", "--policy", str(policy), "--packet", str(work / "packet")),
            *(
                "--key",
                str(work / "demo.key"),
                "--workdir",
                str(workspace),
                "--",
                "./agent.sh",
                url,
            ),
        ],
        check=False,
    )
    if ran.returncode:
        return ran.returncode
    print("\n== a stranger verifies the packet with the pinned key", flush=True)
    verify = [*gate, "verify", str(work / "packet"), "--key", str(work / "demo.pub")]
    print("$ sluicegate verify packet --key demo.pub", flush=True)
    return subprocess.run(verify, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
