"""A packet's bytes and public keys to a report. Opens nothing, trusts nothing it can recompute."""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sluicegate.evidence import note, trace, tree
from sluicegate.evidence import packet as audit
from sluicegate.evidence import seal as sealing
from sluicegate.verify import expect as expecting
from sluicegate.verify import notes, seal, strict, workspace
from sluicegate.verify.account import Account
from sluicegate.verify.checkpoints import Checkpoints
from sluicegate.verify.expect import Expectation
from sluicegate.verify.measured import checked
from sluicegate.verify.replay import Replay, replay
from sluicegate.verify.reservations import disturbed
from sluicegate.verify.signatures import AT_ONCE, Signatures
from sluicegate.verify.source import Source
from sluicegate.verify.strict import need

VALID, INVALID, USAGE, UNPROVEN, UNTRUSTED = 0, 1, 2, 3, 4
# The files of a record, and those that only one with a signed end has; a packet has no other.
RECORD = ("evidence.jsonl", "flows.jsonl", "policy.json", "boundary.json")
PAGES = ("summary.md", "VERIFY.md")
FINISHED = ("packet.json", *PAGES, "workspace.json", "checkpoint", sealing.PROBES, sealing.SEAL)


class Level(enum.Enum):
    """The rungs of the ladder."""

    INTACT = "INTACT"
    CLOSED = "CLOSED"
    ACCOUNTED = "ACCOUNTED"
    PINNED = "PINNED"


# What grows with the run; everything else in a packet is small.
STREAMS = ("evidence.jsonl", "flows.jsonl")
DEFAULT = (Level.INTACT, Level.CLOSED, Level.ACCOUNTED, Level.PINNED)


@dataclass(frozen=True, slots=True)
class Report:
    """What the evidence supports. `reached` gives, for each level, whether and why.

    `streams`: SHA-256 of the files of `STREAMS`, of a record that `rows` may tell; empty of what is INVALID.
    """

    outcome: int
    reached: Mapping[Level, tuple[bool, str]]
    signer_key: str = ""
    root: str = ""
    receipts: int = 0
    run_nonce: str = ""
    policy_hash: str = ""
    tally: audit.Tally = field(default_factory=audit.Tally)
    account: Account = field(default_factory=Account)
    boundary: Mapping[str, object] = field(default_factory=dict)
    expectations: tuple[Expectation, ...] = ()
    last_seq: int = -1  # of the last key's segment, where a chain of others changes its key
    streams: Mapping[str, str] = field(default_factory=dict)
    workspace: Mapping[str, object] = field(default_factory=dict)


def verify(
    files: Mapping[str, bytes | Source],
    keys: Sequence[bytes],
    require: Sequence[Level] = DEFAULT,
    expect: Mapping[str, str] | None = None,
    *,
    finished: bool = True,
    checkpoints: Checkpoints | None = None,
    signatures: Signatures = AT_ONCE,
) -> Report:
    """The report on the packet `files` (by name); `keys` are the public keys the caller trusts.

    The two files of `STREAMS` may be as large as they like and are read once; the others are held whole.
    `finished`: a closed record must come with its packet.json; only the run that is about to write it says False.
    `checkpoints`: what was told while the record grew; it must be this record that grew.
    `signatures` checks those of receipts.
    """
    try:
        for name in files:
            need(name in RECORD or name in FINISHED, f"{name!a} is no file of a packet")
        record = {name: _stream(files.get(name, b""), name) for name in STREAMS}
        small = {n: d for n, d in files.items() if isinstance(d, bytes) and n not in STREAMS}
        state = replay(
            record["evidence.jsonl"],
            record["flows.jsonl"],
            small.get("policy.json", b""),
            checkpoints,
            signatures,
        )
        measured = _bindings(state, small)
        changed = _changed(state, measured, small)
        digests = {name: record[name].sha256() for name in STREAMS}
        streamed = {name: digests[name] for name in STREAMS if name in files}
        _packet(state, measured, small, finished, streamed)
        wanted = expecting.held(expect or {}, _told(state, measured))
    except strict.VerificationError as error:
        return refused(str(error))
    reached = {
        Level.INTACT: (True, f"{state.tally.receipts} receipts, every line reproduces"),
        Level.CLOSED: _closed(state),
        Level.ACCOUNTED: _accounted(state, measured),
        Level.PINNED: pinned(state.run.signer_key, keys),
    }
    return Report(
        INVALID if state.audit.contradiction else outcome(reached, require, wanted),
        reached,
        state.run.signer_key,
        state.root,
        state.tally.receipts,
        state.run.nonce,
        state.run.policy_hash,
        state.tally,
        state.account,
        measured,
        wanted,
        streams={} if state.audit.contradiction else digests,
        workspace=changed,
    )


def _stream(found: bytes | Source, name: str) -> Source:
    return found if isinstance(found, Source) else Source([found], name, strict.MAX_LINE_BYTES)


def refused(why: str) -> Report:
    """The report on what is not what it seems."""
    return Report(INVALID, dict.fromkeys(Level, (False, why)))


def outcome(
    reached: Mapping[Level, tuple[bool, str]],
    require: Sequence[Level],
    expectations: Sequence[Expectation] = (),
) -> int:
    """The exit code: an end that is not proven weighs more than a signer that is not trusted, or not the expected."""
    if not reached[Level.INTACT][0]:
        return INVALID
    if Level.CLOSED in require and not reached[Level.CLOSED][0]:
        return UNPROVEN
    trust = (level for level in (Level.ACCOUNTED, Level.PINNED) if level in require)
    if not all(reached[level][0] for level in trust) or expecting.unmet(expectations):
        return UNTRUSTED
    return VALID


def pinned(signer: str, keys: Sequence[bytes]) -> tuple[bool, str]:
    """Whether `signer` (hex) is one of the keys the caller trusts, and why."""
    if not keys:
        return False, "no key given: the record is consistent with itself, its signer unknown"
    if bytes.fromhex(signer) not in keys:
        return False, f"signed by another key than the given: {signer}"
    return True, "signed by a given key"


def _closed(state: Replay) -> tuple[bool, str]:
    if state.torn:
        return False, "a file ends within a line: its writer died there, or it was cut"
    if not state.closed:
        return False, "no session_close: the record is a prefix, its end unknown"
    if not state.ended:
        return False, "no signed checkpoint over the root: the end is not proven"
    if state.unanswered:
        return False, f"{state.unanswered} allowed flows have no outcome"
    return True, f"the end is signed: {state.tally.receipts} receipts, root {state.root[:16]}"


def _accounted(state: Replay, measured: Mapping[str, object]) -> tuple[bool, str]:
    if not state.ended and not state.audit.contradiction:
        return False, "the kernel's counters at the end are not in the record"
    if not state.audit.contradiction and (why := disturbed(measured, state.account)):
        return (
            False,
            why,
        )  # what was counted by other rules than those that were measured proves nothing
    return state.audit.level(measured)


def _bindings(state: Replay, files: Mapping[str, bytes]) -> Mapping[str, object]:
    """boundary.json, after it and policy.json were found to be those of the record."""
    need("policy.json" in files, "policy.json is missing")
    policy = "sha256:" + hashlib.sha256(files["policy.json"]).hexdigest()
    need(policy == state.run.policy_hash, "policy.json is not the policy of the record")
    data = files.get("boundary.json")
    if data is None:
        need(not state.closed, "boundary.json is missing")
        return {}
    measured = strict.value(data, "boundary.json")
    opened = strict.mapping(measured.get("open"), "boundary.json: open")
    digest = _digest(opened).removeprefix("sha256:")
    need(digest == state.run.posture_sha256, "boundary.json's open part is not the record's")
    if not state.closed:
        need(measured.keys() == {"open"}, "boundary.json was closed, the record was not")
        checked(measured, closed=False, secrets=state.audit.secrets)
        # Only a closed record has the digest of its text.
        need(audit.boundary(opened, None) == data, "boundary.json is not as it is written")
        return measured
    whole = "sha256:" + hashlib.sha256(data).hexdigest()
    last = state.account.boundary
    need(last.get("boundary_sha256") == whole, "boundary.json is not the one in the record")
    checked(measured, closed=True, secrets=state.audit.secrets, asks=state.audit.asks)
    closed = strict.mapping(measured.get("close"), "boundary.json: close")
    _same_job(opened, closed)
    counters = strict.mapping(closed.get("counters"), "boundary.json: counters")
    need(
        strict.same(last, {"kind": "boundary", "boundary_sha256": whole, **counters}),
        "boundary.json and the record count the kernel's packets differently",
    )
    return measured


def _changed(
    state: Replay, measured: Mapping[str, object], files: Mapping[str, bytes]
) -> Mapping[str, object]:
    """workspace.json, after it was found to be the one of the record; empty where it is not there yet."""
    data = files.get(workspace.WHAT)
    if data is None or not state.ended:
        return {}
    close = strict.mapping(measured.get("close"), "boundary.json: close")
    said = strict.mapping(close["workspace"], "boundary.json: workspace")
    digest = hashlib.sha256(data).hexdigest()
    need(said["sha256"] == digest, f"{workspace.WHAT} is not the one in the record")
    return workspace.checked(data, state.audit.outputs)


def _same_job(opened: Mapping[str, object], closed: Mapping[str, object]) -> None:
    """packet.json's words on the CI job are those that were bound before the command began."""
    run = strict.mapping(closed.get("run"), "boundary.json: run")
    said = {name: run[name] for name in expecting.CI if name in run}
    job = strict.mapping(opened.get("ci", {}), "boundary.json: ci")
    need(strict.same(said, job), "boundary.json: another CI job at the close than at the start")


def _digest(opened: Mapping[str, object]) -> str:
    try:
        return audit.opening_digest(opened)
    except (ValueError, TypeError) as error:
        raise strict.VerificationError(f"boundary.json: {error}") from error


def _packet(
    state: Replay,
    measured: Mapping[str, object],
    files: Mapping[str, bytes],
    finished: bool,
    streamed: Mapping[str, str],
) -> None:
    """`streamed`: the SHA-256 of the files that are not in `files` because they were read as streams."""
    if not state.ended:
        # Nothing in such a record can vouch for them.
        for name in FINISHED:
            need(name not in files, f"{name} of a record whose end is not signed")
        return
    claimed = files.get("packet.json")
    if claimed is None:
        need(not finished, "packet.json is missing")
        return
    for name in FINISHED:
        need(name in files, f"{name} is missing")
    run = state.run
    try:
        made = audit.packet(state.tally, measured, run.policy_hash, state.root, run.signer_key)
    except audit.PacketError as error:
        raise strict.VerificationError(f"packet.json: {error}") from error
    need(claimed == made, "packet.json says other things than the record")
    _tree_head(state, files)
    _sealed(state, measured, files, streamed)


def _tree_head(state: Replay, files: Mapping[str, bytes]) -> None:
    """The signed note over the tree of all lines."""
    name, key = note.origin(state.run.nonce), bytes.fromhex(state.run.signer_key)
    head = notes.checkpoint(files["checkpoint"], name, [key], "checkpoint")
    same = (head.size, head.root) == (state.tree.size, tree.root(state.tree))
    need(same, "checkpoint is the head of another tree")


def _sealed(
    state: Replay,
    measured: Mapping[str, object],
    files: Mapping[str, bytes],
    streamed: Mapping[str, str],
) -> None:
    """Every file of the packet is a subject of the seal, and the seal says of the run what the record says."""
    opened = strict.mapping(measured.get("open"), "boundary.json: open")
    key, run = bytes.fromhex(state.run.signer_key), state.run
    digests = dict(streamed)
    digests |= {
        n: hashlib.sha256(data).hexdigest() for n, data in files.items() if n != sealing.SEAL
    }
    whole = seal.checked(files[sealing.SEAL], key, sealing.TRACE, digests)
    said = trace.trace(state.tally, opened, run.policy_hash, run.nonce)
    need(
        strict.same(whole.predicate, said),
        f"{sealing.SEAL}: says other things of the run than the record",
    )
    need(
        whole.commit == trace.commit(opened), f"{sealing.SEAL}: another commit than boundary.json's"
    )
    del digests[sealing.PROBES]
    probes = seal.checked(files[sealing.PROBES], key, sealing.RESULTS, digests)
    same = strict.same(probes.results, trace.results(opened))
    need(same, f"{sealing.PROBES}: other results than boundary.json's")


def _told(state: Replay, measured: Mapping[str, object]) -> dict[str, tuple[str, ...]]:
    run = state.run
    receipts = state.tally.receipts
    chain = expecting.of_a_chain(state.root, receipts, run.signer_key, run.nonce, run.policy_hash)
    return {**chain, **expecting.of_a_boundary(measured)}
