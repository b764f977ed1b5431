"""Our own record, line by line: each is rebuilt from its claims and compared, so nothing unread can hide. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from sluicegate import jcs
from sluicegate.evidence import chain, keys, recorder, tree
from sluicegate.evidence.packet import Tally
from sluicegate.verify import record as receipts
from sluicegate.verify import strict
from sluicegate.verify.account import Account
from sluicegate.verify.accounted import Audit
from sluicegate.verify.checkpoints import Checkpoints
from sluicegate.verify.strict import need

# What our notary signs. Other verdicts of the published format have no meaning here.
VERDICTS = frozenset(["allow", "block", "warn"])


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
    # action_id (16 bytes of its hash: a record may hold millions) -> its intent waits for an outcome
    phases: dict[bytes, bool] = field(default_factory=dict)

    @property
    def run(self) -> chain.Run:
        """What session_open said."""
        if self.opened is None:
            raise strict.VerificationError("the record holds no receipts")
        return self.opened

    @property
    def unanswered(self) -> int:
        """Intents without an outcome."""
        return sum(self.phases.values())


def replay(
    evidence: bytes, flows: bytes, policy: bytes = b"", told: Checkpoints | None = None
) -> Replay:
    """The record that `evidence` and `flows` are the text of, audited under the `policy` of policy.json.

    `told`: checkpoints of it from elsewhere.

    Raises:
        VerificationError: a line that is not as our notary writes it, or is not where it belongs.
    """
    state, facts = Replay(audit=Audit.of(policy)), strict.lines(flows)
    state.torn = strict.torn(evidence) or strict.torn(flows)
    for seq, line in enumerate(strict.lines(evidence)):
        what = f"evidence.jsonl line {seq + 1}"
        need(not state.ended, f"{what}: stands after the checkpoint")
        strict.plain(line, what)
        _line(state, seq, line, facts, what)
        if told is not None:
            told.grown(state.run.nonce, bytes.fromhex(state.run.signer_key), state.tree)
    _ = state.run
    if told is not None:
        told.end(state.tree.size)
    if state.closed:
        need(not state.torn, "a file of a closed record ends within a line")
        need(next(facts, None) is None, "flows.jsonl has more lines than the receipts name")
        need(state.account.boundary, "the last flow is not the boundary's")
    return state


def _line(state: Replay, seq: int, line: bytes, facts: Iterator[bytes], what: str) -> None:
    entry = strict.value(line, what)
    ts, kind = strict.text(entry.get("ts"), f"{what}: ts"), entry.get("type")
    strict.time(ts, f"{what}: ts")
    detail = strict.mapping(entry.get("detail"), f"{what}: detail")
    event, transport = str(kind), ""
    if kind == "action_receipt":
        found = receipts.checked(detail, what)
        _receipt(state, found, facts, what)
        raw, words = found.raw, found.record
        event, transport = str(words["action_type"]), str(words["transport"])
        summary = recorder.receipt_summary(str(words["verdict"]), event, transport)
        _in_time(state, str(words["timestamp"]), what)
    elif kind == "transcript_root":
        need(state.closed and not state.rooted, f"{what}: a root that is out of place")
        state.rooted = True
        raw, summary = recorder.root_detail(
            state.tally.receipts, state.root, state.start, state.tally.last
        )
    else:
        need(kind == "checkpoint", f"{what}: unknown type {kind!r}")
        need(state.rooted, f"{what}: a checkpoint that is out of place")
        signature = strict.raw_hex(detail.get("signature"), 64, f"{what}: signature")
        good = keys.verifies(bytes.fromhex(state.run.signer_key), signature, state.prev.encode())
        need(good, f"{what}: the checkpoint's signature verification failed")
        raw, summary = recorder.checkpoint_detail(seq, signature)
        state.ended = True
    _in_time(state, ts, what)
    text, state.prev = recorder.line(seq, ts, str(kind), event, transport, summary, raw, state.prev)
    need(text == line, f"{what}: does not reproduce from its claims")
    state.tree = tree.grown(state.tree, line)


def _in_time(state: Replay, timestamp: str, what: str) -> None:
    need(not receipts.earlier(timestamp, state.time), f"{what}: time runs backwards")
    state.time = timestamp


def _receipt(state: Replay, found: receipts.Receipt, facts: Iterator[bytes], what: str) -> None:
    record, seq = found.record, state.tally.receipts
    need(not state.closed, f"{what}: a receipt after session_close")
    need(record["chain_seq"] == seq, f"{what}: chain_seq {record['chain_seq']}, expected {seq}")
    need(record["verdict"] in VERDICTS, f"{what}: a verdict our notary does not sign")
    if state.opened is None:
        state.opened, state.start = _opening(found, what), str(record["timestamp"])
        need("request_id" not in record, f"{what}: a lifecycle receipt with facts")
    else:
        need(found.signer == state.run.signer_key, f"{what}: another signer")
        need(record["chain_prev_hash"] == state.root, f"{what}: chain_prev_hash mismatch")
        need(record.get("run_nonce") == state.run.nonce, f"{what}: another run_nonce")
        need(record["policy_hash"] == state.run.policy_hash, f"{what}: another policy_hash")
        control = record.get("session_control")
        if control is not None:
            need("request_id" not in record, f"{what}: a lifecycle receipt with facts")
            _control(state, strict.mapping(control, what), what)
        else:
            _facts(state, record, facts, what)
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
    need(strict.same(control, chain.opening(run)), f"{what}: session_open does not reproduce")
    need(record["chain_prev_hash"] == chain.genesis(run), f"{what}: genesis does not reproduce")
    return run


def _control(state: Replay, control: Mapping[str, object], what: str) -> None:
    head = chain.Head(state.tally.receipts, state.root)
    if control.get("kind") == "session_close":
        closed = strict.mapping(control.get("close"), f"{what}: session_close")
        reason = strict.text(closed.get("close_reason"), f"{what}: close_reason")
        need(
            strict.same(control, chain.closing(state.run, head, reason)),
            f"{what}: session_close does not reproduce",
        )
        state.closed = True
        return
    beat = strict.mapping(control.get("heartbeat"), f"{what}: session_control")
    now = strict.text(beat.get("heartbeat_time"), f"{what}: heartbeat_time")
    strict.time(now, f"{what}: heartbeat_time")
    state.beats += 1
    expected = chain.heartbeat(state.run, head, state.beats, now)
    need(strict.same(control, expected), f"{what}: the heartbeat does not reproduce")


def _facts(state: Replay, record: Mapping[str, object], facts: Iterator[bytes], what: str) -> None:
    need(not state.account.boundary, f"{what}: a decision after the boundary was closed")
    line = next(facts, None)
    if line is None:
        raise strict.VerificationError(f"{what}: flows.jsonl has no line for it")
    digest = "sha256:" + hashlib.sha256(line).hexdigest()
    need(record.get("request_id") == digest, f"{what}: flows.jsonl holds another line for it")
    strict.plain(line, f"{what}: its line of flows.jsonl", facts=True)
    flow = strict.value(line, f"{what}: its line of flows.jsonl")
    canonical = jcs.encode(flow)  # type: ignore[arg-type]
    need(canonical == line, f"{what}: its line of flows.jsonl is not canonical")
    kind = strict.text(flow.get("kind"), f"{what}: its facts' kind")
    need(record["transport"] != "receipt_session", f"{what}: facts of the lifecycle")
    need(kind != "boundary" or record["transport"] == "boundary", f"{what}: not the boundary")
    state.account.add(record, flow)
    state.audit.add(record, flow)


def _pair(state: Replay, record: Mapping[str, object], what: str) -> None:
    name = hashlib.sha256(str(record["action_id"]).encode()).digest()[:16]
    phase = record.get("decision_phase")
    need(phase in {None, "intent", "outcome"}, f"{what}: a phase our notary does not sign")
    need(phase is None or record["verdict"] == "allow", f"{what}: a phase of what is not allowed")
    if phase == "outcome":
        need(state.phases.get(name), f"{what}: an outcome without its intent")
        state.phases[name] = False
    else:
        need(name not in state.phases, f"{what}: repeated action_id")
        state.phases[name] = phase == "intent"
