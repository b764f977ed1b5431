"""DNS questions and our own answers (RFC 1035, EDNS of RFC 6891)."""

from __future__ import annotations

import ipaddress
import re
import struct
from dataclasses import dataclass

from sluicegate.wire import names
from sluicegate.wire.cursor import Cursor, WireError

A, AAAA, OPT = 1, 28, 41
IN = 1
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED = range(6)
RCODES = ("NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED")
HEADER_BYTES = 12
# RFC 1035 section 2.3.4: length bytes and the root's zero included.
MAX_WIRE_NAME = 255
_TYPES = {1: "A", 2: "NS", 5: "CNAME", 6: "SOA", 12: "PTR", 15: "MX", 16: "TXT", 28: "AAAA"}
_TYPES |= {33: "SRV", 43: "DS", 48: "DNSKEY", 64: "SVCB", 65: "HTTPS", 255: "ANY", 257: "CAA"}
_PLAIN, _ODD = re.compile(rb"[a-z0-9_-]*"), re.compile(rb"[^a-z0-9_-]")
_HEADER = struct.Struct(">6H")


@dataclass(frozen=True, slots=True)
class Query:
    r"""One question. `question` is its section as sent, echoed in the answer.

    `name` is the canonical host ("." for the root), or None where the labels are no host's name.
    `shown` is the name in printable ASCII whatever the labels hold, other bytes as \DDD.
    """

    id: int
    name: str | None
    shown: str
    qtype: int
    qclass: int
    flags: int
    edns: bool
    question: bytes

    @property
    def spelled(self) -> bytes:
        """The name as it was asked for, to the byte, with dots between its labels."""
        labels, at = list[bytes](), 0
        while size := self.question[at]:
            labels.append(self.question[at + 1 : at + 1 + size])
            at += 1 + size
        return b".".join(labels)


def read_query(packet: bytes) -> Query:
    """The question of `packet`.

    Raises:
        WireError: an answer, another opcode, not one question, or malformed.
    """
    at = Cursor(packet)
    ident, flags, questions, answers, authorities, extra = _HEADER.unpack(at.take(HEADER_BYTES))
    if flags & 0xF800:
        raise WireError("not a standard query")
    if questions != 1 or answers or authorities or extra > 1:
        raise WireError("not exactly one question")
    labels: list[bytes] = []
    while size := at.number(1):
        if size > names.MAX_LABEL:
            raise WireError("compressed or long label in a question")
        labels.append(at.take(size))
        if at.at - HEADER_BYTES >= MAX_WIRE_NAME:
            raise WireError("name is longer than 255 bytes")
    qtype, qclass = at.number(2), at.number(2)
    question = packet[HEADER_BYTES : at.at]
    if extra:
        if at.number(1) or at.number(2) != OPT:
            raise WireError("additional record is not OPT")
        at.take(6)
        at.block(2)
    at.finish()
    return Query(ident, _host(labels), _shown(labels), qtype, qclass, flags, bool(extra), question)


def type_text(qtype: int) -> str:
    """The type's mnemonic, or TYPEn (RFC 3597)."""
    return _TYPES.get(qtype, f"TYPE{qtype}")


def answer(query: Query, address: str | None, ttl: int) -> bytes:
    """NOERROR with `address` as its one record, or empty for None."""
    body = query.question
    if address is not None:
        raw = ipaddress.ip_address(address).packed
        kind = A if len(raw) == 4 else AAAA
        body += b"\xc0\x0c" + _n(kind) + _n(1) + ttl.to_bytes(4, "big") + _n(len(raw)) + raw
    return _head(query, NOERROR, int(address is not None)) + body + _opt(query)


def error(query: Query | bytes, rcode: int) -> bytes:
    """A reply of `rcode`, to a query or to the header of a packet that could not be read."""
    if isinstance(query, Query):
        return _head(query, rcode, 0) + query.question + _opt(query)
    if len(query) < HEADER_BYTES:
        raise WireError("no DNS header to answer")
    flags = 0x8080 | (int.from_bytes(query[2:4], "big") & 0x7900) | rcode
    return query[:2] + _n(flags) + bytes(8)


def _host(labels: list[bytes]) -> str | None:
    if any(not label.isascii() or b"." in label for label in labels):
        return None
    try:
        return names.host(b".".join(labels).decode("ascii")) if labels else "."
    except WireError:
        return None


def _shown(labels: list[bytes]) -> str:
    return ".".join(map(_printable, labels)) or "."


def _printable(label: bytes) -> str:
    label = label.lower()
    if _PLAIN.fullmatch(label):
        return label.decode("ascii")
    return _ODD.sub(lambda found: b"\\%03d" % found[0][0], label).decode("ascii")


def _head(query: Query, rcode: int, answers: int) -> bytes:
    # QR and RA set; RD as asked.
    flags = 0x8080 | (query.flags & 0x0100) | rcode
    return _HEADER.pack(query.id, flags, 1, answers, 0, int(query.edns))


def _opt(query: Query) -> bytes:
    # 1232 bytes: what fits every path without fragments (DNS flag day 2020).
    return b"\0" + _n(OPT) + _n(1232) + bytes(6) if query.edns else b""


def _n(value: int) -> bytes:
    return value.to_bytes(2, "big")
