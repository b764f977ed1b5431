"""SHELL. An upstream connection that has answered a request and may serve the next one to the same place."""

from __future__ import annotations

import socket
from dataclasses import dataclass

from sluicegate.facts import Decision
from sluicegate.gate.loop import Loop
from sluicegate.gate.meter import Stream


@dataclass(frozen=True, slots=True)
class Kept:
    """Open until it is used again or the client is gone."""

    socket: Stream
    decision: Decision
    addresses: tuple[str, ...]
    address_count: int
    peer: str

    def close(self, loop: Loop) -> None:
        """It is not used again; it may rest on `loop`."""
        loop.drop(self.socket.fileno())
        self.socket.close()

    @property
    def alive(self) -> bool:
        """Whether it is quiet and open."""
        peer = self.socket
        try:
            # Behind TLS there may be bytes that are TLS's own, so it is really read: whatever comes ends it.
            if isinstance(peer, socket.socket):
                peer.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
            else:
                peer.recv(1)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False
