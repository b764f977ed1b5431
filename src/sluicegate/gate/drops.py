"""SHELL. The packets that the kernel refused, read from NFLOG and put on record in groups."""

from __future__ import annotations

import errno
import socket
from typing import NamedTuple

from sluicegate import jcs
from sluicegate.evidence import counts
from sluicegate.gate.actions import action_id, nothing
from sluicegate.gate.groups import Groups, Line
from sluicegate.gate.ledger import Ledger
from sluicegate.gate.resolver import widen
from sluicegate.wire import nflog
from sluicegate.wire.meminfo import dropped

TURN_DATAGRAMS = 256  # per turn of the loop, so that a flood of packets starves no connection
DRAIN_TURNS = 256  # at the end nothing sends any more: far beyond what a socket's buffer can hold
READ_BYTES = 65_536  # the kernel's messages are under 4 KiB; a cut one would cost a packet
HALF = 2**31  # sequence numbers are 32 bits wide: what is further ahead than this is behind


class Group(NamedTuple):
    """One kind of refused packet as the record groups it; -1 for a port or uid there was none of."""

    protocol: int
    destination: str
    port: int
    uid: int


class Drops:
    """`seen` counts the packets read, `lost` those the kernel could not hand over in time.

    The two add up to the kernel's counter of refused packets.
    """

    def __init__(self, log: socket.socket, ledger: Ledger, now_ns: int = 0) -> None:
        log.setblocking(False)
        widen(log)
        self.socket = log
        self.seen = self.lost = 0
        self._ledger = ledger
        self._groups = Groups(_group, _other, now_ns)
        self._gaps = self._told_lost = 0
        self._next_seq: int | None = None

    @property
    def sequence(self) -> int:
        """How many packets the kernel numbered, from the first one read to the last."""
        return self.seen + self._gaps

    def told(self) -> dict[str, int]:
        """What the gate says of them when it stops."""
        return {
            "drops_seen": self.seen,
            "drops_lost": self.lost,
            "drops_sequence": self.sequence,
        }

    def readable(self, now_ns: int) -> None:
        """Count what has come, a bounded number per call."""
        self._read()
        self._submit(now_ns)

    def tick(self, now_ns: int) -> None:
        """Put on record what is due."""
        self._measure()
        self._submit(now_ns)

    def flush(self) -> None:
        """Read what is left and put everything on record: the run is ending."""
        for _ in range(DRAIN_TURNS):
            if not self._read():
                break
        self._measure()
        for line in self._groups.drain() or ([[]] if self.lost > self._told_lost else []):
            self._record(line)

    def _read(self) -> bool:
        """Whether there may be more."""
        for _ in range(TURN_DATAGRAMS):
            try:
                datagram = self.socket.recv(READ_BYTES)
            except BlockingIOError:
                return False
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                continue  # the kernel says once that it had to drop; the sequence says how many
            for packet in nflog.read_messages(datagram):
                self._count(packet)
        return True

    def _count(self, packet: nflog.Dropped) -> None:
        self.seen += 1
        if packet.seq is not None:
            ahead = 0 if self._next_seq is None else (packet.seq - self._next_seq) % 2**32
            if ahead < HALF:
                self._gaps += ahead
                self._next_seq = (packet.seq + 1) % 2**32
        port = -1 if packet.port is None else packet.port
        uid = -1 if packet.uid is None else packet.uid
        self._groups.add(Group(packet.protocol, packet.destination, port, uid))

    def _measure(self) -> None:
        # A gap shows only once a later packet has come; the socket's own count knows of the last ones too.
        self.lost = max(self._gaps, dropped(self.socket))

    def _submit(self, now_ns: int) -> None:
        if self._ledger.congested or self._ledger.full:
            return  # it keeps: groups only grow in count, and their number is bounded
        for line in self._groups.lines(now_ns):
            self._record(line)

    def _record(self, line: Line) -> None:
        lost, self._told_lost = self.lost - self._told_lost, self.lost
        message = counts.drops(line, lost, action_id(), self.sequence)
        self._ledger.submit(message, nothing)


def _group(key: Group) -> dict[str, jcs.Json]:
    found: dict[str, jcs.Json] = {
        "protocol": counts.protocol(key.protocol),
        "destination": key.destination or counts.UNKNOWN,
    }
    if key.port >= 0:
        found["port"] = key.port
    if key.uid >= 0:
        found["uid"] = key.uid
    return found


def _other(key: Group) -> Group:
    return Group(key.protocol, counts.OTHER, -1, -1)
