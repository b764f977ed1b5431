"""A packet's bytes and public keys to a report. Opens nothing, trusts nothing it can recompute."""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sluicegate.evidence import note, trace, tree
from sluicegate.evidence import packet as audit
from sluicegate.evidence import seal as sealing
from sluicegate.verify import notes, seal, strict
from sluicegate.verify.account import Account
from sluicegate.verify.replay import Replay, replay
from sluicegate.verify.reservations import disturbed
from sluicegate.verify.strict import need

VALID, INVALID, USAGE, UNPROVEN, UNTRUSTED = 0, 1, 2, 3, 4
# What a caller may know from elsewhere and demand.
EXPECTABLE = ("root", "receipts", "signer_key", "run_nonce", "policy_hash", "tier")


class Level(enum.Enum):
    """The rungs of the ladder."""

    INTACT = "INTACT"
    CLOSED = "CLOSED"
    ACCOUNTED = "ACCOUNTED"
    PINNED = "PINNED"


DEFAULT = (Level.INTACT, Level.CLOSED, Level.ACCOUNTED, Level.PINNED)


@dataclass(frozen=True, slots=True)
class Report:
    """What the evidence supports. `reached` gives, for each level, whether and why."""

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


def verify(
    files: Mapping[str, bytes],
    keys: Sequence[bytes],
    require: Sequence[Level] = DEFAULT,
    expect: Mapping[str, str] | None = None,
    *,
    finished: bool = True,
) -> Report:
    """The report on the packet `files` (name to bytes); `keys` are the public keys the caller trusts.

    `finished`: a closed record must come with its packet.json; only the run that is about to write it says False.
    """
    try:
        record = (files.get(name, b"") for name in ("evidence.jsonl", "flows.jsonl", "policy.json"))
        state = replay(*record)
        measured = _bindings(state, files)
        _packet(state, measured, files, finished)
        _expected(state, measured, expect or {})
    except strict.VerificationError as error:
        return refused(str(error))
    reached = {
        Level.INTACT: (True, f"{state.tally.receipts} receipts, every line reproduces"),
        Level.CLOSED: _closed(state),
        Level.ACCOUNTED: _accounted(state, measured),
        Level.PINNED: pinned(state.run.signer_key, keys),
    }
    return Report(
        INVALID if state.audit.contradiction else outcome(reached, require),
        reached,
        state.run.signer_key,
        state.root,
        state.tally.receipts,
        state.run.nonce,
        state.run.policy_hash,
        state.tally,
        state.account,
        measured,
    )


def refused(why: str) -> Report:
    """The report on what is not what it seems."""
    return Report(INVALID, dict.fromkeys(Level, (False, why)))


def outcome(reached: Mapping[Level, tuple[bool, str]], require: Sequence[Level]) -> int:
    """The exit code: an end that is not proven weighs more than a signer that is not trusted."""
    if not reached[Level.INTACT][0]:
        return INVALID
    if Level.CLOSED in require and not reached[Level.CLOSED][0]:
        return UNPROVEN
    trust = (level for level in (Level.ACCOUNTED, Level.PINNED) if level in require)
    return VALID if all(reached[level][0] for level in trust) else UNTRUSTED


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
        # Only a closed record has the digest of its text.
        need(audit.boundary(opened, None) == data, "boundary.json is not as it is written")
        return measured
    whole = "sha256:" + hashlib.sha256(data).hexdigest()
    last = state.account.boundary
    need(last.get("boundary_sha256") == whole, "boundary.json is not the one in the record")
    closed = strict.mapping(measured.get("close"), "boundary.json: close")
    counters = strict.mapping(closed.get("counters"), "boundary.json: counters")
    need(
        strict.same(last, {"kind": "boundary", "boundary_sha256": whole, **counters}),
        "boundary.json and the record count the kernel's packets differently",
    )
    return measured


def _digest(opened: Mapping[str, object]) -> str:
    try:
        return audit.opening_digest(opened)
    except (ValueError, TypeError) as error:
        raise strict.VerificationError(f"boundary.json: {error}") from error


def _packet(
    state: Replay, measured: Mapping[str, object], files: Mapping[str, bytes], finished: bool
) -> None:
    claimed = files.get("packet.json")
    if not state.ended:
        need(claimed is None or not state.closed, "packet.json of a record without its checkpoint")
        need(claimed is None, "packet.json of a record that was not closed")
        return
    if claimed is None:
        need(not finished, "packet.json is missing")
        return
    run = state.run
    try:
        made = audit.packet(state.tally, measured, run.policy_hash, state.root, run.signer_key)
    except audit.PacketError as error:
        raise strict.VerificationError(f"packet.json: {error}") from error
    need(claimed == made, "packet.json says other things than the record")
    _tree_head(state, files)
    _sealed(state, measured, files)


def _tree_head(state: Replay, files: Mapping[str, bytes]) -> None:
    """The signed note over the tree of all lines."""
    need("checkpoint" in files, "checkpoint is missing")
    name, key = note.origin(state.run.nonce), bytes.fromhex(state.run.signer_key)
    head = notes.checkpoint(files["checkpoint"], name, [key], "checkpoint")
    same = (head.size, head.root) == (state.tree.size, tree.root(state.tree))
    need(same, "checkpoint is the head of another tree")


def _sealed(state: Replay, measured: Mapping[str, object], files: Mapping[str, bytes]) -> None:
    """Every file of the packet is a subject of the seal, and the seal says of the run what the record says."""
    for name in (sealing.SEAL, sealing.PROBES):
        need(name in files, f"{name} is missing")
    opened = strict.mapping(measured.get("open"), "boundary.json: open")
    key, run = bytes.fromhex(state.run.signer_key), state.run
    digests = {
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


def _expected(state: Replay, measured: Mapping[str, object], expect: Mapping[str, str]) -> None:
    opened = measured.get("open")
    facts = {
        "root": state.root,
        "receipts": str(state.tally.receipts),
        "signer_key": state.run.signer_key,
        "run_nonce": state.run.nonce,
        "policy_hash": state.run.policy_hash,
        "tier": str(opened.get("tier", "")) if isinstance(opened, dict) else "",
    }
    for name, value in expect.items():
        need(facts.get(name) == value, f"{name} is {facts.get(name)}, not the expected {value}")
