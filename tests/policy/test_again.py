"""sluicegate.policy.seen: what was seen, decided again."""

from __future__ import annotations

import dataclasses

import pytest

from sluicegate.facts import Facts, Protocol
from sluicegate.policy import grammar
from sluicegate.policy.again import Judge, outside
from sluicegate.policy.model import Policy
from sluicegate.policy.seen import Fate, Seen

POOL = "198.18.0.7"
TLS = Facts(Protocol.TLS, POOL, 443, synthetic="a.example", sni="a.example")
GET = dataclasses.replace(TLS, protocol=Protocol.HTTPS, host="a.example", method="GET", path="/x")


def parsed(text: str) -> tuple[Policy, ...]:
    return (grammar.parse(f"version: 1\n{text}", "p.yaml"),)


def seen(facts: Facts, fate: Fate = Fate.ALLOWED, **more: object) -> Seen:
    return Seen(3, facts, fate, str(more.pop("rule", "allow[0] old")), "why", **more)  # type: ignore[arg-type]


PLAIN = "allow: [{host: a.example}]"
NARROW = "allow: [{host: a.example, methods: [GET]}]"
ASKING = "allow: [{host: a.example, query: {q: a}}]"
DENYING = "allow: [{host: a.example}]\ndeny: [{host: a.example, headers: {x-mode: write}}]"


@pytest.mark.parametrize(
    ("one", "policy", "passes", "reason"),
    [
        (seen(TLS), PLAIN, True, "is allowed"),
        (seen(TLS), "allow: []", False, "no rule allows"),
        (seen(TLS), NARROW, None, "its TLS would be opened"),
        (seen(TLS, opened=True), NARROW, True, "is allowed"),
        (seen(GET), NARROW, True, "is allowed"),
        (seen(GET), PLAIN, True, "is allowed"),  # by the connection, which nobody would open
        (seen(dataclasses.replace(GET, method="POST")), NARROW, False, "no rule allows this POST"),
        (seen(dataclasses.replace(GET, method="POST")), PLAIN, True, "is allowed"),
        # What conditions ask for and nobody put on record.
        (seen(GET), ASKING, False, "no rule allows"),
        (seen(dataclasses.replace(GET, path="/x?---")), ASKING, None, "not on record"),
        (
            seen(
                dataclasses.replace(GET, path="/x?---", query=(("q", "a"),)),
                named=(frozenset("q"), frozenset()),
            ),
            ASKING,
            True,
            "is allowed",
        ),
        (seen(GET), DENYING, None, "not on record"),
        (seen(GET, named=(frozenset(), frozenset(["x-mode"]))), DENYING, True, "is allowed"),
        (seen(dataclasses.replace(GET, host="b.example")), DENYING, False, "differ"),
        (seen(TLS, asked=True), PLAIN, None, "a proxy was asked"),
        (seen(TLS, asked=True), "allow: []", False, "no rule allows"),
        # What a name had for addresses.
        (seen(TLS, addresses=("10.0.0.1",)), PLAIN, False, "is internal"),
        (
            seen(TLS, Fate.CUT, rule="internal-address", addresses=("10.0.0.1",)),
            "allow: [{host: a.example}, {ip: 10.0.0.1/32}]",
            True,
            "is allowed",
        ),
        (
            seen(TLS, addresses=("192.0.2.1", "192.0.2.9"), peer="192.0.2.1"),
            f"{PLAIN}\ndeny: [{{ip: 192.0.2.1/32}}]",
            False,
            "192.0.2.1 would not be dialled",
        ),
        # What no rule decides.
        (seen(GET, Fate.CUT, rule="limits.upload"), PLAIN, None, "policies do not say"),
        (seen(GET, Fate.DENIED, rule="secret"), PLAIN, None, "policies do not say"),
        (seen(GET, Fate.DENIED, rule="secret"), "allow: []", False, "no rule allows"),
        (seen(dataclasses.replace(TLS, fault="odd bytes")), PLAIN, False, "odd bytes"),
        (
            seen(dataclasses.replace(TLS, protocol=Protocol.SERVER_FIRST, sni=None)),
            PLAIN,
            True,
            "is allowed",
        ),
    ],
)
def test_again(one: Seen, policy: str, passes: bool | None, reason: str) -> None:
    made = Judge(parsed(policy)).again(one)
    assert made.passes is passes, made
    assert reason in made.reason


def test_what_was_let_through() -> None:
    passed = [
        seen(TLS, fate).passed for fate in (Fate.ALLOWED, Fate.OBSERVED, Fate.DENIED, Fate.CUT)
    ]
    assert passed == [True, True, False, False]
    assert not seen(TLS, rule="limits.upload").beyond  # counted, and let through all the same
    assert outside(GET) == TLS
