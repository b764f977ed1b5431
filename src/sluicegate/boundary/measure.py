"""SHELL. The boundary's network as it is now, asked for from outside over sockets that were opened inside."""

from __future__ import annotations

import socket
import time

from sluicegate.boundary import netstate
from sluicegate.boundary.model import BoundaryError
from sluicegate.wire import netlink
from sluicegate.wire.cursor import WireError

ANSWER_SECONDS = 30.0  # a dump takes microseconds; a kernel that hangs must not hang the run
READ_BYTES = 1 << 16  # the kernel's datagrams of a dump have 32 KiB at most


def network(routes: socket.socket, netfilter: socket.socket) -> dict[str, object]:
    """Links, addresses, routes, policy rules, settings, and the rule set by its hash and its generation.

    Raises:
        BoundaryError: the kernel did not answer, or what changed under the reading.
    """
    try:
        asked = [_asked(routes, ask) for ask in netstate.route_requests()]
        rules = [_asked(netfilter, ask) for ask in netstate.rule_set_requests()]
        (generation,) = _asked(netfilter, netstate.generation_request(), dump=False)
        return {
            **netstate.routing(asked),
            "ruleset": netstate.rule_set(rules),
            "generation": netstate.generation(generation),
        }
    except (OSError, WireError) as error:
        raise BoundaryError(f"reading the boundary's network: {error}") from error


def _asked(peer: socket.socket, ask: netstate.Ask, *, dump: bool = True) -> list[netlink.Message]:
    kind, body = ask
    number = time.monotonic_ns() & 0x7FFFFFFF
    peer.settimeout(ANSWER_SECONDS)
    peer.send(netlink.request(kind, body, number, netlink.DUMP if dump else 0))
    found = list[netlink.Message]()
    while True:
        for message in netlink.messages(peer.recv(READ_BYTES)):
            if message.kind == netlink.DONE:
                return found
            if message.kind == netlink.ERROR:
                raise WireError(f"the kernel refused request {kind}: {message.body[:4].hex()}")
            if message.flags & netlink.INTERRUPTED:
                raise WireError("it changed while it was read")
            found.append(message)
        if not dump:
            return found
