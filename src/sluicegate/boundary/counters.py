"""The kernel's own account: nft's named counters and the namespace's SNMP. Pure: bytes to numbers."""

from __future__ import annotations

import struct

from sluicegate.wire.cursor import WireError

# linux/netfilter/nfnetlink.h and nf_tables.h
_GET_OBJECT, _NEW_OBJECT = 10 << 8 | 19, 10 << 8 | 18
_REQUEST_DUMP = 1 | 0x300
_INET = 1
_OBJ_TABLE, _OBJ_NAME, _OBJ_TYPE, _OBJ_DATA = 1, 2, 3, 4
_TYPE_COUNTER = 1
_COUNTER_BYTES, _COUNTER_PACKETS = 1, 2
# Counters whose bytes count too: the segments of captured connections, each with its network header.
_WEIGHED = frozenset(("up4", "up6", "up_odd", "down4", "down6", "down_odd"))
_ERROR, _DONE = 2, 3
_HEADER = struct.Struct("=IHHII")
# What of /proc/net/snmp and /proc/net/netstat the reconciliation uses or shows: connections, and packets refused on
# the way out (Documentation/networking/snmp_counter.rst).
_SNMP = {
    "Tcp": ("ActiveOpens", "PassiveOpens", "AttemptFails", "RetransSegs"),
    "TcpExt": (
        *("TCPSynRetrans", "ListenOverflows", "ListenDrops", "EmbryonicRsts"),
        *("SyncookiesSent",),
    ),
    "Ip": ("OutDiscards",),
    "Udp": ("RcvbufErrors",),
}

_RX_DROPPED = 3  # column of /proc/net/dev (net/core/net-procfs.c): bytes, packets, errs, drop


def request(table: str, number: int) -> bytes:
    """The netlink message that asks for every counter of `table` in the inet family."""
    body = struct.pack(">BBH", _INET, 0, 0)
    body += _attribute(_OBJ_TABLE, table.encode() + b"\0")
    body += _attribute(_OBJ_TYPE, struct.pack(">I", _TYPE_COUNTER))
    return _HEADER.pack(16 + len(body), _GET_OBJECT, _REQUEST_DUMP, number, 0) + body


def read_reply(datagram: bytes) -> tuple[dict[str, int], bool]:
    """Packets by counter name in one datagram, and whether the dump is complete.

    Of the segments of captured connections the bytes as well, as `up4.bytes` and so on.
    """
    found, done, at = dict[str, int](), False, 0
    while len(datagram) - at >= 16:
        size, kind, _, _, _ = _HEADER.unpack_from(datagram, at)
        if size < 16 or at + size > len(datagram):
            raise WireError("netlink message is cut short")
        body = datagram[at + 16 : at + size]
        if kind == _ERROR:
            raise WireError(f"the kernel answered error {-struct.unpack('=i', body[:4])[0]}")
        done = done or kind == _DONE
        if kind == _NEW_OBJECT:
            values = _attributes(body[4:])
            counted = _attributes(values.get(_OBJ_DATA, b""))
            name = values.get(_OBJ_NAME, b"").rstrip(b"\0").decode("ascii", "replace")
            found[name] = int.from_bytes(counted.get(_COUNTER_PACKETS, b""), "big")
            if name in _WEIGHED:
                found[f"{name}.bytes"] = int.from_bytes(counted.get(_COUNTER_BYTES, b""), "big")
        at += size + 3 & ~3
    return found, done


def read_snmp(text: str) -> dict[str, int]:
    """The chosen values of /proc/net/snmp or /proc/net/netstat, as `Tcp.ActiveOpens` and so on."""
    found = dict[str, int]()
    lines = [line.split() for line in text.splitlines()]
    for names, values in zip(lines[::2], lines[1::2], strict=False):
        group = names[0].rstrip(":") if names else ""
        both = dict(zip(names[1:], values[1:], strict=False))
        found |= {f"{group}.{k}": int(both[k]) for k in _SNMP.get(group, ()) if k in both}
    return found


def read_dev(text: str, name: str) -> int:
    """Packets that came in at the link `name` and were dropped before any protocol saw them, of /proc/net/dev.

    On the loopback link those for which a processor's queue had no room: nothing else counts them per namespace.

    Raises:
        WireError: there is no such link.
    """
    for line in text.splitlines():
        link, _, rest = line.partition(":")
        if link.strip() == name:
            return int(rest.split()[_RX_DROPPED])
    raise WireError(f"no link {name} in /proc/net/dev")


def _attribute(kind: int, value: bytes) -> bytes:
    padded = value + bytes(-len(value) % 4)
    return struct.pack("=HH", 4 + len(value), kind) + padded


def _attributes(raw: bytes) -> dict[int, bytes]:
    values, at = dict[int, bytes](), 0
    while len(raw) - at >= 4:
        size, kind = struct.unpack_from("=HH", raw, at)
        if size < 4 or at + size > len(raw):
            raise WireError("netlink attribute is cut short")
        values[kind & 0x3FFF] = raw[at + 4 : at + size]
        at += size + 3 & ~3
    return values
