"""Records that no honest notary signs: the verifier in JavaScript refuses them as ours does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from sluicegate.verify.packet import INVALID, UNPROVEN
from tests.evidence import made
from tests.peers.second import (
    FINISHED,
    OTHER,
    OTHER_SEED,
    Case,
    Change,
    Files,
    Record,
    agree,
    entered,
    prefix,
    put,
    rebuilt,
    signed,
    signed_again,
    unchanged,
)


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
    "an id twice": put(3, action_id=made.action(0)),
    "an id that goes back": put(3, action_id=made.action(1)),
    "an id of the notary": put(3, action_id="ffffffff-ffff-8fff-bfff-ffffffffffff"),
    "an id of the gate": put(0, action_id=made.action(0)),
    "no uuid": put(3, action_id="id-9"),
    "no uuid of its kind": put(3, action_id="ffffffff-ffff-7fff-cfff-ffffffffffff"),
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
    again = put(1, action_id="ffffffff-ffff-8fff-bfff-ffffffffffff")
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
    outcomes = agree(cases, tmp_path, contradicted=list(ODD_FACTS))
    assert outcomes == [INVALID] * len(FACTS) + [UNPROVEN] * len(ODD_FACTS)
