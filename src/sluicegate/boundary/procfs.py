"""SHELL. The boundary's own /proc, read from outside through one descriptor of it: tables, names, ancestors."""

from __future__ import annotations

import contextlib
import hashlib
import os
import resource
from collections.abc import Iterable
from dataclasses import dataclass, field

from sluicegate.boundary.census import FIRST, Depth, Table
from sluicegate.jcs import Json

# fs/proc/base.c: a directory's position is the number of the process behind FIRST_PROCESS_ENTRY and two names.
_POSITION = 258
# Directories kept open: opening one again costs more than all that is asked of it.
MAX_KEPT = 2048
SPARE_DESCRIPTORS = 512  # for programs that wait to be hashed, and all else
MAX_TEXT = (
    256  # characters of one path: eight ancestors of four holders must fit a line of the record
)
MAX_ANCESTORS = 8  # a shell in a shell in a runner; a longer line is cut
MAX_ARGV_BYTES = 2_097_152  # as the kernel limits them (execve(2)) with the usual stack
MAX_THREADS = (
    64  # of one process, looked at one by one where nobody else was found to hold a socket
)
_SMALL_BYTES = 4096  # stat and cgroup are one short line each
MAX_LIVELY = 8  # descriptors of one process that a quick look reads again
_SOCKET = "socket:["


@dataclass(frozen=True, slots=True)
class Program:
    """The file a process executes: what tells it from every other, and how large it is."""

    key: tuple[int, int, int, int, int]
    size: int


@dataclass(slots=True)
class _Kept:
    home: int
    table: int
    activity: int
    # What each descriptor was when its link was last read: a socket's inode, or 0. `lively` are those that were
    # something else at the last look but one: a program that connects again and again uses the same number.
    links: dict[str, int] = field(default_factory=dict)
    lively: tuple[str, ...] = ()


class Procfs:
    """A `census.Reader`, and what a process is. `proc` is a descriptor of the mount's root."""

    def __init__(self, proc: int) -> None:
        self._proc = proc
        self._kept: dict[int, _Kept] = {}
        # A directory that can not be opened for want of descriptors would look like a process that is gone.
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._most_kept = max(1, min(MAX_KEPT, (soft - SPARE_DESCRIPTORS) // 3))
        self._tells = False  # no process was seen to have descriptors yet

    def pids(self, above: int) -> list[int]:
        os.lseek(self._proc, above + _POSITION if above else 0, os.SEEK_SET)
        return [int(name) for name in os.listdir(self._proc) if name.isdecimal()]

    def counts(self, pids: Iterable[int]) -> list[int]:
        found, kept_ = list[int](), self._kept
        for pid in pids:
            try:
                kept = kept_.get(pid) or self._keep(pid)
                # Since Linux 6.2 the size says how many; a process that is gone has no attributes then.
                size = os.fstat(kept.table).st_size if kept.table >= 0 else 0
            except OSError:
                found.append(-1)
                continue
            if size:
                self._tells = True
            found.append(size + 1 if self._tells and kept.table >= 0 else 0)
        return found

    def activity(self, pid: int) -> int:
        kept = self._kept.get(pid)
        if kept is None or kept.activity < 0:
            return 0
        try:
            return hash(os.pread(kept.activity, _SMALL_BYTES, 0))
        except OSError:
            return 0

    def table(self, pid: int, most: int, depth: Depth) -> Table:
        try:
            kept = self._kept.get(pid) or self._keep(pid)
            if kept.table < 0:
                return Table(frozenset(), 1, whole=False)
            found = _sockets(kept, most, quick=depth is Depth.QUICK)
            if depth is not Depth.THREADS:
                return found
            tasks = os.open("task", os.O_RDONLY | os.O_DIRECTORY, dir_fd=kept.home)
        except PermissionError:
            return Table(frozenset(), 1, whole=False)
        except OSError:
            # Gone, and its number may soon be another's: what is kept of it would never show that one.
            self.forget(pid)
            return Table(frozenset(), 1)
        try:
            return _of_threads(tasks, found, most)
        finally:
            os.close(tasks)

    def forget(self, pid: int) -> None:
        kept = self._kept.pop(pid, None)
        if kept is not None:
            for descriptor in (kept.home, kept.table, kept.activity):
                if descriptor >= 0:
                    os.close(descriptor)

    def _keep(self, pid: int) -> _Kept:
        while len(self._kept) >= self._most_kept:
            self.forget(next(iter(self._kept)))
        home = os.open(str(pid), os.O_RDONLY | os.O_DIRECTORY, dir_fd=self._proc)
        table = activity = -1
        # Not every process may be looked into: then it is known, and its sockets are not.
        with contextlib.suppress(PermissionError):
            table = os.open("fd", os.O_RDONLY | os.O_DIRECTORY, dir_fd=home)
        with contextlib.suppress(OSError):
            activity = os.open("schedstat", os.O_RDONLY, dir_fd=home)
        self._kept[pid] = kept = _Kept(home, table, activity)
        return kept

    def describe(self, pid: int) -> tuple[dict[str, Json], Program | None, int]:
        """What is known of a process; its program; and that file, open, or -1 where it can not be read.

        Raises:
            OSError: the process is gone.
        """
        kept = self._kept.get(pid) or self._keep(pid)
        found, parent = _stat(pid, kept.home)
        program, descriptor = _program(kept.home)
        argv = _read(kept.home, "cmdline", MAX_ARGV_BYTES + 1)
        if len(argv) <= MAX_ARGV_BYTES:
            found["argv_sha256"] = hashlib.sha256(argv.removesuffix(b"\0")).hexdigest()
        groups = _read(kept.home, "cgroup", _SMALL_BYTES).partition(b"\n")[0]
        found["cgroup"] = shown(groups.rpartition(b":")[2])
        found["ancestors"] = self._ancestors(parent)
        return found, program, descriptor

    def _ancestors(self, pid: int) -> Json:
        found: list[Json] = []
        while pid > 0 and len(found) < MAX_ANCESTORS:
            try:
                kept = self._kept.get(pid) or self._keep(pid)
                some, parent = _stat(pid, kept.home)
            except OSError:
                break  # it has just ended: its children have another parent now
            found.append(some)
            if pid == FIRST:
                break
            pid = parent
        return found


def shown(raw: bytes) -> str:
    """`raw` in printable ASCII, cut to a bounded length."""
    text = "".join(chr(b) if 0x20 <= b <= 0x7E else f"\\x{b:02x}" for b in raw[: MAX_TEXT + 1])
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 3] + "..."


def _stat(pid: int, home: int) -> tuple[dict[str, Json], int]:
    """Number, start in clock ticks since the machine's start, program; and the parent's number (proc_pid_stat(5))."""
    # The name in brackets is the process's own choice and may hold anything, a bracket too.
    fields = _read(home, "stat", _SMALL_BYTES).rpartition(b")")[2].split()
    found: dict[str, Json] = {"pid": pid, "start_ticks": int(fields[19])}
    # The first process is ours; of one that may not be looked into, the program stays unknown.
    with contextlib.suppress(OSError):
        if pid != FIRST:
            found["exe"] = shown(os.fsencode(os.readlink("exe", dir_fd=home)))
    return found, int(fields[1])


def _program(home: int) -> tuple[Program | None, int]:
    try:
        descriptor = os.open("exe", os.O_RDONLY | os.O_CLOEXEC, dir_fd=home)
    except OSError:
        return None, -1
    return program(descriptor), descriptor


def program(descriptor: int) -> Program:
    """What tells the open file from every other content of it."""
    have = os.fstat(descriptor)
    key = (have.st_dev, have.st_ino, have.st_size, have.st_mtime_ns, have.st_ctime_ns)
    return Program(key, have.st_size)


def _read(home: int, name: str, most: int) -> bytes:
    descriptor = os.open(name, os.O_RDONLY, dir_fd=home)
    try:
        whole = b""
        while len(whole) < most and (piece := os.read(descriptor, min(65_536, most - len(whole)))):
            whole += piece
        return whole
    finally:
        os.close(descriptor)


def _sockets(kept: _Kept, most: int, *, quick: bool) -> Table:
    """The table of one process; `quick` trusts what was read before of descriptors that are still there."""
    names, known = os.listdir(kept.table), kept.links
    wanted = [n for n in names if n not in known or n in kept.lively] if quick else names
    links, changed = dict[str, int](), list[str]()
    # From the youngest: where not all can be read, a new socket is among the last.
    for name in wanted[: -most - 1 : -1]:
        try:
            link = os.readlink(name, dir_fd=kept.table)
        except FileNotFoundError:
            continue  # closed meanwhile
        links[name] = inode = int(link[len(_SOCKET) : -1]) if link.startswith(_SOCKET) else 0
        if known.get(name) != inode:
            changed.append(name)
    kept.lively = tuple(dict.fromkeys((*changed, *kept.lively)))[:MAX_LIVELY]
    kept.links = {name: known[name] for name in names if name in known} | links
    inodes = frozenset(inode for inode in kept.links.values() if inode)
    return Table(inodes, len(links) + 1, whole=len(wanted) <= most)


def _of_threads(tasks: int, found: Table, most: int) -> Table:
    inodes, links, names = set(found.inodes), found.links, os.listdir(tasks)
    whole = found.whole and len(names) <= MAX_THREADS
    for name in names[:MAX_THREADS] if len(names) > 1 else []:
        try:
            table = os.open(f"{name}/fd", os.O_RDONLY | os.O_DIRECTORY, dir_fd=tasks)
        except OSError:
            continue  # it has ended
        try:
            some = _sockets(_Kept(-1, table, -1), max(1, most - links), quick=False)
        finally:
            os.close(table)
        inodes |= some.inodes
        links, whole = links + some.links, whole and some.whole
    return Table(frozenset(inodes), links, whole)
