from __future__ import annotations

from dataclasses import replace

from sluicegate.facts import Decision, Protocol, Verdict
from sluicegate.policy.allowance import NAMES, REQUESTS, UPLOAD, UPLOAD_PER_HOST, Allowance
from sluicegate.policy.model import Policy, Rule

ONE = Decision(Verdict.ALLOW, "allow[0] p:1", "it is allowed", 80, name="one.test", observed=True)
TWO = replace(ONE, name=None, address="192.0.2.1")


def test_a_policy_without_limits_leaves_all() -> None:
    allowance = Allowance.of((Policy("p"),))
    assert not allowance.counts_bytes
    assert allowance.left(ONE) is None
    assert allowance.take(ONE, 10**15) is None


def test_a_run_may_send_as_much_as_the_least_limit() -> None:
    allowance = Allowance.of((Policy("p", upload=10), Policy("q", upload=7)))
    assert allowance.counts_bytes
    assert allowance.left(ONE) == 7
    assert allowance.take(ONE, 5) is None
    assert allowance.left(TWO) == 2
    denied = allowance.take(TWO, 3)
    assert denied is not None
    assert (denied.verdict, denied.rule, denied.counted) == (Verdict.DENY, UPLOAD, 8)
    assert denied.reason == "more than 7 bytes would go up in this run"
    assert (denied.address, denied.observed, denied.remedy) == ("192.0.2.1", False, None)
    assert allowance.take(TWO, 2) is None
    assert allowance.left(ONE) == 0
    assert allowance.limit(UPLOAD) == 7
    assert allowance.limit(UPLOAD_PER_HOST) is None


def test_a_host_has_its_limit_for_the_whole_run_and_what_is_denied_counts_for_nothing() -> None:
    allowance = Allowance.of((Policy("p", upload_per_host=10),))
    assert allowance.take(ONE, 6) is None
    assert allowance.left(ONE) == 4
    denied = allowance.take(ONE, 5)
    assert denied is not None
    assert (denied.rule, denied.counted) == (UPLOAD_PER_HOST, 11)
    assert allowance.take(ONE, 4) is None
    assert allowance.left(ONE) == 0
    assert allowance.left(TWO) == 10


def test_the_limit_that_is_nearer_is_what_is_left() -> None:
    allowance = Allowance.of((Policy("p", upload=8, upload_per_host=10),))
    assert allowance.take(ONE, 4) is None
    assert (allowance.left(ONE), allowance.left(TWO)) == (4, 4)


def test_names_count_below_each_wildcard_and_not_where_a_rule_has_the_name() -> None:
    rules = [
        Rule("allow[0] p:1", host=h, wildcard=w) for h, w in (("w.test", True), ("x.w.test", False))
    ]
    allowance = Allowance.of((Policy("p", allow=tuple(rules), names_per_wildcard=1),))
    for name, lets in (
        ("a.w.test", True),
        ("b.w.test", False),
        ("x.w.test", True),
        ("o.test", True),
    ):
        made = replace(ONE, name=name)
        over = allowance.begin(Protocol.TLS, made, 0)
        assert (over is None) is lets, name
        if lets:
            allowance.began(Protocol.TLS, made, 0)
    assert allowance.begin(Protocol.OPAQUE, TWO, 0) is None
    denied = allowance.begin(Protocol.TLS, replace(ONE, name="b.w.test"), 0)
    assert denied is not None
    assert (denied.rule, denied.counted) == (NAMES, 2)


def test_requests_within_any_minute() -> None:
    allowance = Allowance.of((Policy("p", requests_per_minute=2),))
    for moment in (1000, 2000):
        assert allowance.begin(Protocol.HTTP, ONE, moment) is None
        allowance.began(Protocol.HTTP, ONE, moment)
    assert allowance.begin(Protocol.TLS, ONE, 3000) is None  # not a request
    for moment, lets in ((2000, False), (60_999, False), (500, False), (61_000, True)):
        assert (allowance.begin(Protocol.HTTPS, ONE, moment) is None) is lets
    allowance.began(Protocol.HTTPS, ONE, 61_000)
    denied = allowance.begin(Protocol.HTTP, ONE, 61_999)
    assert denied is not None
    assert (denied.rule, denied.counted, allowance.begun) == (REQUESTS, 3, 2)
