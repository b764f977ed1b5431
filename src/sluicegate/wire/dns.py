"""DNS questions and our own answers (RFC 1035, EDNS of RFC 6891)."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from sluicegate.wire import names
from sluicegate.wire.cursor import Cursor, WireError

A, AAAA, OPT = 1, 28, 41
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED = range(6)


@dataclass(frozen=True, slots=True)
class Query:
    """One question. `question` is its section as sent, echoed in the answer."""

    id: int
    name: str
    qtype: int
    qclass: int
    flags: int
    edns: bool
    question: bytes


def read_query(packet: bytes) -> Query:
    """The question of `packet`; the root is ".".

    Raises:
        WireError: an answer, another opcode, not one question, or a malformed name.
    """
    at = Cursor(packet)
    ident, flags = at.number(2), at.number(2)
    questions, answers, authorities, extra = (at.number(2) for _ in range(4))
    if flags & 0xF800:
        raise WireError("not a standard query")
    if questions != 1 or answers or authorities or extra > 1:
        raise WireError("not exactly one question")
    labels: list[str] = []
    while size := at.number(1):
        if size > names.MAX_LABEL:
            raise WireError("compressed or long label in a question")
        label = at.take(size)
        if not label.isascii() or b"." in label:
            raise WireError("label is not plain ASCII")
        labels.append(label.decode("ascii"))
    name = names.host(".".join(labels)) if labels else "."
    qtype, qclass = at.number(2), at.number(2)
    question = packet[12 : at.at]
    if extra:
        if at.number(1) or at.number(2) != OPT:
            raise WireError("additional record is not OPT")
        at.take(6)
        at.block(2)
    at.finish()
    return Query(ident, name, qtype, qclass, flags, bool(extra), question)


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
    if len(query) < 12:
        raise WireError("no DNS header to answer")
    flags = 0x8080 | (int.from_bytes(query[2:4], "big") & 0x7900) | rcode
    return query[:2] + _n(flags) + bytes(8)


def _head(query: Query, rcode: int, answers: int) -> bytes:
    # QR and RA set; RD as asked.
    flags = 0x8080 | (query.flags & 0x0100) | rcode
    return b"".join(map(_n, (query.id, flags, 1, answers, 0, int(query.edns))))


def _opt(query: Query) -> bytes:
    # 1232 bytes: what fits every path without fragments (DNS flag day 2020).
    return b"\0" + _n(OPT) + _n(1232) + bytes(6) if query.edns else b""


def _n(value: int) -> bytes:
    return value.to_bytes(2, "big")
