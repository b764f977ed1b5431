"""The second verifier, in JavaScript, and the first one say the same of every packet, good or bad."""

from __future__ import annotations

import base64
import contextlib
import functools
import hashlib
import io
import json
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sluicegate import jcs
from sluicegate.cli import verify
from sluicegate.evidence import (
    canonical,
    chain,
    journal,
    keys,
    note,
    packet,
    receipt,
    recorder,
    seal,
    tree,
)
from sluicegate.verify import lifecycle
from sluicegate.verify import packet as check
from sluicegate.verify.packet import INVALID, UNPROVEN, UNTRUSTED, USAGE, VALID
from sluicegate.verify.strict import VerificationError
from tests.conftest import Tier
from tests.evidence import made
from tests.verify.test_tampering import EDITS

VERIFIER = Path(__file__).parents[2] / "verifier" / "sluicegate-verify.js"
PROGRAM = Path(__file__).parent / "programs" / "verify_cases.js"
OTHER_SEED = b"x" * 32
OTHER = keys.signer(OTHER_SEED)[1]
SIGN = keys.signer(made.SEED)[0]
FINISHED = ("packet.json", "summary.md", "checkpoint", seal.PROBES, seal.SEAL)
Files = dict[str, bytes]
Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Case:
    """A packet and the keys its reader trusts."""

    name: str
    files: Mapping[str, bytes]
    pins: Sequence[str] = (made.PUBLIC,)


def node(*arguments: str | Path) -> tuple[int, str]:
    """The exit code of a Node program, and what it prints."""
    done = subprocess.run(["node", *arguments], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


def second(cases: Sequence[Case], directory: Path) -> list[dict[str, Any]]:
    """What the JavaScript verifier reports on each case, all in one process."""
    blobs: dict[str, str] = {}
    asked = []
    for case in cases:
        files = {name: hashlib.sha256(data).hexdigest() for name, data in case.files.items()}
        blobs |= {files[n]: base64.b64encode(data).decode() for n, data in case.files.items()}
        asked.append({"files": files, "keys": case.pins})
    file = directory / "cases.json"
    file.write_text(json.dumps({"blobs": blobs, "cases": asked}))
    code, out = node(PROGRAM, VERIFIER, file)
    assert code == 0
    return list(json.loads(out))


def first(case: Case, directory: Path) -> dict[str, Any]:
    """What `sluicegate verify --json` prints of the case."""
    for old in directory.iterdir():
        old.unlink()
    for name, data in case.files.items():
        (directory / name).write_bytes(data)
    said = io.StringIO()
    pins = [word for pin in case.pins for word in ("--key", pin)]
    with contextlib.redirect_stdout(said):
        code = verify.main([str(directory), "--json", *pins])
    report = json.loads(said.getvalue())
    assert report["outcome"] == code
    return dict(report)


def agree(cases: Sequence[Case], directory: Path, stricter: Sequence[str] = ()) -> list[int]:
    """The outcomes, after both said the same of each case; of those in `stricter` the second must say INVALID."""
    place = directory / "packet"
    place.mkdir()
    outcomes = []
    for case, ours in zip(cases, second(cases, directory), strict=True):
        outcomes.append(ours["outcome"])
        if case.name in stricter:
            assert ours["outcome"] == INVALID, case.name
            continue
        theirs = first(case, place)
        # The words differ; what they are about does not.
        for report in (ours, theirs):
            for level in report["levels"].values():
                assert len(level.pop("reason")) < 400
        assert ours == theirs, case.name
    assert set(stricter) <= {case.name for case in cases}
    return outcomes


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return made.files(tmp_path_factory.mktemp("whole"), made.some())


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """The same run again, of another key."""
    return made.files(tmp_path_factory.mktemp("other"), made.some(), seed=OTHER_SEED)


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """More flows than are read at once, to many hosts, with a warning and two allowed ones."""
    warned = made.message(0, verdict="warn", target="https://[2001:db8::1]:8443/x")
    flows = [made.message(n, target=f"tls://h{n % 40}.Example:443") for n in range(1, 300)]
    return made.files(
        tmp_path_factory.mktemp("many"), [warned, *flows, *made.pair(400), *made.pair(401)]
    )


def prefix(files: Files, lines: int) -> Files:
    """What is left of a run that died after so many lines of evidence."""
    kept = files["evidence.jsonl"].splitlines(keepends=True)[:lines]
    left = {name: data for name, data in files.items() if name not in FINISHED}
    opened = packet.boundary(made.OPENED, None)
    return left | {"evidence.jsonl": b"".join(kept), "boundary.json": opened}


def edits(files: Files, label: str) -> Iterator[Case]:
    for edit, change in EDITS.items():
        for name, data in files.items():
            if (changed := change(data)) != data:
                yield Case(f"{label}: {edit} of {name}", files | {name: changed})


def test_honest_packets(files: Files, other: Files, many: Files, tmp_path: Path) -> None:
    cases = [
        Case("pinned", files),
        Case("one of two pins", files, (OTHER, made.PUBLIC)),
        Case("no pin", files, ()),
        Case("another pin", files, (OTHER,)),
        Case("another signer", other),
        Case("many flows", many),
        Case("a prefix", prefix(files, 5)),
        Case("a prefix of another signer", prefix(other, 5)),
    ]
    wanted = [VALID, VALID, UNTRUSTED, UNTRUSTED, UNTRUSTED, VALID, UNPROVEN, UNPROVEN]
    assert agree(cases, tmp_path) == wanted


def test_every_edit_of_every_file(files: Files, tmp_path: Path) -> None:
    assert set(agree(list(edits(files, "whole")), tmp_path)) <= {INVALID, UNPROVEN}


def test_every_edit_of_a_prefix(files: Files, tmp_path: Path) -> None:
    cases = list(edits(prefix(files, 6), "prefix"))
    # A record that was not closed binds what boundary.json says, not how it is spelled.
    spelled = ("last byte", "crlf", "trailing space", "leading space", "blank line")
    spelled = (*spelled, "escaped letter")
    stricter = [f"prefix: {edit} of boundary.json" for edit in spelled]
    left = prefix(files, 6)
    stricter.append("a space for the newline")
    cases.append(Case(stricter[-1], left | {"boundary.json": left["boundary.json"][:-1] + b" "}))
    assert set(agree(cases, tmp_path, stricter)) == {INVALID, UNPROVEN}


def test_changed_bytes(files: Files, tmp_path: Path) -> None:
    cases = [
        Case(f"{name} at {at}", files | {name: data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]})
        for name, data in files.items()
        for at in [*range(0, len(data), 61), len(data) - 1]
    ]
    assert set(agree(cases, tmp_path)) <= {INVALID, UNPROVEN}


def test_files_that_are_missing_foreign_or_too_many(
    files: Files, other: Files, tmp_path: Path
) -> None:
    cases = [Case(f"foreign {n}", files | {n: other[n]}) for n in files if files[n] != other[n]]
    cases += [Case(f"extra {n}", files | {n: b"x"}) for n in ("report.html", "Packet.json", "a b")]
    cases.append(Case("extra in a prefix", prefix(files, 4) | {"x": b""}))
    for whole in (files, prefix(files, 4)):
        cases += [
            Case(f"{len(whole)} files without {n}", {o: d for o, d in whole.items() if o != n})
            for n in whole
            if n != "evidence.jsonl"  # a packet without it is not read at all: see the command
        ]
    for name in ("packet.json", "summary.md"):
        cases.append(Case(f"prefix with {name}", prefix(files, 4) | {name: files[name]}))
    # Nothing in a record without an end can vouch for these.
    stricter = [f"prefix with {name}" for name in ("checkpoint", seal.PROBES, seal.SEAL)]
    cases += [Case(n, prefix(files, 4) | {n.split()[-1]: files[n.split()[-1]]}) for n in stricter]
    outcomes = dict(zip([c.name for c in cases], agree(cases, tmp_path, stricter), strict=True))
    left = {name for name, outcome in outcomes.items() if outcome != INVALID}
    assert left == {"4 files without boundary.json"}


def test_lines_cut_swapped_doubled_and_spliced(
    files: Files, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    again = made.files(tmp_path_factory.mktemp("again"), made.some())
    cases = []
    for name in made.NAMES:
        ours, theirs = (some[name].splitlines(keepends=True) for some in (files, again))
        for at in range(len(ours)):
            variants = {
                "cut": ours[:at],
                "torn": [*ours[:at], ours[at][:-9]],
                "dropped": [*ours[:at], *ours[at + 1 :]],
                "swapped": [*ours[:at], *reversed(ours[at : at + 2]), *ours[at + 2 :]],
                "doubled": [*ours[: at + 1], *ours[at:]],
                "spliced": [*ours[:at], theirs[at], *ours[at + 1 :]],
                "continued": [*ours[:at], *theirs[at:]],
            }
            for what, lines in variants.items():
                changed = b"".join(lines)
                if changed == files[name]:
                    continue
                cases.append(Case(f"{what} {name} {at}", files | {name: changed}))
                left = prefix(files, 6) | {name: changed}
                cases.append(Case(f"{what} {name} {at} of a prefix", left))
    assert set(agree(cases, tmp_path)) == {INVALID, UNPROVEN}


def test_ends_that_were_cut_off(files: Files, tmp_path: Path) -> None:
    whole = len(files["evidence.jsonl"].splitlines())
    cases = [Case(f"{kept} lines", prefix(files, kept)) for kept in range(whole + 1)]
    # Closed, but without root or checkpoint: only then does boundary.json have its second half.
    for kept in range(whole - 3, whole):
        closed = prefix(files, kept) | {"boundary.json": files["boundary.json"]}
        cases.append(Case(f"{kept} lines and the boundary", closed))
    outcomes = agree(cases, tmp_path)
    assert outcomes == [INVALID] + [UNPROVEN] * 8 + [INVALID] * 4 + [UNPROVEN] * 2


# What an honest notary does not sign, signed by its key all the same, in a record whose links are right.
Change = Callable[[int, Record], object]


def unchanged(_seq: int, _record: Record) -> None:
    pass


def signed(record: Record, seed: bytes = made.SEED) -> Record:
    """The envelope of `record`, whatever is in it."""
    sign, signer = keys.signer(seed)
    signature = sign(hashlib.sha256(canonical.encode(record)).digest()).hex()
    envelope = {"version": 1, "action_record": record, "signature": f"ed25519:{signature}"}
    return envelope | {"signer_key": signer}


def rebuilt(lines: Sequence[bytes], change: Change, later: Change = unchanged) -> bytes:
    """Lines of evidence again: numbered, linked and signed by the key after `change` of each record.

    `later` changes an entry when all but its hash is made.
    """
    root, prev, receipts, first_time, out = "", recorder.GENESIS, 0, "", b""
    for seq, text in enumerate(lines):
        entry = json.loads(text)
        detail = entry["detail"]
        entry |= {"seq": seq, "prev_hash": prev}
        del entry["hash"]
        if entry["type"] == "action_receipt":
            record = detail["action_record"] | {"chain_seq": receipts}
            linked(record, root, receipts)
            change(seq, record)
            bound(record, first=seq == 0)
            entry["detail"] = signed(record)
            words = [str(record.get(name)) for name in ("verdict", "action_type", "transport")]
            entry |= {"event_kind": words[1], "transport": words[2]}
            entry["summary"] = recorder.receipt_summary(*words)
            receipts, last = receipts + 1, record["timestamp"]
            first_time = first_time or last
        elif entry["type"] == "transcript_root":
            raw, entry["summary"] = recorder.root_detail(receipts, root, first_time, last)
            entry["detail"] = json.loads(raw)
        else:
            raw, entry["summary"] = recorder.checkpoint_detail(seq, SIGN(prev.encode()))
            entry["detail"] = json.loads(raw)
        later(seq, entry)
        raw = canonical.encode(entry["detail"])
        if entry["type"] == "action_receipt":
            root = receipt.receipt_hash(raw)
        head = [entry[name] for name in ("v", "seq", "ts", "session_id")]
        head += ["", *(entry[name] for name in ("type", "event_kind", "transport", "summary"))]
        hashed = [*(str(part).encode() for part in head), raw, b"", entry["prev_hash"].encode()]
        entry.setdefault("hash", hashlib.sha256(b"\0".join(hashed)).hexdigest())
        prev = entry["hash"]
        out += canonical.encode(entry) + b"\n"
    return out


def linked(record: Record, root: str, receipts: int) -> None:
    """What a record claims of the receipts before it."""
    if root:
        record["chain_prev_hash"] = root
    for payload in record.get("session_control", {}).values():
        claims = {"chain_head": root, "root_hash": root, "chain_seq_head": receipts - 1}
        claims |= {"final_seq": receipts, "receipt_count": receipts + 1}
        if root and isinstance(payload, dict):
            payload.update({name: claims[name] for name in claims.keys() & payload.keys()})


def bound(record: Record, *, first: bool) -> None:
    """The first link made of what the opening says now, unless the opening itself says another."""
    payload = record.get("session_control", {}).get("open")
    if first and payload and payload["genesis_hash"] == record["chain_prev_hash"]:
        with contextlib.suppress(VerificationError):
            payload["genesis_hash"] = lifecycle._genesis(payload, "")
            record["chain_prev_hash"] = payload["genesis_hash"]


def signed_again(files: Files, change: Change, lines: int, later: Change = unchanged) -> Files:
    kept = files["evidence.jsonl"].splitlines()[:lines]
    return prefix(files, lines) | {"evidence.jsonl": rebuilt(kept, change, later)}


def ordered(record: Record) -> None:
    """Fields in signed order again."""
    again = canonical.record(record)
    record.clear()
    record.update(again)


def put(at: int, **members: object) -> Callable[[int, Record], None]:
    def change(seq: int, record: Record) -> None:
        if seq == at:
            record.update(members)
            ordered(record)

    return change


def opened(change: Callable[[Record], object]) -> Callable[[int, Record], None]:
    """A change of the payload of session_open."""
    return claimed("open", change)


def claimed(
    member: str, change: Callable[[Record], object] | None = None, **members: object
) -> Callable[[int, Record], None]:
    """A change of the last such payload, by `change` or to `members`."""

    def both(seq: int, record: Record) -> None:
        payload = record.get("session_control", {}).get(member)
        if payload is not None and payload.get("beat") != 1:
            payload.update(members)
            if change:
                change(payload)

    return both


def backwards(payload: Record) -> None:
    items = list(reversed(payload.items()))
    payload.clear()
    payload.update(items)


LIES: dict[str, Callable[[int, Record], object]] = {
    "chain_seq": put(3, chain_seq=2),
    "chain_seq is a boolean": put(1, chain_seq=True),
    "version 2": put(2, version=2),
    "another link": put(3, chain_prev_hash="0" * 64),
    "another nonce": put(3, run_nonce="0" * 32),
    "another policy": put(3, policy_hash="sha256:" + "0" * 64),
    "another verdict of the format": put(1, verdict="ask"),
    "an unknown verdict": put(1, verdict="maybe"),
    "an unknown type": put(1, action_type="guess"),
    "a phase of a denial": put(1, decision_phase="intent"),
    "a phase of others": put(3, decision_phase="resolution"),
    "an outcome alone": put(3, decision_phase="outcome"),
    "an id twice": put(3, action_id="id-0"),
    "no id": put(3, action_id=""),
    "a time of no day": put(1, timestamp="2026-02-30T00:00:00Z"),
    "a time in another spelling": put(1, timestamp="2026-01-02T03:04:05.10Z"),
    "a time before": put(2, timestamp="2020-01-02T03:04:05Z"),
    "a time after its entry": put(2, timestamp="2999-01-02T03:04:05Z"),
    "no facts": put(2, request_id="sha256:" + "0" * 64),
    "facts of the lifecycle": put(2, transport="receipt_session"),
    "a list that is a text": put(2, delegation_chain="a"),
    "a text that is a number": put(2, method=5),
    "not ASCII": put(2, pattern="caf\u00e9"),
    "a line's end": put(2, pattern="a\nb"),
    "an empty list": put(2, delegation_chain=[]),
    "an opening in the middle": put(3, session_control={"kind": "session_open", "open": {}}),
    "a control of no kind": put(3, session_control={"kind": "pause", "pause": {}}),
    "the fields in another order": lambda seq, record: seq == 2 and backwards(record),
    "a zero value": lambda seq, record: seq == 2 and record.update(venue=""),
    "an unknown field": lambda seq, record: seq == 2 and record.update(zone="a"),
    "another session": opened(lambda p: p.update(recorder_session="other")),
    "another key's epoch": opened(lambda p: p.update(signer_key_epoch=OTHER)),
    "another genesis": opened(lambda p: p.update(genesis_hash="g1:" + "0" * 64)),
    "a nonce of the containment": opened(lambda p: p.update(containment_nonce="a")),
    "another posture": opened(lambda p: p.update(posture_capsule_sha256="0" * 64)),
    "beats in a fraction": opened(lambda p: p.update(heartbeat_seconds=0.5)),
    "an opening at another place": opened(lambda p: p.update(chain_open_seq=1)),
    "an opening of another policy": opened(lambda p: p.update(policy_hash="sha256:" + "0" * 64)),
    "an opening of another run": opened(lambda p: p.update(run_nonce="0" * 32)),
    "an opening without a nonce": opened(lambda p: p.update(open_nonce="a")),
    "an opening and more": lambda seq, record: (
        seq == 0 and record["session_control"].update(pause={})
    ),
    "a nonce that is none": lambda seq, record: (
        record.update(run_nonce="a"),
        record.get("session_control", {}).get("open", {}).update(run_nonce="a"),
    ),
    "a false for a 0": opened(lambda p: p.update(chain_open_seq=False)),
    "facts of the opening": put(0, request_id="sha256:" + "0" * 64),
    "no time": put(0, timestamp="0001-01-01T00:00:00Z"),
}
# Here the second is stricter: what the published format excludes, or what two readers could take for two things.
STRICTER: dict[str, Callable[[int, Record], object]] = {
    "the payload in another order": opened(backwards),
    "a change of key": put(
        2, key_transition=dict.fromkeys(("prior_signer_key", "prior_chain_seq", "prior_chain_hash"))
    ),
    "a list of other things": put(2, delegation_chain=[1, {}]),
    "an object of other things": put(2, redaction={"all": True}),
    "an opening that is blocked": put(0, verdict="block"),
    "an opening by another way": put(0, transport="forward"),
    "an opening of another target": put(0, target="https://a.example/"),
    "another kind of facts by the boundary's way": put(2, transport="boundary"),
}


def test_what_no_honest_notary_signs(files: Files, tmp_path: Path) -> None:
    same = signed_again(files, lambda seq, record: None, 6)
    assert same == prefix(files, 6)
    changes = LIES | STRICTER
    cases = [Case(name, signed_again(files, change, 6)) for name, change in changes.items()]
    cases.append(Case("nothing", same))
    assert all(case.files != same for case in cases[:-1])
    outcomes = agree(cases, tmp_path, list(STRICTER))
    honest = {"an empty list", "nothing"}
    left = {case.name for case, outcome in zip(cases, outcomes, strict=True) if outcome != INVALID}
    assert left == honest


def sealed_again(files: Files, change: Callable[[dict[str, Any]], object], name: str) -> Files:
    """The packet with another statement in one of its seals, signed by the right key."""
    bundle = json.loads(files[name])
    statement = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
    change(statement)
    text = json.dumps(statement, sort_keys=True, separators=(",", ":")).encode()
    changed = files | {name: seal.bundle(text, made.PIN, SIGN)}
    if name == seal.SEAL:
        return changed
    probes = hashlib.sha256(changed[name]).hexdigest()

    def sealed(whole: dict[str, Any]) -> None:
        for subject in whole["subject"]:
            if subject.get("name") == name:
                subject["digest"]["sha256"] = probes

    return sealed_again(changed, sealed, seal.SEAL)


def entered(at: int, **members: object) -> Change:
    """Other members of one entry; those of its detail come as `detail`."""

    def later(seq: int, entry: Record) -> None:
        if seq == at:
            entry["detail"].update(members.get("detail", {}))
            entry.update({name: value for name, value in members.items() if name != "detail"})

    return later


def by_another(at: int, **members: object) -> Change:
    """A receipt that another key signed; `members` of the envelope say otherwise."""

    def later(seq: int, entry: Record) -> None:
        if seq == at:
            entry["detail"] = signed(entry["detail"]["action_record"], OTHER_SEED) | members

    return later


ENTRIES: dict[str, Change] = {
    "version 1": entered(3, v=1),
    "another seq": entered(3, seq=4),
    "another session": entered(3, session_id="other"),
    "an unknown type": entered(3, type="decision"),
    "another summary": entered(3, summary="receipt: allow read forward"),
    "another kind": entered(3, event_kind="write"),
    "another transport": entered(3, transport="forward"),
    "a member more": entered(3, zone="a"),
    "another link": entered(3, prev_hash="0" * 64),
    "another hash": entered(3, hash="0" * 64),
    "another hash of the last": entered(5, hash="0" * 64),
    "a time before": entered(3, ts="2020-01-02T03:04:05Z"),
    "another signer": by_another(3),
    "another signer from the start": by_another(0),
    "a signature by another key": by_another(3, signer_key=made.PUBLIC),
    "a signature of another kind": lambda seq, entry: (
        seq == 3
        and entry["detail"].update(signature=entry["detail"]["signature"].replace("ed", "ED", 1))
    ),
    "no signature": entered(3, detail={"signature": ""}),
    "an advisory": entered(3, detail={"ext": {}}),
    "an envelope of another version": entered(3, detail={"version": 2}),
}


def test_entries_that_no_recorder_writes(files: Files, tmp_path: Path) -> None:
    cases = [
        Case(name, signed_again(files, unchanged, 6, later)) for name, later in ENTRIES.items()
    ]
    assert all(case.files != prefix(files, 6) for case in cases)
    assert agree(cases, tmp_path) == [INVALID] * len(cases)


def at_once(lines: Sequence[bytes], change: Change = unchanged) -> dict[str, bytes]:
    """Such lines of evidence, all of one moment: their order is their only fault."""
    moment = "2026-01-02T03:04:05.9Z"

    def first(seq: int, record: Record) -> None:
        record["timestamp"] = moment
        change(seq, record)

    return {
        "evidence.jsonl": rebuilt(lines, first, lambda _, entry: entry.update(ts=moment)),
    }


def test_receipts_out_of_place(files: Files, beating: Files, tmp_path: Path) -> None:
    files = {name: data for name, data in files.items() if name not in FINISHED}
    lines = files["evidence.jsonl"].splitlines()[:-2]
    *flows, told = files["flows.jsonl"].splitlines(keepends=True)
    beats = beating["evidence.jsonl"].splitlines()
    swapped = {"flows.jsonl": b"".join([*flows[:-1], told, flows[-1]])}
    again = put(1, action_id="again")
    whole = {
        "in place": files | at_once(lines),
        "beats in place": beating | at_once(beats),
        "the boundary is not last": files
        | swapped
        | at_once([*lines[:-3], lines[-2], lines[-3], lines[-1]]),
        "two openings": files | at_once([lines[0], *lines], again),
        "no opening": files | at_once(lines[1:]),
        "a beat after the close": beating | at_once([*beats[:-3], *beats[-2:], beats[-3]]),
        "no boundary": files | {"flows.jsonl": b"".join(flows)} | at_once([*lines[:-2], lines[-1]]),
    }
    cases = [Case(name, found) for name, found in whole.items()]
    assert agree(cases, tmp_path) == [UNPROVEN] * 2 + [INVALID] * (len(cases) - 2)


@pytest.fixture(scope="module")
def beating(files: Files) -> Files:
    """A record with heartbeats, closed; its end is not signed."""
    measured = packet.opening_digest(made.OPENED).removeprefix("sha256:")
    run = chain.Run("1" * 32, "2" * 32, made.digest(made.POLICY), made.PUBLIC, 60, measured)
    book, at = journal.Journal(run, SIGN), "2026-01-02T03:04:05"
    boundary = packet.boundary(made.OPENED, made.CLOSED)
    lines = [book.open("o", f"{at}Z"), book.heartbeat("h-1", f"{at}.00001Z")]
    flows = [book.flow(message, f"{at}.1Z") for message in made.some()]
    lines += [evidence for _, evidence in flows] + [book.heartbeat("h-2", f"{at}.25Z")]
    counters: dict[str, object] = dict(made.CLOSED["counters"])  # type: ignore[call-overload]
    told = {"boundary_sha256": made.digest(boundary), **counters}
    flows.append(book.boundary(told, "b", f"{at}.3Z"))
    lines += [flows[-1][1], book.close("c", "done", f"{at}.300000001Z")]
    left = {"policy.json": made.POLICY, "boundary.json": boundary}
    evidence = b"".join(b"".join(lines).splitlines(keepends=True)[:-2])
    return left | {"evidence.jsonl": evidence, "flows.jsonl": b"".join(f for f, _ in flows)}


def test_heartbeats_and_the_close(files: Files, beating: Files, tmp_path: Path) -> None:
    lies = {
        "a beat too far": claimed("heartbeat", beat=3),
        "the beat of another head": claimed("heartbeat", chain_head="0" * 64),
        "the beat of another place": claimed("heartbeat", chain_seq_head=3),
        "a beat of no time": claimed("heartbeat", heartbeat_time="soon"),
        "a beat of another run": claimed("heartbeat", open_nonce="0" * 32),
        "blocks of the disk": claimed("heartbeat", durability_blocks=1),
        "a member more": claimed("heartbeat", zone="a"),
        "a false for no errors": claimed("heartbeat", fsync_errors_gated=False),
        "a beat with facts": put(1, request_id="sha256:" + "0" * 64),
        "another root": claimed("close", root_hash="0" * 64),
        "another last": claimed("close", final_seq=3),
        "another count": claimed("close", receipt_count=3),
        "errors of the disk": claimed("close", fsync_errors_gated=1),
        "a reason that is a number": claimed("close", close_reason=3),
    }
    stricter = {
        "the close in another order": claimed("close", backwards),
    }
    whole = len(beating["evidence.jsonl"].splitlines())
    cases = [Case("nothing", beating)]
    for name, change in (lies | stricter).items():
        evidence = signed_again(beating, change, whole)["evidence.jsonl"]
        assert evidence != beating["evidence.jsonl"], name
        cases.append(Case(name, beating | {"evidence.jsonl": evidence}))
    outcomes = agree(cases, tmp_path, list(stricter))
    assert outcomes == [UNPROVEN] + [INVALID] * (len(cases) - 1)


FACTS = {
    "a space": b'{"kind": "connection"}',
    "another order": b'{"kind":"connection","a":1}',
    "twice": b'{"kind":"connection","kind":"connection"}',
    "a fraction": b'{"a":1.5,"kind":"connection"}',
    "a whole fraction": b'{"a":1.0,"kind":"connection"}',
    "an exponent": b'{"a":1e2,"kind":"connection"}',
    "minus zero": b'{"a":-0,"kind":"connection"}',
    "a leading zero": b'{"a":01,"kind":"connection"}',
    "too large": b'{"a":9007199254740992,"kind":"connection"}',
    "a tab": b'{"a":"\\t","kind":"connection"}',
    "an escaped letter": b'{"a":"\\u0061","kind":"connection"}',
    "an escaped slash": b'{"a":"\\/","kind":"connection"}',
    "not ASCII": '{"a":"\u00e9","kind":"connection"}'.encode(),
    "a DEL": b'{"a":"\x7f","kind":"connection"}',
    "no kind": b"{}",
    "a kind that is a number": b'{"kind":1}',
    "a list": b'["kind"]',
    "two": b'{"kind":"a"}{"kind":"a"}',
    "the boundary": b'{"kind":"boundary"}',
    "too deep": b'{"a":' + b"[" * 128 + b"]" * 128 + b',"kind":"a"}',
    "too long": b'{"a":"' + b"x" * 65_535 + b'","kind":"a"}',
}
ODD_FACTS = {
    "the largest": b'{"a":9007199254740991,"b":-9007199254740991,"kind":"connection"}',
    "several lines": b'{"kind":"a","remedy":"x\\n\\"y\\\\z\\" <&>"}',
    "every kind of value": b'{"":null,"a":[true,false,{}],"kind":"","z":[]}',
    "names like an object's own": b'{"__proto__":{"a":1},"constructor":"a","kind":"a"}',
    "deep": b'{"a":' + b"[" * 127 + b"]" * 127 + b',"kind":"a"}',
}


def test_facts_that_are_not_as_they_are_written(files: Files, tmp_path: Path) -> None:
    cases = []
    for name, facts in (FACTS | ODD_FACTS).items():
        again = signed_again(files, put(1, request_id=made.digest(facts)), 3)
        rest = files["flows.jsonl"].partition(b"\n")[2]
        cases.append(Case(name, again | {"flows.jsonl": facts + b"\n" + rest}))
    outcomes = agree(cases, tmp_path)
    assert outcomes == [INVALID] * len(FACTS) + [UNPROVEN] * len(ODD_FACTS)


def whole_lines(files: Files) -> list[bytes]:
    return files["evidence.jsonl"].split(b"\n")[:-1]


def root_of(files: Files) -> bytes:
    """What the last receipt hashes to."""
    entries = [json.loads(line) for line in whole_lines(files)]
    last = [entry["detail"] for entry in entries if entry["type"] == "action_receipt"][-1]
    return receipt.receipt_hash(canonical.encode(last)).encode()


def finished(files: Files, before: Files) -> Files:
    """The packet again with its tree head, its root and both seals made anew for what it holds now."""
    was, now = root_of(before), root_of(files)
    lines = whole_lines(files)
    head = functools.reduce(tree.grown, lines, tree.EMPTY)
    nonce = json.loads(lines[0])["detail"]["action_record"]["run_nonce"]
    whole = note.Checkpoint(note.origin(nonce), head.size, tree.root(head))
    made_anew = {
        "checkpoint": note.sign_checkpoint(whole, made.PIN, SIGN),
        "packet.json": files["packet.json"].replace(was, now),
        "summary.md": files["summary.md"].replace(was[:16], now[:16]),
    }
    return resealed(files | made_anew)


def resealed(files: Files) -> Files:
    """The packet with seals over the files it has now."""

    def sealed(statement: dict[str, Any]) -> None:
        for subject in statement["subject"] + statement["predicate"].get("configuration", []):
            if subject.get("name"):
                data = files[subject["name"]]
                subject["digest"]["sha256"] = hashlib.sha256(data).hexdigest()

    files = sealed_again(files, sealed, seal.PROBES)
    return sealed_again(files, sealed, seal.SEAL)


def test_ends_that_no_recorder_writes(files: Files, tmp_path: Path) -> None:
    lines = files["evidence.jsonl"].splitlines()
    last = len(lines) - 1
    other_sign = keys.signer(OTHER_SEED)[0]

    def by_other(seq: int, entry: Record) -> None:
        if seq == last:
            entry["detail"]["signature"] = other_sign(entry["prev_hash"].encode()).hex()

    laters: dict[str, Change] = {
        "nothing": unchanged,
        "another count": entered(last - 1, detail={"receipt_count": 1}),
        "another end": entered(last - 1, detail={"final_seq": 1}),
        "another start": entered(last - 1, detail={"start_time": "2026-01-02T03:04:05Z"}),
        "another session": entered(last - 1, detail={"session_id": "other"}),
        "another summary of the root": entered(last - 1, summary="transcript_root: 1 receipts"),
        "another kind of root": entered(last - 1, event_kind="root"),
        "another span": entered(last, detail={"first_seq": 1}),
        "more entries": entered(last, detail={"entry_count": 99}),
        "another summary": entered(last, summary="checkpoint: 1 entries [seq 0-0]"),
        "not signed": entered(last, detail={"signature": ""}),
        "signed by another key": by_other,
        "another hash": entered(last, hash="0" * 64),
    }
    evidence = {name: rebuilt(lines, unchanged, later) for name, later in laters.items()}
    orders = {
        "no root": [*lines[:-2], lines[-1]],
        "the checkpoint first": [*lines[:-2], lines[-1], lines[-2]],
        "two roots": [*lines[:-1], *lines[-2:]],
        "two checkpoints": [*lines, lines[-1]],
        "a root before the close": [*lines[:-3], lines[-2], lines[-3], lines[-1]],
    }
    evidence |= {name: rebuilt(order, unchanged) for name, order in orders.items()}
    evidence["a tail"] = files["evidence.jsonl"] + b"{"
    cases = []
    for name, text in evidence.items():
        whole = files | {"evidence.jsonl": text}
        cases.append(Case(name, finished(whole, files)))
    for name in ("flows.jsonl", "packet.json"):
        for what, tail in (("a line more", b"{}\n"), ("a tail", b"{")):
            cases.append(Case(f"{what} in {name}", resealed(files | {name: files[name] + tail})))
    outcomes = agree(cases, tmp_path)
    assert cases[0].files == files
    assert outcomes == [VALID] + [INVALID] * (len(cases) - 1)


def test_notes_that_are_no_tree_head(files: Files, tmp_path: Path) -> None:
    honest = files["checkpoint"].decode()
    text, _, line = honest.partition("\n\n")
    origin, size, root = text.split("\n")
    other_sign = keys.signer(OTHER_SEED)[0]

    def signed_note(text: str, name: str = origin) -> bytes:
        return note.sign(text, name, made.PIN, SIGN)

    witness = note.sign(f"{text}\n", "witness.example", bytes.fromhex(OTHER), other_sign)
    witness_line = witness.decode().partition("\n\n")[2]
    wrong = note.sign(f"{text}\n", origin, made.PIN, other_sign).decode().partition("\n\n")[2]
    good = {"honest": honest, "a witness": honest + witness_line, "twice": honest + line}
    bad = {
        "another size": signed_note(f"{origin}\n{int(size) - 1}\n{root}\n"),
        "another root": signed_note(f"{origin}\n{size}\n{'A' * 43}=\n"),
        "another origin": signed_note(f"{origin}x\n{size}\n{root}\n", f"{origin}x"),
        "another log": signed_note(f"{origin}x\n{size}\n{root}\n"),
        "an extension": signed_note(f"{text}\nmore\n"),
        "signed under another name": signed_note(f"{text}\n", "sluicegate"),
        "only a witness": witness,
        "only a wrong signature": f"{text}\n\n{wrong}".encode(),
        "a wrong one beside": (honest + wrong).encode(),
        "seventeen": (honest + witness_line * 16).encode(),
        "a name with a plus": (honest + witness_line.replace("witness", "a+b")).encode(),
        "a name with a space": (honest + witness_line.replace("witness", "a\u00a0b")).encode(),
        "no signature in a line": f"{honest}\u2014 a AAAA\n".encode(),
        "no dash": (honest + witness_line[1:]).encode(),
        "a tail": (honest + "x").encode(),
        "too long": (honest + f"\u2014 a {'A' * 131_072}\n").encode(),
        "not UTF-8": honest.encode() + b"\xff\n",
    }
    notes = {name: text.encode() for name, text in good.items()} | bad
    cases = [Case(name, resealed(files | {"checkpoint": data})) for name, data in notes.items()]
    outcomes = agree(cases, tmp_path)
    assert outcomes == [VALID] * len(good) + [INVALID] * len(bad)


def test_bundles_of_another_form(files: Files, tmp_path: Path) -> None:
    honest = json.loads(files[seal.SEAL])
    envelope, material = honest["dsseEnvelope"], honest["verificationMaterial"]
    sig, payload = envelope["signatures"][0]["sig"], envelope["payload"]
    statement = base64.b64decode(payload)
    by_other = keys.signer(OTHER_SEED)[0](seal.pae(seal.PAYLOAD_TYPE, statement))
    other_sig = base64.b64encode(by_other).decode()
    respelled = sig[:-3] + {"A": "B", "Q": "R", "g": "h", "w": "x"}[sig[-3]] + "=="
    bundles: dict[str, Record] = {
        "nothing": honest,
        "another type": honest | {"mediaType": "application/json"},
        "a member more": honest | {"zone": 1},
        "an entry of a log": honest | {"verificationMaterial": material | {"tlogEntries": [{}]}},
        "another hint": honest
        | {"verificationMaterial": material | {"publicKey": {"hint": seal.key_hint(b"o" * 32)}}},
        "another payload type": honest | {"dsseEnvelope": envelope | {"payloadType": "text"}},
        "two signatures": honest
        | {"dsseEnvelope": envelope | {"signatures": [{"sig": sig}, {"sig": sig}]}},
        "a key's id": honest
        | {"dsseEnvelope": envelope | {"signatures": [{"keyid": "a", "sig": sig}]}},
        "no signature": honest | {"dsseEnvelope": envelope | {"signatures": []}},
        "signatures that are none": honest | {"dsseEnvelope": envelope | {"signatures": 1}},
        "by another key": honest
        | {"dsseEnvelope": envelope | {"signatures": [{"sig": other_sig}]}},
        "respelled": honest | {"dsseEnvelope": envelope | {"signatures": [{"sig": respelled}]}},
        "cut": honest | {"dsseEnvelope": envelope | {"signatures": [{"sig": sig[:-4]}]}},
        "no envelope": {name: item for name, item in honest.items() if name != "dsseEnvelope"},
        "too long": honest | {"zone": "a" * seal.MAX_BUNDLE_BYTES},
    }
    cases = [Case(n, files | {seal.SEAL: jcs.encode(bundle)}) for n, bundle in bundles.items()]
    assert cases[0].files == files
    assert agree(cases, tmp_path) == [VALID] + [INVALID] * (len(cases) - 1)


def test_facts_of_the_boundary(files: Files, tmp_path: Path) -> None:
    lines = files["evidence.jsonl"].splitlines()
    *flows, told = files["flows.jsonl"].splitlines(keepends=True)
    honest = json.loads(told)
    cases = []
    changes: dict[str, Record] = {
        "nothing": {},
        "another boundary": {"boundary_sha256": made.digest(b"")},
        "another count": {"captured": 3},
        "a count more": {"zone": 1},
    }
    for name, change in changes.items():
        facts = jcs.encode(honest | change)
        at = len(lines) - 4
        evidence = rebuilt(lines, put(at, request_id=made.digest(facts)))
        whole = files | {
            "evidence.jsonl": evidence,
            "flows.jsonl": b"".join([*flows, facts, b"\n"]),
        }
        cases.append(Case(name, finished(whole, files)))
    assert cases[0].files == files
    assert agree(cases, tmp_path) == [VALID] + [INVALID] * 3


def test_seals_that_say_other_things(files: Files, tmp_path: Path) -> None:
    def policy(statement: dict[str, Any]) -> None:
        found = next(s for s in statement["subject"] if s["name"] == "policy.json")
        statement["predicate"]["configuration"] = [found]

    changes: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
        "nothing": (lambda s: None, seal.SEAL),
        "no probes' change": (lambda s: None, seal.PROBES),
        "a subject less": (lambda s: s["subject"].pop(), seal.SEAL),
        "a subject twice": (lambda s: s["subject"].append(s["subject"][0]), seal.SEAL),
        "subjects in another order": (lambda s: s["subject"].reverse(), seal.SEAL),
        "a commit": (
            lambda s: s["subject"].append({"digest": {"gitCommit": "a" * 40}}),
            seal.SEAL,
        ),
        "another run": (
            lambda s: s["predicate"]["monitoredProcess"].update(hostID="urn:x:y"),
            seal.SEAL,
        ),
        "passed": (lambda s: s["predicate"].update(result="PASSED"), seal.PROBES),
        "another type": (lambda s: s.update(predicateType=seal.TRACE), seal.PROBES),
        "no _type": (lambda s: s.pop("_type"), seal.PROBES),
        "1 for true": (
            lambda s: s["predicate"]["monitor"]["tracePolicy"].update(synchronous=1),
            seal.SEAL,
        ),
        "another configuration": (policy, seal.PROBES),
    }
    cases = [Case(n, sealed_again(files, c, name)) for n, (c, name) in changes.items()]
    assert cases[0].files == files
    outcomes = agree(cases, tmp_path, ["another configuration"])
    assert outcomes == [VALID] * 2 + [INVALID] * (len(cases) - 2)


def test_the_words_of_the_page_are_compared_by_the_first_alone(
    files: Files, tmp_path: Path
) -> None:
    changed = files | {"summary.md": b"# all is well\n"}
    case = Case("sealed", resealed(changed))
    (tmp_path / "packet").mkdir()
    assert first(case, tmp_path / "packet")["outcome"] == INVALID
    reports = second([case, Case("not sealed", changed)], tmp_path)
    assert [report["outcome"] for report in reports] == [VALID, INVALID]


def test_a_run_that_says_more_of_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: dict[str, object] = {
        "commit": "c" * 40,
        "command": {"name": "curl", "args": 2},
        "probe": {"results": {"b": "passed", "a": "passed", "c": "unknown"}},
        "note": 'caf\u00e9 \u2028 \x7f \x01 \U0001f511 "',
    }
    run = dict(made.CLOSED["run"])  # type: ignore[call-overload]
    run |= {"agent_identity": '\u00e9\x7f\U0001f511"\n', "key": "ephemeral", "agent_exit_code": -1}
    monkeypatch.setattr(made, "OPENED", made.OPENED | told)
    monkeypatch.setattr(made, "CLOSED", {"counters": {}, "run": run})
    whole = made.files(tmp_path, made.some())
    assert json.loads(whole["packet.json"])["run"]["agent_identity"] == run["agent_identity"]
    statement = base64.b64decode(json.loads(whole[seal.SEAL])["dsseEnvelope"]["payload"])
    assert b'"gitCommit":"cccc' in statement
    (tmp_path / "work").mkdir()
    assert agree([Case("told", whole)], tmp_path / "work") == [VALID]


def test_the_command(files: Files, other: Files, tmp_path: Path) -> None:
    place, public = tmp_path / "packet", tmp_path / "release.pub"
    public.write_text(keys.write_public(made.PIN))
    place.mkdir()

    def run(whole: Files, *options: str | Path) -> tuple[int, str]:
        for old in place.iterdir():
            old.unlink()
        for name, data in whole.items():
            (place / name).write_bytes(data)
        code, out = node(VERIFIER, place, *options)
        return code, out.partition("\n")[0]

    assert run(files, "--key", made.PUBLIC) == (VALID, "verified (exit 0)")
    assert run(files, "--key", OTHER, f"--key={public}") == (VALID, "verified (exit 0)")
    assert run(other, "--key", public)[0] == UNTRUSTED
    code, said = run(prefix(files, 3), "--key", public, "--json")
    assert (code, json.loads(said)["outcome"]) == (UNPROVEN, UNPROVEN)
    assert run(files | {"x": b""}, "--key", public) == (INVALID, "INVALID (exit 1)")
    for whole, options in (
        ({n: d for n, d in files.items() if n != "evidence.jsonl"}, []),
        (files, ["--key", "release.pub"]),
        (files, ["--key"]),
        (files, ["--what"]),
    ):
        assert run(whole, *options) == (USAGE, "")
    (place / "flows.jsonl").unlink()
    (place / "flows.jsonl").symlink_to(place / "evidence.jsonl")
    assert node(VERIFIER, place) == (USAGE, "")


def test_real_runs(tier: Tier, tmp_path: Path) -> None:
    policy = "version: 1\nallow:\n  - host: allowed.test\n"
    script = "curl -sS http://allowed.test/a; curl -sS https://denied.test/; getent hosts x.test; :"
    done = tier.run(["sh", "-c", script], policy)
    whole = {path.name: path.read_bytes() for path in done.packet.iterdir()}
    key = json.loads(whole["packet.json"])["verifier"]["signer_key"]
    assert node(VERIFIER, done.packet, "--key", key)[0] == VALID
    assert node(VERIFIER, done.packet)[0] == UNTRUSTED
    first_half = whole["evidence.jsonl"][: len(whole["evidence.jsonl"]) // 2]
    boundary = packet.boundary(done.boundary()["open"], None)
    cut = {n: d for n, d in whole.items() if n not in FINISHED}
    cases = [
        Case("whole", whole, (key,)),
        Case("cut", cut | {"evidence.jsonl": first_half, "boundary.json": boundary}, (key,)),
        *(Case(case.name, case.files, (key,)) for case in edits(whole, tier.name)),
    ]
    outcomes = agree(cases, tmp_path)
    assert outcomes[:2] == [VALID, UNPROVEN]
    assert not set(outcomes[2:]) - {INVALID, UNPROVEN}
    assert check.verify(whole, [bytes.fromhex(key)]).outcome == VALID
