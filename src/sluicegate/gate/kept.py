"""SHELL. An upstream connection that has answered a request and may serve the next one to the same place."""

from __future__ import annotations

import socket
from dataclasses import dataclass

from sluicegate.facts import Decision


@dataclass(frozen=True, slots=True)
class Kept:
    """Open until it is used again or the client is gone."""

    socket: socket.socket
    decision: Decision
    addresses: tuple[str, ...]
    address_count: int
    peer: str

    @property
    def alive(self) -> bool:
        """Whether it is quiet and open."""
        try:
            self.socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False
