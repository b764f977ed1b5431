"""Requests within TLS that is opened: the gate against squid's ssl-bump and mitmproxy, in one run.

Wants Go, for client and server. squid must be one with OpenSSL (`squid-openssl`): $SQUID, or the one in the path.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from bench import ways
from bench.ways import Way
from tests.world import World

CLIENTS = 16
PORT = 7443
SQUID_PORT, MITM_PORT = 13130, 13131  # those of `ways` may be running
SERVER = f"203.0.113.10:{PORT}"
URL = f"four.test:{PORT}"
# Requests of a measurement: at 10,000 a second, a quarter of one.
COUNT, CONNECTIONS = 2400, 800
BULK_BYTES = 1 << 29
EVENTS = 300
POLICY = f"""\
version: 1
allow:
  - host: four.test
    ports: [{PORT}]
    methods: [GET, POST]
    paths: ["/**"]
"""
SQUID = """\
http_port 127.0.0.1:{port} ssl-bump cert={dir}/ca.pem generate-host-certificates=on dynamic_cert_mem_cache_size=4MB
sslcrtd_program {certgen} -s {dir}/certificates -M 4MB
sslproxy_cert_error deny all
tls_outgoing_options cafile={ca}
acl first at_step SslBump1
ssl_bump peek first
ssl_bump bump all
"""


def report(world: World, rounds: Callable[[list[Way], str], ways.Results]) -> None:
    go = shutil.which("go", path=f"{os.environ['PATH']}:/usr/local/go/bin")
    if go is None:
        print("\ninspected: not measured, there is no Go on this machine")
        return
    with contextlib.ExitStack() as stack:
        tool = f"{world.directory}/load"
        env = {**os.environ, "CGO_ENABLED": "0", "GOCACHE": f"{world.directory}/go"}
        subprocess.run([go, "build", "-o", tool, str(ways.HERE / "load.go")], check=True, env=env)
        server = world.popen([tool, "serve", SERVER, str(world.ca), str(world.key)])
        stack.callback(server.communicate)
        stack.callback(server.kill)
        ways.listening(server)
        made = (_direct, _sluicegate, _squid, _mitmproxy)
        open_ = [way for way in (stack.enter_context(m(world, tool)) for m in made) if way]
        print(f"\ninspected: HTTPS requests of {CLIENTS} clients that keep their connections")
        for order, what in (
            (f"get {CLIENTS} {COUNT} 1000", "GET of 1 KB"),
            (f"get {CLIENTS} {COUNT} 100000", "GET of 100 KB"),
            (f"post {CLIENTS} {COUNT} 100000", "POST of 100 KB"),
            (f"connect {CLIENTS} {CONNECTIONS}", "new TLS connections, a request on each"),
        ):
            print(f"  {what}:")
            _rates(rounds(open_, order))
        _bulk(rounds(open_, f"bulk {BULK_BYTES}"))
        _late(rounds(open_, f"events {EVENTS}"))


def _rates(results: ways.Results) -> None:
    rate = {n: _middle(r["count"] / r["seconds"] for r in a) for n, a in results.items()}
    for name, value in rate.items():
        p50, p99 = (_middle(r[p] for r in results[name]) for p in ("p50", "p99"))
        line = f"    {name:<11} {value:7.0f}/s  p50 {p50:7.2f} ms  p99 {p99:7.2f} ms"
        others = [f"{value / rate[o]:6.2f} x {o}" for o in ("squid", "mitmproxy") if o in rate]
        print("  ".join([line, *others] if name == "sluicegate" else [line]))


def _bulk(results: ways.Results) -> None:
    print("  download of one client, as part of direct TLS:")
    speed = {n: _middle(r["bytes"] / r["seconds"] for r in a) for n, a in results.items()}
    for name, value in speed.items():
        print(f"    {name:<11} {value / speed['direct']:5.2f}  {value / 1e6:7.0f} MB/s")


def _late(results: ways.Results) -> None:
    print("  events of a stream, how late they come beside direct ones:")
    for part in ("p50", "p99"):
        late = {n: _middle(r[part] for r in a) for n, a in results.items()}
        said = (f"{name} {value - late['direct']:+.2f} ms" for name, value in late.items())
        print(f"    {part}  direct {late['direct']:.2f} ms; {', '.join([*said][1:])}")


def _middle(values: Iterator[float]) -> float:
    return statistics.median(values)


@contextlib.contextmanager
def _direct(world: World, tool: str) -> Iterator[Way]:
    with ways.client(world, [tool, "ask", URL], {"CAFILE": str(world.ca)}) as client:
        yield Way("direct", client, ())


@contextlib.contextmanager
def _sluicegate(world: World, tool: str) -> Iterator[Way]:
    with tempfile.TemporaryDirectory(dir=world.directory) as directory:
        policy, work = Path(directory, "policy.yaml"), Path(directory, "work")
        policy.write_text(POLICY)
        work.mkdir()
        shutil.copy(tool, work)
        argv = [sys.executable, "-m", "sluicegate", "run", "--quiet", "--policy", str(policy)]
        argv += ["--packet", f"{directory}/packet", "--workdir", str(work), "--"]
        env = {"SSL_CERT_FILE": str(world.ca)}
        with ways.client(world, [*argv, "./load", "ask", URL], env) as client:
            yield Way("sluicegate", client, ())
        flows = Path(directory, "packet", "flows.jsonl").read_text().splitlines()
        if not any(json.loads(line).get("protocol") == "https" for line in flows):
            raise RuntimeError("nothing was inspected")


@contextlib.contextmanager
def _squid(world: World, tool: str) -> Iterator[Way | None]:
    squid = os.environ.get("SQUID") or shutil.which("squid")
    certgen = Path(squid or "/").parent.parent / "lib/squid/security_file_certgen"
    if squid is None or not certgen.exists():
        yield None
        return
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o777)
        _authority(Path(directory))
        made = [str(certgen), "-c", "-s", f"{directory}/certificates", "-M", "4MB"]
        subprocess.run(made, check=True, capture_output=True)
        subprocess.run(["chmod", "-R", "a+rwX", directory], check=True)
        conf = Path(directory, "squid.conf")
        known = {"port": SQUID_PORT, "dir": directory, "certgen": certgen, "ca": world.ca}
        conf.write_text(SQUID.format(**known) + ways.SQUID.format(dir=directory))
        argv = [squid, "-N", "-f", str(conf)]
        env = {"CAFILE": f"{directory}/ca.pem"}
        with ways.proxy(world, "squid", argv, SQUID_PORT, [tool, "ask", URL], env) as way:
            yield way


def _authority(directory: Path) -> None:
    """ca.pem, key and certificate of squid's own."""
    argv = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    argv += ["-nodes", "-keyout", "key.pem", "-out", "cert.pem", "-days", "2", "-subj", "/CN=squid"]
    subprocess.run(argv, check=True, capture_output=True, cwd=directory)
    texts = [(directory / name).read_text() for name in ("key.pem", "cert.pem")]
    (directory / "ca.pem").write_text("".join(texts))


@contextlib.contextmanager
def _mitmproxy(world: World, tool: str) -> Iterator[Way | None]:
    mitmdump = os.environ.get("MITMDUMP") or shutil.which("mitmdump")
    if mitmdump is None:
        yield None
        return
    with tempfile.TemporaryDirectory(dir=world.directory) as directory:
        argv = [mitmdump, "-q", "--listen-host", "127.0.0.1", "-p", str(MITM_PORT)]
        argv += ["--set", f"confdir={directory}"]
        argv += ["--set", f"ssl_verify_upstream_trusted_ca={world.ca}"]
        env = {"CAFILE": f"{directory}/mitmproxy-ca-cert.pem"}
        asks = [tool, "ask", URL]
        with ways.proxy(world, "mitmproxy", argv, MITM_PORT, asks, env) as way:
            yield way
