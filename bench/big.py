"""`python -m bench.big DIRECTORY RECEIPTS`: a whole, valid packet of so many receipts, made by the real code.

What a run adds around the record (processes, a boundary) is left out, so that a million receipts take two minutes.
"""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from sluicegate.evidence import (
    canonical,
    chain,
    ids,
    journal,
    keys,
    note,
    packet,
    seal,
    trace,
    tree,
)
from sluicegate.verify import files as reading
from sluicegate.verify import packet as check
from sluicegate.verify import summary, verifymd
from sluicegate.verify.reckon import Reckoning
from sluicegate.verify.source import Source
from tests.evidence import made

LIFECYCLE = 3  # session_open, the boundary's, session_close
START_NS = 1_767_323_045_000_000_000  # 2026-01-02T03:04:05Z
STEP_NS = 1_000_000
NAMES = 1000  # different hosts, so that what is kept per host is kept
BATCH_BYTES = 1 << 20


def main(directory: str, receipts: int) -> None:
    """Write the packet; its key is the tests'."""
    where = Path(directory)
    where.mkdir(parents=True, exist_ok=True)
    sign, key = keys.signer(made.SEED)
    opened = made.OPENED
    posture = packet.opening_digest(opened).removeprefix("sha256:")
    run = chain.Run("0" * 32, "f" * 32, made.digest(made.POLICY), key, 0, posture)
    book = journal.Journal(run, sign)
    grown = tree.EMPTY
    own, dice, sums = ids.Rising(ids.NOTARY), bytes(ids.SEED_BYTES), Reckoning()
    with (
        (where / "evidence.jsonl").open("wb") as evidence,
        (where / "flows.jsonl").open("wb") as flows,
    ):

        def write(facts: bytes, lines: bytes) -> None:
            nonlocal grown
            flows.write(facts)
            evidence.write(lines)
            for one in lines.splitlines():
                grown = tree.grown(grown, one)

        write(b"", book.open(own.next(0, dice), canonical.timestamp(START_NS)))
        for facts, line in _lines(book, receipts - LIFECYCLE, sums):
            write(facts, line)
        closed = made.settled(sums)
        boundary = packet.boundary(opened, closed)
        counters: dict[str, object] = dict(closed["counters"])  # type: ignore[call-overload]
        at = canonical.timestamp(START_NS + receipts * STEP_NS)
        flow = {"boundary_sha256": made.digest(boundary), **counters}
        facts, line = book.boundary(flow, own.next(1, dice), at)
        write(facts, line + book.close(own.next(2, dice), "done", at))
    head = note.Checkpoint(note.origin(run.nonce), grown.size, tree.root(grown))
    files = {
        "policy.json": made.POLICY,
        "boundary.json": boundary,
        "checkpoint": note.sign_checkpoint(head, made.PIN, sign),
    }
    _finish(where, files, sign)


def _lines(book: journal.Journal, flows: int, sums: Reckoning) -> Iterator[tuple[bytes, bytes]]:
    """(flows, evidence) of the record up to its close; `sums` is told of each message."""
    gate, now = ids.Rising(ids.GATE), START_NS
    dice = bytes(ids.SEED_BYTES)
    number = connection = 0
    while number < flows:
        now, connection = now + STEP_NS, connection + 1
        action, name = gate.next(now // STEP_NS, dice), f"host-{connection % NAMES}.example.com"
        several = number % 3 == 0 and flows - number >= 2
        for message in made.pair(connection) if several else [made.message(connection, name)]:
            told = journal.check({**message, "action_id": action})
            flow = told["flow"]
            if isinstance(flow, dict):
                record = {"decision_phase": told.get("phase"), "verdict": told["verdict"]}
                sums.add(record, flow, "made")
            yield book.flow(told, canonical.timestamp(now))
            number += 1


def _finish(where: Path, files: dict[str, bytes], sign: keys.Sign) -> None:
    """The files that a run makes of its own verified copy."""
    files["workspace.json"] = made.WORKSPACE
    for name, data in files.items():
        (where / name).write_bytes(data)
    with reading.packet(str(where)) as found:
        report = check.verify(found, [made.PIN], finished=False)
        digests = {n: s.sha256() for n, s in found.items() if isinstance(s, Source)}
    if report.outcome != check.VALID:
        sys.exit(f"{where}: {report.reached}")
    files["packet.json"] = packet.packet(
        report.tally, report.boundary, report.policy_hash, report.root, report.signer_key
    )
    files["summary.md"] = summary.of_the_run(report).encode()
    files["VERIFY.md"] = verifymd.of_the_run(report).encode()
    digests |= {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    found = seal.results_statement(trace.results(made.OPENED), digests)
    files[seal.PROBES] = seal.bundle(found, made.PIN, sign)
    digests[seal.PROBES] = hashlib.sha256(files[seal.PROBES]).hexdigest()
    said = trace.trace(report.tally, made.OPENED, report.policy_hash, report.run_nonce)
    files[seal.SEAL] = seal.bundle(seal.trace_statement(digests, None, said), made.PIN, sign)
    for name, data in files.items():
        (where / name).write_bytes(data)


if __name__ == "__main__":
    begun = time.perf_counter()
    main(sys.argv[1], int(sys.argv[2]))
    print(f"{sys.argv[2]} receipts in {time.perf_counter() - begun:.1f} s")
