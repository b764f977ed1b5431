from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sluicegate.evidence import packet
from tests.evidence import audit, made


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    files = made.files(tmp_path_factory.mktemp("p"), made.some())
    return dict(json.loads(files["packet.json"]))


def test_it_is_valid_by_the_schema(whole: dict[str, Any]) -> None:
    audit.VALIDATOR.validate(whole)


def test_the_invariants(whole: dict[str, Any]) -> None:
    summary, verifier = whole["summary"], whole["verifier"]
    assert sum(summary["totals"].values()) == summary["receipt_count"] == 9
    assert sum(summary["transports"].values()) == 9
    assert summary["totals"]["block"] == 3
    assert summary["layers"] == {"allowlist": 2, "boundary": 1}
    assert summary["domains_touched"] == ["a.example", "b.example"]
    assert (verifier["trusted"], verifier["verdict"]) == (True, "valid")
    assert verifier["signer_key"] == made.PUBLIC
    assert verifier["final_seq"] == 8
    assert len(verifier["root_hash"]) == 64
    assert whole["policy"]["policy_hashes"] == [made.digest(made.POLICY)]
    for path in whole["artifacts"].values():
        assert not set(path) & set(":\\/")


def make(opened: dict[str, object], ended: dict[str, object]) -> dict[str, Any]:
    measured = json.loads(packet.boundary(opened, ended))
    return dict(json.loads(packet.packet(packet.Tally(), measured, "p", "r", "k")))


def changed(holder: dict[str, object], part: str, change: dict[str, object]) -> dict[str, object]:
    return {**holder, part: {**holder[part], **change}}  # type: ignore[dict-item]


def test_an_ephemeral_key_is_only_self_consistent() -> None:
    whole = make(made.OPENED, changed(made.CLOSED, "run", {"key": "ephemeral"}))
    assert whole["verifier"]["verdict"] == "self_consistent_only"
    assert whole["verifier"]["trusted"] is False


@pytest.mark.parametrize(
    "change",
    [
        {"raw_socket_status": "perhaps"},
        {"docker_socket_status": None},
        {"runner_os": ""},
        {"unsupported_paths": None},
        {"unsupported_paths": [1]},
        {"agent_uid": -1},
        {"agent_uid": True},
        {"of_our_own": "x"},
    ],
)
def test_a_posture_the_schema_does_not_know(change: dict[str, object]) -> None:
    with pytest.raises(packet.PacketError):
        make(changed(made.OPENED, "posture", change), made.CLOSED)


@pytest.mark.parametrize(
    "change",
    [{"provider": "x"}, {"agent_identity": ""}, {"agent_exit_code": "0"}, {"sha": 1}, {"new": ""}],
)
def test_a_run_the_schema_does_not_know(change: dict[str, object]) -> None:
    with pytest.raises(packet.PacketError):
        make(made.OPENED, changed(made.CLOSED, "run", change))


def test_a_run_that_has_not_ended_has_no_packet() -> None:
    with pytest.raises(packet.PacketError, match="close"):
        packet.packet(packet.Tally(), json.loads(packet.boundary(made.OPENED, None)), "", "", "")


def test_the_open_part_has_one_digest() -> None:
    shuffled = dict(reversed(made.OPENED.items()))
    assert packet.opening_digest(shuffled) == packet.opening_digest(made.OPENED)
    assert packet.opening_digest({**made.OPENED, "tier": "x"}) != packet.opening_digest(made.OPENED)


def record(target: str, **more: object) -> dict[str, object]:
    base = {"verdict": "allow", "transport": "forward", "timestamp": "t", "target": target}
    return base | more


def test_domains() -> None:
    tally = packet.Tally()
    for target in ("https://B.example/x", "a.example:443", "tls://[2001:db8::1]:443", "..//", "*"):
        tally.add(record(target))
    tally.add(record("dns://asked.example", transport="dns"))
    tally.add(record("tcp://overload", layer="limit", verdict="block"))
    assert tally.domains == ["..", "[2001:db8::1]", "a.example", "b.example"]
    for number in range(packet.MAX_DOMAINS + 1):
        tally.add(record(f"h{number}.example"))
    assert tally.domains is None


def test_an_unknown_verdict_is_counted_as_other() -> None:
    tally = packet.Tally()
    tally.add(record("a.example", verdict="resolve"))
    assert tally.totals["other"] == 1


def test_the_file_ends_with_a_line(tmp_path: Path) -> None:
    assert packet.boundary({"tier": "x"}, None) == b'{"open":{"tier":"x"}}\n'
