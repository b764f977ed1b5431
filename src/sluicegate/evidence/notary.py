"""The notary: the process that holds the key. It signs what it is told, in order, and says so."""

from __future__ import annotations

import json
import os
import secrets
import select
import socket
import time
from collections.abc import Mapping

from sluicegate.evidence import canonical, chain, journal, keys

DONE, FAILED = 0, 3
# fdatasync costs milliseconds: once a second bounds what a power cut can take.
SYNC_SECONDS = 1.0
READ_BYTES = 262_144


class _FailError(Exception):
    """The record can not go on."""


class _Lines:
    """LF-framed JSON objects read from one socket."""

    def __init__(self, peer: socket.socket) -> None:
        self.peer, self.rest, self.open = peer, b"", True

    def ended(self) -> bool:
        return not self.open

    def read(self) -> list[object]:
        try:
            data = self.peer.recv(READ_BYTES)
        except ConnectionError:
            data = b""
        self.open = bool(data)
        *lines, self.rest = (self.rest + data).split(b"\n")
        if any(len(line) > journal.MAX_LINE_BYTES for line in (*lines, self.rest)):
            raise _FailError("a message is too long")
        try:
            return [json.loads(line, object_pairs_hook=_unique) for line in lines]
        except (ValueError, RecursionError) as error:
            raise _FailError("a message is not JSON") from error


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a member appears twice")
    return found


def _now() -> str:
    return canonical.timestamp(time.time_ns())


def _action_id() -> str:
    """A UUIDv7: time-ordered, so that ids sort as the record does."""
    value = (time.time_ns() // 1_000_000) << 80 | secrets.randbits(80)
    value = value & ~(0xF << 76) | 7 << 76
    text = f"{value & ~(3 << 62) | 2 << 62:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _write(descriptor: int, data: bytes) -> None:
    if data and os.write(descriptor, data) != len(data):
        raise _FailError("short write")


def _text(message: Mapping[str, object], name: str, fallback: str = "") -> str:
    value = message.get(name, fallback)
    if not isinstance(value, str) or not value.isascii() or not value.isprintable():
        raise _FailError(f"{name} is not printable ASCII")
    return value


class _Notary:
    def __init__(
        self, evidence_fd: int, flows_fd: int, seed: bytes, heartbeat_s: int, nonce: str
    ) -> None:
        self.evidence_fd, self.flows_fd = evidence_fd, flows_fd
        self.sign, self.key = keys.signer(seed)
        self.heartbeat_s, self.nonce = heartbeat_s, nonce
        self.book: journal.Journal | None = None
        self.committed = 0
        self.beat_at = self.sync_at = time.monotonic()
        self.dirty = False

    def _book(self) -> journal.Journal:
        if self.book is None:
            raise _FailError("not opened")
        return self.book

    def store(self, flows: bytes, evidence: bytes) -> None:
        """Facts first: a receipt never names a line that is not there."""
        _write(self.flows_fd, flows)
        _write(self.evidence_fd, evidence)
        self.dirty = True

    def sync(self) -> None:
        if self.dirty:
            os.fdatasync(self.flows_fd)
            os.fdatasync(self.evidence_fd)
            self.dirty = False
        self.sync_at = time.monotonic() + SYNC_SECONDS

    def flows(self, messages: list[object]) -> bytes:
        pairs = [self._book().flow(journal.check(m), _now()) for m in messages]
        self.store(b"".join(p[0] for p in pairs), b"".join(p[1] for p in pairs))
        self.committed += len(pairs)
        return b'{"committed":%d}\n' % self.committed

    def command(self, message: object) -> tuple[bytes, bool]:
        """The answer to the supervisor, and whether the record is closed."""
        if not isinstance(message, dict) or len(message) != 1:
            raise _FailError("a command has one member")
        (name, given) = next(iter(message.items()))
        if not isinstance(given, dict):
            raise _FailError("a command's value is an object")
        if name == "open" and self.book is None:
            return self._open(given), False
        if name == "close":
            return self._close(given), True
        raise _FailError(f"unexpected command {name!r}")

    def _open(self, given: Mapping[str, object]) -> bytes:
        posture = _text(given, "boundary_open_sha256").removeprefix("sha256:")
        run = chain.Run(
            self.nonce,
            secrets.token_hex(16),
            _text(given, "policy_hash"),
            self.key,
            self.heartbeat_s,
            posture,
        )
        self.book = journal.Journal(run, self.sign)
        self.store(b"", self.book.open(_action_id(), _now()))
        self.sync()
        self.beat_at = time.monotonic() + self.heartbeat_s
        answer = {"signer_key": self.key, "run_nonce": self.nonce}
        return canonical.encode({"opened": answer}) + b"\n"

    def _close(self, given: Mapping[str, object]) -> bytes:
        book, flow = self._book(), given.get("flow")
        if not isinstance(flow, dict):
            raise _FailError("close carries no flow")
        message = {
            "flow": flow | {"kind": "boundary"},
            "action_id": _action_id(),
            "action_type": "unclassified",
            "verdict": "allow",
            "target": "sluicegate://boundary/close",
            "transport": "boundary",
        }
        facts, evidence = book.flow(journal.check(message), _now())
        reason = _text(given, "reason", "graceful_shutdown")
        self.store(facts, evidence + book.close(_action_id(), reason, _now()))
        self.sync()
        answer = {"root": book.root, "receipts": book.receipts, "signer_key": self.key}
        return canonical.encode({"closed": answer}) + b"\n"

    def tick(self) -> None:
        now = time.monotonic()
        if self.book is not None and self.heartbeat_s > 0 and now >= self.beat_at:
            self.store(b"", self.book.heartbeat(_action_id(), _now()))
            self.beat_at = now + self.heartbeat_s
        if now >= self.sync_at:
            self.sync()


def serve(
    gate: socket.socket,
    supervisor: socket.socket,
    evidence_fd: int,
    flows_fd: int,
    key: bytes | None,
    heartbeat_s: int = 60,
    run_nonce: str | None = None,
) -> int:
    """Runs until the supervisor closes the record or goes away.

    `key` is a 32-byte seed; None makes an ephemeral one. Returns 0 when the record was closed, 3
    when it could not go on; both sockets are closed by then, so that the gate denies.
    """
    nonce = run_nonce or secrets.token_hex(16)
    notary = _Notary(evidence_fd, flows_fd, key or secrets.token_bytes(32), heartbeat_s, nonce)
    try:
        return _loop(notary, _Lines(gate), _Lines(supervisor))
    except (_FailError, journal.MessageError, OSError, ValueError):
        return FAILED
    finally:
        gate.close()
        supervisor.close()


def _loop(notary: _Notary, gate: _Lines, supervisor: _Lines) -> int:
    poll = select.poll()
    for lines in (gate, supervisor):
        lines.peer.setblocking(True)
        poll.register(lines.peer, select.POLLIN)
    while True:
        ready = {number for number, _ in poll.poll(int(SYNC_SECONDS * 1000))}
        if gate.open and gate.peer.fileno() in ready:
            if messages := gate.read():
                gate.peer.sendall(notary.flows(messages))
            if gate.ended():
                poll.unregister(gate.peer)
        if supervisor.peer.fileno() in ready:
            for message in supervisor.read():
                answer, closed = notary.command(message)
                supervisor.peer.sendall(answer)
                if closed:
                    return DONE
            if not supervisor.open:
                return FAILED
        notary.tick()
