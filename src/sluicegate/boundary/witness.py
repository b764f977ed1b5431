"""SHELL. The process that says which program made a connection: asked by the gate, answered from the kernel.

It holds no key and no network, reads no byte that the command sends, and decides nothing. Its two windows were
opened inside: a sock_diag socket, and the boundary's own /proc, which shows nobody else's processes.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import time
from collections.abc import Iterable
from dataclasses import dataclass

import orjson

from sluicegate.boundary import privilege, seccomp, syscalls
from sluicegate.boundary.census import Census
from sluicegate.boundary.digests import UNREADABLE, Digests
from sluicegate.boundary.procfs import Procfs, Program
from sluicegate.jcs import Json
from sluicegate.wire import sockdiag
from sluicegate.wire.cursor import WireError
from sluicegate.wire.sockdiag import End

DONE, BROKEN = 0, 1
# The gate's question: number of the connection, then the client's end and the end it connected to.
QUESTION = struct.Struct("!Q16sH16sH")
READ_BYTES = 65_536  # 1,400 questions; what is more waits in the socket
_REPLY_BYTES = 8192  # of the kernel, for one socket: under 1 KiB
MAX_HOLDERS = 4  # described in one answer; the count says how many there are
EXACT, SHARED, EXITED, UNSEARCHED = "exact", "shared", "exited", "unsearched"


@dataclass(slots=True)
class _Answer:
    """What is known so far; `holders` come with the program whose digest each still lacks."""

    number: int
    facts: dict[str, Json]
    holders: list[tuple[dict[str, Json], Program | None]]

    def ready(self) -> bool:
        return all(program is None for _, program in self.holders)

    def told(self, digests: dict[Program, str]) -> None:
        self.holders = [
            (_digested(facts, digests[program]), None) if program in digests else (facts, program)
            for facts, program in self.holders
        ]

    def line(self) -> bytes:
        process = self.facts | {"holders": [facts for facts, _ in self.holders]}
        return orjson.dumps({"connection": self.number, "process": process}) + b"\n"


def _digested(facts: dict[str, Json], said: str) -> dict[str, Json]:
    name = "exe_sha256" if len(said) == 64 else "exe_unhashed"
    return facts | {name: said}


def enclose(proc: int, uid: int | None) -> None:
    """Leave this process nothing but reading `proc`: as `uid` with two capabilities, or as the caller without any.

    As root it gets a network of its own with nothing in it, and sees no file but what lies in `proc`. Neither way may
    it open a socket, or write another process's memory.
    """
    program = seccomp.program(os.uname().machine, network=False)
    if uid is not None:
        syscalls.unshare(syscalls.CLONE_NEWNET)
        os.fchdir(proc)
        os.chroot(".")
    privilege.look(uid, program)


def serve(gate: socket.socket, control: socket.socket, diag: socket.socket, proc: int) -> int:
    """Answers `gate` until it or `control` ends (0), or the kernel does not answer as it should (1)."""
    return Witness(gate, control, diag, Procfs(proc)).run()


class Witness:
    """The loop: questions in, one pass over the processes for all of them, answers out."""

    def __init__(
        self, gate: socket.socket, control: socket.socket, diag: socket.socket, processes: Procfs
    ) -> None:
        self._gate, self._control, self._diag = gate, control, diag
        self._processes, self._census = processes, Census(processes)
        self._digests = Digests()
        self._rest, self._out = b"", bytearray()
        self._waiting: list[_Answer] = []
        self._number = 0

    def run(self) -> int:
        self._gate.setblocking(False)
        self._diag.setblocking(False)
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(self._digests.fd, select.POLLIN)
        while True:
            events = select.POLLOUT if self._out else select.POLLIN
            poll.register(self._gate, events)
            ready = {descriptor for descriptor, _ in poll.poll()}
            try:
                if self._control.fileno() in ready or not self._turn(ready):
                    return DONE
            except (WireError, OSError):
                return BROKEN

    def _turn(self, ready: set[int]) -> bool:
        if self._digests.fd in ready:
            self._told(self._digests.collect())
        if self._gate.fileno() in ready and not self._out:
            data = self._gate.recv(READ_BYTES)
            if not data:
                return False
            self._asked(data)
        while self._out:
            try:
                del self._out[: self._gate.send(self._out)]
            except BlockingIOError:
                break
        return True

    def _asked(self, data: bytes) -> None:
        data = self._rest + data
        whole = len(data) - len(data) % QUESTION.size
        self._rest = data[whole:]
        found = list[tuple[int, sockdiag.Found | None]]()
        for number, address, port, to, to_port in QUESTION.iter_unpack(data[:whole]):
            found.append((number, self._socket(End(address, port), End(to, to_port))))
        inodes = {one.inode for _, one in found if one is not None and one.inode}
        holders, whole_search = dict[int, list[int]](), True
        if inodes:
            holders, whole_search = self._census.holders(inodes, time.monotonic_ns())
        for number, one in found:
            pids = holders.get(one.inode, []) if one is not None else []
            searched = whole_search or one is None or not one.inode
            self._say(self._answer(number, one, pids, searched=searched))

    def _socket(self, ours: End, theirs: End) -> sockdiag.Found | None:
        self._number += 1
        number = self._number & 0xFFFFFFFF
        self._diag.send(sockdiag.request(ours, theirs, number))
        return sockdiag.read_reply(self._diag.recv(_REPLY_BYTES), number, ours, theirs)

    def _answer(
        self, number: int, found: sockdiag.Found | None, pids: list[int], *, searched: bool
    ) -> _Answer:
        holders = list(self._described(pids))
        word = EXITED if not holders else EXACT if len(pids) == 1 else SHARED
        facts: dict[str, Json] = {"found": word if searched else UNSEARCHED}
        if found is not None:
            facts |= {"uid": found.uid, "socket_cookie": f"{found.cookie:016x}"}
        if len(pids) > len(holders) and holders:
            facts["holder_count"] = len(pids)
        return _Answer(number, facts, holders)

    def _described(self, pids: list[int]) -> Iterable[tuple[dict[str, Json], Program | None]]:
        for pid in pids[:MAX_HOLDERS]:
            try:
                facts, program, descriptor = self._processes.describe(pid)
            except (OSError, IndexError):
                continue  # it has ended since
            if program is None:
                yield _digested(facts, UNREADABLE), None
                continue
            said = self._digests.get(program, descriptor)
            yield (facts, program) if said is None else (_digested(facts, said), None)

    def _say(self, answer: _Answer) -> None:
        if answer.ready():
            self._out += answer.line()
        else:
            self._waiting.append(answer)

    def _told(self, digests: dict[Program, str]) -> None:
        waiting, self._waiting = self._waiting, []
        for answer in waiting:
            answer.told(digests)
            self._say(answer)
