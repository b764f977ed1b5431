"""Ends, tree heads and seals that say other things: the verifier in JavaScript refuses them as ours does."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sluicegate import jcs
from sluicegate.evidence import (
    keys,
    note,
    seal,
)
from sluicegate.verify.packet import INVALID, VALID
from tests.evidence import made
from tests.peers.second import (
    OTHER,
    OTHER_SEED,
    SIGN,
    Case,
    Change,
    Files,
    Record,
    agree,
    entered,
    finished,
    put,
    rebuilt,
    resealed,
    sealed_again,
    unchanged,
)


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
        "another count": {"captured": 4},
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
