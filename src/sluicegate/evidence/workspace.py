"""workspace.json: what the command changed where it could write, and what it handed to later steps. Pure.

Writer and verifiers share the rules: kinds, flags and counts follow from what is listed, so a reader makes them again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from sluicegate import jcs, orders

NAME = "workspace.json"
VERSION = 1
# Listed; the rest is counted. A page with more is not read, and readers hold the file whole.
MAX_LISTED = 20_000
MAX_LISTED_BYTES = 6_291_456
# Of one entry without its names, and of what was or is there: members, digests, sizes.
_ENTRY_BYTES, _NODE_BYTES = 110, 170
MAX_UNREAD = 100
KINDS = ("added", "deleted", "mode", "modified")
TYPES = ("block", "char", "dir", "fifo", "file", "link", "socket")
SPECIAL = frozenset(("block", "char", "fifo", "socket"))
# What else was not seen: more entries than the limit, what could not be read, contents that no time tells of.
GAPS = ("entries", "unread", "unwatched")


@dataclass(frozen=True, slots=True)
class Node:
    """What is or was at a path. `mode`: the lower 12 bits, 0 of a link; `size` of files; `target` of links.

    `sha256`: hex of a file's content, empty where it was not read. `links`: hard ones.
    """

    type: str
    mode: int = 0
    size: int = 0
    target: bytes = b""
    sha256: str = ""
    links: int = 1


@dataclass(frozen=True, slots=True)
class Change:
    """One path in `tree` (its number) that is not as it was; `.` is the tree itself."""

    tree: int
    path: bytes
    kind: str
    before: Node | None
    after: Node | None

    @property
    def flags(self) -> tuple[str, ...]:
        """Sorted."""
        return flags(orders.spelled(self.path), self.before, self.after)


@dataclass(frozen=True, slots=True)
class Tree:
    """A place where the command could write. `kind`: `workspace` or `bind`; `content`: how changes are seen.

    `stat`: by inode, size and times, which nobody inside can set back; `read`: by content too, where the file system
    does not tell of every write. `entries`: how many it has at the end.
    """

    path: bytes
    kind: str
    content: str = "stat"
    entries: int = 0


@dataclass(slots=True)
class Gathered:
    """All changes counted, and the weightiest listed: no more than the limits, whatever the command did."""

    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    flagged: dict[str, int] = field(default_factory=dict)
    objects: dict[str, int] = field(default_factory=lambda: {"added": 0, "deleted": 0})
    unlisted: int = 0
    _ranks: tuple[list[tuple[Change, int]], ...] = field(default_factory=lambda: ([], [], [], []))
    _bytes: int = 0

    def add(self, change: Change) -> None:
        """Count it, and list it if there is room, or something that weighs less."""
        path = orders.spelled(change.path)
        if change.kind in self.objects and orders.is_object(path):
            self.objects[change.kind] += 1
            return
        self.counts[change.kind] += 1
        given = flags(path, change.before, change.after)
        for flag in given:
            self.flagged[flag] = self.flagged.get(flag, 0) + 1
        rank = min((orders.FLAGS[flag] for flag in given), default=orders.UNFLAGGED)
        cost = _cost(path, change)
        self._ranks[rank].append((change, cost))
        self._bytes += cost
        while self._bytes > MAX_LISTED_BYTES or sum(map(len, self._ranks)) > MAX_LISTED:
            _, cost = next(held for held in reversed(self._ranks) if held).pop()
            self._bytes -= cost
            self.unlisted += 1

    def listed(self) -> Iterator[Change]:
        """Those that are listed, the weightiest first."""
        for held in self._ranks:
            yield from (change for change, _ in held)


def _cost(path: str, change: Change) -> int:
    nodes = [node for node in (change.before, change.after) if node is not None]
    targets = sum(len(node.target) for node in nodes)
    # An escape has three characters a byte.
    return _ENTRY_BYTES + _NODE_BYTES * len(nodes) + len(path) + 3 * targets


def flags(path: str, before: Node | None, after: Node | None) -> tuple[str, ...]:
    """What a reader should look at, sorted; `path` as it is spelled."""
    gone = after is None
    found = orders.of_name(path, gone=gone, changed=before is not None and not gone)
    if after is not None and after.type == "file":
        if after.mode & 0o6000:
            found.add("set-id")
        if after.mode & 0o111:
            found.add("executable")
        if after.links > 1:
            found.add("hard-link")
    elif after is not None and after.type in SPECIAL:
        found.add("special")
    elif after is not None and orders.leads_out(path, orders.spelled(after.target)):
        found.add("link-out")
    return tuple(sorted(found))


def manifest(
    trees: tuple[Tree, ...],
    gathered: Gathered,
    digest: Callable[[Change], str],
    unread: tuple[tuple[int, bytes], ...] = (),
    gaps: frozenset[str] = frozenset(),
    outputs: Mapping[str, object] | None = None,
) -> bytes:
    """workspace.json. `digest` gives the SHA-256 of what is at a change's path now, or an empty text.

    `unread`: places that could not be looked into, by tree and path. `outputs`: what `output.report` says, where the
    policies grant some.
    """
    changes, unhashed = list[dict[str, jcs.Json]](), 0
    for change in gathered.listed():
        after = change.after
        if after is not None and after.type == "file":
            after = replace(after, sha256=digest(change))
            unhashed += not after.sha256
        changes.append(_change(change, after))
    changes.sort(key=lambda one: (one["tree"], one["path"]))
    listed = sorted(unread)[:MAX_UNREAD]
    places: list[jcs.Json] = [{"path": orders.spelled(path), "tree": n} for n, path in listed]
    whole: dict[str, jcs.Json] = {
        "version": VERSION,
        "trees": [
            {
                "path": orders.spelled(tree.path),
                "kind": tree.kind,
                "content": tree.content,
                "entries": tree.entries,
            }
            for tree in trees
        ],
        "changes": list(changes),
        "counts": dict(gathered.counts),
        "flagged": dict(gathered.flagged),
        "objects": dict(gathered.objects),
        "unlisted": gathered.unlisted,
        "unhashed": unhashed,
        "unread": {"count": len(unread), "places": places},
        "gaps": [*sorted(gaps | ({"unread"} if unread else set()))],
    }
    if outputs is not None:
        whole["outputs"] = dict(outputs)  # type: ignore[arg-type]
    return jcs.encode(whole) + b"\n"


def _change(change: Change, after: Node | None) -> dict[str, jcs.Json]:
    out: dict[str, jcs.Json] = {
        "tree": change.tree,
        "path": orders.spelled(change.path),
        "change": change.kind,
        "flags": list(change.flags),
    }
    for name, node in (("before", change.before), ("after", after)):
        if node is not None:
            out[name] = _node(node)
    return out


def _node(node: Node) -> dict[str, jcs.Json]:
    out: dict[str, jcs.Json] = {"type": node.type}
    if node.type == "link":
        out["target"] = orders.spelled(node.target)
        return out
    out["mode"] = f"{node.mode:04o}"
    if node.type == "file":
        # A sparse file may be said to have more bytes than the format has exact numbers.
        out["size"] = min(node.size, jcs.MAX_SAFE_INTEGER)
        if node.sha256:
            out["sha256"] = node.sha256
        if node.links > 1:
            out["links"] = node.links
    return out
