from __future__ import annotations

import dataclasses

import pytest

from sluicegate.facts import Facts, Protocol
from sluicegate.policy.needs import Needs, needs, plain_address
from sluicegate.policy.seen import Fate, Seen
from tests.policy.test_again import GET, TLS, seen

POST = dataclasses.replace(GET, method="POST")
CLEAR = Facts(
    Protocol.HTTP,
    "198.18.0.7",
    80,
    synthetic="a.example",
    host="a.example",
    method="POST",
    path="/up",
)
BARE = Facts(Protocol.OPAQUE, "10.0.0.5", 5432)


def told(*some: Seen) -> list[tuple[str, int, bool, list[str]]]:
    found = needs([some]).all()
    return [(*need.where, need.plain, list(need.warnings)) for need in found]


def test_what_passed_by_destination() -> None:
    found = needs(
        [[seen(TLS, opened=True), seen(GET), seen(POST, program="/usr/bin/x")], [seen(GET)]]
    ).all()
    (need,) = found
    assert (need.where, need.plain, need.warnings) == (("a.example", 443), False, {})
    assert need.requests == {("GET", "/x"), ("POST", "/x")}
    assert need.programs == {"x"}
    assert [packet for packet, _ in need.seen] == [0, 0, 0, 1]


def test_what_nobody_looked_into() -> None:
    assert told(seen(TLS)) == [("a.example", 443, True, [])]
    assert told(seen(BARE)) == [("10.0.0.5", 5432, True, [])]


@pytest.mark.parametrize("path", ["/a//b", "*", "/a*b", "/" + "a" * 2000, "/a%2fb"])
def test_a_path_that_no_rule_can_name(path: str) -> None:
    (need,) = needs([[seen(dataclasses.replace(GET, path=path))]]).all()
    assert need.requests == {("GET", None)}


def test_content_in_the_clear_is_apart_and_doubtful() -> None:
    reading = dataclasses.replace(CLEAR, method="GET")
    assert told(seen(CLEAR), seen(reading)) == [
        (
            "a.example",
            80,
            False,
            ["sent in the clear, where anybody on the way reads and changes it"],
        ),
        ("a.example", 80, False, []),
    ]


def test_a_secret_makes_its_destination_doubtful() -> None:
    some = seen(POST, Fate.DENIED, rule="secret")
    assert told(seen(GET), some) == [
        ("a.example", 443, False, ["a secret was on its way there (seq 3)"])
    ]
    assert told(some) == [("a.example", 443, False, ["a secret was on its way there (seq 3)"])]


@pytest.mark.parametrize(
    "one",
    [
        seen(dataclasses.replace(BARE, address="169.254.169.254", port=80)),
        seen(dataclasses.replace(TLS, synthetic="metadata.google.internal", sni=None)),
        seen(TLS, addresses=("169.254.169.254",)),
    ],
)
def test_metadata_services_are_doubtful(one: Seen) -> None:
    for *_, warnings in told(one):
        assert warnings == [
            "a metadata service: it gives credentials of the machine to whoever asks"
        ]


def test_resolvers_are_doubtful() -> None:
    ((_, _, _, (warning,)),) = told(
        seen(dataclasses.replace(TLS, synthetic="dns.google", sni=None))
    )
    assert warning.startswith("a public DNS-over-HTTPS resolver")
    assert told(seen(dataclasses.replace(BARE, address="1.1.1.1")))[0][3] == [warning]


def test_internal_answers_need_a_rule_of_their_own() -> None:
    one = seen(TLS, addresses=("10.0.0.9", "192.0.2.1"))
    found = needs([[one]]).all()
    assert [need.where for need in found] == [("10.0.0.9", 443), ("a.example", 443)]
    assert list(found[0].notes) == ["an address of a.example"]


def test_what_was_refused_as_internal_is_doubtful_unless_it_passed_as_well() -> None:
    refused = seen(TLS, Fate.CUT, rule="internal-address", addresses=("10.0.0.9",))
    assert [(host, bool(warnings)) for host, _, _, warnings in told(refused)] == [
        ("10.0.0.9", True),
        ("a.example", True),
    ]
    bare = seen(BARE, Fate.DENIED, rule="internal-address")
    assert [(host, bool(warnings)) for host, _, _, warnings in told(bare)] == [("10.0.0.5", True)]
    assert [(host, bool(warnings)) for host, _, _, warnings in told(bare, seen(BARE))] == [
        ("10.0.0.5", False)
    ]


def test_what_is_no_need_is_counted() -> None:
    found: Needs = needs(
        [
            [
                seen(TLS, Fate.DENIED, rule="default"),
                seen(TLS, Fate.DENIED, rule="deny[0] p.yaml:3"),
                seen(dataclasses.replace(GET, host="b.example")),
                seen(dataclasses.replace(TLS, fault="odd")),
                seen(dataclasses.replace(GET, method="get")),
            ]
        ]
    )
    assert found.all() == []
    assert found.others == {
        "denied: a.example port 443 (default)": 1,
        "denied: a.example port 443 (deny[0])": 1,
        "whose claims differ, or can not be vouched for": 2,
        "of a method that no rule can name": 1,
    }


def test_addresses_as_rules_name_them() -> None:
    assert plain_address("::ffff:a00:1") == "10.0.0.1"
    assert plain_address("fe80::1%2") == "fe80::1"
