"""A recorder file or a receipt alone, of any producer of the format, to a report. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sluicegate.evidence import canonical, recorder, tree
from sluicegate.verify import endorsement, receipt2, strict
from sluicegate.verify import expect as expecting
from sluicegate.verify import record as receipts
from sluicegate.verify.checkpoints import Checkpoints
from sluicegate.verify.lifecycle import Chain, signed_by
from sluicegate.verify.packet import Level, Report, outcome, pinned, refused
from sluicegate.verify.source import Source
from sluicegate.verify.strict import need

# What such a record can reach.
OF_A_CHAIN = (Level.INTACT, Level.CLOSED, Level.PINNED)
NO_COUNTERS = False, "no facts and no counters of a kernel: the chain alone says nothing about them"
# As the readers of the published format bound a line.
MAX_LINE_BYTES = 1 << 20
_ALWAYS = {
    *("v", "seq", "ts", "session_id", "type", "transport", "summary", "detail", "prev_hash"),
    "hash",
}
_V3 = {"chain_kind", "writer_instance_id"}
_ENTRY = _ALWAYS | {"trace_id", "event_kind", "raw_ref"}
# The texts an entry's hash is over, by version, around the raw bytes of its detail.
_BEFORE = {
    1: ("session_id", "trace_id", "type", "transport", "summary"),
    2: ("session_id", "trace_id", "type", "event_kind", "transport", "summary"),
    3: (
        *("session_id", "chain_kind", "writer_instance_id", "trace_id", "type", "event_kind"),
        *("transport", "summary"),
    ),
}


@dataclass(slots=True)
class _File:
    """A recorder file so far."""

    chain: Chain
    told: Callable[[Mapping[str, object]], None]
    second: receipt2.Chain
    version: int = 0
    seq: int = 0
    prev: str = recorder.GENESIS
    time: str = ""
    span: int = 0
    rooted: bool = False
    ended: bool = False
    wrapped: bool | None = None
    tree: tree.Tree = tree.EMPTY


def untold(record: Mapping[str, object]) -> None:
    """The listener that wants to know nothing of the records."""


def verify(
    data: bytes | Source,
    keys: Sequence[bytes],
    require: Sequence[Level] = OF_A_CHAIN,
    expect: Mapping[str, str] | None = None,
    endorsements: Sequence[bytes] = (),
    session: str | None = None,
    told: Callable[[Mapping[str, object]], None] = untold,
    checkpoints: Checkpoints | None = None,
) -> Report:
    """The report on a recorder file, or on one receipt.

    Memory grows by some hundred bytes a receipt: other producers' action ids come in no order, so each is kept.
    `endorsements` are the texts of rotation endorsements: without one, a change of key is an error. `session` is the
    recorder session the caller knows; None takes the first entry's word for it. `told` is called with each record.
    `checkpoints` are those of our own notary over this file's lines.
    Intact means: every entry, link and signature holds. Only a signed checkpoint over the transcript root of a closed
    chain proves the end; so one receipt, or a list of bare ones, is never CLOSED.
    """
    source = data if isinstance(data, Source) else Source([data], "record", MAX_LINE_BYTES)
    try:
        given = [endorsement.read(text) for text in endorsements]
        file = _File(Chain(session or "", given), told, receipt2.Chain(tuple(keys)))
        for number, line in enumerate(source):
            if line.strip():
                _line(file, line, f"line {number + 1}")
            if checkpoints is not None:
                need(file.chain.first_signer, "checkpoints of a file that begins without receipts")
                file.tree = tree.grown(file.tree, line)
                signer = bytes.fromhex(file.chain.first_signer)
                checkpoints.grown(file.chain.nonce, signer, file.tree)
        file.chain.end()
        if checkpoints is not None:
            checkpoints.end(file.tree.size)
        return _report(file.chain, _closed(file, source.torn), keys, require, expect or {})
    except strict.VerificationError as error:
        return refused(str(error))


def single(
    data: bytes,
    keys: Sequence[bytes],
    require: Sequence[Level] = OF_A_CHAIN,
    expect: Mapping[str, str] | None = None,
) -> Report:
    """The report on the text of one receipt, which can be INTACT and PINNED."""
    try:
        return _single(data, keys, require, expect or {})
    except strict.VerificationError as error:
        return refused(str(error))


def _single(
    data: bytes, keys: Sequence[bytes], require: Sequence[Level], expect: Mapping[str, str]
) -> Report:
    found = strict.value(data, "receipt")
    end = (False, "one receipt alone says nothing about an end")
    need("detail" not in found, "an entry of a recorder file: give it as a file of lines (.jsonl)")
    if "record_type" in found:
        signer = receipt2.checked(found, keys, "receipt")
        wanted = expecting.held(expect, {"signer_key": (signer,)})
        reached = {Level.INTACT: (True, "the signature holds"), Level.CLOSED: end}
        reached |= {Level.ACCOUNTED: NO_COUNTERS, Level.PINNED: pinned(signer, keys)}
        code = outcome(reached, require, wanted)
        return Report(code, reached, signer, receipts=1, expectations=wanted)
    one = receipts.checked(found, "receipt", advisory=True)
    chain = Chain("")
    chain.first_signer, chain.root = one.signer, one.digest
    chain.last, chain.nonce = one.record, str(one.record.get("run_nonce", ""))
    chain.tally.add(one.record)
    return _report(chain, end, keys, require, expect)


def _report(
    chain: Chain,
    closed: tuple[bool, str],
    keys: Sequence[bytes],
    require: Sequence[Level],
    expect: Mapping[str, str],
) -> Report:
    policy = str(chain.last["policy_hash"])
    count = chain.tally.receipts
    told = expecting.of_a_chain(chain.root, count, chain.first_signer, chain.nonce, policy)
    wanted = expecting.held(expect, told)
    reached = {
        Level.INTACT: (True, f"{count} receipts, every link and signature holds"),
        Level.CLOSED: closed,
        Level.ACCOUNTED: NO_COUNTERS,
        Level.PINNED: pinned(chain.first_signer, keys),
    }
    return Report(
        outcome(reached, require, wanted),
        reached,
        chain.first_signer,
        chain.root,
        count,
        chain.nonce,
        policy,
        chain.tally,
        expectations=wanted,
        last_seq=chain.seq,
    )


def _closed(file: _File, torn: bool) -> tuple[bool, str]:
    if torn:
        return False, "the file ends within a line"
    if not file.wrapped:
        return False, "bare receipts: nothing says that there are no more"
    if not file.chain.closed:
        return False, "no session_close: the record is a prefix, its end unknown"
    if not file.ended:
        return False, "no signed checkpoint over the root: the end is not proven"
    return True, f"the end is signed: {file.chain.tally.receipts} receipts"


def _line(file: _File, line: bytes, what: str) -> None:
    need(len(line) <= MAX_LINE_BYTES, f"{what}: longer than {MAX_LINE_BYTES} bytes")
    need(not file.ended, f"{what}: stands after the last checkpoint")
    entry = strict.value(line, what)
    wrapped = "detail" in entry
    need(file.wrapped in {None, wrapped}, f"{what}: entries and bare receipts are mixed")
    file.wrapped = wrapped
    if not file.chain.session:
        file.chain.session = _session(entry, what)
    if not wrapped:
        file.told(file.chain.add(entry))
        return
    _entry(file, entry, line, what)
    kind, detail = entry["type"], strict.mapping(entry["detail"], f"{what}: detail")
    need(not file.rooted or kind == "checkpoint", f"{what}: stands after the transcript root")
    if kind == "action_receipt":
        record = file.chain.add(detail)
        file.told(record)
        words = tuple(str(record[name]) for name in ("verdict", "action_type", "transport"))
        need(entry["summary"] == recorder.receipt_summary(*words), f"{what}: summary")
        need(entry["transport"] == words[2], f"{what}: transport")
        need(entry.get("event_kind", words[1]) == words[1], f"{what}: event_kind")
    elif kind == "evidence_receipt":
        file.second.add(detail, file.chain.signer, what)
    elif kind == "transcript_root":
        _root(file, detail, what)
    else:
        need(kind == "checkpoint", f"{what}: unknown type {kind!r}")
        _checkpoint(file, detail, what)
    if kind != "checkpoint":
        file.span += 1
    file.prev, file.seq = str(entry["hash"]), file.seq + 1


def _session(entry: Mapping[str, object], what: str) -> str:
    found = entry.get("session_id")
    if "detail" not in entry:
        record = strict.mapping(entry.get("action_record"), what)
        control = record.get("session_control")
        opened = control.get("open") if isinstance(control, dict) else None
        found = opened.get("recorder_session") if isinstance(opened, dict) else "none"
    session = strict.text(found, f"{what}: session")
    need(session and not set(session) & set("/\\"), f"{what}: session")
    return session


def _entry(file: _File, entry: Mapping[str, object], line: bytes, what: str) -> None:
    version = strict.count(entry.get("v"), f"{what}: v")
    need(version in _BEFORE, f"{what}: unknown version {version}")
    need(
        file.version in {0, version} or 3 not in {file.version, version}, f"{what}: mixed versions"
    )
    file.version = version
    extra = _V3 if version == 3 else set()
    always, allowed = _ALWAYS | extra, _ENTRY | extra
    need(always <= entry.keys() <= allowed, f"{what}: the members are not those of an entry")
    need(canonical.encode(entry) == line, f"{what}: not the text its producer hashed")
    texts = {name: strict.text(entry.get(name, ""), f"{what}: {name}") for name in _BEFORE[version]}
    ts = strict.text(entry["ts"], f"{what}: ts")
    # A new key may sit on another machine with another clock: only within a segment does time not run back.
    before = "" if _moves(entry["detail"]) else file.time
    strict.time(ts, f"{what}: ts")
    need(not receipts.earlier(ts, before), f"{what}: ts")
    file.time = ts
    need(entry["seq"] == file.seq and entry["seq"] is not False, f"{what}: seq")
    need(entry["session_id"] == file.chain.session, f"{what}: another session")
    need(entry["prev_hash"] == file.prev, f"{what}: prev_hash mismatch")
    parts = [str(version), str(file.seq), ts, *texts.values()]
    raw = canonical.encode(entry["detail"])
    reference = strict.text(entry.get("raw_ref", ""), f"{what}: raw_ref")
    hashed = [*(part.encode() for part in parts), raw, reference.encode(), file.prev.encode()]
    digest = hashlib.sha256(b"\0".join(hashed)).hexdigest()
    need(entry["hash"] == digest, f"{what}: the hash does not reproduce")


def _moves(detail: object) -> bool:
    record = detail.get("action_record") if isinstance(detail, dict) else None
    return isinstance(record, dict) and "key_transition" in record


def _root(file: _File, detail: Mapping[str, object], what: str) -> None:
    chain = file.chain
    need(chain.last, f"{what}: a root without receipts")
    claimed = {
        "session_id": chain.session,
        "final_seq": chain.seq,
        "root_hash": chain.root,
        "receipt_count": chain.seq + 1,
        "start_time": chain.start,
        "end_time": chain.last["timestamp"],
    }
    need(detail == claimed, f"{what}: the transcript root is another chain's")
    file.rooted = True


def _checkpoint(file: _File, detail: Mapping[str, object], what: str) -> None:
    span = {
        "entry_count": file.span,
        "first_seq": file.seq - file.span,
        "last_seq": file.seq - 1,
        "signature": detail.get("signature"),
    }
    need(detail == span, f"{what}: the checkpoint spans other entries")
    need(file.chain.signer, f"{what}: a checkpoint without receipts")
    signed_by(file.chain.signer, detail["signature"], file.prev, what)
    file.span, file.ended = 0, file.rooted
