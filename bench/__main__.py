"""`python -m bench [PART...]`: ratios in one run; all parts but `memory` if none is named.

Parts: relay, connections, inspected, attribution, startup, receipts, scan, verify, memory.

Needs root. squid, mitmdump (or $MITMDUMP) and bwrap are measured where they are installed. `memory` makes a record of a
million receipts first, which takes minutes; with $PACKETS, a directory, it is kept there.
"""

from __future__ import annotations

import compileall
import contextlib
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import sluicegate
from bench import inspected, receipts, scanning, verifying, ways
from tests.world import World

ROUNDS = int(os.environ.get("ROUNDS", "5"))
RELAY_BYTES = 1 << 30  # a second or so per flow: long against a fork, short enough for five rounds
CONNECTIONS = 600


def relay(open_: list[ways.Way]) -> None:
    print(
        "\nrelay: throughput as part of direct loopback; CPU seconds per GB of the way's own processes"
    )
    for flows, what in ((1, "down"), (8, "down"), (1, "up"), (8, "up")):
        results = rounds(open_, f"{what} {flows} {RELAY_BYTES}")
        speed = {
            name: statistics.median(r["bytes"] / r["seconds"] for r in all_)
            for name, all_ in results.items()
        }
        print(f"  {flows} flow(s) {what}:")
        for name, value in speed.items():
            spent = statistics.median(r["cpu"] / r["bytes"] * 1e9 for r in results[name])
            line = f"    {name:<11} {value / speed['direct']:5.2f}  {value / 1e6:7.0f} MB/s"
            print(line + (f"  {spent:5.2f} CPU s/GB" if name != "direct" else ""))


def connections(open_: list[ways.Way]) -> None:
    print(
        "\nnew connections: rate against squid, p99 against direct (decision and receipts included)"
    )
    for clients in (1, 32):
        results = rounds(open_, f"connect {clients} {CONNECTIONS * (1 if clients == 1 else 3)}")
        rate = {
            n: statistics.median(r["count"] / r["seconds"] for r in a) for n, a in results.items()
        }
        late = {n: statistics.median(r["p99"] for r in a) for n, a in results.items()}
        print(f"  {clients} client(s):")
        for name, value in rate.items():
            against = f"{value / rate['squid']:5.2f} x squid" if "squid" in rate else ""
            p99 = late[name] / late["direct"]
            print(f"    {name:<11} {value:7.0f}/s  {against}  p99 {p99:5.1f} x direct")


def attribution(world: World) -> None:
    print("\nattribution: connections with receipts, by what else lives inside the boundary")
    for sleepers, clients, count in ((0, 1, 2000), (200, 1, 2000), (1000, 1, 500), (0, 200, 20)):
        all_ = [ways.crowd(world, sleepers, clients, count) for _ in range(ROUNDS)]
        rate, p50, p99, spent = (
            statistics.median(r[n] for r in all_) for n in ("rate", "p50", "p99", "witness")
        )
        print(
            f"  {sleepers:4} asleep, {clients:3} client(s): {rate:6.0f}/s  p50 {p50:6.2f} ms"
            f"  p99 {p99:6.2f} ms; witness {spent:5.2f} ms of processor a connection"
        )


def rounds(open_: list[ways.Way], order: str) -> ways.Results:
    results: ways.Results = {way.name: [] for way in open_}
    for number in range(ROUNDS):
        for way in open_ if number % 2 == 0 else open_[::-1]:
            results[way.name].append(way.order(order))
    return results


def startup(world: World) -> None:
    print("\nstart-up: milliseconds over `true` alone, packet written and verified included")
    # As pip leaves it: the compiler is no part of what is measured.
    compileall.compile_dir(Path(sluicegate.__file__).parent, quiet=2)
    with tempfile.TemporaryDirectory(dir=world.directory) as directory:
        work = Path(directory, "work")
        work.mkdir()
        count = iter(range(1_000_000))
        gate = [
            sys.executable,
            "-m",
            "sluicegate",
            "run",
            "--quiet",
            "--workdir",
            str(work),
            "--packet",
        ]
        runs: dict[str, Callable[[], list[str]]] = {
            "true": lambda: ["true"],
            "sluicegate": lambda: [*gate, f"{directory}/{next(count)}", "--", "true"],
        }
        if shutil.which("bwrap"):
            runs["bwrap"] = lambda: ["bwrap", "--ro-bind", "/", "/", "--unshare-all", "true"]
        times: dict[str, list[float]] = {name: [] for name in runs}
        for _ in range(ROUNDS * 2):
            for name, argv in runs.items():
                begun = time.perf_counter()
                done = world.run(argv())
                times[name].append(time.perf_counter() - begun)
                if done.code:
                    sys.exit(f"{name} failed: {done.err}")
        base = statistics.median(times["true"])
        for name, all_ in times.items():
            print(f"  {name:<11} {(statistics.median(all_) - base) * 1000:6.0f} ms")
        breakdown(world, [*gate, f"{directory}/{next(count)}", "--", "true"])


def breakdown(world: World, argv: list[str]) -> None:
    done = world.run(argv, env={"SLUICEGATE_TIMING": "1"})
    for line in done.err.splitlines():
        print(f"    {line.removeprefix('sluicegate: ')}")


def main(chosen: list[str]) -> None:
    directory = Path(tempfile.mkdtemp(prefix="sluicegate-bench-"))
    packets = Path(os.environ.get("PACKETS", directory))
    directory.chmod(0o777)
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        world = stack.enter_context(World(directory))
        if {"relay", "connections", "attribution"} & set(chosen):
            server = world.popen([ways.PYTHON, str(ways.HERE / "server.py")])
            stack.callback(server.communicate)
            ways.listening(server)
            if "attribution" in chosen:
                attribution(world)
            made = (ways.direct, ways.sluicegate, ways.squid, ways.mitmproxy)
            open_ = [way for way in (stack.enter_context(m(world)) for m in made) if way]
            if "relay" in chosen:
                relay(open_)
            if "connections" in chosen:
                connections(open_)
        if "inspected" in chosen:
            inspected.report(world, rounds)
        if "startup" in chosen:
            startup(world)
        if "receipts" in chosen:
            receipts.report(ROUNDS)
        if "scan" in chosen:
            scanning.report(ROUNDS)
        if "verify" in chosen:
            verifying.rate(packets, ROUNDS)
        if "memory" in chosen:
            verifying.memory(packets)


if __name__ == "__main__":
    main(
        sys.argv[1:]
        or [
            "relay",
            "connections",
            "inspected",
            "attribution",
            "startup",
            "receipts",
            "scan",
            "verify",
        ]
    )
