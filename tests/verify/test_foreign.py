"""A directory of another producer: packet.json and a chain."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from sluicegate.verify import foreign
from sluicegate.verify.packet import INVALID, UNPROVEN, UNTRUSTED, VALID, Level
from tests.cli.test_verify import VECTORS
from tests.evidence import made
from tests.evidence.test_journal import VECTOR

Whole = dict[str, Any]
CHAIN = [Level.INTACT, Level.CLOSED, Level.PINNED]  # nothing accounts for another producer's record
LIVE = (VECTORS / "v3_2_0_live_chain.jsonl").read_bytes()
PIN = bytes.fromhex((VECTORS / "v3_2_0_live_chain.pub").read_text().strip())


def records(data: bytes) -> list[Whole]:
    lines = [json.loads(line) for line in data.splitlines()]
    return [x["detail"]["action_record"] for x in lines if x["type"] == "action_receipt"]


def packet(data: bytes = LIVE, **verifier: object) -> Whole:
    """What the producer says of a chain."""
    found = records(data)
    totals = dict.fromkeys(
        ("allow", "block", "warn", "ask", "strip", "forward", "redirect", "other"), 0
    )
    transports: dict[str, int] = {}
    for record in found:
        totals[record["verdict"]] += 1
        transports[record["transport"]] = transports.get(record["transport"], 0) + 1
    said = {
        "verdict": "valid",
        "trusted": True,
        "signer_key": PIN.hex(),
        "receipt_count": len(found),
    }
    return {
        "schema_version": "pipelock.audit_packet.v0",
        "generated_at": "2026-07-24T22:58:00Z",
        "run": {"provider": "local", "agent_identity": "ci", "started_at": "2026-07-24T22:57:00Z"},
        "policy": {"policy_hashes": sorted({r["policy_hash"] for r in found})},
        "summary": {"receipt_count": len(found), "totals": totals, "transports": transports},
        "verifier": said | verifier,
        "posture": {
            "enforcement_mode": "linux_netns_iptables_setpriv",
            "runner_os": "Linux",
            "raw_socket_status": "denied",
            "docker_socket_status": "absent",
            "dns_udp_status": "denied",
            "browser_proxy_status": "forced",
            "websocket_frame_scanning": "off",
            "unsupported_paths": [],
        },
        "artifacts": {
            "packet": "packet.json",
            "evidence": "evidence.jsonl",
            "verifier": "verifier.txt",
        },
    }


def outcome(whole: Whole, data: bytes = LIVE, pin: bytes = PIN) -> tuple[int, str]:
    report = foreign.verify(data, json.dumps(whole).encode(), [pin], CHAIN)
    return report.outcome, report.reached[Level.INTACT][1]


def test_levels_are_said_and_not_invented() -> None:
    report = foreign.verify(LIVE, json.dumps(packet()).encode(), [PIN])
    assert report.outcome == UNTRUSTED
    assert not report.reached[Level.ACCOUNTED][0]
    assert outcome(packet())[0] == VALID
    assert "not sealed, no facts" in report.reached[Level.INTACT][1]
    assert "the end is signed" in report.reached[Level.CLOSED][1]
    assert report.account.allowed == 0
    assert outcome(packet(), pin=b"\x01" * 32)[0] == UNTRUSTED
    cut = b"".join(LIVE.splitlines(keepends=True)[:-1])
    assert outcome(packet(cut), cut)[0] == UNPROVEN


def test_every_other_verdict_that_a_chain_which_holds_can_have() -> None:
    loose = packet(verdict="self_consistent_only", trusted=False)
    assert outcome(loose)[0] == VALID
    bare = packet(verdict="not_run", trusted=False)
    del bare["verifier"]["signer_key"]
    assert outcome(bare)[0] == VALID


def put(*path: str, value: object) -> Callable[[Whole], None]:
    def change(whole: Whole) -> None:
        for name in path[:-1]:
            whole = whole[name]
        whole[path[-1]] = value

    return change


def take(*path: str) -> Callable[[Whole], None]:
    def change(whole: Whole) -> None:
        for name in path[:-1]:
            whole = whole[name]
        del whole[path[-1]]

    return change


def flipped(whole: Whole) -> None:
    whole["summary"]["totals"]["allow"] -= 1
    whole["summary"]["totals"]["block"] += 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (flipped, "totals are not the chain's"),
        (put("summary", "totals", "allow", value=99), "do not add up"),
        (put("summary", "totals", "allow", value=True), "not a count"),
        (take("summary", "totals", "other"), "members of totals"),
        (put("summary", "transports", value={"fetch": 99}), "transports are not"),
        (put("summary", "layers", value={"dlp": 1}), "layers are not"),
        (put("summary", "domains_touched", value=["b", "a"]), "not sorted"),
        (put("policy", "policy_hashes", value=["0"]), "policy_hashes are not the chain's"),
        (put("policy", "policy_hashes", value=None), "not a list"),
        (put("verifier", "receipt_count", value=1), "receipt_count is not"),
        (put("verifier", "final_seq", value=99), "final_seq is not"),
        (put("verifier", "root_hash", value="0" * 64), "root_hash is not"),
        (put("verifier", "signer_key", value="0" * 64), "signer_key is not"),
        (put("verifier", "trusted", value=False), "trusted is for valid"),
        (put("verifier", "trusted", value=1), "not a boolean"),
        (take("verifier", "signer_key"), "valid without a signer_key"),
        (put("verifier", value={"verdict": "invalid", "trusted": False}), "but the chain holds"),
        (put("verifier", value={"verdict": "error", "trusted": False}), "but the chain holds"),
        (put("verifier", "verdict", value="fine"), "unknown verdict"),
        (put("posture", "raw_socket_status", value="closed"), "raw_socket_status"),
        (put("posture", "unsupported_paths", value=None), "unsupported_paths"),
        (put("run", "agent_identity", value=""), "agent_identity"),
        (put("run", "provider", value="moon"), "provider"),
        (put("run", "started_at", value="noon"), "no time"),
        (put("run", "zone", value="a"), "members of run"),
        (put("artifacts", "evidence", value="../evidence.jsonl"), "leads elsewhere"),
        (put("artifacts", "evidence", value="other.jsonl"), "another file"),
        (put("artifacts", "verifier", value="c:x"), "leads elsewhere"),
        (put("receipts", value=[{"verdict": "allow"}]), "inline receipt"),
        (put("schema_version", value="v1"), "not pipelock"),
        (put("extra", value=1), "members of a packet"),
        (take("generated_at"), "members of a packet"),
    ],
)
def test_what_the_chain_does_not_support(change: Callable[[Whole], None], said: str) -> None:
    whole = packet()
    change(whole)
    code, why = outcome(whole)
    assert code == INVALID
    assert said in why


def test_text_that_two_readers_take_for_two_things() -> None:
    good = json.dumps(packet())
    for text in ("", "[]", good.replace('"run"', '"run":{},"run"', 1), good + "x", good[:-9]):
        assert foreign.verify(LIVE, text.encode(), [PIN]).outcome == INVALID


def test_a_chain_that_does_not_hold_is_no_packet() -> None:
    changed = LIVE.replace(b"example.com", b"example.org")
    code, why = outcome(packet(), changed)
    assert code == INVALID
    assert "does not reproduce" in why or "signature" in why
    assert outcome(packet(), b"")[0] == INVALID


def test_a_record_of_ours_is_none_of_theirs(tmp_path_factory: pytest.TempPathFactory) -> None:
    files = made.files(tmp_path_factory.mktemp("t"), made.some())
    for claimed in (files["packet.json"], json.dumps(packet(files["evidence.jsonl"])).encode()):
        report = foreign.verify(files["evidence.jsonl"], claimed, [made.PIN])
        assert report.outcome == INVALID
        assert "a record of sluicegate" in report.reached[Level.INTACT][1]
    vector = VECTOR.read_bytes()
    pin = bytes.fromhex("ff7d15919431f75c048dc53965eb4293fbe1b6415f3d2fe3c46b01f071622648")
    whole = packet(vector, signer_key=pin.hex())
    whole["summary"]["layers"] = {"dlp": 1}
    assert outcome(whole, vector, pin)[0] == VALID
