"""What the kernel counts, from its bytes."""

import struct

import pytest

from sluicegate.boundary import counters
from sluicegate.wire.cursor import WireError

SNMP = """Ip: Forwarding OutDiscards
Ip: 1 4
Icmp: InMsgs
Icmp: 9
Tcp: ActiveOpens PassiveOpens AttemptFails InSegs
Tcp: 78 75 3 400
"""


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def message(kind: int, body: bytes) -> bytes:
    return struct.pack("=IHHII", 16 + len(body), kind, 2, 1, 0) + body


def test_snmp_keeps_what_is_reconciled() -> None:
    assert counters.read_snmp(SNMP) == {
        "Ip.OutDiscards": 4,
        "Tcp.ActiveOpens": 78,
        "Tcp.PassiveOpens": 75,
        "Tcp.AttemptFails": 3,
    }


def test_dump_gives_packets_by_name() -> None:
    data = attribute(1, struct.pack(">Q", 999)) + attribute(2, struct.pack(">Q", 7))
    body = bytes(4) + attribute(2, b"refused\0") + attribute(4 | 0x8000, data)
    raw = message(10 << 8 | 18, body) + message(3, bytes(4))
    assert counters.read_reply(raw) == ({"refused": 7}, True)
    weighed = bytes(4) + attribute(2, b"up_odd\0") + attribute(4 | 0x8000, data)
    raw = message(10 << 8 | 18, weighed) + message(3, bytes(4))
    assert counters.read_reply(raw) == ({"up_odd": 7, "up_odd.bytes": 999}, True)


DEV = """Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop
  tunl0:      11       1    2    3    0     0          0         0        5       0    0    0
    lo: 30126672   16644    0  902    0     0          0         0 30126672   16644    0    0
"""


def test_what_a_link_dropped_on_the_way_in() -> None:
    assert counters.read_dev(DEV, "lo") == 902
    with pytest.raises(WireError, match="no link eth0"):
        counters.read_dev(DEV, "eth0")


def test_error_and_cut_replies_are_refused() -> None:
    with pytest.raises(WireError, match="error 1"):
        counters.read_reply(message(2, struct.pack("=i", -1)))
    with pytest.raises(WireError, match="cut short"):
        counters.read_reply(message(3, bytes(4))[:-1] + b"")


def test_request_names_the_table() -> None:
    raw = counters.request("sluicegate", 5)
    assert len(raw) == struct.unpack_from("=I", raw)[0]
    assert b"sluicegate\0" in raw
