from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest

from sluicegate.evidence import ids, records
from sluicegate.facts import Decision, Protocol, Verdict
from sluicegate.policy.allowance import NAMES, REQUESTS, UPLOAD, UPLOAD_PER_HOST, denied
from sluicegate.policy.model import Policy, Rule
from sluicegate.verify.limited import Limited, contents
from sluicegate.verify.strict import VerificationError

MADE = Decision(Verdict.ALLOW, "allow[0] p:1", "it is allowed", 443, name="a.wild.test")
WILD = Rule("allow[0] p:1", host="wild.test", wildcard=True)
_sequence = ids.Rising(ids.GATE)


def limited(**limits: Any) -> Limited:
    return Limited((Policy("p", allow=(WILD,), **limits),))


def begun(one: Limited, name: str, at_ms: int = 1000, protocol: Protocol = Protocol.HTTPS) -> None:
    one.begun(replace(MADE, name=name), protocol, _sequence.next(at_ms, bytes(10)), "receipt 1")


def denial(one: Limited, rule: str, counted: int, made: Decision = MADE) -> Decision:
    flow = {"rule": rule, "counted": counted, "protocol": "http"}
    flow |= {"connection": 1, "client_port": 2}
    return one.denied(made, flow, "receipt 1")


def ended(one: Limited, protocol: str = "http", reason: str = "complete", **end: Any) -> None:
    flow = {"protocol": protocol, "connection": 1, "client_port": 2}
    one.ended(MADE, flow, records.Outcome(reason, **end), "receipt 2")


def test_a_name_too_many_is_refused_and_its_denial_made_again() -> None:
    one = limited(names_per_wildcard=2)
    for name in ("a.wild.test", "b.wild.test", "a.wild.test"):
        begun(one, name)
    with pytest.raises(VerificationError, match=r"let through over limits\.names_per_wildcard"):
        begun(one, "c.wild.test")
    over = replace(MADE, name="c.wild.test")
    assert denial(one, NAMES, 3, over) == denied(over, NAMES, 2, 3)
    for rule, counted, made in ((NAMES, 4, over), (NAMES, 3, MADE), (UPLOAD, 9, over)):
        with pytest.raises(VerificationError, match="is not reached"):
            denial(one, rule, counted, made)


def test_requests_of_a_minute_by_the_moments_in_their_ids() -> None:
    one = limited(requests_per_minute=2)
    with pytest.raises(VerificationError, match="is not reached"):
        denial(one, REQUESTS, 3)
    begun(one, "a.wild.test", 100_000)
    begun(one, "a.wild.test", 100_000, Protocol.TLS)  # no request
    begun(one, "a.wild.test", 159_999)
    assert denial(one, REQUESTS, 3).rule == REQUESTS
    with pytest.raises(VerificationError, match="let through over"):
        begun(one, "a.wild.test", 159_999)
    begun(one, "a.wild.test", 160_000)


def test_bytes_up_of_flows_and_what_counts_of_requests() -> None:
    one = limited(upload=10)
    ended(one, "tls", bytes_up=4)
    ended(one, "http", bytes_up=99, counted=6)
    with pytest.raises(VerificationError, match=r"went up over limits\.upload:"):
        ended(one, "tls", bytes_up=1)
    one = limited(upload_per_host=25)
    ended(one, "tls", bytes_up=20)
    with pytest.raises(VerificationError, match=r"went up over limits\.upload_per_host:"):
        ended(one, "https", counted=6)
    ended(one, "https", counted=5)
    for protocol, counted in (("http", None), ("tls", 0)):
        with pytest.raises(VerificationError, match="counted_up"):
            ended(one, protocol, counted=counted)


def test_what_is_cut_has_its_denial_and_says_so() -> None:
    one = limited(upload=10)
    reason = f"refused: {denial(one, UPLOAD, 11).reason}"
    with pytest.raises(VerificationError, match="a denial in the middle, and no outcome"):
        one.settle()
    ended(one, reason=reason, counted=0)
    one.settle()
    with pytest.raises(VerificationError, match="without its denial"):
        ended(one, reason=reason, counted=0)
    denial(one, UPLOAD, 11)
    of_another = {"protocol": "http", "connection": 1, "client_port": 2, "host": "b.wild.test"}
    with pytest.raises(VerificationError, match="without its denial"):
        one.ended(MADE, of_another, records.Outcome(reason, counted=0), "receipt 2")
    with pytest.raises(VerificationError, match="is not reached"):
        denial(one, UPLOAD, 10)
    with pytest.raises(VerificationError, match="is not reached"):
        denial(one, UPLOAD_PER_HOST, 11)


def test_contents_are_told_where_they_are_asked_for() -> None:
    one = limited(digests=True)
    told = (sha256(b"a").hexdigest(), 1), (sha256().hexdigest(), 0)
    ended(one, contents=told)
    ended(one, "tls")
    for protocol, found in (("http", None), ("tls", told)):
        with pytest.raises(VerificationError, match="contents"):
            ended(one, protocol, contents=found)
    flow = {"sha256_up": told[0][0], "content_up": 1, "sha256_down": told[1][0], "content_down": 0}
    assert contents(flow, "receipt 1") == told
    assert contents({}, "receipt 1") is None
    odd: dict[str, object]
    for odd in (
        {"sha256_up": told[1][0]},
        {"sha256_down": told[0][0]},
        {"sha256_up": "A" * 64},
        {"content_up": -1},
        {"content_up": None},
    ):
        with pytest.raises(VerificationError):
            contents(flow | odd, "receipt 1")
