"""The end of a run: the record closed, what is on the disk verified, sealed, and people told."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sluicegate import moments
from sluicegate.cli import packetdir, say, supervise, timing
from sluicegate.cli.options import Options
from sluicegate.evidence import equation, packet, seal, trace

# Denials listed at the end; the summary has all of them.
SHOWN_DENIALS = 10
SHOWN_ORDERS = 5
SHOWN_CHARACTERS = 300  # of one of its texts, which the command may have made long


if TYPE_CHECKING:
    from sluicegate.cli.checkpoints import Checkpoints
    from sluicegate.cli.live import Live
    from sluicegate.verify.packet import Report
    from sluicegate.verify.source import Source


class EvidenceError(Exception):
    """The record can not be trusted to be whole, so neither can the run."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Out:
    """Where the record is, and where checkpoints are told; `live` is what people see meanwhile."""

    reserved: packetdir.Reserved
    checkpoints: Checkpoints
    live: Live | None = None


@dataclass(frozen=True, slots=True)
class Documents:
    """What the record was opened with. `pinned`: the key was given from outside."""

    opened: Mapping[str, object]
    signer: str
    pinned: bool


@dataclass(frozen=True, slots=True)
class Result:
    """The run's exit code, counts (connections, packets, questions), and the denials in words.

    `observed` are those that observe mode alone let through, `orders` the changed paths that later steps execute.
    """

    code: int
    allowed: int
    denied: int
    dropped: int
    names: int
    denials: tuple[tuple[str, str, str], ...]
    packet: str
    signer: str
    error: str = ""
    blocked: int = 0
    timeout: bool = False
    changed: str = ""
    observed: int = 0
    orders: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Measured:
    """What was read from outside when everything inside had ended.

    `stopped` are the gate's counts, `workspace` is workspace.json.
    """

    counters: Mapping[str, int]
    network: Mapping[str, object]
    stopped: Mapping[str, object]
    workspace: bytes


def now() -> str:
    """The time as the record writes it: RFC 3339, UTC, whole seconds."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def ascii_text(text: str) -> str:
    """`text` as printable ASCII, everything else escaped: what may be signed."""
    return "".join(
        c if " " <= c <= "~" else c.encode("unicode_escape", "replace").decode() for c in text
    )


def ascii_values(value: object) -> object:
    """`value` with every text in it as `ascii_text`."""
    if isinstance(value, str):
        return ascii_text(value)
    if isinstance(value, dict):
        return {ascii_text(str(name)): ascii_values(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [ascii_values(item) for item in value]
    return value


def cut_short(why: str, reserved: packetdir.Reserved) -> EvidenceError:
    """The error to raise for a record that was never closed. It is in its place, and verifies as a prefix only."""
    return EvidenceError(why, f"{reserved.path} holds the record so far")


def close(
    options: Options,
    out: Out,
    documents: Documents,
    notary: supervise.Control,
    ended: supervise.Ended,
    measured: Measured,
) -> Result:
    """Close, verify, seal.

    Raises:
        EvidenceError: the notary could not close, the disk is full, or what is on it does not verify.
    """
    run: dict[str, object] = {
        "agent_exit_code": ended.code,
        "agent_identity": options.identity or "unnamed",
        "provider": "github_actions" if os.environ.get("GITHUB_ACTIONS") == "true" else "local",
        "key": "given" if documents.pinned else "ephemeral",
        "completed_at": now(),
    }
    # packet.json's run names the job, as it was bound before the command began.
    job = documents.opened.get("ci")
    run |= job if isinstance(job, dict) else {}
    closed = {
        "counters": dict(measured.counters),
        "gate": dict(measured.stopped),
        "network": ascii_values(dict(measured.network)),
        "run": run,
        "workspace": {"sha256": _digest(measured.workspace)},
        "equation": _equation(documents, measured, ended),
    }
    if out.live is not None and out.live.asker is not None:
        closed["answers"] = out.live.asker.answers
    boundary = packet.boundary(documents.opened, closed)
    flow = {
        "boundary_sha256": "sha256:" + hashlib.sha256(boundary).hexdigest(),
        **measured.counters,
    }
    reason = "timeout" if ended.timeout else "graceful_shutdown"
    if ended.changed:
        reason = "boundary_changed"
    reserved = out.reserved
    try:
        with packetdir.replacing(reserved, packetdir.BOUNDARY, boundary):
            moments.reached("supervisor: close prepared")
            said = notary.ask({"close": {"reason": reason, "flow": flow}}, "closed")
            out.checkpoints.keep(str(said.get("checkpoint", "")))
            timing.mark("record closed")
            moments.reached("supervisor: record closed")
    except supervise.ControlError as error:
        raise cut_short(f"the record could not be closed: {error}", reserved) from error
    except packetdir.PacketDirError as error:
        raise EvidenceError(str(error), error.hint) from error
    moments.reached("supervisor: boundary replaced")
    pages = {"checkpoint": str(said.get("checkpoint", "")).encode()}
    pages[packetdir.WORKSPACE] = measured.workspace
    result = _verified(reserved, documents, ended, notary, pages)
    timing.mark("verified")
    return result


def _equation(
    documents: Documents, measured: Measured, ended: supervise.Ended
) -> dict[str, object]:
    """Kernel's counters and gate's counts as the record will be held against them."""
    stopped = measured.stopped
    try:
        risen = equation.between(documents.opened.get("counters"), dict(measured.counters))
    except equation.EquationError as error:
        if ended.changed:
            return {}  # the rules that counted may be gone; the record says that they were touched
        raise EvidenceError(str(error)) from error
    totals = {name: value for name, value in stopped.items() if isinstance(value, int)}
    return equation.solved(risen, equation.claimed(stopped), totals)


def _verified(
    reserved: packetdir.Reserved,
    documents: Documents,
    ended: supervise.Ended,
    notary: supervise.Control,
    pages: Mapping[str, bytes],
) -> Result:
    from sluicegate.verify import files as reading
    from sluicegate.verify import packet as check
    from sluicegate.verify import summary, verifymd

    pin = bytes.fromhex(documents.signer)
    needed = (check.Level.INTACT, check.Level.CLOSED, check.Level.PINNED)
    with reading.packet(reserved.descriptor) as files:
        files[packetdir.WORKSPACE] = pages[packetdir.WORKSPACE]
        report = check.verify(files, [pin], finished=False)
        digests = {name: _digest(content) for name, content in files.items()}
    if not all(report.reached[level][0] for level in needed):
        why = "; ".join(f"{k.value}: {why}" for k, (ok, why) in report.reached.items() if not ok)
        # The record stays for whoever must find out; without packet.json it never passes for a whole packet.
        raise EvidenceError(
            f"the packet does not verify: {why}", f"{reserved.path} holds it as it is"
        )
    moments.reached("supervisor: verified")
    words = {
        "packet.json": packet.packet(
            report.tally, report.boundary, report.policy_hash, report.root, report.signer_key
        ),
        "summary.md": summary.of_the_run(report).encode(),
        "VERIFY.md": verifymd.of_the_run(report).encode(),
        **pages,
    }
    digests |= {name: _digest(content) for name, content in words.items()}
    words |= _sealed(report, digests, notary)
    try:
        packetdir.publish(reserved, words, packetdir.RECORD)
    except packetdir.PacketDirError as error:
        raise EvidenceError(str(error), error.hint) from error
    balanced, why = report.reached[check.Level.ACCOUNTED]
    # Of a change the caller is told in words of its own.
    if not balanced and not ended.changed:
        raise EvidenceError(why, f"{reserved.path} is the packet, whole and sealed")
    return _result(report, reserved.path, documents, ended)


def _result(report: Report, place: str, documents: Documents, ended: supervise.Ended) -> Result:
    from sluicegate.verify import changes

    account = report.account
    return Result(
        ended.code,
        account.allowed,
        account.denied,
        account.dropped,
        account.questions,
        # First a secret on its way out, then what a line of policy would change.
        tuple(
            (d.target, d.reason, d.remedy)
            for d in sorted(account.denials, key=lambda d: (not d.alarm, not d.remedy))
        ),
        place,
        documents.signer,
        ended.error,
        report.tally.totals["block"],
        ended.timeout,
        ended.changed,
        account.warned,
        changes.orders(report.workspace),
    )


def _sealed(
    report: Report, digests: Mapping[str, str], notary: supervise.Control
) -> dict[str, bytes]:
    """The bundles over the files with these SHA-256, which are of the bytes that were verified.

    Raises:
        EvidenceError: the notary did not sign.
    """
    opened = report.boundary.get("open")
    given = opened if isinstance(opened, dict) else {}
    asked = {
        "subjects": dict(digests),
        "results": trace.results(given),
        "commit": trace.commit(given),
        "trace": trace.trace(report.tally, given, report.policy_hash, report.run_nonce),
    }
    try:
        said = notary.ask({"seal": asked}, "sealed")
    except supervise.ControlError as error:
        raise EvidenceError(f"the packet could not be sealed: {error}") from error
    moments.reached("supervisor: sealed")
    # The seal last: with it the packet is whole, so nothing may be missing then.
    return {name: str(said[name]).encode() for name in sorted(said, key=lambda n: n == seal.SEAL)}


def _digest(content: bytes | Source) -> str:
    return hashlib.sha256(content).hexdigest() if isinstance(content, bytes) else content.sha256()


def _short(text: str) -> str:
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}..."


def tell(options: Options, result: Result) -> None:
    """Counts, denials with the line to add, the packet and how to verify it."""
    from sluicegate.verify.account import OBSERVED

    if result.error:
        say.complain(result.error)
    if result.timeout:
        say.complain(f"the command was ended by --timeout {options.timeout:g}")
    if result.changed:
        say.complain(
            f"evidence failed: the boundary was changed while the command ran:"
            f" {_short(ascii_text(result.changed))}",
            f"no other program may touch the run's network; {result.packet} holds the record",
        )
    if options.quiet:
        return
    words = f"{result.allowed} connections allowed, {result.denied} denied"
    if result.observed:
        words += f", {result.observed} let through that an enforcing run would deny"
    words += f"; {result.dropped} packets dropped" if result.dropped else ""
    say.say(f"{words}; {result.names} names asked" if result.names else words)
    for target, reason, remedy in result.denials[:SHOWN_DENIALS]:
        word = "would deny" if reason.startswith(OBSERVED) else "denied"
        say.say(f"{word} {_short(target)}: {_short(reason.removeprefix(OBSERVED))}")
        if remedy:
            say.say("  to allow it, add under `allow:`")
            say.say("\n".join(f"    {line}" for line in remedy.splitlines()))
    if len(result.denials) > SHOWN_DENIALS:
        say.say(f"and {len(result.denials) - SHOWN_DENIALS} more, in {result.packet}/summary.md")
    _tell_orders(result)
    if result.changed:
        return
    pin = result.signer if options.key is None else f"{options.key.removesuffix('.key')}.pub"
    say.say(
        f"packet {result.packet} verified; check it with: sluicegate verify {result.packet} --key {pin}"
    )
    if options.observe and not result.observed and not result.denied:
        say.say("an enforcing run would have denied nothing: the same without --observe")
    if result.observed:
        say.say("for a policy that allows what was done, and to try it, without --observe:")
        say.say(f"  sluicegate policy suggest {result.packet} --key {pin} > suggested.yaml")
        say.say("  sluicegate run --policy suggested.yaml -- ...")


def _tell_orders(result: Result) -> None:
    """What the command changed that a later step, a git command among them, would execute."""
    if not result.orders:
        return
    some = ", ".join(_short(path) for path in result.orders[:SHOWN_ORDERS])
    more = len(result.orders) - SHOWN_ORDERS
    some += f" and {more} more" if more > 0 else ""
    say.complain(
        f"warning: the command changed what later steps execute: {some}",
        f"look at them before the next step; {result.packet}/summary.md has all that is flagged",
    )
