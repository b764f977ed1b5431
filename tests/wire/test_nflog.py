import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.wire import nflog
from sluicegate.wire.nflog import UNREADABLE, Dropped, read_messages


def attribute(kind: int, value: bytes) -> bytes:
    raw = (4 + len(value)).to_bytes(2, "little") + kind.to_bytes(2, "little") + value
    return raw + bytes(-len(raw) % 4)


def message(
    payload: bytes, *, seq: int | None = 7, uid: int | None = 1000, kind: int = 0x0400
) -> bytes:
    body = bytes(4) + attribute(1, bytes(4)) + attribute(10, b"\0") + attribute(9, payload)
    if uid is not None:
        body += attribute(11, uid.to_bytes(4, "big"))
    if seq is not None:
        body += attribute(12, seq.to_bytes(4, "big"))
    return (16 + len(body)).to_bytes(4, "little") + kind.to_bytes(2, "little") + bytes(10) + body


PORTS = b"\x30\x39\x01\xbb"


def four(protocol: int, rest: bytes = PORTS, *, options: int = 0, fragment: int = 0) -> bytes:
    head = (
        bytes([0x45 + options])
        + bytes(5)
        + fragment.to_bytes(2, "big")
        + b"\x40"
        + bytes([protocol, 0, 0])
    )
    return (
        head
        + socket.inet_aton("10.255.0.1")
        + socket.inet_aton("192.0.2.7")
        + bytes(4 * options)
        + rest
    )


def six(protocol: int, rest: bytes = PORTS) -> bytes:
    ends = [socket.inet_pton(socket.AF_INET6, text) for text in ("fd00::1", "2001:db8::7")]
    return b"\x60" + bytes(5) + bytes([protocol, 64]) + b"".join(ends) + rest


def seen(payload: bytes) -> tuple[int, str, int | None, tuple[int, int] | None]:
    (packet,) = read_messages(message(payload))
    assert (packet.uid, packet.seq) == (1000, 7)
    return packet.protocol, packet.destination, packet.port, packet.icmp


@pytest.mark.parametrize("protocol", [6, 17, 33, 132, 136])
def test_protocols_with_ports(protocol: int) -> None:
    assert seen(four(protocol)) == (protocol, "192.0.2.7", 443, None)
    assert seen(six(protocol)) == (protocol, "2001:db8::7", 443, None)


def test_protocols_without() -> None:
    assert seen(four(1, b"\x08\x00\0\0")) == (1, "192.0.2.7", None, (8, 0))
    assert seen(six(58, b"\x80\x00\0\0")) == (58, "2001:db8::7", None, (128, 0))
    assert seen(four(47)) == (47, "192.0.2.7", None, None)


def test_header_options_and_extensions() -> None:
    assert seen(four(17, options=2))[2] == 443
    extended = six(0, b"\x3c\0" + bytes(6) + b"\x11\x01" + bytes(14) + PORTS)
    assert seen(extended) == (17, "2001:db8::7", 443, None)


def test_only_the_first_fragment_has_ports() -> None:
    assert seen(four(17, fragment=0x2000))[2] == 443
    assert seen(four(17, fragment=0x0010))[2] is None
    assert seen(six(44, b"\x11\0\0\x01" + bytes(4) + PORTS))[2] == 443
    assert seen(six(44, b"\x11\0\0\x08" + bytes(4) + PORTS)) == (17, "2001:db8::7", None, None)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\x45",
        four(17)[:19],
        b"\x44" + four(17)[1:],
        six(17)[:39],
        b"\x70" + bytes(60),
        bytes(60),
    ],
)
def test_an_unreadable_packet_still_counts(payload: bytes) -> None:
    first, second = read_messages(message(payload) + message(four(17), seq=8))
    assert first == Dropped(UNREADABLE, "", "", None, 1000, 7, None)
    assert (second.seq, second.port) == (8, 443)


@pytest.mark.parametrize("payload", [four(17, b"\0\0\0"), four(17, b"")])
def test_a_packet_cut_before_its_ports_keeps_its_addresses(payload: bytes) -> None:
    assert seen(payload) == (17, "192.0.2.7", None, None)


def test_other_messages_are_passed_over() -> None:
    assert read_messages(
        message(four(17), kind=2) + message(four(17)) + message(b"", kind=3)
    ) == read_messages(message(four(17)))


def test_packets_of_the_kernel_carry_no_uid() -> None:
    (packet,) = read_messages(message(four(6), uid=None, seq=None))
    assert (packet.uid, packet.seq) == (None, None)


def test_a_cut_datagram_still_has_its_packets() -> None:
    whole = message(four(17)) + message(six(6), seq=8)
    assert len(read_messages(whole[:-4])) == 2
    assert len(read_messages(whole[: len(message(four(17))) + 20])) == 2


def test_what_is_subscribed_to() -> None:
    sent = nflog.subscribe(15)
    assert [len(one) for one in sent] == [int.from_bytes(one[:4], "little") for one in sent]
    assert {one[4:8] for one in sent} == {b"\x01\x04\x05\x00"}
    assert {one[16:20] for one in sent} == {b"\0\0\0\x0f"}
    bodies = [one[20:] for one in sent]
    assert bodies[0] == attribute(1, b"\x01")
    assert bodies[1] == attribute(2, (128).to_bytes(4, "big") + b"\x02\0")
    assert bodies[2] == attribute(5, (1).to_bytes(4, "big"))
    assert bodies[3] == attribute(6, (1).to_bytes(2, "big"))


@given(st.binary(max_size=120))
def test_no_bytes_break_the_reader(datagram: bytes) -> None:
    read_messages(datagram)
    (packet,) = read_messages(message(datagram))
    assert packet.seq == 7


@given(st.data())
def test_a_changed_byte_breaks_nothing(data: st.DataObject) -> None:
    raw = bytearray(message(six(0, b"\x11\0" + bytes(6) + PORTS)) + message(four(17)))
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] = data.draw(st.integers(0, 255))
    read_messages(bytes(raw))
