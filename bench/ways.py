"""The ways from client to server that are compared: each a context manager that gives a running client."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.world import World

HERE = Path(__file__).resolve().parent
PYTHON = "/usr/bin/python3"
# None of those that the test world listens on.
SQUID_PORT, MITM_PORT = 13128, 13129
# With its access log, as a proxy runs that must answer for what it let out: what is compared writes receipts.
SQUID = """\
acl all_ports port 1-65535
http_access allow all
cache deny all
access_log daemon:{dir}/access.log squid
cache_log {dir}/cache.log
pid_filename {dir}/squid.pid
coredump_dir {dir}
shutdown_lifetime 0 seconds
"""
POLICY = "version: 1\nallow:\n  - ip: 203.0.113.10/32\n    ports: [7001, 7002, 7003]\n"
Results = dict[str, list[dict[str, float]]]
TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Way:
    """A client that takes orders, and the processes whose CPU time is the way's own."""

    name: str
    client: subprocess.Popen[str]
    own: tuple[int, ...]

    def order(self, words: str) -> dict[str, float]:
        """The client's result, with `cpu`: seconds that the way's own processes used meanwhile."""
        before = sum(map(cpu, self.own))
        assert self.client.stdin is not None
        assert self.client.stdout is not None
        self.client.stdin.write(words + "\n")
        self.client.stdin.flush()
        line = self.client.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name}: the client ended at {words!r}")
        result: dict[str, float] = json.loads(line)
        return result | {"cpu": sum(map(cpu, self.own)) - before}


def cpu(pid: int) -> float:
    """CPU seconds of a process with its threads and its children that still run."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return (int(fields[11]) + int(fields[12])) / TICK + sum(cpu(int(c)) for c in children)


@contextlib.contextmanager
def direct(world: World) -> Iterator[Way]:
    with client(world, [PYTHON, str(HERE / "client.py")], {}) as asking:
        yield Way("direct", asking, ())


@contextlib.contextmanager
def squid(world: World) -> Iterator[Way | None]:
    tool = shutil.which("squid")
    if tool is None:
        yield None
        return
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o777)
        conf = Path(directory, "squid.conf")
        conf.write_text(f"http_port 127.0.0.1:{SQUID_PORT}\n" + SQUID.format(dir=directory))
        asks = [PYTHON, str(HERE / "client.py")]
        with proxy(world, "squid", [tool, "-N", "-f", str(conf)], SQUID_PORT, asks) as way:
            yield way


@contextlib.contextmanager
def mitmproxy(world: World) -> Iterator[Way | None]:
    tool = os.environ.get("MITMDUMP") or shutil.which("mitmdump")
    if tool is None:
        yield None
        return
    argv = [tool, "-q", "--listen-host", "127.0.0.1", "-p", str(MITM_PORT), "--ignore-hosts", ".*"]
    asks = [PYTHON, str(HERE / "client.py")]
    with proxy(world, "mitmproxy", argv, MITM_PORT, asks) as way:
        yield way


def crowd(world: World, sleepers: int, clients: int, count: int) -> dict[str, float]:
    """The figures of crowd.py in a boundary, and `witness`: milliseconds of processor time for each connection."""
    with tempfile.TemporaryDirectory(dir=world.directory) as directory:
        policy, work = Path(directory, "policy.yaml"), Path(directory, "work")
        policy.write_text(POLICY)
        work.mkdir()
        shutil.copy(HERE / "crowd.py", work)
        argv = [sys.executable, "-m", "sluicegate", "run", "--quiet", "--policy", str(policy)]
        argv += ["--packet", f"{directory}/packet", "--workdir", str(work), "--", PYTHON]
        argv += ["crowd.py", *map(str, (sleepers, clients, count))]
        run = world.popen(argv)
        assert run.stdin is not None
        assert run.stdout is not None
        line = run.stdout.readline()
        children = Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split()
        witness = [c for c in children if "witness" in Path(f"/proc/{c}/cmdline").read_text()]
        spent = sum(cpu(int(pid)) for pid in witness) * 1000 / (clients * count)
        _, err = run.communicate("\n", timeout=60)
        if not line or run.returncode:
            raise RuntimeError(f"crowd.py: {err}")
        figures: dict[str, float] = json.loads(line)
        return figures | {"witness": spent}


@contextlib.contextmanager
def sluicegate(world: World) -> Iterator[Way]:
    with tempfile.TemporaryDirectory(dir=world.directory) as directory:
        policy = Path(directory, "policy.yaml")
        policy.write_text(POLICY)
        work = Path(directory, "work")
        work.mkdir()
        shutil.copy(HERE / "client.py", work)
        argv = [sys.executable, "-m", "sluicegate", "run", "--quiet", "--policy", str(policy)]
        argv += [
            "--packet",
            f"{directory}/packet",
            "--workdir",
            str(work),
            "--",
            PYTHON,
            "client.py",
        ]
        with client(world, argv, {}) as asking:
            children = Path(f"/proc/{asking.pid}/task/{asking.pid}/children").read_text().split()
            titles = {int(c): Path(f"/proc/{c}/cmdline").read_text() for c in children}
            own = [pid for pid, title in titles.items() if "gate " in title or "notary" in title]
            yield Way("sluicegate", asking, tuple(own))


@contextlib.contextmanager
def proxy(
    world: World,
    name: str,
    argv: Sequence[str],
    port: int,
    asks: Sequence[str],
    env: Mapping[str, str] | None = None,
) -> Iterator[Way]:
    """A client that `asks` by way of the proxy that `argv` starts on `port`."""
    running = world.popen(argv)
    try:
        probe = [PYTHON, "-c", WAIT.format(port=port)]
        done = world.run(probe)
        if done.code:
            raise RuntimeError(f"{name} does not listen: {done.err}")
        with client(world, asks, {"PROXY": f"127.0.0.1:{port}", **(env or {})}) as asking:
            yield Way(name, asking, (running.pid,))
    finally:
        running.send_signal(signal.SIGTERM)
        running.communicate(timeout=30)


# Connection refused is answered at once: the loop is bounded by attempts, not by a clock.
WAIT = """
import select, socket, sys
for _ in range(600):
    try:
        socket.create_connection(("127.0.0.1", {port})).close()
        break
    except OSError:
        select.select([], [], [], 0.05)
else:
    sys.exit("not listening")
"""


@contextlib.contextmanager
def client(
    world: World, argv: Sequence[str], env: dict[str, str]
) -> Iterator[subprocess.Popen[str]]:
    """One that `argv` starts, whose first order went well."""
    running: subprocess.Popen[Any] = world.popen(argv, env=env)
    try:
        assert running.stdin is not None
        assert running.stdout is not None
        running.stdin.write("connect 1 1\n")
        running.stdin.flush()
        if not running.stdout.readline():
            raise RuntimeError(f"{argv[0]}: {running.communicate()[1]}")
        yield running
    finally:
        running.communicate(timeout=60)


def listening(process: subprocess.Popen[str]) -> None:
    """Wait for the server's `ready`."""
    assert process.stdout is not None
    if process.stdout.readline() != "ready\n":
        raise RuntimeError("the server did not start")
