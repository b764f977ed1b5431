"""The verifier: its rate beside another one's on the same record, and its memory as records grow."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.evidence import made

PEER = Path(sys.executable).with_name("pipelock-verify")
RECEIPTS = 50_000  # the rate is asked for, not what starting costs
SIZES = (1000, 100_000, 1_000_000)


def rate(directory: Path, rounds: int) -> None:
    """Receipts a second, start of the process included, rounds alternated."""
    packet = build(directory, RECEIPTS)
    runs = {
        "sluicegate": ours(packet),
        "pipelock-verify": [str(PEER), str(packet / "evidence.jsonl"), "--key", made.PUBLIC],
    }
    spent: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, argv in runs.items():
            spent[name].append(timed(lambda argv=argv: run(argv)))  # type: ignore[misc]
    print(
        f"\nverification: {RECEIPTS} receipts, every signature checked, {os.cpu_count()} processors"
    )
    theirs = statistics.median(spent["pipelock-verify"])
    for name, all_ in spent.items():
        took = statistics.median(all_)
        print(f"  {name:<16} {RECEIPTS / took:7.0f}/s  {theirs / took:5.2f} x pipelock-verify")


def memory(directory: Path) -> None:
    """Peak resident set of `sluicegate verify` by the length of the record."""
    print("\nverification: peak resident set")
    for size in SIZES:
        packet = build(directory, size)
        print(f"  {size:>9} receipts  {peak(packet):6.1f} MiB")


def build(directory: Path, receipts: int) -> Path:
    """A packet of that size; one that is there is used again."""
    packet = directory / f"packet-{receipts}"
    if not (packet / "seal.sigstore.json").exists():
        subprocess.run(
            [sys.executable, "-m", "bench.big", str(packet), str(receipts)],
            check=True,
            stdout=subprocess.DEVNULL,
        )
    return packet


def ours(packet: Path) -> list[str]:
    return [sys.executable, "-m", "sluicegate", "verify", str(packet), "--key", made.PUBLIC]


def timed(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def run(argv: Sequence[str]) -> str:
    """What it prints on stderr; it must end with 0."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{argv} failed: {done.stdout}{done.stderr}")
    return done.stderr


def peak(packet: Path) -> float:
    """MiB that a verifying process had resident at most, by its own account: what wait(2) tells begins before exec."""
    code = "import sys; from sluicegate.cli.main import main; code = main(sys.argv[1:]);"
    code += "print(open('/proc/self/status').read(), file=sys.stderr); sys.exit(code)"
    status = run([sys.executable, "-c", code, *ours(packet)[3:]])
    words = next(line for line in status.splitlines() if line.startswith("VmHWM:")).split()
    return int(words[1]) / 1024
