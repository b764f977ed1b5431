from __future__ import annotations

from pathlib import Path

import pytest

from sluicegate.facts import Protocol
from sluicegate.policy.seen import Fate
from sluicegate.verify import flows, verify
from sluicegate.verify.rows import Row, rows
from sluicegate.verify.strict import VerificationError
from tests.evidence import made


@pytest.fixture
def where(tmp_path: Path) -> Path:
    directory = tmp_path / "packet"
    directory.mkdir()
    for name, data in made.files(tmp_path, made.some()).items():
        (directory / name).write_bytes(data)
    return directory


def test_each_decision_comes_once_with_its_end(where: Path) -> None:
    examined = verify(where, [made.PUBLIC])
    policies = flows.policies(str(where), examined)
    found = list(flows.seen(rows(str(where), examined), policies))
    assert [(one.facts.sni, one.fate, one.up, one.down) for one in found] == [
        ("a.example", Fate.DENIED, 0, 0),
        ("b.example", Fate.ALLOWED, 3, 4),
        ("a.example", Fate.DENIED, 0, 0),
    ]
    assert found[1].addresses == ("192.0.2.9",)
    assert found[1].peer == "192.0.2.9"
    assert [policy.observe for policy in policies] == [False, True]


def test_policies_of_another_record_are_refused(where: Path) -> None:
    examined = verify(where, [made.PUBLIC])
    (where / "policy.json").write_bytes(b"{}")
    with pytest.raises(VerificationError, match=r"policy\.json changed"):
        flows.policies(str(where), examined)
    (where / "policy.json").unlink()
    with pytest.raises(VerificationError, match="missing"):
        flows.policies(str(where), examined)


def row(seq: int, phase: str | None, verdict: str, action: int, **more: object) -> Row:
    flow = made.message(1, "b.example")["flow"]
    assert isinstance(flow, dict)
    record = {"action_id": made.action(action), "verdict": verdict}
    return Row(seq, record | ({"decision_phase": phase} if phase else {}), {**flow, **more})


END = {"bytes_up": 1, "bytes_down": 2, "duration_ms": 3}


def test_what_was_refused_after_it_began_is_one_decision() -> None:
    why = "10.0.0.1 is internal (private) and no ip rule allows it on port 443"
    some = [
        row(1, "intent", "allow", 1, opened=True),
        row(2, None, "block", 2, rule="internal-address", reason=why, addresses=["10.0.0.1"]),
        row(3, "outcome", "allow", 1, outcome=f"refused: {why}", addresses=["10.0.0.1"], **END),
    ]
    (one,) = flows.seen(some, made.POLICIES)
    assert (one.seq, one.fate, one.rule, one.reason) == (1, Fate.CUT, "internal-address", why)
    assert (one.addresses, one.opened, one.beyond) == (("10.0.0.1",), True, False)


def test_a_denial_of_its_own_and_what_never_ended() -> None:
    process = {"found": "exact", "holders": [{"exe": "/usr/bin/curl"}]}
    some = [
        row(1, None, "block", 1, rule="limits.requests_per_minute", process=process),
        row(2, None, "warn", 2, observed=True),
        row(3, "intent", "allow", 2, observed=True),
    ]
    first, second = flows.seen(some, made.POLICIES)
    assert (first.fate, first.beyond, first.program) == (Fate.DENIED, True, "/usr/bin/curl")
    assert (second.fate, second.up, second.program) == (Fate.OBSERVED, 0, "")
    assert second.facts.protocol is Protocol.TLS
