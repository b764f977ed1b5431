from __future__ import annotations

import pytest

from sluicegate.evidence import counts, journal
from sluicegate.jcs import Json
from sluicegate.wire import dns, nflog

ID = "00000000-0000-7000-8000-000000000001"
UDP: dict[str, Json] = {"protocol": "udp", "destination": "2001:db8::1", "port": 53, "count": 2}
ASKED: dict[str, Json] = {"name": "a.example", "count": 2}


@pytest.mark.parametrize(
    ("groups", "target"),
    [
        ([], "drop://*"),
        ([UDP, UDP], "drop://*"),
        ([UDP], "udp://[2001:db8::1]:53"),
        ([{"protocol": "icmp", "destination": "192.0.2.1", "count": 1}], "icmp://192.0.2.1"),
    ],
)
def test_refused_packets(groups: list[dict[str, Json]], target: str) -> None:
    made = counts.drops(groups, 3, ID, 9)
    assert made["flow"] == {"kind": "drop", "groups": groups, "lost": 3, "sequence": 9}
    assert (made["verdict"], made["transport"], made["target"]) == ("block", "drop", target)


def test_questions() -> None:
    answered, refused = counts.questions([ASKED], None, ID), counts.questions([], 4, ID)
    assert answered["flow"] == {"kind": "dns", "questions": [ASKED]}
    assert (answered["verdict"], answered["target"]) == ("allow", "dns://a.example")
    assert answered.keys().isdisjoint({"layer", "pattern"})
    assert refused["flow"] == {"kind": "dns", "questions": [], "lost": 4}
    assert (refused["verdict"], refused["target"]) == ("block", "dns://*")
    assert (refused["layer"], refused["pattern"]) == ("resolver", "refused-question")


def test_the_notary_takes_them_all() -> None:
    for message in (
        counts.drops([UDP], 0, ID),
        counts.questions([ASKED], None, ID),
        counts.questions([ASKED], 0, ID),
        counts.overload(3, "connections", ID),
        counts.changes([{"what": "new link x", "count": 1}], ID),
    ):
        assert journal.check(message) is message
        assert "phase" not in message


def test_words_of_protocols() -> None:
    assert counts.protocol(17) == "udp"
    assert counts.protocol(99) == "ip-99"
    assert counts.protocol(nflog.UNREADABLE) == counts.UNREADABLE


@pytest.mark.parametrize(
    ("name", "kind", "reason"),
    [
        ("a.example", "A", "bound"),
        ("a.example", "AAAA", "empty"),
        (".", "A", "empty"),
        ("localhost", "TXT", "loopback"),
        ("x.localhost", "A", "loopback"),
        ("notlocalhost", "A", "bound"),
        ("1.2.0.192.in-addr.arpa", "PTR", "reverse"),
        ("in-addr.arpa", "A", "reverse"),
        ("ip6.arpa", "A", "reverse"),
        ("xip6.arpa", "A", "bound"),
    ],
)
def test_why_a_name_is_answered_as_it_is(name: str, kind: str, reason: str) -> None:
    assert counts.reason(name, kind) == reason


def test_every_reason_has_a_code_that_there_is() -> None:
    assert set(counts.RCODES.values()) | counts.ANSWERED <= set(dns.RCODES)
