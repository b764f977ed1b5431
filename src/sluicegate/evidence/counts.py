"""What is counted instead of told one by one, to the messages that the notary signs. Pure.

As with `records`, a verifier makes the same messages from the facts on record. The tables are here, so that who counts
and who checks know the same words.
"""

from __future__ import annotations

from collections.abc import Sequence

from sluicegate.jcs import Json

Groups = Sequence[dict[str, Json]]

# Distinct groups in one receipt.
PER_LINE = 256
# Different changes told apart on one receipt: the first says that the run is over, the rest helps whoever asks why.
MAX_KINDS = 64
# What is counted together because it found no room, and a question that can not be read.
OTHER, MALFORMED, NOTHING = "(other)", "(malformed)", "-"
# Of a packet that can not be read: no destination, and a protocol number that IANA keeps reserved.
UNKNOWN, UNREADABLE = "unknown", "unreadable"
# IANA's protocol numbers; what is not here is `ip-N`.
PROTOCOLS = {1: "icmp", 2: "igmp", 6: "tcp", 17: "udp", 47: "gre", 50: "esp", 58: "icmpv6"}
PROTOCOLS |= {33: "dccp", 132: "sctp", 136: "udplite", 255: UNREADABLE}
PORTED = frozenset(("tcp", "udp", "dccp", "sctp", "udplite"))
# What stands for a name that has a secret in it: of a question, and of a connection, where names have a form. Nobody
# can have the second one (RFC 6761).
REDACTED, HIDDEN_NAME = "(redacted)", "redacted.invalid"
HIDDEN_METHOD = "REDACTED"  # and for a method, which may be 24 capital letters and digits
# Why a question has its answer, and that answer's code: first what can not be read, then what is refused.
RCODES = {"answer": "FORMERR", "malformed": "FORMERR", "opcode": "NOTIMP"}
UNREAD = frozenset(RCODES)
RCODES |= dict.fromkeys(("class", "name", "address", "exhausted", "secret"), "REFUSED")
RCODES |= {"reverse": "NXDOMAIN", "loopback": "NOERROR", "empty": "NOERROR", "bound": "NOERROR"}
ANSWERED = frozenset(("NOERROR", "NXDOMAIN"))
# A datagram that the kernel counted, one at the command's own loopback, which it does not count, and a frame.
WAYS = frozenset(("udp", "udp-loopback", "tcp"))
# The resolver's addresses, one for each name of a run: 198.18.0.1 on (RFC 2544 keeps 198.18.0.0/15 off the Internet),
# neither the network's own address nor its broadcast.
FIRST_BOUND = 0xC6120001
MAX_BOUND = 2**17 - 2
LOOPBACK = {"A": "127.0.0.1", "AAAA": "::1"}
_REVERSE = (".in-addr.arpa", ".ip6.arpa")
# Limits at which a connection is refused unread; at the others it is one request of a connection that is counted:
# `requests` when the record is full, `memory` when the requests of HTTP/2 hold too much of it.
CHANGE = "boundary-change"
REFUSED_UNREAD = frozenset(("connections", "record", "accept", "descriptors", CHANGE))
LIMITS = REFUSED_UNREAD | {"requests", "memory"}


def protocol(number: int) -> str:
    """The word for an IP protocol, or `ip-N`."""
    return PROTOCOLS.get(number, f"ip-{number}")


def reason(name: str, kind: str) -> str:
    """Why the canonical `name`, asked for its records of the type `kind`, is answered as it is.

    `bound` may still be `exhausted`: that depends on the names before it.
    """
    if f".{name}".endswith(_REVERSE):
        return "reverse"
    if name == "localhost" or name.endswith(".localhost"):
        return "loopback"
    return "empty" if kind != "A" or name == "." else "bound"


def drops(groups: Groups, lost: int, action_id: str, sequence: int = 0) -> dict[str, Json]:
    """The receipt of packets that the kernel refused, in groups with a `count`, and of `lost` more.

    `sequence`: how many the kernel had numbered by then, from the first one that was read.
    """
    flow: dict[str, Json] = {"kind": "drop", "groups": list[Json](groups), "lost": lost}
    return {
        "flow": flow | {"sequence": sequence},
        "action_id": action_id,
        "action_type": "unclassified",
        "verdict": "block",
        "target": _packets(groups),
        "transport": "drop",
        "layer": "boundary",
        "pattern": "refused-packet",
    }


def questions(groups: Groups, lost: int | None, action_id: str) -> dict[str, Json]:
    """The receipt of questions to the resolver, in groups with a `count`.

    `lost`, of questions that were refused: how many more came faster than they could be read. None: these were
    answered. Those whose names have a secret in them, which each `secret` tells, are in receipts of their own.
    """
    flow: dict[str, Json] = {"kind": "dns", "questions": list[Json](groups)}
    message: dict[str, Json] = {
        "flow": flow,
        "action_id": action_id,
        "action_type": "read",
        "verdict": "allow",
        "target": f"dns://{groups[0]['name']}" if len(groups) == 1 else "dns://*",
        "transport": "dns",
    }
    if lost is not None:
        flow["lost"] = lost
        message |= {"verdict": "block", "layer": "resolver", "pattern": "refused-question"}
        if any("secret" in group for group in groups):
            message |= {"layer": "dlp", "pattern": "secret", "severity": "high"}
    return message


def overload(count: int, limit: str, action_id: str) -> dict[str, Json]:
    """The receipt of `count` connections that were refused because `limit` was reached."""
    return {
        "flow": {"kind": "overload", "count": count, "limit": limit},
        "action_id": action_id,
        "action_type": "unclassified",
        "verdict": "block",
        "target": "tcp://overload",
        "transport": "forward",
        "layer": "limit",
        "pattern": limit,
    }


def changes(groups: Groups, action_id: str) -> dict[str, Json]:
    """The receipt of changes to the boundary's network: `what` in words, and how often."""
    return {
        "flow": {"kind": "change", "changes": list[Json](groups)},
        "action_id": action_id,
        "action_type": "unclassified",
        "verdict": "block",
        "target": "boundary://*",
        "transport": CHANGE,
        "layer": "boundary",
        "pattern": CHANGE,
    }


def _packets(groups: Groups) -> str:
    if len(groups) != 1:
        return "drop://*"
    (group,) = groups
    host = str(group["destination"])
    end = f"[{host}]" if ":" in host else host
    return f"{group['protocol']}://{end}" + (f":{group['port']}" if "port" in group else "")
