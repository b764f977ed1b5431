"""The state of a network in one form; what the kernel says of a real one is in tests/kernel/test_watch.py."""

from __future__ import annotations

import ipaddress
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.boundary import netstate
from sluicegate.wire.cursor import WireError
from sluicegate.wire.netlink import Message, attribute

FOUR = b"\0\0\0\1"


def link(mtu: int = 65536, packets: int = 0) -> Message:
    head = struct.pack("=BxHiII", 0, 772, 1, 0x10049, 0)
    body = attribute(3, b"lo\0") + attribute(4, mtu.to_bytes(4, "little"))
    return Message(16, 2, head + body + attribute(23, packets.to_bytes(8, "little")))


def route(bits: int = 0, flags: int = 0, metric: bytes = b"") -> Message:
    head = struct.pack("=BBBBBBBBI", 2, bits, 0, 0, 255, 3, 254, 2, flags)
    body = attribute(7, ipaddress.ip_address("10.255.0.1").packed) + attribute(12, bytes(32))
    return Message(24, 2, head + body + (attribute(8, metric) if metric else b""))


def read(links: list[Message], routes: list[Message]) -> dict[str, object]:
    return netstate.routing([links, [], routes, [], [], [], [], []])


def test_it_asks_for_everything_of_both_families() -> None:
    asked = netstate.route_requests()
    assert [kind for kind, _ in asked] == [18, 22, 26, 26, 34, 34, 82, 82]
    assert [body[0] for _, body in asked] == [0, 0, 2, 10, 2, 10, 2, 10]
    assert [kind & 0xFF for kind, _ in netstate.rule_set_requests()] == [1, 4, 19, 10, 23, 7]


def test_it_is_written_in_lines_without_what_traffic_changes() -> None:
    found = read([link(packets=3)], [route(), route(32, 0x200)])
    assert found == {
        "links": ["type=772 index=1 flags=65609 name=lo mtu=65536"],
        "addresses": [],
        "routes": ["family=2 table8=255 protocol=3 scope=254 type=2 prefsrc=10.255.0.1"],
        "rules": [],
        "settings": [],
    }
    assert read([link(packets=9)], [route(32, 0x200), route()]) == found


def test_what_somebody_changed_shows() -> None:
    before = read([link()], [route()])
    assert netstate.differences(before, read([link(1400)], [route()])) == ("links",)
    assert netstate.differences(before, read([link()], [route(8)])) == ("routes",)
    # Also what we have no name for.
    assert netstate.differences(before, read([link()], [route(metric=b"\1")])) == ("routes",)
    assert netstate.differences(before, read([], [])) == ("links", "routes")
    assert netstate.differences(before, before) == ()
    assert netstate.differences(before, {}) == tuple(sorted(before))
    assert netstate.differences(None, before) == ("network",)


def answers(*, handle: int = 1, packets: int = 0, expression: bytes = b"x") -> list[list[Message]]:
    def said(kind: int, *values: tuple[int, bytes]) -> list[Message]:
        body = b"\1\0\0\x07" + b"".join(attribute(k, v) for k, v in values)
        return [Message(10 << 8 | kind, 2, body)]

    number = handle.to_bytes(8, "big")
    return [
        said(0, (1, b"t\0"), (3, bytes([0, 0, 0, handle])), (4, number)),
        said(3, (1, b"t\0"), (2, number), (3, b"c\0"), (6, bytes([0, 0, 0, handle]))),
        said(18, (1, b"t\0"), (2, b"n\0"), (3, FOUR), (4, packets.to_bytes(8, "big"))),
        [],
        [],
        said(6, (1, b"t\0"), (2, b"c\0"), (3, number), (4, expression), (6, number)),
    ]


def test_the_rule_set_is_the_same_whatever_was_counted() -> None:
    first = netstate.rule_set(answers())
    assert first == netstate.rule_set(answers(handle=77, packets=5))
    assert first != netstate.rule_set(answers(expression=b"y"))
    assert first != netstate.rule_set([*answers()[:5], []])
    swapped = answers()
    swapped[5] = [*answers()[5], *answers(expression=b"y")[5]]
    other = answers()
    other[5] = swapped[5][::-1]
    assert netstate.rule_set(swapped) != netstate.rule_set(other)
    assert first.startswith("sha256:")


def test_only_of_counters_the_data_is_left_out() -> None:
    quota, more = answers(), answers(packets=5)
    for some in (quota, more):
        (one,) = some[2]
        some[2] = [
            one._replace(body=one.body.replace(attribute(3, FOUR), attribute(3, b"\0\0\0\2")))
        ]
    assert netstate.rule_set(quota) != netstate.rule_set(more)


def test_the_generation() -> None:
    kind, body = netstate.generation_request()
    assert (kind, body) == (10 << 8 | 16, bytes(4))
    assert (
        netstate.generation(Message(10 << 8 | 15, 0, bytes(4) + attribute(1, b"\0\0\1\2"))) == 258
    )
    for wrong in (
        Message(10 << 8 | 14, 0, bytes(4) + attribute(1, FOUR)),
        Message(10 << 8 | 15, 0, b""),
    ):
        with pytest.raises(WireError):
            netstate.generation(wrong)


@given(st.binary(max_size=60))
def test_no_answer_breaks_the_reader(body: bytes) -> None:
    for work in (
        lambda: read([Message(16, 0, body)], [Message(24, 0, body)]),
        lambda: netstate.rule_set([[Message(2560, 0, body)], *[[] for _ in range(5)]]),
        lambda: netstate.generation(Message(2575, 0, body)),
    ):
        try:
            work()
        except WireError:
            continue
