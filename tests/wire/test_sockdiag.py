from __future__ import annotations

import contextlib
import ipaddress
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.wire import sockdiag
from sluicegate.wire.cursor import WireError
from sluicegate.wire.sockdiag import End, Found


def end(text: str, port: int) -> End:
    address = ipaddress.ip_address(text)
    raw = address.packed
    return End(raw if address.version == 6 else bytes(10) + b"\xff\xff" + raw, port)


OURS, THEIRS = end("10.255.0.1", 40000), end("203.0.113.10", 443)
OURS6, THEIRS6 = end("fd00::1", 40000), end("2001:db8::10", 443)


def reply(ours: End, theirs: End, *, family: int, state: int = 1, number: int = 7) -> bytes:
    """As the kernel makes `struct inet_diag_msg`, with an attribute behind it."""
    own, other = (e.address[12:] + bytes(12) if family == 2 else e.address for e in (ours, theirs))
    name = struct.pack("!HH16s16s", ours.port, theirs.port, own, other)
    body = struct.pack("=BBBB", family, state, 0, 0) + name + struct.pack("=IQ", 1, 0xA1)
    body += struct.pack("=IIIII", 0, 0, 0, 1000, 4242) + struct.pack("=HHI", 5, 8, 0)
    return struct.pack("=IHHII", 16 + len(body), 20, 0, number, 99) + body


def error(code: int, number: int = 7) -> bytes:
    return struct.pack("=IHHIIi", 20, 2, 0, number, 0, -code)


def test_a_request_is_that_of_the_kernels_header() -> None:
    made = sockdiag.request(OURS, THEIRS, 7)
    assert made == struct.pack("=IHHII", 72, 20, 1, 7, 0) + struct.pack(
        "=BBBxI", 2, 6, 0, 0xFFFFFFFF
    ) + struct.pack(
        "!HH16s16s",
        40000,
        443,
        bytes([10, 255, 0, 1]) + bytes(12),
        bytes([203, 0, 113, 10]) + bytes(12),
    ) + struct.pack("=III", 1, 0xFFFFFFFF, 0xFFFFFFFF)
    assert sockdiag.request(OURS6, THEIRS6, 7)[16] == 10


@pytest.mark.parametrize(
    ("ours", "theirs", "family"),
    [(OURS, THEIRS, 2), (OURS6, THEIRS6, 10), (OURS, THEIRS, 10)],
    ids=["IPv4", "IPv6", "IPv4 of an IPv6 socket"],
)
def test_the_socket_is_read(ours: End, theirs: End, family: int) -> None:
    found = sockdiag.read_reply(reply(ours, theirs, family=family), 7, ours, theirs)
    assert found == Found(4242, 1000, 0xA1)


def test_a_listener_or_another_connection_is_not_the_socket() -> None:
    for made in (
        reply(OURS, THEIRS, family=2, state=10),
        reply(THEIRS, OURS, family=2),
        reply(OURS, end("203.0.113.11", 443), family=2),
        reply(OURS, end("203.0.113.10", 444), family=2),
        error(2),
    ):
        assert sockdiag.read_reply(made, 7, OURS, THEIRS) is None


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (error(1), "error 1"),
        (error(2, number=8), "request 8, wanted 7"),
        (reply(OURS, THEIRS, family=2)[:60], "60 bytes"),
        (b"\0" * 19, "19 bytes"),
    ],
)
def test_what_is_no_answer_is_an_error(made: bytes, why: str) -> None:
    with pytest.raises(WireError, match=why):
        sockdiag.read_reply(made, 7, OURS, THEIRS)


@given(st.binary(max_size=200))
def test_no_bytes_surprise_it(data: bytes) -> None:
    with contextlib.suppress(WireError):
        sockdiag.read_reply(data, 7, OURS, THEIRS)
    sockdiag.is_socket(data)


def test_an_error_is_no_socket() -> None:
    assert sockdiag.is_socket(reply(OURS, THEIRS, family=2, state=10))
    assert not sockdiag.is_socket(error(2))
