"""The trees that the command can write, before and after: what is not as it was. Reads names and times, few contents.

Nobody inside can set a file's ctime back (inode(7)), so equal times mean an equal file, except where the file system
does not note every write: on tmpfs a write through a shared mapping leaves no trace, so there contents are compared.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import struct
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from sluicegate import orders
from sluicegate.cli import noting
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
    """One entry as it was found. Of a directory inode, size and times are 0: they tell of its entries."""

    mode: int
    inode: int
    size: int
    modified: int
    changed: int
    target: bytes

    @property
    def type(self) -> str:
        return _TYPES[stat.S_IFMT(self.mode)]

    def node(self, sha256: str = "", links: int = 1) -> Node:
        if self.type == "link":
            return Node("link", target=self.target)
        if self.type == "file":
            return Node("file", stat.S_IMODE(self.mode), self.size, b"", sha256, links)
        return Node(self.type, stat.S_IMODE(self.mode))


class _Listing(NamedTuple):
    """A directory: its entries packed, sorted by name, and how many; its directories, and files with telling names."""

    packed: bytes
    directories: list[bytes]
    named: list[bytes]
    size: int


_NOTHING = _Listing(b"", [], [], 0)


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
        self._roots: list[int] = []
        contents = ["stat" if noting.tells(place) else "read" for place in own]
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
        """Remember what is there. Nothing of it is held open while the command runs."""
        with self._opened():
            self._take()

    def compare(self, gathered: Gathered) -> None:
        """Tell `gathered` of every path that is not as it was; the trees stay open for digests."""
        self._roots = [_root(tree.path) for tree in self.trees]
        self._compare(gathered)

    @contextlib.contextmanager
    def _opened(self) -> Iterator[None]:
        self._roots = [_root(tree.path) for tree in self.trees]
        try:
            yield
        finally:
            for root in self._roots:
                os.close(root)

    def _take(self) -> None:
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
                found = self._listing(tree, place)
                left -= _weight(place, found)
                if left < 0:
                    self.gaps.add("entries")
                    break
                held[place] = found.packed
                queue.extend(_joined(place, name) for name in found.directories)
                if read:
                    watched = self._watch(tree, place, found, watched)
                for name in found.named[: max(named, 0)]:
                    path = _joined(place, name)
                    digests[path] = digests.get(path) or self._digest(tree, path, MAX_NAMED_BYTES)
                named -= len(found.named)

    def _watch(self, tree: int, place: bytes, found: _Listing, left: int) -> int:
        """Read every file of a directory whose times do not tell all; how much may still be read."""
        for name, seen in _unpacked(found.packed).items():
            if stat.S_ISREG(seen.mode):
                left -= seen.size
                if left < 0:
                    self.gaps.add("unwatched")
                    break
                path = _joined(place, name)
                self._digests[tree][path] = self._digest(tree, path, MAX_WATCHED_BYTES)
        return left

    def _compare(self, gathered: Gathered) -> None:
        left = MAX_ENTRIES
        for tree, root in enumerate(self._roots):
            top, count = _seen(os.fstat(root)), 0
            self._both(tree, b".", self._tops[tree], top, gathered)
            queue = deque([b""] if stat.S_ISDIR(top.mode) else [])
            while queue:
                place = queue.popleft()
                if left < 0 and place not in self._before[tree]:
                    continue  # the gap is told
                found = self._listing(tree, place)
                count += found.size
                left -= _weight(place, found)
                if left < 0:
                    self.gaps.add("entries")
                    # However many there are now, what was there is looked at.
                    found = self._again(tree, place)
                if (tree, place or b".") in self.unread:
                    continue
                before = self._before[tree].pop(place, b"")
                if before != found.packed or self.trees[tree].content == "read":
                    queue.extend(self._directory(tree, place, before, found.packed, gathered))
                else:
                    paths = (_joined(place, name) for name in found.directories)
                    queue.extend(path for path in paths if path in self._before[tree])
            self.trees[tree] = replace(self.trees[tree], entries=count)

    def _directory(
        self, tree: int, place: bytes, packed: bytes, now: bytes, gathered: Gathered
    ) -> Iterator[bytes]:
        """Tell of one directory's entries; the directories in it that are to be looked into."""
        before = _unpacked(packed)
        for name, seen in _unpacked(now).items():
            path, was = _joined(place, name), before.pop(name, None)
            self._both(tree, path, was, seen, gathered)
            known = was is not None and stat.S_ISDIR(was.mode)
            # What was not looked into before says nothing by being there.
            if stat.S_ISDIR(seen.mode) and (not known or path in self._before[tree]):
                yield path
            if known and not stat.S_ISDIR(seen.mode):
                self._gone(tree, path, gathered)
        for name, was in before.items():
            path = _joined(place, name)
            gathered.add(self._change(tree, path, "deleted", was, None))
            if stat.S_ISDIR(was.mode):
                self._gone(tree, path, gathered)

    def digest(self, change: Change) -> str:
        """SHA-256 of what is at the path of `change` now; empty where it can not be read, or is too much."""
        path = b"" if change.path == b"." else change.path
        return self._digest(change.tree, path, self._left, count=True)

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

    def _both(
        self, tree: int, path: bytes, was: _Seen | None, seen: _Seen, gathered: Gathered
    ) -> None:
        if was is None:
            gathered.add(self._change(tree, path, "added", None, seen))
            return
        same = seen == was
        if same and seen.type == "file" and self.trees[tree].content == "read":
            before = self._digests[tree].get(path)
            same = before is None or before == self._digest(tree, path, MAX_WATCHED_BYTES)
        if same or (seen.type == was.type == "link" and seen.target == was.target):
            return
        alike = seen._replace(mode=was.mode, changed=was.changed) == was
        only_mode = seen.mode != was.mode and seen.type == was.type and alike
        kind = "mode" if only_mode else "modified"
        gathered.add(self._change(tree, path, kind, was, seen))

    def _change(
        self, tree: int, path: bytes, kind: str, was: _Seen | None, seen: _Seen | None
    ) -> Change:
        before = None if was is None else was.node(self._digests[tree].get(path, ""))
        after = None if seen is None else seen.node(links=self._links(tree, path, seen))
        return Change(tree, path, kind, before, after)

    def _links(self, tree: int, path: bytes, seen: _Seen) -> int:
        """How many names a file has: looked up for those that changed alone."""
        if seen.type != "file":
            return 1
        try:
            if path == b".":
                return os.fstat(self._roots[tree]).st_nlink
            return os.stat(path, dir_fd=self._roots[tree], follow_symlinks=False).st_nlink
        except OSError:
            return 1

    def _listing(self, tree: int, place: bytes) -> _Listing:
        """What is in a directory; nothing where it can not be read, which is told.

        Whatever is done here is done for each file of the tree, twice in a run, so it is written out.
        """
        entries = list[tuple[bytes, bytes]]()
        directories, named = list[bytes](), list[bytes]()
        hidden, pack = self._hidden[tree], _FIXED.pack
        number = -1
        try:
            number = os.open(place or b".", _DIRECTORY, dir_fd=self._roots[tree])
            with os.scandir(number) as found:
                for entry in found:
                    if len(entries) > MAX_ENTRIES:
                        break  # whoever asked has no room for so many
                    name = entry.name.encode("utf-8", "surrogateescape")
                    if hidden and _joined(place, name) in hidden:
                        continue
                    status = entry.stat(follow_symlinks=False)
                    mode, target = status.st_mode, b""
                    if mode & 0o170000 == stat.S_IFDIR:
                        directories.append(name)
                        entries.append((name, pack(len(name), 0, mode, 0, 0, 0, 0)))
                        continue
                    if mode & 0o170000 == stat.S_IFLNK:
                        target = os.fsencode(os.readlink(entry.name, dir_fd=number))
                    elif name in _NAMED and mode & 0o170000 == stat.S_IFREG:
                        named.append(name)
                    sizes = len(name), len(target), mode, status.st_ino, status.st_size
                    entries.append(
                        (name, pack(*sizes, status.st_mtime_ns, status.st_ctime_ns) + target)
                    )
        except OSError:
            self.unread.add((tree, place or b"."))
            return _NOTHING
        finally:
            if number >= 0:
                os.close(number)
        entries.sort()
        packed = b"".join([one[: _FIXED.size] + name + one[_FIXED.size :] for name, one in entries])
        return _Listing(packed, directories, named, len(entries))

    def _again(self, tree: int, place: bytes) -> _Listing:
        """Of what was in a directory, that which still is; nothing of one that was not looked into."""
        directories, packed = list[bytes](), list[bytes]()
        for name in _unpacked(self._before[tree].get(place, b"")):
            path = _joined(place, name)
            with contextlib.suppress(OSError):
                status = os.stat(path, dir_fd=self._roots[tree], follow_symlinks=False)
                target = b""
                if stat.S_ISLNK(status.st_mode):
                    target = os.readlink(path, dir_fd=self._roots[tree])
                seen = _seen(status)
                if stat.S_ISDIR(status.st_mode):
                    directories.append(name)
                sizes = len(name), len(target), *seen[:5]
                packed.append(_FIXED.pack(*sizes) + name + target)
        return _Listing(b"".join(packed), directories, [], len(packed))

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


def _weight(place: bytes, found: _Listing) -> int:
    """As how many entries a directory counts: paths of those in it are held, and may have 4 KiB each."""
    return found.size + len(found.directories) * (len(place) // 256)


def _root(place: bytes) -> int:
    return os.open(place, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)


def _seen(status: os.stat_result) -> _Seen:
    mode = status.st_mode
    if stat.S_ISDIR(mode):
        return _Seen(mode, 0, 0, 0, 0, b"")
    times = status.st_mtime_ns, status.st_ctime_ns
    return _Seen(mode, status.st_ino, status.st_size, *times, b"")


def _unpacked(data: bytes) -> dict[bytes, _Seen]:
    """The entries of a directory: packed they weigh a tenth of a hundred thousand objects."""
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
