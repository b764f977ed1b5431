"""The trees that the command can write, before and after: what is not as it was. Reads names and times, few contents.

Nobody inside can set a file's ctime back (inode(7)), so equal times mean an equal file, except where the file system
does not note every write: on tmpfs a write through a shared mapping leaves no trace, so there contents are compared.
"""

from __future__ import annotations

import hashlib
import os
import stat
import struct
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from sluicegate import orders
from sluicegate.evidence.workspace import Change, Gathered, Node, Tree

# Of all trees, before and after each: a minute's work, and 70 MB held.
MAX_ENTRIES = 1_000_000
# Read for digests of what changed; more is listed without one.
MAX_HASHED_BYTES = 4_294_967_296
# Read before the start: files with names that later steps go by, and all of a file system in memory.
MAX_NAMED = 2_000
MAX_NAMED_BYTES = 1_048_576
MAX_WATCHED_BYTES = 536_870_912
_PIECE_BYTES = 1_048_576
# File systems whose times do not tell of a write through a mapping (measured; Linux 6.18).
_IN_MEMORY = {"tmpfs", "ramfs"}
_FIXED = struct.Struct("<HHIQQqq")
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_TYPES = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "dir",
    stat.S_IFLNK: "link",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
    stat.S_IFBLK: "block",
    stat.S_IFCHR: "char",
}
_NAMED = frozenset(
    os.fsencode(name)
    for name in (orders.SCRIPTS | orders.HOOKS | orders.ACTIONS | orders.GIT | orders.GIT_OUTSIDE)
)


class _Seen(NamedTuple):
    """One entry as it was found. Of a directory size and times are left out: they tell of its entries.

    A tuple, since there are as many as files: two thirds of the time of a dataclass.
    """

    mode: int
    inode: int
    size: int
    modified: int
    changed: int
    target: bytes
    links: int = 1

    @property
    def type(self) -> str:
        return _TYPES[stat.S_IFMT(self.mode)]

    def node(self, sha256: str = "") -> Node:
        if self.type == "link":
            return Node("link", target=self.target)
        size = self.size if self.type == "file" else 0
        links = self.links if self.type == "file" else 1
        return Node(self.type, stat.S_IMODE(self.mode), size, b"", sha256, links)


class Inventory:
    """`take` it before the command begins and `compare` when nothing of it lives.

    `places`: the writable trees' paths, the workspace first; one within another is the other's. `hidden`: paths that
    the command could not see, which are left out.
    """

    def __init__(self, places: Sequence[bytes], hidden: Sequence[bytes]) -> None:
        self.unread: set[tuple[int, bytes]] = set()
        self.gaps: set[str] = set()
        own = [
            place
            for at, place in enumerate(places)
            if not any(
                _within(place, other) and (place != other or before < at)
                for before, other in enumerate(places)
                if before != at
            )
        ]
        self._roots = [os.open(place, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC) for place in own]
        kinds = _file_systems()
        contents = [
            "read" if kinds.get(os.fstat(root).st_dev) in _IN_MEMORY else "stat"
            for root in self._roots
        ]
        self.trees = [
            Tree(place, "bind" if at else "workspace", content)
            for at, (place, content) in enumerate(zip(own, contents, strict=True))
        ]
        self._hidden = [
            {path[len(place) + 1 :] for path in hidden if path.startswith(place + b"/")}
            for place in own
        ]
        self._tops: list[_Seen] = []
        self._before: list[dict[bytes, bytes]] = []
        self._digests: list[dict[bytes, str]] = []
        self._left = MAX_HASHED_BYTES

    def take(self) -> None:
        """Remember what is there."""
        left, named, watched = MAX_ENTRIES, MAX_NAMED, MAX_WATCHED_BYTES
        for tree, root in enumerate(self._roots):
            self._tops.append(_seen(os.fstat(root)))
            held, digests = dict[bytes, bytes](), dict[bytes, str]()
            self._before.append(held)
            self._digests.append(digests)
            read = self.trees[tree].content == "read"
            queue = deque([b""] if stat.S_ISDIR(self._tops[tree].mode) else [])
            while queue:
                place = queue.popleft()
                entries = self._entries(tree, place)
                left -= len(entries)
                if left < 0:
                    self.gaps.add("entries")
                    break
                held[place] = _packed(entries)
                for name, seen in entries:
                    path = _joined(place, name)
                    if stat.S_ISDIR(seen.mode):
                        queue.append(path)
                    elif stat.S_ISREG(seen.mode) and read:
                        watched -= seen.size
                        if watched >= 0:
                            digests[path] = self._digest(tree, path, MAX_WATCHED_BYTES)
                        else:
                            self.gaps.add("unwatched")
                    elif name in _NAMED and stat.S_ISREG(seen.mode) and named > 0:
                        named -= 1
                        digests[path] = self._digest(tree, path, MAX_NAMED_BYTES)

    def compare(self, gathered: Gathered) -> None:
        """Tell `gathered` of every path that is not as it was."""
        left = MAX_ENTRIES
        for tree, root in enumerate(self._roots):
            top, count = _seen(os.fstat(root), links=True), 0
            for change in self._changes(tree, b".", self._tops[tree], top):
                gathered.add(change)
            queue = deque([b""] if stat.S_ISDIR(top.mode) else [])
            while queue:
                place = queue.popleft()
                entries = self._entries(tree, place, links=True)
                count += len(entries)
                left -= len(entries)
                if left < 0:
                    self.gaps.add("entries")
                    break
                if (tree, place) in self.unread:
                    continue
                packed = self._before[tree].pop(place, b"")
                if packed == _packed(entries) and self.trees[tree].content == "stat":
                    queue.extend(self._known(tree, place, entries))
                    continue
                before = _unpacked(packed)
                for name, seen in entries:
                    path, was = _joined(place, name), before.pop(name, None)
                    for change in self._changes(tree, path, was, seen):
                        gathered.add(change)
                    if stat.S_ISDIR(seen.mode):
                        known = was is not None and stat.S_ISDIR(was.mode)
                        # What was not looked into before says nothing by being there.
                        if not known or path in self._before[tree]:
                            queue.append(path)
                    if was is not None and stat.S_ISDIR(was.mode) and not stat.S_ISDIR(seen.mode):
                        self._gone(tree, path, gathered)
                for name, was in before.items():
                    path = _joined(place, name)
                    gathered.add(self._change(tree, path, "deleted", was, None))
                    if stat.S_ISDIR(was.mode):
                        self._gone(tree, path, gathered)
            self.trees[tree] = replace(self.trees[tree], entries=count)

    def digest(self, change: Change) -> str:
        """SHA-256 of what is at the path of `change` now; empty where it can not be read, or is too much."""
        path = b"" if change.path == b"." else change.path
        return self._digest(change.tree, path, self._left, count=True)

    def _known(
        self, tree: int, place: bytes, entries: Sequence[tuple[bytes, _Seen]]
    ) -> Iterator[bytes]:
        """The directories of an unchanged one that were looked into before."""
        for name, seen in entries:
            if stat.S_ISDIR(seen.mode) and (path := _joined(place, name)) in self._before[tree]:
                yield path

    def _gone(self, tree: int, top: bytes, gathered: Gathered) -> None:
        """All that was in a directory that is there no more."""
        left = [top]
        while left:
            place = left.pop()
            for name, was in _unpacked(self._before[tree].pop(place, b"")).items():
                path = _joined(place, name)
                gathered.add(self._change(tree, path, "deleted", was, None))
                if stat.S_ISDIR(was.mode):
                    left.append(path)

    def _changes(self, tree: int, path: bytes, was: _Seen | None, seen: _Seen) -> Iterator[Change]:
        if was is None:
            yield self._change(tree, path, "added", None, seen)
            return
        same = seen._replace(links=1) == was
        if same and seen.type == "file" and self.trees[tree].content == "read":
            before = self._digests[tree].get(path)
            same = before is None or before == self._digest(tree, path, MAX_WATCHED_BYTES)
        if same or (seen.type == was.type == "link" and seen.target == was.target):
            return
        alike = seen._replace(mode=was.mode, changed=was.changed, links=1) == was
        only_mode = seen.mode != was.mode and seen.type == was.type and alike
        yield self._change(tree, path, "mode" if only_mode else "modified", was, seen)

    def _change(
        self, tree: int, path: bytes, kind: str, was: _Seen | None, seen: _Seen | None
    ) -> Change:
        before = None if was is None else was.node(self._digests[tree].get(path, ""))
        return Change(tree, path, kind, before, None if seen is None else seen.node())

    def _entries(
        self, tree: int, place: bytes, *, links: bool = False
    ) -> list[tuple[bytes, _Seen]]:
        """What is in a directory, sorted by name; nothing where it can not be read, which is told."""
        found = list[tuple[bytes, _Seen]]()
        hidden = self._hidden[tree]
        try:
            number = os.open(place or b".", _DIRECTORY, dir_fd=self._roots[tree])
        except OSError:
            self.unread.add((tree, place or b"."))
            return found
        try:
            with os.scandir(number) as entries:
                for entry in entries:
                    name = os.fsencode(entry.name)
                    if hidden and _joined(place, name) in hidden:
                        continue
                    status = entry.stat(follow_symlinks=False)
                    target = b""
                    if stat.S_ISLNK(status.st_mode):
                        target = os.fsencode(os.readlink(entry.name, dir_fd=number))
                    found.append((name, _seen(status, target, links=links)))
        except OSError:
            self.unread.add((tree, place or b"."))
            return []
        finally:
            os.close(number)
        found.sort(key=lambda one: one[0])
        return found

    def _digest(self, tree: int, path: bytes, most: int, *, count: bool = False) -> str:
        try:
            # The tree itself, where it is a file.
            where = self._roots[tree] if path else None
            number = os.open(path or self.trees[tree].path, _FILE, dir_fd=where)
        except OSError:
            return ""
        try:
            status = os.fstat(number)
            if not stat.S_ISREG(status.st_mode) or status.st_size > most:
                return ""
            if count:
                self._left -= status.st_size
            whole, read = hashlib.sha256(), 0
            while read <= status.st_size and (piece := os.read(number, _PIECE_BYTES)):
                whole.update(piece)
                read += len(piece)
            return whole.hexdigest() if read == status.st_size else ""
        except OSError:
            return ""
        finally:
            os.close(number)


def _seen(status: os.stat_result, target: bytes = b"", *, links: bool = False) -> _Seen:
    mode = status.st_mode
    if stat.S_ISDIR(mode):
        return _Seen(mode, 0, 0, 0, 0, b"")
    times = status.st_mtime_ns, status.st_ctime_ns
    many = status.st_nlink if links else 1
    return _Seen(mode, status.st_ino, status.st_size, *times, target, many)


def _packed(entries: Sequence[tuple[bytes, _Seen]]) -> bytes:
    """A directory's entries in few bytes: a hundred thousand objects would weigh ten times as much."""
    return b"".join(
        _FIXED.pack(
            len(name), len(one.target), one.mode, one.inode, one.size, one.modified, one.changed
        )
        + name
        + one.target
        for name, one in entries
    )


def _unpacked(data: bytes) -> dict[bytes, _Seen]:
    found, at = dict[bytes, _Seen](), 0
    while at < len(data):
        name, target, mode, inode, size, modified, changed = _FIXED.unpack_from(data, at)
        at += _FIXED.size
        end = at + name + target
        seen = _Seen(mode, inode, size, modified, changed, data[at + name : end])
        found[data[at : at + name]] = seen
        at = end
    return found


def _joined(place: bytes, name: bytes) -> bytes:
    return place + b"/" + name if place else name


def _within(path: bytes, tree: bytes) -> bool:
    return path == tree or path.startswith(tree.rstrip(b"/") + b"/")


def _file_systems() -> dict[int, str]:
    """The kind of each mounted file system, by its device."""
    found = dict[int, str]()
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            fields = line.split()
            major, minor = fields[2].split(":")
            found[os.makedev(int(major), int(minor))] = fields[fields.index("-") + 1]
    return found
