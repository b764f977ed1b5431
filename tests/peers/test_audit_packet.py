"""packet.json of real runs by the schema of Audit Packet v0 and its invariants."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.evidence import audit
from tests.peers.conftest import Packet

CODES = {"idle": 0, "denied": 0, "observed": 0, "killed": 137, "timed out": 124}


def test_packets_of_real_runs(packets: dict[str, Packet]) -> None:
    assert packets.keys() == CODES.keys()
    totals = {}
    for name, packet in packets.items():
        whole = audit.conforms(packet.directory)
        assert whole["verifier"]["trusted"] is (name == "denied")
        assert whole["run"]["agent_exit_code"] == packet.code == CODES[name]
        assert whole["run"]["agent_identity"] == ("ci" if name == "observed" else "unnamed")
        totals[name] = whole["summary"]["totals"]
        hosts = [] if name in {"idle", "timed out"} else ["allowed.test", "denied.test"]
        assert set(hosts) <= set(whole["summary"]["domains_touched"])
    assert (totals["idle"]["block"], totals["idle"]["warn"]) == (0, 0)
    assert totals["denied"]["block"] >= 3
    assert totals["observed"]["warn"]
    assert totals["observed"]["block"] == 0
    assert totals["killed"]["block"] == 1


def put(path: str, value: object) -> Any:
    def change(whole: dict[str, Any]) -> None:
        *holders, last = path.split(".")
        for name in holders:
            whole = whole[name]
        whole[last] = value

    return change


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("new", 1),
        ("run.new", ""),
        ("policy.new", ""),
        ("summary.new", 1),
        ("summary.totals.new", 1),
        ("verifier.new", ""),
        ("posture.new", ""),
        ("artifacts.new", "x"),
        ("schema_version", "pipelock.audit_packet.v1"),
        ("generated_at", "yesterday"),
        ("run.provider", "somewhere"),
        ("run.agent_identity", ""),
        ("policy.policy_hashes", None),
        ("policy.policy_hashes", ["a", "a"]),
        ("summary.totals", {"allow": 1}),
        ("summary.receipt_count", -1),
        ("summary.receipt_count", True),
        ("verifier.trusted", False),
        ("verifier.verdict", "invalid"),
        ("verifier.root_hash", "sha256:" + "0" * 64),
        ("posture.raw_socket_status", "perhaps"),
        ("posture.unsupported_paths", None),
        *(("artifacts.evidence", path) for path in ("", ".", "/x", "a:b", "a\\b", "../x", "a/..")),
    ],
)
def test_the_schema_refuses(packets: dict[str, Packet], path: str, value: object) -> None:
    whole = json.loads((packets["denied"].directory / "packet.json").read_text())
    audit.VALIDATOR.validate(whole)
    put(path, value)(whole)
    with pytest.raises(jsonschema.ValidationError):
        audit.VALIDATOR.validate(whole)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("summary.totals.strip", 1),
        ("summary.receipt_count", 1),
        ("summary.transports", {}),
        ("verifier.final_seq", 1),
        ("verifier.root_hash", "0" * 64),
        ("verifier.signer_key", "0" * 64),
        ("posture.raw_socket_status", "allowed"),
        ("generated_at", "2020-01-01T00:00:00Z"),
        ("artifacts.verifier", "verifier.txt"),
    ],
)
def test_the_invariants_refuse(
    packets: dict[str, Packet], tmp_path: Path, path: str, value: object
) -> None:
    copy = Path(shutil.copytree(packets["denied"].directory, tmp_path / "packet"))
    whole = json.loads((copy / "packet.json").read_text())
    put(path, value)(whole)
    (copy / "packet.json").write_text(json.dumps(whole, indent=2, sort_keys=True) + "\n")
    with pytest.raises(AssertionError):
        audit.conforms(copy)
