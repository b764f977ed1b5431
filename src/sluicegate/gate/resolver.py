"""SHELL. The synthetic resolver: answers every question itself, forwards none, counts them all."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from typing import NamedTuple

from sluicegate import jcs
from sluicegate.evidence import counts
from sluicegate.gate.actions import action_id, nothing
from sluicegate.gate.groups import Groups, Line
from sluicegate.gate.ledger import Ledger
from sluicegate.gate.names import Names
from sluicegate.wire import dns, names
from sluicegate.wire.cursor import WireError
from sluicegate.wire.meminfo import dropped

TTL_S = 60  # a binding holds for the whole run; short so that nothing caches it beyond
TURN_DATAGRAMS = 128  # per turn of the loop, so that a flood of questions starves no connection
DRAIN_TURNS = 256  # at the end nothing asks any more: far beyond what a socket's buffer can hold
READ_BYTES = 4096  # no client announces a larger question
RECEIVE_BUFFER_BYTES = 4_194_304  # what waits here is not lost; the kernel may grant less
# linux/in6.h: IPv6 answers from an address that no interface carries only with this; needs no privilege.
_IPV6_FREEBIND = 78
# linux/in6.h: struct in6_pktinfo is an address and an interface index.
_PKTINFO_BYTES = 20
_ANCILLARY_BYTES = socket.CMSG_SPACE(_PKTINFO_BYTES)
_MAPPED = bytes(10) + b"\xff\xff"
_Ancillary = list[tuple[int, int, bytes]]
_Peer = tuple[str, int, int, int]


class Asked(NamedTuple):
    """One kind of question as the record groups it.

    `via` is udp (a datagram the kernel counted), udp-loopback (asked at the command's own loopback,
    which it does not count) or tcp. `secret`: which one is in the name, and so stands in its place.
    """

    name: str
    type: str
    via: str
    rcode: str
    reason: str
    address: str | None
    secret: str | None = None


# Says which secret is in the name of a question, if there is one.
Leaks = Callable[[bytes], str | None]


def widen(sock: socket.socket) -> None:
    """Ask for a larger receive buffer, unless whoever opened the socket has seen to it."""
    if sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) < RECEIVE_BUFFER_BYTES:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)


class Resolver:
    """Answers at [::]:53 and, through `question`, on TCP.

    `asked` counts the questions so far, malformed packets included; `captured` those of them that the
    kernel's counter saw, `streamed` those over TCP; `lost` the datagrams that came faster than they could be read.
    """

    def __init__(
        self,
        udp: socket.socket,
        bound: Names,
        ledger: Ledger,
        now_ns: int = 0,
        leaks: Leaks | None = None,
    ) -> None:
        udp.setblocking(False)
        udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        udp.setsockopt(socket.IPPROTO_IPV6, _IPV6_FREEBIND, 1)
        widen(udp)
        self.socket = udp
        self.asked = self.captured = self.streamed = self.lost = 0
        self._names, self._ledger, self._leaks = bound, ledger, leaks
        self._answered = Groups(_group, _other, now_ns)
        self._refused = Groups(_group, _other, now_ns)
        self._alarms = Groups(_group, _other, now_ns)
        self._told_lost = 0

    def readable(self, now_ns: int) -> None:
        """Answer what has come, a bounded number per call."""
        self._read()
        self._submit(now_ns)

    def question(self, packet: bytes) -> bytes:
        """The answer to a question that came over TCP, without its length; empty for none."""
        self.streamed += 1
        return self._answer(packet, "tcp")

    def tick(self, now_ns: int) -> None:
        """Put on record what is due."""
        self.lost = dropped(self.socket)
        self._submit(now_ns)

    def flush(self) -> None:
        """Answer what is left and put everything on record: the run is ending."""
        for _ in range(DRAIN_TURNS):
            if not self._read():
                break
        self.lost = dropped(self.socket)
        for line in self._answered.drain():
            self._record(line, refused=False)
        for line in self._refused.drain() or ([[]] if self.lost > self._told_lost else []):
            self._record(line, refused=True)
        for line in self._alarms.drain():
            self._record(line, refused=True)

    def _read(self) -> bool:
        """Whether there may be more."""
        for _ in range(TURN_DATAGRAMS):
            try:
                got = self.socket.recvmsg(READ_BYTES, _ANCILLARY_BYTES)
            except BlockingIOError:
                return False
            except ConnectionError:
                continue  # an earlier answer found nobody; the kernel says so once
            self._datagram(*got)
        return True

    def _datagram(self, packet: bytes, ancillary: _Ancillary, flags: int, peer: _Peer) -> None:
        info = next((data for _, kind, data in ancillary if kind == socket.IPV6_PKTINFO), b"")
        self.captured += not _loopback(info)
        via = "udp-loopback" if _loopback(info) else "udp"
        if flags & socket.MSG_TRUNC:
            packet = packet[: dns.HEADER_BYTES]
        answer = self._answer(packet, via)
        if not answer:
            return
        # The reply leaves from the address that was asked: connected clients take no other. What can
        # not be sent is as good as lost on a network; the client asks again.
        back = [(socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, info)] if info else []
        with contextlib.suppress(OSError):
            self.socket.sendmsg([answer], back, 0, peer)

    def _answer(self, packet: bytes, via: str) -> bytes:
        self.asked += 1
        reply, asked = reply_to(packet, self._names, via, self._leaks)
        groups = self._answered if asked.rcode in counts.ANSWERED else self._refused
        (groups if asked.secret is None else self._alarms).add(asked)
        return reply

    def _submit(self, now_ns: int) -> None:
        if self._ledger.congested or self._ledger.full:
            return  # it keeps: groups only grow in count, and their number is bounded
        for line in self._answered.lines(now_ns):
            self._record(line, refused=False)
        for groups in (self._refused, self._alarms):
            for line in groups.lines(now_ns):
                self._record(line, refused=True)

    def _record(self, line: Line, *, refused: bool) -> None:
        lost = None
        if refused:
            lost, self._told_lost = self.lost - self._told_lost, self.lost
        self._ledger.submit(counts.questions(line, lost, action_id()), nothing)


def reply_to(
    packet: bytes, bound: Names, via: str, leaks: Leaks | None = None
) -> tuple[bytes, Asked]:
    """The answer to `packet` (empty if none is due) and how it is counted."""

    def unread(reason: str) -> tuple[bytes, Asked]:
        rcode = counts.RCODES[reason]
        asked = Asked(counts.MALFORMED, counts.NOTHING, via, rcode, reason, None)
        code = dns.RCODES.index(rcode)
        return dns.error(packet, code) if len(packet) >= dns.HEADER_BYTES else b"", asked

    if len(packet) >= dns.HEADER_BYTES and packet[2] & 0x80:
        # Answering an answer could go on for ever.
        return b"", unread("answer")[1]
    if len(packet) >= dns.HEADER_BYTES and packet[2] & 0x78:
        return unread("opcode")
    try:
        query = dns.read_query(packet)
    except WireError:
        return unread("malformed")
    kind = dns.type_text(query.qtype)
    secret = None if leaks is None else leaks(query.spelled)
    if secret is not None:
        asked = Asked(counts.REDACTED, kind, via, counts.RCODES["secret"], "secret", None, secret)
        return dns.error(query, dns.REFUSED), asked
    reason, address = _judge(query, kind, bound)
    asked = Asked(query.shown, kind, via, counts.RCODES[reason], reason, address)
    if code := dns.RCODES.index(asked.rcode):
        return dns.error(query, code), asked
    return dns.answer(query, address, TTL_S), asked


def _judge(query: dns.Query, kind: str, bound: Names) -> tuple[str, str | None]:
    """Why it is answered as it is, and with which address."""
    name = query.name
    if query.qclass != dns.IN:
        return "class", None
    if name is None:
        return "name", None
    if names.is_address(name):
        return "address", None
    reason = counts.reason(name, kind)
    if reason == "loopback":
        return reason, counts.LOOPBACK.get(kind)
    if reason != "bound":
        return reason, None
    address = bound.bind(name)
    return (reason, address) if address else ("exhausted", None)


def _group(asked: Asked) -> dict[str, jcs.Json]:
    return {name: value for name, value in asked._asdict().items() if value is not None}


def _other(asked: Asked) -> Asked:
    return asked._replace(name=counts.OTHER, type=counts.NOTHING, address=None)


def _loopback(info: bytes) -> bool:
    # The address that was asked, as the kernel's rule sees it: 127.0.0.0/8 or ::1.
    return info[:13] == _MAPPED + b"\x7f" or info[:16] == bytes(15) + b"\x01"
