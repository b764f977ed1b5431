"""A packet's bytes and public keys to a report. Opens nothing, trusts nothing it can recompute."""

from __future__ import annotations

import enum
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sluicegate import jcs
from sluicegate.evidence import canonical, chain, keys, receipt, recorder

VALID, INVALID, USAGE, UNPROVEN, UNTRUSTED = 0, 1, 2, 3, 4
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{0,8}[1-9])?Z\Z")
_HASH = re.compile(r"sha256:[0-9a-f]{64}\Z")
_NONCE = re.compile(r"[0-9a-f]{32}\Z")


class Level(enum.Enum):
    """The rungs of the ladder."""

    INTACT = "INTACT"
    CLOSED = "CLOSED"
    PINNED = "PINNED"


DEFAULT = (Level.INTACT, Level.CLOSED, Level.PINNED)


class VerificationError(Exception):
    """The bytes do not support their claims."""


@dataclass(frozen=True, slots=True)
class Report:
    """What the evidence supports. `reached` gives, for each level, whether and why."""

    outcome: int
    reached: Mapping[Level, tuple[bool, str]]
    signer_key: str = ""
    root: str = ""
    receipts: int = 0
    flows: tuple[Mapping[str, object], ...] = ()
    verdicts: tuple[str, ...] = ()


@dataclass(slots=True)
class _Replay:
    records: list[dict[str, object]] = field(default_factory=list)
    root: str = ""
    prev: str = recorder.GENESIS
    signer: str = ""
    closed: bool = False
    ended: bool = False
    open_nonce: str = ""
    phases: dict[str, str | None] = field(default_factory=dict)


def verify(
    files: Mapping[str, bytes],
    keys: Sequence[bytes],
    require: Sequence[Level] = DEFAULT,
    expect: Mapping[str, str] | None = None,
) -> Report:
    """The report on the packet `files`; `keys` are the public keys the caller trusts."""
    try:
        replay = _replay(files.get("evidence.jsonl", b""))
        flows = _flows(replay, files.get("flows.jsonl", b""))
        _bindings(replay, flows, files)
        _expected(replay, expect or {})
    except (VerificationError, ValueError, KeyError, TypeError, AttributeError) as error:
        why = str(error) or type(error).__name__
        return Report(INVALID, {level: (False, why) for level in Level})
    pinned = replay.signer in {key.hex() for key in keys}
    waiting = sorted(k for k, v in replay.phases.items() if v == "intent")
    reached = {
        Level.INTACT: (True, "every line, link and signature reproduces"),
        Level.CLOSED: (replay.ended, "the checkpoint covers the end" if replay.ended else "no end"),
        Level.PINNED: (pinned, "signed by a key you gave" if pinned else "no key you gave signed"),
    }
    if waiting and replay.ended:
        reached[Level.CLOSED] = (False, f"{len(waiting)} intents have no outcome")
    outcome = VALID
    if Level.PINNED in require and not pinned:
        # A key was given and another one signed: that is a forgery, not a missing pin.
        outcome = INVALID if keys else UNTRUSTED
    if outcome != INVALID and Level.CLOSED in require and not reached[Level.CLOSED][0]:
        outcome = UNPROVEN
    verdicts = tuple(str(r["verdict"]) for r in replay.records if "request_id" in r)
    count = len(replay.records)
    return Report(outcome, reached, replay.signer, replay.root, count, flows, verdicts)


def _need(ok: object, message: str) -> None:
    if not ok:
        raise VerificationError(message)


def _object(data: bytes) -> dict[str, object]:
    def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
        _need(len(dict(pairs)) == len(pairs), "a member appears twice")
        return dict(pairs)

    try:
        value = json.loads(data, object_pairs_hook=unique)
    except RecursionError as error:
        raise VerificationError("nested too deeply") from error
    _need(isinstance(value, dict), "not an object")
    found: dict[str, object] = value
    return found


def _lines(data: bytes, name: str) -> list[bytes]:
    _need(not data or data.endswith(b"\n"), f"{name} does not end at a line's end")
    return data.split(b"\n")[:-1]


def _replay(data: bytes) -> _Replay:
    """Rebuilds every line from its claims and compares bytes: nothing unread can hide in one."""
    replay = _Replay()
    for seq, line in enumerate(_lines(data, "evidence.jsonl")):
        _need(not replay.ended, "a line after the checkpoint")
        entry = _object(line)
        ts, kind = str(entry["ts"]), entry["type"]
        _need(_TIME.match(ts), f"line {seq}: timestamp")
        detail = entry["detail"]
        event, transport, root = str(kind), "", False
        if kind == "action_receipt":
            raw, event, transport, summary = _receipt(replay, detail)
        elif kind == "transcript_root":
            _need(replay.closed, f"line {seq}: a root without session_close")
            first, last = replay.records[0]["timestamp"], replay.records[-1]["timestamp"]
            raw, summary = recorder.root_detail(
                len(replay.records), replay.root, str(first), str(last)
            )
            root = True
        else:
            _need(kind == "checkpoint", f"line {seq}: unknown type {kind!r}")
            _need(replay.closed and seq == len(replay.records) + 1, f"line {seq}: out of place")
            signature = bytes.fromhex(str(_member(detail, "signature")))
            good = keys.verifies(bytes.fromhex(replay.signer), signature, replay.prev.encode())
            _need(good, f"line {seq}: the checkpoint's signature is bad")
            raw, summary = recorder.checkpoint_detail(seq, signature)
            replay.ended = True
        _need(not root or seq == len(replay.records), f"line {seq}: a second root")
        text, replay.prev = recorder.line(
            seq, ts, str(kind), event, transport, summary, raw, replay.prev
        )
        _need(text == line, f"line {seq}: does not reproduce")
    _need(replay.records, "no receipts")
    return replay


def _member(value: object, name: str) -> object:
    _need(isinstance(value, dict), f"no {name}")
    return value[name]  # type: ignore[index]


def _receipt(replay: _Replay, detail: object) -> tuple[bytes, str, str, str]:
    _need(not replay.closed, "a receipt after session_close")
    claimed = _member(detail, "action_record")
    _need(isinstance(claimed, dict), "no action record")
    record: dict[str, object] = canonical.record(claimed)  # type: ignore[arg-type]
    seq = len(replay.records)
    signer = str(_member(detail, "signer_key"))
    replay.signer = replay.signer or signer
    _need(signer == replay.signer, f"receipt {seq}: another signer")
    signature = bytes.fromhex(str(_member(detail, "signature")).removeprefix("ed25519:"))
    good = keys.verifies(bytes.fromhex(signer), signature, receipt.sign_input(record))
    _need(good, f"receipt {seq}: signature verification failed")
    _need(record["version"] == 1 and record["chain_seq"] == seq, f"receipt {seq}: sequence")
    _need(_TIME.match(str(record["timestamp"])), f"receipt {seq}: timestamp")
    _need(_HASH.match(str(record["policy_hash"])), f"receipt {seq}: policy_hash")
    _need(_NONCE.match(str(record.get("run_nonce"))), f"receipt {seq}: run_nonce")
    if replay.records:
        first = replay.records[0]
        _need(record["chain_prev_hash"] == replay.root, f"receipt {seq}: link")
        for name in ("run_nonce", "policy_hash"):
            _need(record[name] == first[name], f"receipt {seq}: another {name}")
    _control(replay, record, seq)
    _pair(replay, record)
    raw = canonical.encode(
        {
            "version": 1,
            "action_record": record,
            "signature": "ed25519:" + signature.hex(),
            "signer_key": signer,
        }
    )
    replay.root = receipt.receipt_hash(raw)
    replay.records.append(record)
    words = (str(record["verdict"]), str(record["action_type"]), str(record["transport"]))
    return raw, words[1], words[2], recorder.receipt_summary(*words)


def _control(replay: _Replay, record: Mapping[str, object], seq: int) -> None:
    control = record.get("session_control")
    if seq == 0:
        opened = _member(control, "open")
        nonce, beat = str(_member(opened, "open_nonce")), _member(opened, "heartbeat_seconds")
        _need(type(beat) is int, "heartbeat_seconds")
        posture = opened.get("posture_capsule_sha256", "")  # type: ignore[attr-defined]
        run = chain.Run(
            str(record["run_nonce"]),
            nonce,
            str(record["policy_hash"]),
            replay.signer,
            int(str(beat)),
            str(posture),
        )
        _need(control == chain.opening(run), "session_open does not reproduce")
        _need(record["chain_prev_hash"] == chain.genesis(run), "genesis does not reproduce")
        replay.open_nonce = nonce
        return
    if control is None:
        _need("request_id" in record, f"receipt {seq}: no facts")
        return
    first = replay.records[0]
    run = chain.Run(str(first["run_nonce"]), replay.open_nonce, "", "", 0)
    head = chain.Head(seq, replay.root)
    kind = _member(control, "kind")
    if kind == "session_close":
        reason = str(_member(_member(control, "close"), "close_reason"))
        _need(control == chain.closing(run, head, reason), "session_close does not reproduce")
        replay.closed = True
        return
    beats = sum("heartbeat" in str(r["target"]) for r in replay.records if "session_control" in r)
    now = str(_member(_member(control, "heartbeat"), "heartbeat_time"))
    _need(control == chain.heartbeat(run, head, beats + 1, now), f"receipt {seq}: heartbeat")


def _pair(replay: _Replay, record: Mapping[str, object]) -> None:
    name, phase = str(record["action_id"]), record.get("decision_phase")
    _need(phase in {None, "intent", "outcome"}, "unknown decision_phase")
    if phase == "outcome":
        _need(replay.phases.get(name) == "intent", f"{name}: an outcome without intent")
    else:
        _need(name not in replay.phases, f"{name}: repeated action_id")
    replay.phases[name] = str(phase) if phase else None


def _flows(replay: _Replay, data: bytes) -> tuple[Mapping[str, object], ...]:
    lines = _lines(data, "flows.jsonl")
    wanted = [r["request_id"] for r in replay.records if "request_id" in r]
    found = ["sha256:" + hashlib.sha256(line).hexdigest() for line in lines]
    _need(found == wanted, "flows.jsonl and the receipts differ")
    flows = tuple(_object(line) for line in lines)
    for line, flow in zip(lines, flows, strict=True):
        _need(jcs.encode(flow) == line, "a flow is not canonical")  # type: ignore[arg-type]
    return flows


def _bindings(
    replay: _Replay, flows: Sequence[Mapping[str, object]], files: Mapping[str, bytes]
) -> None:
    policy = "sha256:" + hashlib.sha256(files["policy.json"]).hexdigest()
    _need(policy == replay.records[0]["policy_hash"], "policy.json is not the policy of the record")
    if replay.closed:
        last = flows[-1] if flows else {}
        _need(last.get("kind") == "boundary", "the last flow is not the boundary's")
        digest = hashlib.sha256(files["boundary.json"]).hexdigest()
        claimed = str(last.get("boundary_sha256", "")).removeprefix("sha256:")
        _need(digest == claimed, "boundary.json is not the one in the record")


def _expected(replay: _Replay, expect: Mapping[str, str]) -> None:
    facts = {
        "root": replay.root,
        "receipts": str(len(replay.records)),
        "signer_key": replay.signer,
        "run_nonce": str(replay.records[0]["run_nonce"]),
        "policy_hash": str(replay.records[0]["policy_hash"]),
    }
    for name, value in expect.items():
        _need(facts.get(name) == value, f"{name} is {facts.get(name)}, not {value}")
