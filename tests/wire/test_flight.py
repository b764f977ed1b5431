from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.wire import flight
from sluicegate.wire.flight import Flight
from sluicegate.wire.tls import ClientHello, read_client_hello
from tests.wire.test_tls import extension, hello, records, sni

FIRST = ClientHello("a.test", (), ech=False)
EARLY = ClientHello("a.test", (), ech=False, early=True)
SAME, OTHER = records(hello(sni(b"a.test"))), records(hello(sni(b"b.test")))
CCS = b"\x14\x03\x03\0\x01\x01"
WARNING = b"\x15\x03\x03\0\x02\x01\x5a"
DATA = b"\x17\x03\x03\0\x05hello"
KEYS = records(b"\x10\0\0\x04keys")  # ClientKeyExchange


def talk(first: ClientHello, *pieces: bytes) -> tuple[bytes, bool, str]:
    """What went on, whether the rest may, and what was refused."""
    one, out = Flight(first), b""
    for piece in pieces:
        assert not one.refusal
        out += one.received(piece)
    return out, one.free, one.refusal


def bytewise(stream: bytes) -> list[bytes]:
    return [stream[i : i + 1] for i in range(len(stream))]


@pytest.mark.parametrize(
    "stream",
    [
        *(DATA, KEYS, CCS + DATA, CCS + KEYS, SAME, CCS + SAME + b"anything", WARNING + DATA),
        *(records(SAME[5:], 7), CCS + WARNING + CCS + SAME, b"\0\0not TLS", b"\x80\x01"),
        # What is encrypted may look like a hello, but no server would take one so long.
        CCS + records(b"\x01\x03" + bytes(38)),
    ],
)
def test_what_names_no_other_server_goes_on_whole(stream: bytes) -> None:
    assert talk(FIRST, stream) == (stream, True, "")
    assert talk(FIRST, *bytewise(stream)) == (stream, True, "")


@pytest.mark.parametrize("before", [b"", CCS, WARNING, CCS * 20, b"\x18\x03\x03\0\x01x"])
@pytest.mark.parametrize("second", [OTHER, records(OTHER[5:], 3), records(hello(b""))])
def test_another_name_is_refused_and_none_of_it_goes_on(before: bytes, second: bytes) -> None:
    for pieces in ([before + second + DATA], bytewise(before + second)):
        out, free, refusal = talk(FIRST, *pieces)
        assert (out, free) == (before, False)
        assert refusal == "the sni of the second hello is another one"


def test_early_data_passes_and_the_hello_after_it_is_still_compared() -> None:
    assert talk(EARLY, DATA + CCS, DATA) == (DATA + CCS + DATA, False, "")
    out, free, refusal = talk(EARLY, DATA, CCS + DATA + OTHER)
    assert (out, free, bool(refusal)) == (DATA + CCS + DATA, False, True)
    assert talk(EARLY, DATA, SAME, DATA) == (DATA + SAME + DATA, True, "")
    # Without that extension no server skips it.
    assert talk(FIRST, DATA + OTHER) == (DATA + OTHER, True, "")


def test_early_data_without_end_is_not_watched_for_ever() -> None:
    record = b"\x17\x03\x03\x40\0" + bytes(16_384)
    one, count = Flight(EARLY), 0
    while not one.free:
        assert one.received(record) == record
        count += 1
    assert count == flight.MAX_EARLY_BYTES // len(record) + 2


def test_a_first_hello_that_offers_early_data() -> None:
    got = read_client_hello(records(hello(sni(b"a.test") + extension(42, b""))) + DATA)
    assert got == EARLY
    assert got is not None
    assert got.size == len(records(hello(sni(b"a.test") + extension(42, b""))))


@pytest.mark.parametrize(
    "stream",
    [
        *(b"\x16\x03\x03\0\0", CCS + records(b"\x01\0\0\x05abcde"), OTHER[:-1] + b"x" + DATA[:5]),
        *(records(b"\x01\0\0\x50" + bytes(9)) + DATA, b"\x16\x02\x03" + SAME[3:]),
        CCS * (flight.MAX_RECORDS + 1),
        records(hello(sni(b"a.test") + extension(0xFE0D, bytes(9)))),
    ],
)
def test_what_can_not_be_read_is_refused(stream: bytes) -> None:
    out, free, refusal = talk(FIRST, stream)
    assert not free
    assert refusal
    assert out in {b"", CCS, CCS * flight.MAX_RECORDS}


def test_a_hello_in_too_many_pieces_is_refused() -> None:
    one, sent = Flight(FIRST), 0
    for piece in bytewise(records(hello(sni(b"a.test") + extension(21, bytes(9000))))):
        assert one.received(piece) == b""
        sent += 1
        if one.refusal:
            break
    assert "too many pieces" in one.refusal
    assert sent**2 < 2.1 * flight.MAX_WORK_BYTES


def test_the_end_of_the_stream() -> None:
    for begun, more in ((b"", b""), (b"\x14", b"\x14"), (SAME[:5], SAME[:5])):
        one = Flight(FIRST)
        assert one.received(begun) == b""
        assert (one.ended(), one.free, one.refusal) == (more, True, "")
    one = Flight(FIRST)
    one.received(OTHER[:20])
    assert one.ended() == b""
    assert "ended within" in one.refusal


@given(st.lists(st.sampled_from([CCS, WARNING, DATA, SAME, OTHER, KEYS]), max_size=6), st.data())
def test_how_it_is_cut_changes_nothing(parts: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(parts)
    cut = data.draw(st.integers(0, len(stream)))
    for first in (FIRST, EARLY):
        whole = Flight(first)
        out = whole.received(stream)
        two = Flight(first)
        pieces = two.received(stream[:cut])
        if not two.refusal:
            pieces += two.received(stream[cut:])
        assert (pieces, two.free, two.refusal) == (out, whole.free, whole.refusal)
