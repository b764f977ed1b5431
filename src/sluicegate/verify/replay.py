"""Our own record, line by line: each is rebuilt from its claims and compared, so nothing unread can hide. Pure.

What is done for every line raises by itself instead of calling `need`: sixty messages that nobody reads would cost as
much as the tree and the chain.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from sluicegate import jcs
from sluicegate.evidence import chain, ids, journal, keys, recorder, tree
from sluicegate.evidence.packet import Tally
from sluicegate.verify import process, profile, strict
from sluicegate.verify import record as receipts
from sluicegate.verify.account import Account
from sluicegate.verify.accounted import Audit
from sluicegate.verify.checkpoints import Checkpoints
from sluicegate.verify.signatures import AT_ONCE, Signatures
from sluicegate.verify.source import Source
from sluicegate.verify.strict import need

# What our notary signs. Other verdicts of the published format have no meaning here.
VERDICTS = frozenset(["allow", "block", "warn"])


_PLAIN = frozenset([str, int, type(None), dict])
_FREE = "contract_generation"  # the one number of a record that is compared with nothing
# Allowed actions without their outcome. A gate holds 100,000 connections open at most (`limits.connections`), and of
# each that it opened a request besides; each costs a verifier some 5 kB.
MAX_OPEN = 200_000


@dataclass(frozen=True, slots=True)
class _With:
    """What a line is read with: the facts to come, and who checks signatures."""

    flows: Source
    signatures: Signatures


@dataclass(slots=True)
class Replay:
    """The record so far. `closed`: session_close was read; `ended`: the signed checkpoint after it too."""

    opened: chain.Run | None = None
    root: str = ""
    prev: str = recorder.GENESIS
    rooted: bool = False
    closed: bool = False
    ended: bool = False
    torn: bool = False
    beats: int = 0
    time: str = ""
    start: str = ""
    tree: tree.Tree = tree.EMPTY
    tally: Tally = field(default_factory=Tally)
    account: Account = field(default_factory=Account)
    audit: Audit = field(default_factory=Audit)
    # The last id of each sequence: ids rise, so one that is later than it was never there before.
    latest: dict[int, str] = field(default_factory=lambda: {ids.GATE: "", ids.NOTARY: ""})
    waiting: set[str] = field(default_factory=set)  # intents without an outcome so far
    kept: set[object] = field(default_factory=set)  # forms of receipts that our notary keeps to

    @property
    def run(self) -> chain.Run:
        """What session_open said."""
        if self.opened is None:
            raise strict.VerificationError("the record holds no receipts")
        return self.opened

    @property
    def unanswered(self) -> int:
        """Intents without an outcome."""
        return len(self.waiting)


def replay(
    evidence: Source,
    flows: Source,
    policy: bytes = b"",
    told: Checkpoints | None = None,
    signatures: Signatures = AT_ONCE,
) -> Replay:
    """The record that `evidence` and `flows` are the text of, read in lock-step, each once.

    What is held does not grow with the record, only with the flows that are open at the same time. It is audited under
    the `policy` of policy.json as it comes. `signatures` checks those of receipts.

    `told`: checkpoints of it from elsewhere.

    Raises:
        VerificationError: a line that is not as our notary writes it, or is not where it belongs.
    """
    state, given = Replay(audit=Audit.of(policy)), _With(flows, signatures)
    try:
        for seq, line in enumerate(evidence):
            what = f"evidence.jsonl line {seq + 1}"
            need(not state.ended, f"{what}: stands after the checkpoint")
            strict.plain(line, what)
            _line(state, seq, line, given, what)
            if told is not None:
                told.grown(state.run.nonce, bytes.fromhex(state.run.signer_key), state.tree)
    except strict.VerificationError:
        signatures.settle()  # a signature before it may be what is wrong first
        raise
    signatures.settle()
    _ = state.run
    more = next(flows, None)
    flows.drain()
    state.torn = evidence.torn or flows.torn
    if told is not None:
        told.end(state.tree.size)
    if state.closed:
        need(not state.torn, "a file of a closed record ends within a line")
        need(more is None, "flows.jsonl has more lines than the receipts name")
        need(state.account.boundary, "the last flow is not the boundary's")
    return state


def _read(line: bytes, what: str) -> Mapping[str, object]:
    """The object in `line`, which is compared with its own text later.

    The quick reading is enough where there are only texts and whole numbers, in the places where a number is compared
    with one of ours.
    """
    found = strict.quick(line, what)
    detail = found.get("detail") if isinstance(found, dict) else None
    record = detail.get("action_record") if isinstance(detail, dict) else None
    if isinstance(found, dict) and isinstance(detail, dict) and isinstance(record, dict):
        kinds = [
            *map(type, record.values()),
            *map(type, detail.values()),
            *map(type, found.values()),
        ]
        # Two objects: the detail and the record in it.
        if _PLAIN.issuperset(kinds) and kinds.count(dict) == 2 and _FREE not in record:
            return found
    return strict.value(line, what)


def _line(state: Replay, seq: int, line: bytes, given: _With, what: str) -> None:
    entry = _read(line, what)
    ts, kind = strict.words(entry, "ts", what), entry.get("type")
    detail = strict.mapping(entry.get("detail"), what)
    event, transport = str(kind), ""
    if kind == "action_receipt":
        found = receipts.checked(detail, what, given.signatures)
        _receipt(state, found, given, what)
        raw, words = found.raw, found.record
        event, transport = str(words["action_type"]), str(words["transport"])
        summary = recorder.receipt_summary(str(words["verdict"]), event, transport)
        _in_time(state, str(words["timestamp"]), what)
    elif kind == "transcript_root":
        if not (state.closed and not state.rooted):
            raise strict.VerificationError(f"{what}: a root that is out of place")
        state.rooted = True
        raw, summary = recorder.root_detail(
            state.tally.receipts, state.root, state.start, state.tally.last
        )
    else:
        if kind != "checkpoint":
            raise strict.VerificationError(f"{what}: unknown type {kind!r}")
        if not state.rooted:
            raise strict.VerificationError(f"{what}: a checkpoint that is out of place")
        signature = strict.raw_hex(detail.get("signature"), 64, f"{what}: signature")
        good = keys.verifies(bytes.fromhex(state.run.signer_key), signature, state.prev.encode())
        if not good:
            raise strict.VerificationError(
                f"{what}: the checkpoint's signature verification failed"
            )
        raw, summary = recorder.checkpoint_detail(seq, signature)
        state.ended = True
    if ts != state.time:
        strict.time(ts, f"{what}: ts")
        _in_time(state, ts, what)
    text, state.prev = recorder.line(seq, ts, str(kind), event, transport, summary, raw, state.prev)
    if text != line:
        strict.value(line, what)  # it may say more precisely what is wrong
        raise strict.VerificationError(f"{what}: does not reproduce from its claims")
    state.tree = tree.grown(state.tree, line)


def _in_time(state: Replay, timestamp: str, what: str) -> None:
    if timestamp == state.time:
        return
    need(not receipts.earlier(timestamp, state.time), f"{what}: time runs backwards")
    state.time = timestamp


def _receipt(state: Replay, found: receipts.Receipt, given: _With, what: str) -> None:
    record, seq = found.record, state.tally.receipts
    if state.closed:
        raise strict.VerificationError(f"{what}: a receipt after session_close")
    if record["chain_seq"] != seq:
        raise strict.VerificationError(f"{what}: chain_seq {record['chain_seq']}, expected {seq}")
    if record["verdict"] not in VERDICTS:
        raise strict.VerificationError(f"{what}: a verdict our notary does not sign")
    if found.form is None or found.form not in state.kept:
        profile.kept(record, what)
        if found.form is not None and len(state.kept) < receipts.KEPT_FORMS:
            state.kept.add(found.form)
    if state.opened is None:
        state.opened, state.start = _opening(found, what), str(record["timestamp"])
    else:
        if found.signer != state.run.signer_key:
            raise strict.VerificationError(f"{what}: another signer")
        if record["chain_prev_hash"] != state.root:
            raise strict.VerificationError(f"{what}: chain_prev_hash mismatch")
        if record.get("run_nonce") != state.run.nonce:
            raise strict.VerificationError(f"{what}: another run_nonce")
        if record["policy_hash"] != state.run.policy_hash:
            raise strict.VerificationError(f"{what}: another policy_hash")
        control = record.get("session_control")
        if control is not None:
            _control(state, strict.mapping(control, what), what)
        else:
            _facts(state, record, given, what)
    _pair(state, record, what)
    state.root = found.digest
    state.tally.add(record)


def _opening(found: receipts.Receipt, what: str) -> chain.Run:
    record = found.record
    control = strict.mapping(record.get("session_control"), f"{what}: session_control")
    opened = strict.mapping(control.get("open"), f"{what}: session_open")
    run = chain.Run(
        nonce=strict.text(record.get("run_nonce"), f"{what}: run_nonce"),
        open_nonce=strict.text(opened.get("open_nonce"), f"{what}: open_nonce"),
        policy_hash=str(record["policy_hash"]),
        signer_key=found.signer,
        heartbeat_seconds=strict.count(opened.get("heartbeat_seconds"), f"{what}: heartbeat"),
        posture_sha256=strict.text(opened.get("posture_capsule_sha256", ""), f"{what}: posture"),
    )
    need(strict.HEX32.match(run.open_nonce), f"{what}: open_nonce")
    need(strict.HASH.match(run.policy_hash), f"{what}: policy_hash")
    need(strict.exactly(control, chain.opening(run)), f"{what}: session_open does not reproduce")
    need(record["chain_prev_hash"] == chain.genesis(run), f"{what}: genesis does not reproduce")
    return run


def _control(state: Replay, control: Mapping[str, object], what: str) -> None:
    head = chain.Head(state.tally.receipts, state.root)
    if control.get("kind") == "session_close":
        closed = strict.mapping(control.get("close"), f"{what}: session_close")
        reason = strict.text(closed.get("close_reason"), f"{what}: close_reason")
        need(
            strict.exactly(control, chain.closing(state.run, head, reason)),
            f"{what}: session_close does not reproduce",
        )
        state.closed = True
        return
    beat = strict.mapping(control.get("heartbeat"), f"{what}: session_control")
    now = strict.text(beat.get("heartbeat_time"), f"{what}: heartbeat_time")
    strict.time(now, f"{what}: heartbeat_time")
    state.beats += 1
    expected = chain.heartbeat(state.run, head, state.beats, now)
    need(strict.exactly(control, expected), f"{what}: the heartbeat does not reproduce")


def _facts(state: Replay, record: Mapping[str, object], given: _With, what: str) -> None:
    if state.account.boundary:
        raise strict.VerificationError(f"{what}: a decision after the boundary was closed")
    line = next(given.flows, None)
    if line is None:
        raise strict.VerificationError(f"{what}: flows.jsonl has no line for it")
    digest = "sha256:" + hashlib.sha256(line).hexdigest()
    if record.get("request_id") != digest:
        raise strict.VerificationError(f"{what}: flows.jsonl holds another line for it")
    strict.plain(line, f"{what}: its line of flows.jsonl", facts=True)
    flow = _canonical(line, f"{what}: its line of flows.jsonl")
    kind = flow.get("kind")
    if type(kind) is not str:
        raise strict.VerificationError(f"{what}: its facts' kind: not a string")
    own = (kind == "boundary") == (record["transport"] == "boundary")
    if not own:
        raise strict.VerificationError(f"{what}: facts of the boundary by another way")
    if "process" in flow:
        if kind != "connection":
            raise strict.VerificationError(f"{what}: a process of something that is no connection")
        first = record.get("decision_phase") != "outcome"
        if not first:
            raise strict.VerificationError(f"{what}: a process where only decisions have one")
        process.checked(flow["process"], what)
    state.account.add(record, flow)
    state.audit.add(record, flow)


def _canonical(line: bytes, what: str) -> Mapping[str, object]:
    """The object in `line`, which is its RFC 8785 text: so none of its members comes twice."""
    found = strict.quick(line, what)
    try:
        same = isinstance(found, dict) and jcs.encode(found) == line
    except ValueError:
        same = False
    if not same or not isinstance(found, dict):
        strict.value(line, what)  # it may say more precisely what is wrong
        raise strict.VerificationError(f"{what} is not canonical")
    return found


def _pair(state: Replay, record: Mapping[str, object], what: str) -> None:
    name, phase = str(record["action_id"]), record.get("decision_phase")
    if phase not in {None, "intent", "outcome"}:
        raise strict.VerificationError(f"{what}: a phase our notary does not sign")
    if not (phase is None or record["verdict"] == "allow"):
        raise strict.VerificationError(f"{what}: a phase of what is not allowed")
    if phase == "outcome":
        if name not in state.waiting:
            raise strict.VerificationError(f"{what}: an outcome without its intent")
        state.waiting.remove(name)
        return
    own = record["transport"] in {journal.LIFECYCLE, journal.BOUNDARY}
    whose = ids.NOTARY if own else ids.GATE
    if not ids.is_id(name, whose):
        raise strict.VerificationError(f"{what}: action_id is not a UUIDv{whose}")
    if name <= state.latest[whose]:
        raise strict.VerificationError(f"{what}: action_id is not later than the ones before")
    state.latest[whose] = name
    if phase == "intent":
        state.waiting.add(name)
        need(len(state.waiting) <= MAX_OPEN, f"{what}: more than {MAX_OPEN} intents are open")
