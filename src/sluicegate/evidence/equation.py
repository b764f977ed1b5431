"""The kernel as second witness: its counters must equal what the record holds. Pure.

The kernel's numbers are differences between the two ends of the run, read from outside the namespace; the record's are
sums over receipts. Nothing inside is on both sides: the command can not write either. The lines of bytes are weaker:
the gate reads TCP_INFO and says what it read, so they hold its receipts against its own sockets only.

Every TCP segment inside is made by the kernel's own stack (nobody has a raw socket), so each SYN is a new attempt or
the repeat of one, and both ends of every connection are in the one namespace:

    captured + captured_dns + local + refused_syn = Tcp.ActiveOpens + repeats
    Tcp.PassiveOpens                              = accepted + local_established
    captured + captured_dns                       = accepted + unfinished
    questions                                     = questions on record + dns.lost
    refused                                       = refused packets on record + log.lost
    bytes of all outcomes                         = TCP_INFO's of the same sockets = the gate's totals

    with 0 <= repeats <= TcpExt.TCPSynRetrans
         0 <= local_established <= local - local_refused, and <= local_answered
         0 <= unfinished <= repeats + tcp.lost + dns_tcp.lost + lo.lost + TcpExt.EmbryonicRsts + TcpExt.SyncookiesSent

`accepted` is counted from receipts. `repeats` (of a SYN that a full queue dropped) and `unfinished` (attempts that
never became connections, and those repeats) are zero unless the command overran a queue; then the second line, which
knows no repeats, still holds exactly. `local_established` is zero unless the command talks to its own loopback: each
such connection was answered by a SYN-ACK. `log.lost` and `dns.lost` are what the kernel dropped at the two sockets
because nobody read them in time.

A SYN on its way to the gate that made no connection was repeated; or it, or the handshake's last segment, was dropped
at the gate's own listener (`tcp.lost`, `dns_tcp.lost`: the sockets' counts, which the command's listeners do not
share) or on the way there (`lo.lost`); or the client was gone by then and reset what it had begun
(`TcpExt.EmbryonicRsts`; where the listener kept no state, one of the `TcpExt.SyncookiesSent`).

Two lines know bytes that the gate did not count: those of the segments, which nft does. What was sent to clients and
taken from them can exceed the outcomes by no more than

    down <= bytes_down + 64 per proxied receipt + 64 KiB per loose one        + 64 KiB per repeated segment
    up   <= bytes_up + 68 KiB per proxied receipt + 64 MiB per loose or HTTP one + 4100 per HTTP byte + the same
                        + 1 per urgent segment

and what went up other than by HTTP was sent by a client: it is at most the most that the segments held. `loose` are
receipts of a connection that did not run to its end: denials, outcomes other than "complete", and requests that a
full record refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

# The kernel's side: what must be among the counters at both ends.
COUNTERS = (
    *("captured", "captured_dns", "local", "local_answered", "local_refused"),
    *("questions", "refused", "refused_syn"),
    *("Tcp.ActiveOpens", "Tcp.PassiveOpens", "Tcp.RetransSegs"),
    *("TcpExt.TCPSynRetrans", "TcpExt.EmbryonicRsts", "TcpExt.SyncookiesSent"),
    *("log.lost", "dns.lost", "tcp.lost", "dns_tcp.lost", "lo.lost"),
    *("up4", "up4.bytes", "up6", "up6.bytes", "up_odd", "up_odd.bytes", "up_urgent"),
    *("down4", "down4.bytes", "down6", "down6.bytes", "down_odd", "down_odd.bytes"),
)
# Bytes of headers before a segment's payload (RFC 791 section 3.1, RFC 8200 section 3, RFC 9293 section 3.1): without
# IP options and with TCP's timestamps alone, and the least and the most of any segment.
PLAIN4_BYTES, PLAIN6_BYTES = 20 + 32, 40 + 32
# The most: IPv4 with 40 bytes of options, or IPv6 with the kernel's own jumbo header; routing headers are refused, and
# other extension headers need a capability (ipv6(7)).
LEAST_HEADER_BYTES, MOST_HEADER_BYTES = 20 + 20, 60 + 60
# A repeated segment fits into the loopback's MTU (65,536).
SEGMENT_BYTES = 65_536
# SOCKS: 2 and 10 bytes; CONNECT: 39 (gate/machine.py).
PROXY_REPLY_BYTES = 64
# A denial or failure names target, rule and reason, each cut to 2 KiB or 8 KiB (evidence/records.py, gate/denials.py).
LAST_WORDS_BYTES = 65_536
# A proxy's head is as long as any (gate/limits.py), and SOCKS needs less.
PROXY_HEAD_BYTES = 65_536 + 4096
# What a client sent that was never passed on: its receive buffer (tcp_rmem, 32 MiB at most unless the host was tuned
# further), a response's lingering (gate/linger.py: 4 MiB), heads and pipes.
UNPASSED_BYTES = 67_108_864
# Framing of one byte of an HTTP body: a line of a chunk (wire/chunks.py).
CHUNK_LINE_BYTES = 4096 + 4
# Each of these, and each repeat, is at most one SYN that made no connection.
_UNFINISHED = (
    *("tcp.lost", "dns_tcp.lost", "lo.lost", "TcpExt.EmbryonicRsts", "TcpExt.SyncookiesSent"),
)


@dataclass(slots=True)
class Held:
    """The record's side, from receipts, added up; what lines of `drop` and `dns` say was lost is in it as well.

    `flows`: connections that were decided. `overload`: connections refused unread. `dns_tcp`: connections to the
    resolver, which the gate counts; each has put a question on record. `udp` and `tcp`: questions the kernel could
    count, and those over TCP. `sequence`: how many refused packets the kernel numbered, from the first one read to the
    last; those missing among them are lost, and so may be more behind the last. `up` and `down`: bytes of all outcomes,
    `kernel_up` and `kernel_down` the kernel's counts of the same. `denied`: receipts of a denied connection. `broken`:
    outcomes other than "complete". `requests`: those that a full record refused. `proxied`: denials and outcomes behind
    CONNECT or SOCKS. `http`: outcomes of clear HTTP requests, `http_up` their bytes.
    """

    flows: int = 0
    overload: int = 0
    dns_tcp: int = 0
    udp: int = 0
    udp_lost: int = 0
    tcp: int = 0
    drops: int = 0
    drops_lost: int = 0
    sequence: int = 0
    up: int = 0
    down: int = 0
    kernel_up: int = 0
    kernel_down: int = 0
    denied: int = 0
    broken: int = 0
    requests: int = 0
    proxied: int = 0
    http: int = 0
    http_up: int = 0


# What the gate calls the members of `Held` when it stops.
CLAIMS = {
    "flows": "flows",
    "overload": "overload",
    "dns_tcp": "dns_tcp",
    "udp": "dns_captured",
    "udp_lost": "dns_lost",
    "tcp": "dns_stream",
    "drops": "drops_seen",
    "drops_lost": "drops_lost",
    "sequence": "drops_sequence",
    "up": "bytes_up",
    "down": "bytes_down",
    "kernel_up": "kernel_up",
    "kernel_down": "kernel_down",
    "denied": "denied",
    "broken": "broken",
    "requests": "refused_requests",
    "proxied": "proxied",
    "http": "http",
    "http_up": "http_up",
}


def claimed(gate: Mapping[str, object]) -> Held:
    """The record's side as the gate counted it, from what it says when it stops."""
    found = {name: gate.get(said) for name, said in CLAIMS.items()}
    return Held(**{name: count for name, count in found.items() if isinstance(count, int)})


class EquationError(Exception):
    """The counters at the two ends can not be compared."""


def between(opened: object, closed: object) -> dict[str, int]:
    """What each counter rose by from `opened` to `closed`, both objects of name to count.

    Raises:
        EquationError: one is missing, is no count, or fell.
    """
    if not isinstance(opened, dict) or not isinstance(closed, dict):
        raise EquationError("the kernel's counters are not two objects")
    risen = dict[str, int]()
    for name in COUNTERS:
        first, last = opened.get(name), closed.get(name)
        if type(first) is not int or type(last) is not int or not 0 <= first <= last:
            raise EquationError(f"the counter {name} is missing, or it fell: {first!a}, {last!a}")
        risen[name] = last - first
    return risen


def solved(risen: Mapping[str, int], held: Held, totals: Mapping[str, int]) -> dict[str, object]:
    """The equation with every term: `kernel`, `record`, the derived terms, and `residual` by line.

    `risen` as `between` gives it; `totals`: `bytes_up` and `bytes_down` as the gate summed them. The run is accounted
    for if every residual is 0.
    """
    syn = risen["captured"] + risen["captured_dns"]
    accepted = held.flows + held.overload + held.dns_tcp
    attempts = syn + risen["local"] + risen["refused_syn"]
    repeats = attempts - risen["Tcp.ActiveOpens"]
    established = risen["Tcp.PassiveOpens"] - accepted
    most_local = min(risen["local"] - risen["local_refused"], risen["local_answered"])
    most_unfinished = max(repeats, 0) + sum(risen[name] for name in _UNFINISHED)
    sent = {way: payload(risen, way) for way in ("up", "down")}
    derived = {
        "accepted": accepted,
        "repeats": repeats,
        "local_established": established,
        "unfinished": syn - accepted,
        "unfinished_most": most_unfinished,
        **{f"{way}_least": least for way, (least, _) in sent.items()},
        **{f"{way}_most": most for way, (_, most) in sent.items()},
    }
    residual = {
        "attempts": _outside(repeats, 0, risen["TcpExt.TCPSynRetrans"]),
        "established": _outside(established, 0, most_local),
        "captured": _outside(risen["captured"] - held.flows, 0, syn),
        "captured_dns": _outside(risen["captured_dns"] - held.dns_tcp, 0, syn),
        "unfinished": _outside(syn - accepted, 0, most_unfinished),
        "dns_tcp": _outside(held.tcp - held.dns_tcp, 0, held.tcp),
        "questions": risen["questions"] - held.udp - held.udp_lost,
        "refused": risen["refused"] - held.drops - held.drops_lost,
        "sequence": _outside(held.sequence - held.drops, 0, held.drops_lost),
        "lost_log": held.drops_lost - risen["log.lost"],
        "lost_questions": held.udp_lost - risen["dns.lost"],
        "bytes_up": held.up - held.kernel_up,
        "bytes_down": held.down - held.kernel_down,
        "total_up": totals.get("bytes_up", -1) - held.up,
        "total_down": totals.get("bytes_down", -1) - held.down,
        **_segments(risen, held, sent),
    }
    record = {field.name: getattr(held, field.name) for field in fields(held)}
    return {"kernel": dict(risen), "record": record, "derived": derived, "residual": residual}


def payload(risen: Mapping[str, int], way: str) -> tuple[int, int]:
    """The least and the most bytes of data in the segments of captured connections that went `up` or `down`."""
    plain = risen[f"{way}4.bytes"] - PLAIN4_BYTES * risen[f"{way}4"]
    plain += risen[f"{way}6.bytes"] - PLAIN6_BYTES * risen[f"{way}6"]
    odd, count = risen[f"{way}_odd.bytes"], risen[f"{way}_odd"]
    least = max(odd - MOST_HEADER_BYTES * count, 0)
    return plain + least, plain + odd - LEAST_HEADER_BYTES * count


def _segments(
    risen: Mapping[str, int], held: Held, sent: Mapping[str, tuple[int, int]]
) -> dict[str, int]:
    """How many bytes of the segments the outcomes do not explain, and of the outcomes the segments."""
    again = max(risen["Tcp.RetransSegs"] - risen["TcpExt.TCPSynRetrans"], 0) * SEGMENT_BYTES
    loose = held.denied + held.broken + held.requests
    down = PROXY_REPLY_BYTES * held.proxied + LAST_WORDS_BYTES * loose
    up = PROXY_HEAD_BYTES * held.proxied + UNPASSED_BYTES * (loose + held.http)
    # Urgent data is not in the stream: one byte of each segment that has any at most (tcp(7)).
    up += CHUNK_LINE_BYTES * held.http_up + risen["up_urgent"]
    return {
        "segments_down": max(sent["down"][0] - held.down - down - again, 0),
        "segments_up": max(sent["up"][0] - held.up - up - again, 0)
        or min(sent["up"][1] - held.up + held.http_up, 0),
    }


def open_lines(solution: Mapping[str, object]) -> list[str]:
    """The lines of `solved` that do not come out, as `name: difference`; none for a run that is accounted for."""
    residual = solution["residual"]
    if not isinstance(residual, dict):
        return ["residual: none"]
    return [f"{name}: {value:+d}" for name, value in sorted(residual.items()) if value]


def _outside(value: int, least: int, most: int) -> int:
    """How far `value` is below `least` (negative) or above `most` (positive)."""
    return min(value - least, 0) or max(value - most, 0)
