"""The names of the world that only its name server knows: what an attacker's zone and a careless owner's would say.

`tests/sink.py` serves it on port 53 of every address and writes down each question.
"""

from __future__ import annotations

import socket
from typing import Any

GOOD, ATTACKER, INSIDE = "203.0.113.10", "203.0.113.66", "10.9.9.9"
ATTACKER6 = "2001:db8::66"
# Name -> its records. A name that begins with `*.` stands for all below it that are not named.
RECORDS: dict[str, tuple[tuple[str, str], ...]] = {
    "*.zone.test": (("A", ATTACKER),),
    "inside.zone.test": (("A", INSIDE),),
    "cname-target.zone.test": (("A", "203.0.113.20"),),
    "dns.google": (("A", "8.8.8.8"),),
    "cloudflare-dns.com": (("A", "1.1.1.1"),),
    "*.wild.test": (("A", GOOD),),
    "cname-to-internal.ok.test": (("CNAME", "inside.zone.test"),),
    "cname-to-foreign.ok.test": (("CNAME", "cname-target.zone.test"),),
    "mixed.ok.test": (("A", GOOD), ("A", INSIDE)),
    "zero.ok.test": (("A", "0.0.0.0"), ("AAAA", "::")),
    "v4mapped.ok.test": (("AAAA", f"::ffff:{INSIDE}"),),
    "nat64.ok.test": (("AAAA", f"64:ff9b::{INSIDE}"),),
    "sixtofour.ok.test": (("AAAA", "2002:a09:909::1"),),
    "66.113.0.203.in-addr.arpa": (("PTR", "x.allowed.test"),),
}
TYPES = {"A": 1, "CNAME": 5, "PTR": 12, "AAAA": 28}


def answer(question: bytes, log: Any) -> bytes:
    """The reply to a DNS message, nothing for what is no question; the name goes to `log`."""
    if len(question) < 17 or question[2] & 0x80:
        return b""
    labels, at = list[str](), 12
    while at < len(question) and question[at]:
        size = question[at]
        labels.append(question[at + 1 : at + 1 + size].decode("latin-1"))
        at += size + 1
    if at + 5 > len(question):
        return b""
    name, asked = ".".join(labels).lower(), int.from_bytes(question[at + 1 : at + 3], "big")
    log.write(protocol="dns", name=name, type=asked)
    found = _records(name, asked)
    code = 0 if found or _known(name) else 3
    head = question[:2] + bytes([0x81, 0x80 | code]) + b"\0\1" + len(found).to_bytes(2, "big")
    return head + bytes(4) + question[12 : at + 5] + b"".join(found)


def _known(name: str) -> tuple[tuple[str, str], ...]:
    return RECORDS.get(name) or RECORDS.get("*." + name.partition(".")[2], ())


def _records(name: str, asked: int) -> list[bytes]:
    found = list[bytes]()
    for kind, value in _known(name):
        if TYPES[kind] == asked or kind == "CNAME":
            found.append(
                _name(name) + TYPES[kind].to_bytes(2, "big") + b"\0\1\0\0\0\5" + _data(kind, value)
            )
        if kind == "CNAME":
            found += _records(value, asked)
    return found


def _data(kind: str, value: str) -> bytes:
    if kind in {"CNAME", "PTR"}:
        data = _name(value)
    else:
        data = socket.inet_pton(socket.AF_INET if kind == "A" else socket.AF_INET6, value)
    return len(data).to_bytes(2, "big") + data


def _name(text: str) -> bytes:
    return b"".join(bytes([len(label)]) + label.encode() for label in text.split(".")) + b"\0"
