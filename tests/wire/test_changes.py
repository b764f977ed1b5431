"""What the kernel tells of changes to a network."""

from __future__ import annotations

import ipaddress
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.wire import changes, netlink
from sluicegate.wire.cursor import WireError


def message(kind: int, body: bytes) -> bytes:
    return netlink.request(kind, body, 0, 0)


def address(text: str) -> bytes:
    return netlink.attribute(1, ipaddress.ip_address(text).packed)


def route(target: str, bits: int, table: int, kind: int = 24) -> bytes:
    family = 10 if ":" in target else 2
    return message(kind, bytes([family, bits, 0, 0, table, 3, 0, 1]) + bytes(4) + address(target))


LINK = (
    struct.pack("=BxHiII", 0, 772, 1, 0x10049, 0)
    + netlink.attribute(3, b"lo\0")
    + netlink.attribute(4, (1400).to_bytes(4, "little"))
)
TABLE = netlink.attribute(1, b"sluicegate\0")


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (message(16, LINK), "new link lo mtu 1400 up"),
        (message(17, LINK), "deleted link lo mtu 1400 up"),
        (route("203.0.113.0", 24, 254), "new route 203.0.113.0/24 table 254"),
        (route("2001:db8::", 32, 255, 25), "deleted route 2001:db8::/32 table 255"),
        (message(24, bytes([2, *bytes(11)])), "new route 0.0.0.0/0 table 0"),
        (message(32, bytes([10, 0, 0, 0, 9, *bytes(7)])), "new policy rule ::/0 table 9"),
        (
            message(20, bytes([2, 32, 0, 0]) + bytes(4) + address("10.0.0.1")),
            "new address 10.0.0.1/32",
        ),
        (message(80, b"\2\0\0\0"), "new setting"),
        (message(36, bytes(20)), "new queue"),
        (message(2560, bytes(4) + TABLE), "new table sluicegate"),
        (message(2562, bytes(4) + TABLE), "deleted table sluicegate"),
        (
            message(2566, bytes(4) + TABLE + netlink.attribute(2, b"refuse\0")),
            "new rule sluicegate refuse",
        ),
        (message(2575, bytes(4) + netlink.attribute(1, b"\0\0\0\3")), "new generation"),
        (message(2560, bytes(4) + netlink.attribute(1, b"\x1b[2J\0")), "new table"),
        (message(2600, bytes(4)), "rule message 40"),
        (message(19, b""), "message 19"),
        (message(4, b""), "message 4"),
        (message(24, b"\2"), "new route (unreadable)"),
        (message(16, b""), "new link (unreadable)"),
        (b"", "unreadable"),
        (b"\0" * 16, "unreadable"),
    ],
)
def test_every_change_has_its_words(raw: bytes, said: str) -> None:
    assert changes.read(raw) == [said]


def test_many_in_one_datagram() -> None:
    assert len(changes.read(route("10.0.0.0", 8, 254) + message(16, LINK))) == 2


def test_the_local_route_of_an_address() -> None:
    others = (
        route("fd00::1", 128, 254) + route("fd00::2", 128, 255) + route("fd00::1", 128, 255, 25)
    )
    assert not changes.has_local_route(others + message(24, b"\2"), "fd00::1")
    assert changes.has_local_route(others + route("fd00::1", 128, 255), "fd00::1")
    with pytest.raises(WireError):
        changes.has_local_route(others[:-1], "fd00::1")


@given(st.sampled_from([16, 20, 24, 32, 80, 2560, 2566, 2575]), st.binary(max_size=80))
def test_whatever_comes_is_a_change_in_short_plain_words(kind: int, body: bytes) -> None:
    (said,) = changes.read(message(kind, body))
    assert said.isascii()
    assert said.isprintable()
    assert 0 < len(said) <= changes.MAX_TEXT
