"""The notary: the process that holds the key. It signs what it is told, in order, and says so."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
import select
import socket
import time
from collections.abc import Mapping

import orjson

from sluicegate import moments
from sluicegate.evidence import canonical, chain, ids, journal, keys, note, seal, tree

DONE, FAILED = 0, 3
# fdatasync costs milliseconds: once a second bounds what a power cut can take.
SYNC_SECONDS = 1.0
# How old the last checkpoint that was told may get while the record grows: what a cut can hide, in seconds.
CHECKPOINT_SECONDS = 30
NS_PER_MS = 1_000_000
READ_BYTES = 65_536  # below what malloc takes from the kernel anew each time
MAX_WHY = 500  # characters of a failure's reason
# Reads before a close: more than a socket holds, so an honest gate is heard out and no other is endless.
DRAIN_READS = 1024


class _FailError(Exception):
    """The record can not go on."""


class _Peer:
    """LF-framed JSON objects from one socket, and answers to it that never make us wait."""

    def __init__(self, peer: socket.socket) -> None:
        peer.setblocking(False)
        self.socket, self.open, self.quiet = peer, True, False
        self._rest = self._out = self._next = b""

    def read(self) -> list[object]:
        """What has come; `open` turns False at the end. Half a message at the end was never said."""
        try:
            data = self.socket.recv(READ_BYTES)
        except BlockingIOError:
            self.quiet = True
            return []
        except ConnectionError:
            data = b""
        self.open, self.quiet = bool(data), not data
        *lines, self._rest = (self._rest + data).split(b"\n")
        if max(map(len, (*lines, self._rest))) > journal.MAX_LINE_BYTES:
            raise _FailError("a message is too long")
        try:
            return [orjson.loads(line) for line in lines]
        except orjson.JSONDecodeError as error:
            raise _FailError("a message is not JSON") from error

    def say(self, answer: bytes) -> None:
        """Send `answer` as soon as the peer takes it; a newer one replaces one not yet begun."""
        self._next = answer
        self.push()

    def push(self) -> None:
        """Send what the peer takes now."""
        try:
            while waiting := self._out or self._next:
                if not self._out:
                    self._out, self._next = waiting, b""
                self._out = self._out[self.socket.send(self._out) :]
        except BlockingIOError:
            return
        except ConnectionError:
            # Whoever does not listen any more is seen to be gone when we read.
            self._out = self._next = b""

    @property
    def interest(self) -> int:
        """The poll events that matter now."""
        events = select.POLLIN if self.open else 0
        return events | (select.POLLOUT if self._out else 0)


class _File:
    """A file that grows by whole lines or not at all."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.size = os.fstat(descriptor).st_size

    def append(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self.descriptor, view) :]

    def keep(self) -> None:
        """Take back what a failed write left behind the last whole line."""
        os.ftruncate(self.descriptor, self.size)


def _text(message: Mapping[str, object], name: str, fallback: str = "") -> str:
    value = message.get(name, fallback)
    if not isinstance(value, str) or not value.isascii() or not value.isprintable():
        raise _FailError(f"{name} is not printable ASCII")
    return value


def _object(message: Mapping[str, object], name: str) -> dict[str, object]:
    value = message.get(name)
    if not isinstance(value, dict):
        raise _FailError(f"{name} is not an object")
    return value


class _Notary:
    def __init__(
        self,
        evidence_fd: int,
        flows_fd: int,
        sign: keys.Signer,
        heartbeat_s: int,
        nonce: str,
        checkpoint_s: int = CHECKPOINT_SECONDS,
    ) -> None:
        self.evidence, self.facts = _File(evidence_fd), _File(flows_fd)
        self.sign, self.key = sign, sign.public
        self.heartbeat_s, self.nonce = heartbeat_s, nonce
        self.checkpoint_s, self.told = checkpoint_s, 0
        self.book: journal.Journal | None = None
        self.tree = tree.EMPTY
        self.ids = ids.Rising(ids.NOTARY)
        self.closed = False
        self.committed = 0
        self.time = 0
        self.beat_at = self.sync_at = self.tell_at = time.monotonic()
        self.dirty = False

    def now(self) -> str:
        """The time for the next line: never before the last one's, whatever was done to the clock."""
        self.time = max(self.time, time.time_ns())
        return canonical.timestamp(self.time)

    def action_id(self) -> str:
        """The id of the next receipt of our own."""
        return self.ids.next(time.time_ns() // NS_PER_MS, secrets.token_bytes(ids.SEED_BYTES))

    def _book(self) -> journal.Journal:
        if self.book is None:
            raise _FailError("not opened")
        return self.book

    def store(self, facts: bytes, evidence: bytes) -> None:
        """Facts first: a receipt never names a line that is not there. All of it, or none."""
        try:
            self.facts.append(facts)
            moments.reached("notary: facts written")
            self.evidence.append(evidence)
            moments.reached("notary: evidence written")
        except OSError:
            self.evidence.keep()
            self.facts.keep()
            raise
        self.facts.size += len(facts)
        self.evidence.size += len(evidence)
        self.dirty = True
        self.tree = tree.extended(self.tree, map(tree.leaf_hash, evidence.split(b"\n")[:-1]))

    def sync(self) -> None:
        if self.dirty:
            os.fdatasync(self.facts.descriptor)
            os.fdatasync(self.evidence.descriptor)
            self.dirty = False
        self.sync_at = time.monotonic() + SYNC_SECONDS

    def checkpoint(self) -> str:
        """The signed head of all lines so far, which are on the disk by then: no reader can hold more than we have."""
        self.sync()
        self.told, self.tell_at = self.tree.size, time.monotonic() + self.checkpoint_s
        head = note.Checkpoint(note.origin(self.nonce), self.tree.size, tree.root(self.tree))
        return note.sign_checkpoint(head, bytes.fromhex(self.key), self.sign).decode()

    def flows(self, messages: list[object]) -> bytes:
        book = self._book()
        pairs = [book.flow(journal.check(message), self.now()) for message in messages]
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
        if name == "close" and not self.closed:
            return self._close(given), False
        if name == "seal" and self.closed:
            return self._seal(given), True
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
        actor = _text(given, "actor") or journal.ANONYMOUS
        self.book = journal.Journal(run, self.sign, actor)
        self.store(b"", self.book.open(self.action_id(), self.now()))
        self.beat_at = time.monotonic() + self.heartbeat_s
        answer = {"signer_key": self.key, "run_nonce": self.nonce, "checkpoint": self.checkpoint()}
        return canonical.encode({"opened": answer}) + b"\n"

    def _close(self, given: Mapping[str, object]) -> bytes:
        book, flow = self._book(), given.get("flow")
        if not isinstance(flow, dict):
            raise _FailError("close carries no flow")
        reason = _text(given, "reason", "graceful_shutdown")
        facts, evidence = book.boundary(flow, self.action_id(), self.now())
        self.store(facts, evidence + book.close(self.action_id(), reason, self.now()))
        self.closed = True
        moments.reached("notary: record closed")
        answer = {
            "root": book.root,
            "receipts": book.receipts,
            "signer_key": self.key,
            "checkpoint": self.checkpoint(),
        }
        return canonical.encode({"closed": answer}) + b"\n"

    def _seal(self, given: Mapping[str, object]) -> bytes:
        """The two bundles over the packet's files, whose digests the supervisor measured."""
        subjects, results, trace = (_object(given, n) for n in ("subjects", "results", "trace"))
        commit = given.get("commit")
        key, digests = bytes.fromhex(self.key), {n: str(v) for n, v in subjects.items()}
        found = {name: str(value) for name, value in results.items()}
        probes = seal.bundle(seal.results_statement(found, digests), key, self.sign)
        digests[seal.PROBES] = hashlib.sha256(probes).hexdigest()
        statement = seal.trace_statement(digests, None if commit is None else str(commit), trace)
        answer = {
            seal.PROBES: probes.decode(),
            seal.SEAL: seal.bundle(statement, key, self.sign).decode(),
        }
        moments.reached("notary: seal made")
        return canonical.encode({"sealed": answer}) + b"\n"

    def forget(self) -> None:
        """Overwrite the key: nothing can be signed any more."""
        self.sign.forget()
        self.book = None

    def tick(self, supervisor: _Peer) -> None:
        """What is due: a heartbeat, a checkpoint that nobody asked for, a sync."""
        now = time.monotonic()
        if self.book is not None and self.heartbeat_s > 0 and now >= self.beat_at:
            self.store(b"", self.book.heartbeat(self.action_id(), self.now()))
            self.beat_at = now + self.heartbeat_s
        grown = self.book is not None and self.tree.size > self.told
        if grown and now >= self.tell_at:
            # It replaces an older one at most: an answer is taken before there is anything more to tell.
            supervisor.say(canonical.encode({"checkpoint": self.checkpoint()}) + b"\n")
        if now >= self.sync_at:
            self.sync()


def serve(
    gate: socket.socket,
    supervisor: socket.socket,
    evidence_fd: int,
    flows_fd: int,
    key: keys.Secret | None,
    heartbeat_s: int = 60,
    run_nonce: str | None = None,
    checkpoint_s: int = CHECKPOINT_SECONDS,
) -> int:
    """Runs until the supervisor has the packet sealed or goes away.

    While the record grows, the supervisor is told a signed checkpoint of it every `checkpoint_s` seconds, unasked.
    `key` is a 32-byte seed, overwritten before anything is read; None makes an ephemeral one. Returns 0 when the
    record was closed, 3 when it could not go on; both sockets are closed by then, so that the gate denies.
    """
    nonce = run_nonce or secrets.token_hex(16)
    notary = _Notary(evidence_fd, flows_fd, _signer(key), heartbeat_s, nonce, checkpoint_s)
    try:
        return _loop(notary, _Peer(gate), _Peer(supervisor))
    except (_FailError, journal.MessageError, seal.SealError, OSError, ValueError) as error:
        with contextlib.suppress(OSError):
            # The supervisor ends the run whatever it hears; this is for the person who asks why.
            said = dict(zip(("refused", "hint"), _why(error), strict=True))
            supervisor.send(canonical.encode(said) + b"\n", socket.MSG_DONTWAIT)
        return FAILED
    finally:
        notary.forget()
        moments.reached("notary: key forgotten")
        gate.close()
        supervisor.close()


def _why(error: Exception) -> tuple[str, str]:
    """What to tell a person, and the remedy."""
    if not isinstance(error, OSError):
        return ascii(str(error))[1:-1][:MAX_WHY], ""
    full = error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
    hint = "free some space and run again" if full else ""
    return f"the record can not be written: {os.strerror(error.errno or errno.EIO)}", hint


def _signer(key: keys.Secret | None) -> keys.Signer:
    """What signs with `key`, which is overwritten; or with one that nobody else ever held."""
    try:
        return keys.Signer(key)
    finally:
        if key is not None:
            keys.wipe(key)


def _loop(notary: _Notary, gate: _Peer, supervisor: _Peer) -> int:
    poll = select.poll()
    asked = {gate: 0, supervisor: 0}
    while True:
        for peer, before in asked.items():
            # A closed record takes nothing more from the gate.
            events = 0 if peer is gate and notary.closed else peer.interest
            if events == before:
                continue
            asked[peer] = events
            if events:
                poll.register(peer.socket, events)
            else:
                # Hang-ups are reported whether wanted or not: a peer that is gone is not asked.
                poll.unregister(peer.socket)
        ready = {number for number, _ in poll.poll(int(SYNC_SECONDS * 1000))}
        if gate.socket.fileno() in ready and not notary.closed:
            _hear(notary, gate)
        gate.quiet = False
        if supervisor.socket.fileno() in ready:
            supervisor.push()
            for message in supervisor.read():
                if isinstance(message, dict) and "close" in message:
                    # Whatever the gate said before the close belongs before it in the record.
                    for _ in range(DRAIN_READS):
                        if gate.quiet or not gate.open:
                            break
                        _hear(notary, gate)
                answer, closed = notary.command(message)
                supervisor.say(answer)
                if closed:
                    return DONE
            if not supervisor.open:
                return DONE if notary.closed else FAILED
        if not notary.closed:
            notary.tick(supervisor)


def _hear(notary: _Notary, gate: _Peer) -> None:
    """Put on record what the gate has to say, and tell it so: first what it waits for, then how flows ended."""
    gate.push()
    if not gate.open or not (messages := gate.read()):
        return
    ends = next((n for n, m in enumerate(messages) if _is_outcome(m)), len(messages))
    for some in (messages[:ends], messages[ends:]):
        if some:
            gate.say(notary.flows(some))
            moments.reached("notary: committed said")


def _is_outcome(message: object) -> bool:
    return isinstance(message, dict) and message.get("phase") == "outcome"
