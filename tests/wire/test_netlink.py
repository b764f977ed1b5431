"""Netlink's framing."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.wire import netlink
from sluicegate.wire.cursor import WireError


def message(kind: int, body: bytes, flags: int = 0) -> bytes:
    raw = struct.pack("=IHHII", 16 + len(body), kind, flags, 7, 0) + body
    return raw + bytes(-len(raw) % 4)


def test_messages_come_with_kind_flags_and_body() -> None:
    found = netlink.messages(message(24, b"abcde", 2) + message(3, b""))
    assert found == [netlink.Message(24, 2, b"abcde"), netlink.Message(3, 0, b"")]


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"x",
        message(24, b"abcd")[:-1],
        message(24, b"") + b"\0",
        struct.pack("=IHHII", 15, 24, 0, 0, 0),
    ],
)
def test_what_is_cut_short_is_refused(raw: bytes) -> None:
    with pytest.raises(WireError):
        netlink.messages(raw)


@given(st.lists(st.tuples(st.integers(0, 0x3FFF), st.binary(max_size=40)), max_size=8))
def test_attributes_are_read_as_they_are_written(given_: list[tuple[int, bytes]]) -> None:
    raw = b"".join(netlink.attribute(kind, value) for kind, value in given_)
    assert netlink.attributes(raw) == given_


def test_the_bits_for_nesting_and_order_are_no_part_of_the_type() -> None:
    assert netlink.attributes(struct.pack("=HH", 4, 0xC005)) == [(5, b"")]


@pytest.mark.parametrize("size", [0, 3, 9])
def test_a_wrong_attribute_is_refused(size: int) -> None:
    with pytest.raises(WireError):
        netlink.attributes(struct.pack("=HHI", size, 1, 0))


def test_a_request_is_a_dump_unless_said_otherwise() -> None:
    raw = netlink.request(18, b"\0\0\0\0", 9)
    assert struct.unpack_from("=IHHII", raw) == (20, 18, 0x301, 9, 0)
    assert struct.unpack_from("=IHH", netlink.request(2576, b"", 9, 0))[2] == 1


@given(st.binary(max_size=80))
def test_no_bytes_break_the_reader(raw: bytes) -> None:
    for read in (netlink.messages, netlink.attributes):
        try:
            read(raw)
        except WireError:
            continue
