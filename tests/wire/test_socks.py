import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.wire import socks
from sluicegate.wire.cursor import WireError
from sluicegate.wire.socks import SocksRequest


def named(name: bytes, port: int = 443) -> bytes:
    return b"\x05\x01\0\x03" + bytes([len(name)]) + name + port.to_bytes(2, "big")


V6 = socket.inet_pton(socket.AF_INET6, "2001:db8::1")
MAPPED = socket.inet_pton(socket.AF_INET6, "::ffff:10.0.0.1")
FIVE = {
    named(b"A.Test."): SocksRequest(1, "a.test", 443, 14),
    named(b"127.1"): SocksRequest(1, "127.0.0.1", 443, 12),
    named(b"::1"): SocksRequest(1, "::1", 443, 10),
    b"\x05\x01\0\x01\x0a\0\0\x01\x01\xbb": SocksRequest(1, "10.0.0.1", 443, 10),
    b"\x05\x01\0\x04" + V6 + b"\0\x50": SocksRequest(1, "2001:db8::1", 80, 22),
    b"\x05\x01\0\x04" + MAPPED + b"\0\x50": SocksRequest(1, "::ffff:a00:1", 80, 22),
    b"\x05\x02\0\x01\x0a\0\0\x01\0\x16": SocksRequest(2, "10.0.0.1", 22, 10),
    b"\x05\x03\0\x01\x0a\0\0\x01\0\x16": SocksRequest(3, "10.0.0.1", 22, 10),
}
BAD_FIVE = [
    b"\x04\x01\0\x01",
    b"\x05\x01\x01",
    b"\x05\x01\0\x02\x00",
    named(b""),
    named(b"a.test\0.b.test"),
    named(b"a b"),
    named(b"a%2e"),
    named("b\u00fc.test".encode()),
    named(b"a.test", 0),
    named(b"a.test:80"),
    named(b"a" * 255),
]


@pytest.mark.parametrize(("raw", "want"), FIVE.items(), ids=ascii)
def test_requests_of_version_5(raw: bytes, want: SocksRequest) -> None:
    assert socks.read_request5(raw + b"more") == want
    assert [socks.read_request5(raw[:size]) for size in range(len(raw))] == [None] * len(raw)


@pytest.mark.parametrize("raw", BAD_FIVE, ids=ascii)
def test_refused_requests_of_version_5(raw: bytes) -> None:
    with pytest.raises(WireError):
        socks.read_request5(raw)


def test_greetings() -> None:
    got = socks.read_greeting5(b"\x05\x02\x00\x02rest")
    assert got == socks.Greeting(b"\x00\x02", 4)
    assert [socks.read_greeting5(b"\x05\x02\x00\x02"[:size]) for size in range(4)] == [None] * 4
    for raw in (b"\x04\x01", b"\x05\x00"):
        with pytest.raises(WireError):
            socks.read_greeting5(raw)


FOUR = {
    b"\x04\x01\0\x50\x0a\0\0\x01user\0": SocksRequest(1, "10.0.0.1", 80, 13),
    b"\x04\x01\0\x50\x0a\0\0\x01\0": SocksRequest(1, "10.0.0.1", 80, 9),
    b"\x04\x01\0\x50\0\0\0\x07u\0A.Test.\0": SocksRequest(1, "a.test", 80, 18),
    b"\x04\x02\0\x50\0\0\0\x00\0": SocksRequest(2, "0.0.0.0", 80, 9),
    b"\x04\x01\0\x50\0\0\0\x07" + b"u" * 255 + b"\0a.test\0": SocksRequest(1, "a.test", 80, 271),
}
BAD_FOUR = [
    b"\x05\x01",
    b"\x04\x01\0\0\x0a\0\0\x01\0",
    b"\x04\x01\0\x50\0\0\0\x07\0\0",
    b"\x04\x01\0\x50\0\0\0\x07\0a b\0",
    b"\x04\x01\0\x50\0\0\0\x07\0b\xfc.test\0",
    b"\x04\x01\0\x50\x0a\0\0\x01" + b"u" * 256 + b"\0",
    b"\x04\x01\0\x50\0\0\0\x07\0" + b"a" * 256 + b"\0",
]


@pytest.mark.parametrize(("raw", "want"), FOUR.items(), ids=ascii)
def test_requests_of_version_4(raw: bytes, want: SocksRequest) -> None:
    assert socks.read_request4(raw + b"more") == want
    assert [socks.read_request4(raw[:size]) for size in range(len(raw))] == [None] * len(raw)


@pytest.mark.parametrize("raw", BAD_FOUR, ids=ascii)
def test_refused_requests_of_version_4(raw: bytes) -> None:
    with pytest.raises(WireError):
        socks.read_request4(raw)


def test_replies() -> None:
    assert socks.greeting_reply(True) == b"\x05\x00"
    assert socks.greeting_reply(False) == b"\x05\xff"
    assert socks.reply5(2) == b"\x05\x02\x00\x01" + bytes(6)
    assert socks.reply4(91) == b"\x00\x5b" + bytes(6)


RANDOM = st.binary(max_size=40) | st.sampled_from([*FIVE, *FOUR, *BAD_FIVE, *BAD_FOUR])


@given(RANDOM, st.binary(max_size=3))
def test_any_bytes_however_they_come(start: bytes, more: bytes) -> None:
    raw = start + more
    for read in (socks.read_greeting5, socks.read_request5, socks.read_request4):

        def outcome(data: bytes) -> object:
            try:
                return read(data)  # noqa: B023
            except WireError:
                return "refused"

        early = next(
            (got for n in range(len(raw) + 1) if (got := outcome(raw[:n])) is not None), None
        )
        assert early == outcome(raw)
