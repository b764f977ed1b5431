import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.wire import dns
from sluicegate.wire.cursor import WireError
from sluicegate.wire.dns import Query, read_query

OPT = b"\0\0\x29\x10\0" + bytes(6)
COOKIE = b"\0\0\x29\x10\0" + bytes(4) + b"\0\x0c\0\x0a\0\x08" + bytes(8)


def packet(
    labels: list[bytes],
    *,
    qtype: int = 1,
    flags: int = 0x0100,
    counts: tuple[int, int, int, int] = (1, 0, 0, 0),
    tail: bytes = b"",
) -> bytes:
    head = b"".join(n.to_bytes(2, "big") for n in (0xABCD, flags, *counts))
    name = b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
    return head + name + qtype.to_bytes(2, "big") + b"\0\x01" + tail


def test_a_question() -> None:
    raw = packet([b"PyPi", b"Test"], qtype=28)
    want = Query(0xABCD, "pypi.test", "pypi.test", 28, 1, 0x0100, edns=False, question=raw[12:])
    assert read_query(raw) == want


@pytest.mark.parametrize("opt", [OPT, COOKIE])
def test_a_question_with_edns(opt: bytes) -> None:
    got = read_query(packet([b"a"], counts=(1, 0, 0, 1), tail=opt))
    assert (got.name, got.edns) == ("a", True)


def test_the_root() -> None:
    got = read_query(packet([], qtype=2))
    assert (got.name, got.shown) == (".", ".")


@pytest.mark.parametrize(
    ("labels", "shown"),
    [
        ([b"My Printer", b"_ipp", b"local"], "my\\032printer._ipp.local"),
        ([b"a.b", b"test"], "a\\046b.test"),
        ([b"b\xc3\xbccher"], "b\\195\\188cher"),
        ([b"\0", b"\n", b"\x7f"], "\\000.\\010.\\127"),
        ([b"a\\", b'"'], "a\\092.\\034"),
        ([b"*", b"test"], "\\042.test"),
        ([b"1", b"2", b"3"] + [b"x" * 63] * 4, None),
    ],
)
def test_labels_that_are_no_host_are_shown_and_not_named(
    labels: list[bytes], shown: str | None
) -> None:
    if shown is None:
        with pytest.raises(WireError):
            read_query(packet(labels))
        return
    got = read_query(packet(labels))
    assert (got.name, got.shown) == (None, shown)


def test_the_longest_name() -> None:
    labels = [b"a" * 63] * 3 + [b"b" * 61]
    assert read_query(packet(labels)).name == ".".join(label.decode() for label in labels)
    with pytest.raises(WireError):
        read_query(packet([b"a" * 63] * 3 + [b"b" * 62]))


GOOD = packet([b"a", b"test"])
BAD = {
    "nothing": b"",
    "half a header": GOOD[:11],
    "a header": GOOD[:12],
    "cut name": GOOD[:15],
    "no type": GOOD[:-4],
    "no class": GOOD[:-1],
    "trailing byte": GOOD + b"\0",
    "an answer": packet([b"a"], flags=0x8180),
    "opcode": packet([b"a"], flags=0x2800),
    "no question": packet([b"a"], counts=(0, 0, 0, 0)),
    "two questions": packet([b"a"], counts=(2, 0, 0, 0)),
    "an answer record": packet([b"a"], counts=(1, 1, 0, 0)),
    "an authority record": packet([b"a"], counts=(1, 0, 1, 0)),
    "two additional records": packet([b"a"], counts=(1, 0, 0, 2), tail=OPT + OPT),
    "additional that is no OPT": packet([b"a"], counts=(1, 0, 0, 1), tail=b"\0\0\x01" + OPT[3:]),
    "OPT with a name": packet([b"a"], counts=(1, 0, 0, 1), tail=b"\x01x" + OPT),
    "cut OPT": packet([b"a"], counts=(1, 0, 0, 1), tail=OPT[:-1]),
    "OPT longer than the packet": packet([b"a"], counts=(1, 0, 0, 1), tail=OPT[:-2] + b"\0\x09"),
    "pointer": GOOD[:12] + b"\xc0\x0c" + GOOD[-4:],
    "pointer in the name": GOOD[:14] + b"\xc0\x0c" + GOOD[-4:],
    "extended label": GOOD[:12] + b"\x41x" + GOOD[-5:],
}


@pytest.mark.parametrize("raw", BAD.values(), ids=BAD.keys())
def test_what_is_not_one_question(raw: bytes) -> None:
    with pytest.raises(WireError):
        read_query(raw)


def test_an_answer_with_an_address() -> None:
    query = read_query(packet([b"A", b"Test"], counts=(1, 0, 0, 1), tail=OPT))
    raw = dns.answer(query, "198.18.0.1", 60)
    assert raw[:12].hex() == "abcd81800001000100000001"
    assert raw[12:].startswith(query.question)
    record = raw[12 + len(query.question) :]
    assert record.startswith(
        b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04" + socket.inet_aton("198.18.0.1")
    )
    assert record[16:] == b"\0\0\x29\x04\xd0" + bytes(6)
    assert dns.answer(query, "::1", 1)[-11 - 16 : -11] == bytes(15) + b"\x01"


def test_an_empty_answer() -> None:
    query = read_query(packet([b"a"], qtype=28, flags=0x0000))
    assert dns.answer(query, None, 60) == b"\xab\xcd\x80\x80\0\x01" + bytes(6) + query.question


def test_errors() -> None:
    query = read_query(GOOD)
    assert dns.error(query, dns.REFUSED) == b"\xab\xcd\x81\x85\0\x01" + bytes(6) + query.question
    assert dns.error(BAD["opcode"], dns.NOTIMP) == b"\xab\xcd\xa8\x84" + bytes(8)
    assert dns.error(BAD["cut name"], dns.FORMERR) == b"\xab\xcd\x81\x81" + bytes(8)
    with pytest.raises(WireError):
        dns.error(b"\xab\xcd", dns.FORMERR)


@pytest.mark.parametrize(
    ("qtype", "text"), [(1, "A"), (28, "AAAA"), (65, "HTTPS"), (0, "TYPE0"), (65535, "TYPE65535")]
)
def test_types_have_their_names(qtype: int, text: str) -> None:
    assert dns.type_text(qtype) == text


@given(st.binary(max_size=300) | st.binary(max_size=60).map(lambda tail: GOOD[:12] + tail))
def test_any_bytes_are_a_question_or_a_wire_error(raw: bytes) -> None:
    try:
        query = read_query(raw)
    except WireError:
        return
    assert query.shown.isascii()
    assert query.shown.isprintable()
    assert len(dns.answer(query, "198.18.0.1", 60)) <= 512
    assert dns.error(query, dns.REFUSED).startswith(raw[:2])


@given(st.lists(st.binary(min_size=1, max_size=10), max_size=10), st.integers(0, 65535))
def test_every_question_is_echoed(labels: list[bytes], qtype: int) -> None:
    raw = packet(labels, qtype=qtype)
    query = read_query(raw)
    assert query.question == raw[12:]
    assert query.qtype == qtype
    assert dns.answer(query, None, 0)[12:] == raw[12:]
