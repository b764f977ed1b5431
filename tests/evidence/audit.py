"""Audit Packet v0 as its reference has it: the schema, and what the schema can not say."""

from __future__ import annotations

import collections
import json
import re
from pathlib import Path
from typing import Any

import jsonschema

SCHEMA = Path(__file__).parents[1] / "vectors" / "audit-packet-v0.schema.json"
VALIDATOR = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text()))
VALIDATOR.check_schema(VALIDATOR.schema)


def conforms(directory: Path) -> dict[str, Any]:
    """The packet.json in `directory`, after it was found to be a valid packet of the record beside it."""
    text = (directory / "packet.json").read_text()
    whole = json.loads(text)
    assert text == json.dumps(whole, indent=2, sort_keys=True) + "\n"
    VALIDATOR.validate(whole)
    entries = [json.loads(line) for line in (directory / "evidence.jsonl").read_text().splitlines()]
    records = [e["detail"]["action_record"] for e in entries if e["type"] == "action_receipt"]
    signers = {e["detail"]["signer_key"] for e in entries if e["type"] == "action_receipt"}
    (root,) = [e["detail"]["root_hash"] for e in entries if e["type"] == "transcript_root"]
    summary, verifier = whole["summary"], whole["verifier"]
    verdicts = collections.Counter(record["verdict"] for record in records)
    assert {k: v for k, v in summary["totals"].items() if v} == verdicts
    assert sum(summary["totals"].values()) == summary["receipt_count"] == len(records)
    assert summary["transports"] == collections.Counter(record["transport"] for record in records)
    blocked = [r["layer"] for r in records if r["verdict"] == "block"]
    assert summary["layers"] == collections.Counter(blocked)
    assert summary["domains_touched"] == sorted(set(summary["domains_touched"]))
    assert whole["policy"]["policy_hashes"] == sorted({record["policy_hash"] for record in records})
    assert verifier["receipt_count"] == len(records)
    assert verifier["final_seq"] == records[-1]["chain_seq"] == len(records) - 1
    # The Go reader compares the bare digits.
    assert verifier["root_hash"] == root
    assert signers == {verifier["signer_key"]}
    assert re.fullmatch("[0-9a-f]{64}", verifier["signer_key"])
    assert verifier["trusted"] is (verifier["verdict"] == "valid")
    times = [whole["run"]["started_at"], whole["generated_at"], whole["run"]["completed_at"]]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", time) for time in times)
    assert times[0] <= times[1]
    assert times[0] <= times[2]
    for name in whole["artifacts"].values():
        assert (directory / name).is_file()
    posture = whole["posture"]
    if posture["browser_proxy_status"] == "forced":
        assert posture["raw_socket_status"] == "denied"
        assert posture["dns_udp_status"] in {"denied", "proxied"}
    return dict(whole)
