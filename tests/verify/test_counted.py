from __future__ import annotations

from typing import Any

import pytest

from sluicegate.evidence import counts, journal
from sluicegate.jcs import Json
from sluicegate.verify.counted import Bound, Counted
from sluicegate.verify.strict import VerificationError
from tests.evidence import made

ID = made.action(1)
Group = dict[str, Json]
UDP: Group = {"protocol": "udp", "destination": "192.0.2.1", "port": 443, "uid": 1000, "count": 3}
ASKED = made.question("a.example", 2)
REFUSED: Group = {
    "name": "10.0.0.1",
    "type": "A",
    "via": "tcp",
    "rcode": "REFUSED",
    "reason": "address",
    "count": 1,
}
LEAKED: Group = REFUSED | {
    "name": "(redacted)",
    "reason": "secret",
    "secret": "the value of JOB_TOKEN (base64)",
}
GONE = object()


def check(*messages: dict[str, Any]) -> None:
    counted = Counted(Bound(), frozenset({"API_KEY"}))
    for message in messages:
        record = {**message, "decision_phase": message.get("phase")}
        counted.check(record, message["flow"], "receipt 7")


def refused(said: str, *messages: dict[str, Any]) -> None:
    with pytest.raises(VerificationError, match=f"receipt 7.*{said}"):
        check(*messages)


def changed(group: Group, **changes: object) -> Group:
    found = {**group, **changes}
    return {name: value for name, value in found.items() if value is not GONE}  # type: ignore[misc]


HONEST = [
    counts.drops([UDP], 0, ID),
    counts.drops([], 5, ID),
    counts.drops([UDP, changed(UDP, port=GONE, uid=GONE, destination="(other)")], 5, ID),
    counts.drops([changed(UDP, protocol="ip-99", port=GONE, destination="2001:db8::1")], 0, ID),
    counts.drops([changed(UDP, protocol="unreadable", port=GONE, destination="unknown")], 0, ID),
    counts.questions([ASKED], None, ID),
    counts.questions([ASKED, changed(ASKED, name="(other)", type="-", address=GONE)], None, ID),
    counts.questions([REFUSED], 0, ID),
    counts.questions([], 9, ID),
    counts.questions([LEAKED, changed(LEAKED, name="(other)", type="-")], 0, ID),
    counts.overload(2, "requests", ID),
    counts.overload(2, "memory", ID),
    counts.changes([{"what": "new link x mtu 1500 up", "count": 2}], ID),
    journal.boundary_message({"captured": 3}, ID),
]


@pytest.mark.parametrize("message", HONEST, ids=range(len(HONEST)))
def test_what_is_made_is_made_again(message: dict[str, Any]) -> None:
    check(message)
    flow = message["flow"]
    # Nothing else may be said, of the receipt or in its facts.
    for member in ("verdict", "target", "transport", "action_type", "layer", "pattern", "method"):
        refused(member, message | {member: "other"})
    refused("decision_phase", message | {"phase": "intent"})
    if flow["kind"] != "boundary":
        refused("note", message | {"flow": flow | {"note": 1}})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"protocol": "quic"}, "protocol is none"),
        ({"protocol": "ip-17", "port": GONE}, "protocol is none"),
        ({"protocol": "ip-256", "port": GONE}, "protocol is none"),
        ({"protocol": "ip-09", "port": GONE}, "protocol is none"),
        ({"protocol": 17}, "not a string"),
        ({"protocol": "icmp"}, "a port of icmp"),
        ({"port": 65_536}, "port: not in"),
        ({"port": "443"}, "port: not a count"),
        ({"port": None}, "port: not a count"),
        ({"uid": -1}, "uid: not a count"),
        ({"uid": 2**32}, "uid: not in"),
        ({"count": 0}, "count: none"),
        ({"count": True}, "count: not a count"),
        ({"count": GONE}, "members"),
        ({"destination": GONE}, "members"),
        ({"note": 1}, "members"),
        ({"destination": "unknown"}, "no destination of a packet"),
        ({"destination": "(other)"}, "not told apart"),
        ({"destination": "192.0.2.01"}, "destination is no address"),
        ({"destination": "fe80::1%eth0"}, "destination is no address"),
        ({"destination": "2001:DB8::1"}, "destination is no address"),
    ],
)
def test_groups_of_packets_that_there_can_not_be(changes: dict[str, object], said: str) -> None:
    refused(said, counts.drops([changed(UDP, **changes), UDP | {"port": 1}], 0, ID))


@pytest.mark.parametrize(
    ("group", "changes", "said"),
    [
        (ASKED, {"via": "quic"}, "via is none"),
        (ASKED, {"via": []}, "not a string"),
        (ASKED, {"reason": "mood"}, "a reason that the resolver has not"),
        (ASKED, {"rcode": "REFUSED"}, "rcode is not that"),
        (ASKED, {"rcode": "NXDOMAIN"}, "rcode is not that"),
        (ASKED, {"address": "198.18.0.0"}, "gives to no name"),
        (ASKED, {"address": "198.19.255.255"}, "gives to no name"),
        (ASKED, {"address": "192.0.2.1"}, "gives to no name"),
        (ASKED, {"address": "::1"}, "gives to no name"),
        (ASKED, {"address": GONE}, "address: not a string"),
        (ASKED, {"address": None}, "address"),
        (ASKED, {"type": "AAAA"}, "not that of name and type"),
        (ASKED, {"type": "TYPE01"}, "type is none"),
        (ASKED, {"type": "a"}, "type is none"),
        (ASKED, {"type": "-"}, "type is none"),
        (ASKED, {"name": "localhost"}, "not that of name and type"),
        (ASKED, {"name": "1.in-addr.arpa"}, "not that of name and type"),
        (ASKED, {"name": "192.0.2.1"}, "in place of a name"),
        (ASKED, {"name": "A.example"}, "not as it is shown"),
        (ASKED, {"name": "a..example"}, "not as it is shown"),
        (ASKED, {"name": "a b"}, "not as it is shown"),
        (ASKED, {"name": "a" * 1021}, "not as it is shown"),
        (ASKED, {"name": ""}, "not as it is shown"),
        (ASKED, {"name": "(other)"}, "a name of what was not read"),
        (ASKED, {"name": "(other)", "type": "-"}, "no question asked for"),
        (ASKED, {"name": "(malformed)", "type": "-"}, "not as it is shown"),
        (ASKED, {"reason": "loopback", "name": "localhost"}, "not that of loopback"),
        (ASKED, {"reason": "empty", "type": "TXT"}, "not that of empty"),
        (ASKED, {"count": 0}, "count: none"),
        (ASKED, {"note": 1}, "members"),
        (ASKED, {"via": GONE}, "members"),
        (LEAKED, {"name": "sk-live-7Gq2.evil.test"}, "not as it is shown"),
        (LEAKED, {"name": "a.example"}, "not as it is shown"),
        (LEAKED, {"secret": GONE}, "secret"),
        (LEAKED, {"secret": "sk-live-7Gq2"}, "the policies have none"),
        (LEAKED, {"secret": "the placeholder of OTHER (plain)"}, "the policies have none"),
        (LEAKED, {"reason": "name"}, "secret"),
        (LEAKED, {"address": "198.18.0.9"}, "not that of secret"),
        (LEAKED, {"rcode": "NOERROR"}, "rcode is not that"),
        (REFUSED, {"name": "(redacted)"}, "not as it is shown"),
        (REFUSED, {"address": "198.18.0.9"}, "not that of address"),
        (REFUSED, {"reason": "malformed", "rcode": "FORMERR"}, "a name of what was not read"),
        (REFUSED, {"reason": "exhausted", "type": "TXT"}, "not that of name and type"),
    ],
)
def test_groups_of_questions_that_there_can_not_be(
    group: Group, changes: dict[str, object], said: str
) -> None:
    lost = None if group is ASKED else 0
    refused(said, counts.questions([changed(group, **changes)], lost, ID))


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (counts.drops([], 0, ID), "groups: none"),
        (counts.drops([UDP, UDP | {"count": 9}], 0, ID), "one group twice"),
        (counts.drops([UDP | {"port": n} for n in range(257)], 0, ID), "at most 256"),
        (counts.drops([UDP], -1, ID), "lost: not a count"),
        (counts.questions([], 0, ID), "questions: none"),
        (counts.questions([], None, ID), "lost: not a count"),
        (counts.questions([ASKED, REFUSED], None, ID), "answered and refused"),
        (counts.questions([ASKED], 0, ID), "lost of its facts"),
        (counts.questions([REFUSED], None, ID), "lost: not a count"),
        (counts.questions([REFUSED, LEAKED], 0, ID), "secrets and other questions"),
        (counts.overload(0, "record", ID), "count: none"),
        (counts.overload(True, "record", ID), "not a count"),
        (counts.overload(1, "patience", ID), "unknown limit"),
        (counts.changes([], ID), "changes: none"),
        (counts.changes([{"what": "", "count": 1}], ID), "without a word"),
        (counts.changes([{"what": f"{n}", "count": 1} for n in range(66)], ID), "at most 65"),
    ],
)
def test_lines_that_no_gate_writes(message: dict[str, Any], said: str) -> None:
    refused(said, message)


def test_facts_of_an_unknown_kind() -> None:
    for kind in ("rumour", None, "connection"):
        refused("unknown kind", {"flow": {"kind": kind}, "action_id": ID})


def test_lists_that_are_none() -> None:
    for groups in ({}, "text", [3]):
        message = {**counts.drops([], 1, ID), "flow": {"kind": "drop", "groups": groups, "lost": 1}}
        refused("not a", message)


def test_the_run_ends_with_its_first_change() -> None:
    one = counts.changes([{"what": "new link x", "count": 1}], ID)
    check(one, one)
    refused("after the run was ended", one, one, one)


def test_a_name_has_one_address_and_an_address_one_name() -> None:
    def asked(name: str, address: str) -> dict[str, Any]:
        return counts.questions([changed(ASKED, name=name, address=address)], None, ID)

    one = asked("a.example", "198.18.0.1")
    check(one, one, asked("c.example", "198.18.0.2"))
    refused("198.18.0.1 was said to be a.example", one, asked("c.example", "198.18.0.1"))
    refused("a.example was said to be 198.18.0.1", one, asked("a.example", "198.18.0.2"))
