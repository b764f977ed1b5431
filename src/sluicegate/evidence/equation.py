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

    with 0 <= repeats <= TcpExt.TCPSynRetrans, 0 <= local_established <= local - local_refused, 0 <= unfinished

`accepted` is counted from receipts. `repeats` (of a SYN that a full queue dropped) and `unfinished` (attempts that
never became connections, and those repeats) are zero unless the command overran a queue; then the second line, which
knows no repeats, still holds exactly. `local_established` is zero unless the command talks to its own loopback.
`log.lost` and `dns.lost` are what the kernel dropped at the two sockets because nobody read them in time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

# The kernel's side: what must be among the counters at both ends.
COUNTERS = (
    *("captured", "captured_dns", "local", "local_refused", "questions", "refused", "refused_syn"),
    *("Tcp.ActiveOpens", "Tcp.PassiveOpens", "TcpExt.TCPSynRetrans"),
    *("log.lost", "dns.lost"),
)


@dataclass(slots=True)
class Held:
    """The record's side, from receipts, added up; what lines of `drop` and `dns` say was lost is in it as well.

    `flows`: connections that were decided. `overload`: connections refused unread. `dns_tcp`: connections to the
    resolver, which the gate counts; each has put a question on record. `udp` and `tcp`: questions the kernel could
    count, and those over TCP. `up` and `down`: bytes of all outcomes, `kernel_up` and `kernel_down` the kernel's counts
    of the same.
    """

    flows: int = 0
    overload: int = 0
    dns_tcp: int = 0
    udp: int = 0
    udp_lost: int = 0
    tcp: int = 0
    drops: int = 0
    drops_lost: int = 0
    up: int = 0
    down: int = 0
    kernel_up: int = 0
    kernel_down: int = 0


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
    "up": "bytes_up",
    "down": "bytes_down",
    "kernel_up": "kernel_up",
    "kernel_down": "kernel_down",
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
    most_local = risen["local"] - risen["local_refused"]
    derived = {
        "accepted": accepted,
        "repeats": repeats,
        "local_established": established,
        "unfinished": syn - accepted,
    }
    residual = {
        "attempts": _outside(repeats, 0, risen["TcpExt.TCPSynRetrans"]),
        "established": _outside(established, 0, most_local),
        "captured": _outside(risen["captured"] - held.flows, 0, syn),
        "captured_dns": _outside(risen["captured_dns"] - held.dns_tcp, 0, syn),
        "unfinished": _outside(syn - accepted, 0, syn),
        "dns_tcp": _outside(held.tcp - held.dns_tcp, 0, held.tcp),
        "questions": risen["questions"] - held.udp - held.udp_lost,
        "refused": risen["refused"] - held.drops - held.drops_lost,
        "lost_log": held.drops_lost - risen["log.lost"],
        "lost_questions": held.udp_lost - risen["dns.lost"],
        "bytes_up": held.up - held.kernel_up,
        "bytes_down": held.down - held.kernel_down,
        "total_up": totals.get("bytes_up", -1) - held.up,
        "total_down": totals.get("bytes_down", -1) - held.down,
    }
    record = {field.name: getattr(held, field.name) for field in fields(held)}
    return {"kernel": dict(risen), "record": record, "derived": derived, "residual": residual}


def open_lines(solution: Mapping[str, object]) -> list[str]:
    """The lines of `solved` that do not come out, as `name: difference`; none for a run that is accounted for."""
    residual = solution["residual"]
    if not isinstance(residual, dict):
        return ["residual: none"]
    return [f"{name}: {value:+d}" for name, value in sorted(residual.items()) if value]


def _outside(value: int, least: int, most: int) -> int:
    """How far `value` is below `least` (negative) or above `most` (positive)."""
    return min(value - least, 0) or max(value - most, 0)
