from __future__ import annotations

from sluicegate.verify import account

BLOCK = {"verdict": "block", "target": "tls://a.example:443", "pattern": "default"}


def test_a_secret_on_its_way_out_is_behind_no_thousand_others() -> None:
    found = account.Account()
    for number in range(account.MAX_DENIALS + 5):
        block = {"verdict": "block", "target": f"tls://{number}.example:443"}
        found.add(block, {"kind": "connection", "reason": "no rule"})
    alarm = {"verdict": "block", "target": "https://a.example/", "severity": "high"}
    for number in range(account.MAX_ALARMS + 5):
        found.add(alarm, {"kind": "connection", "reason": f"the value of A_{number}"})
    asked = {"name": "(redacted)", "reason": "secret", "secret": "the value of B (hex)", "count": 2}
    found.add(alarm, {"kind": "dns", "questions": [asked]})
    assert found.unlisted == 5 + 5 + 2
    assert sum(denial.alarm for denial in found.denials) == account.MAX_ALARMS


def test_denials_are_grouped() -> None:
    found = account.Account()
    for _ in range(3):
        found.add(BLOCK, {"kind": "connection", "reason": "no rule", "remedy": "- host: a.example"})
    one = account.Denial("tls://a.example:443", "no rule", "- host: a.example")
    assert found.denials == {one: 3}
    assert found.denied == 3


def test_an_overload_counts_what_it_refused() -> None:
    found = account.Account()
    found.add(BLOCK | {"target": "tcp://overload"}, {"kind": "overload", "count": 40})
    assert found.denied == 40


def test_memory_is_bounded() -> None:
    found = account.Account()
    for number in range(account.MAX_DENIALS + 5):
        found.add(BLOCK | {"target": f"tls://h{number}.example"}, {"kind": "connection"})
    assert len(found.denials) == account.MAX_DENIALS
    assert found.unlisted == 5
    for number in range(300):
        asked = [{"name": f"{number}.{i}.example", "count": 1} for i in range(256)]
        found.add({"verdict": "allow"}, {"kind": "dns", "questions": asked})
    assert found.questions == 300 * 256
    assert len(found.named) == account.MAX_NAMES


def test_observe_mode_is_told_apart() -> None:
    found = account.Account()
    found.add(BLOCK | {"verdict": "warn"}, {"kind": "connection", "reason": "no rule"})
    found.add(BLOCK | {"verdict": "allow", "decision_phase": "intent"}, {"kind": "connection"})
    found.add(BLOCK | {"verdict": "allow", "decision_phase": "outcome"}, {"kind": "connection"})
    assert (found.allowed, found.denied, found.warned) == (1, 0, 1)
    assert "observe" in next(iter(found.denials)).reason


def test_groups_of_another_shape_do_not_break_the_page() -> None:
    found = account.Account()
    for groups in (None, 5, [1, "x"], [{}], [{"count": -4}], [{"count": True}]):
        found.add(BLOCK, {"kind": "drop", "groups": groups, "lost": "x"})
    assert found.dropped == 3
