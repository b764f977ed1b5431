"""workspace.json: closed sets of members, and everything that follows from what is listed made again. Pure.

What the command changed is the supervisor's word, as the digests of files are; what it amounts to is not.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Mapping, Sequence

from sluicegate import jcs, orders
from sluicegate.evidence import output
from sluicegate.evidence import workspace as written
from sluicegate.evidence.workspace import Node
from sluicegate.verify import strict
from sluicegate.verify.strict import need

WHAT = written.NAME
_MEMBERS = {
    *("version", "trees", "changes", "counts", "flagged", "objects", "unlisted", "unhashed"),
    *("unread", "gaps"),
}
_MODE = re.compile(r"[0-7]{4}")
_ESCAPE = re.compile(r"%(?![0-9A-F]{2})")
_BYTE = re.compile(r"%([0-9A-F]{2})")


def checked(data: bytes, granted: Collection[str]) -> Mapping[str, object]:
    """What workspace.json says, after it was found to be as it is written; `granted`: outputs that all policies grant.

    Raises:
        VerificationError: another member, kind, order or spelling, or a flag or count that does not follow.
    """
    found = strict.value(data, WHAT)
    try:
        same = jcs.encode(found) + b"\n" == data  # type: ignore[arg-type]
    except (ValueError, TypeError) as error:
        raise strict.VerificationError(f"{WHAT}: {error}") from error
    need(same, f"{WHAT} is not as it is written")
    _members(found, _MEMBERS, {"outputs"}, "its members")
    need(strict.same(found["version"], written.VERSION), f"{WHAT}: another version")
    trees = [_tree(tree, at) for at, tree in enumerate(_list(found["trees"], "trees"))]
    need(trees and len(set(trees)) == len(trees), f"{WHAT}: no tree, or one twice")
    changes = [_change(change, len(trees)) for change in _list(found["changes"], "changes")]
    places = [(change.tree, change.path) for change in changes]
    need(all(a < b for a, b in itertools.pairwise(places)), f"{WHAT}: changes' order")
    need(len(changes) <= written.MAX_LISTED, f"{WHAT}: more changes than are listed")
    _counted(found, changes)
    _unread(found, len(trees))
    if "outputs" in found:
        _outputs(strict.mapping(found["outputs"], f"{WHAT}: outputs"), granted)
    return found


class _Change:
    """One listed change, read."""

    __slots__ = ("flags", "kind", "path", "tree", "unhashed")

    def __init__(self, tree: int, path: str, kind: str, flags: list[str], unhashed: bool) -> None:
        self.tree, self.path, self.kind = tree, path, kind
        self.flags, self.unhashed = flags, unhashed


def _tree(found: object, at: int) -> str:
    tree = strict.mapping(found, f"{WHAT}: tree")
    _members(tree, {"path", "kind", "content", "entries"}, set(), "a tree's members")
    path = _spelled(tree["path"], "a tree's path")
    need(path.startswith("/"), f"{WHAT}: a tree's path is not absolute")
    need(tree["kind"] == ("bind" if at else "workspace"), f"{WHAT}: a tree of another kind")
    need(tree["content"] in {"read", "stat"}, f"{WHAT}: a tree's content")
    strict.count(tree["entries"], f"{WHAT}: a tree's entries")
    return path


def _change(found: object, trees: int) -> _Change:
    change = strict.mapping(found, f"{WHAT}: change")
    _members(change, {"tree", "path", "change", "flags"}, {"before", "after"}, "a change's members")
    tree = strict.count(change["tree"], f"{WHAT}: a change's tree")
    need(tree < trees, f"{WHAT}: a change in no tree")
    path, kind = _spelled(change["path"], "a change's path"), change["change"]
    names = path.split("/")
    need(path == "." or not {"", ".", ".."} & set(names), f"{WHAT}: {path} is no path in a tree")
    before, after = (
        _node(change[name], name) if name in change else None for name in ("before", "after")
    )
    need(_is(kind, before, after), f"{WHAT}: {path} is not {kind}")
    flags = list(written.flags(path, before, after))
    need(strict.same(change["flags"], flags), f"{WHAT}: {path} has other flags")
    counted = kind in {"added", "deleted"} and orders.is_object(path)
    need(not counted, f"{WHAT}: {path} is listed, not counted")
    unhashed = after is not None and after.type == "file" and not after.sha256
    return _Change(tree, path, str(kind), flags, unhashed)


def _is(kind: object, before: Node | None, after: Node | None) -> bool:
    if before is None or after is None:
        wanted = "added" if before is None else "deleted"
        return kind == wanted and (before is None) != (after is None)
    if kind == "mode":
        alike = (before.type, before.size) == (after.type, after.size)
        return alike and before.mode != after.mode
    return kind == "modified"


def _node(found: object, name: str) -> Node:
    node = strict.mapping(found, f"{WHAT}: {name}")
    kind = node.get("type")
    need(kind in written.TYPES, f"{WHAT}: {name} of no type")
    if kind == "link":
        _members(node, {"type", "target"}, set(), "a link's members")
        target = _spelled(node["target"], "a link's target")
        return Node("link", target=_raw(target))
    wanted = {"type", "mode"} | ({"size"} if kind == "file" else set())
    perhaps = {"sha256", "links"} if kind == "file" else set()
    _members(node, wanted, perhaps, "a file's members")
    mode = strict.text(node["mode"], f"{WHAT}: mode")
    need(_MODE.fullmatch(mode), f"{WHAT}: mode")
    size = strict.count(node["size"], f"{WHAT}: size") if kind == "file" else 0
    sha256 = strict.text(node.get("sha256", ""), f"{WHAT}: sha256")
    need("sha256" not in node or strict.HEX64.match(sha256), f"{WHAT}: sha256")
    links = strict.count(node.get("links", 1), f"{WHAT}: links")
    need("links" not in node or (links > 1 and name == "after"), f"{WHAT}: links")
    return Node(str(kind), int(mode, 8), size, b"", sha256, links)


def _counted(found: Mapping[str, object], changes: Sequence[_Change]) -> None:
    """Counts of all that changed: of no more than is listed where nothing is left out."""
    counts = _counts(found["counts"], set(written.KINDS), "counts")
    flagged = _counts(found["flagged"], None, "flagged")
    _counts(found["objects"], {"added", "deleted"}, "objects")
    unlisted = strict.count(found["unlisted"], f"{WHAT}: unlisted")
    need(sum(counts.values()) == len(changes) + unlisted, f"{WHAT}: counts are not the changes'")
    for kind in written.KINDS:
        listed = sum(change.kind == kind for change in changes)
        rest = counts[kind] - listed
        need(0 <= rest <= unlisted, f"{WHAT}: count of {kind}")
    names = {flag for change in changes for flag in change.flags}
    need(names <= flagged.keys() <= orders.FLAGS.keys(), f"{WHAT}: flagged are others")
    for flag, count in flagged.items():
        rest = count - sum(flag in change.flags for change in changes)
        need(count and 0 <= rest <= unlisted, f"{WHAT}: count of {flag}")
    unhashed = strict.count(found["unhashed"], f"{WHAT}: unhashed")
    need(unhashed == sum(change.unhashed for change in changes), f"{WHAT}: count of unhashed")


def _unread(found: Mapping[str, object], trees: int) -> None:
    unread = strict.mapping(found["unread"], f"{WHAT}: unread")
    _members(unread, {"count", "places"}, set(), "unread's members")
    count = strict.count(unread["count"], f"{WHAT}: unread")
    places = list[tuple[int, str]]()
    for one in _list(unread["places"], "unread's places"):
        place = strict.mapping(one, f"{WHAT}: unread's place")
        _members(place, {"tree", "path"}, set(), "a place's members")
        tree = strict.count(place["tree"], f"{WHAT}: a place's tree")
        need(tree < trees, f"{WHAT}: a place in no tree")
        places.append((tree, _spelled(place["path"], "a place's path")))
    need(len(places) == min(count, written.MAX_UNREAD), f"{WHAT}: count of unread")
    raw = [(tree, _raw(path)) for tree, path in places]
    need(all(a < b for a, b in itertools.pairwise(raw)), f"{WHAT}: places' order")
    gaps = _list(found["gaps"], "gaps")
    need(all(gap in written.GAPS for gap in gaps), f"{WHAT}: a gap that there is not")
    need(gaps == sorted(set(map(str, gaps))), f"{WHAT}: gaps' order")
    need(("unread" in gaps) == (count > 0), f"{WHAT}: gaps and what was not read")


def _outputs(found: Mapping[str, object], granted: Collection[str]) -> None:
    _members(found, {"given", "refused", "refused_count"}, set(), "outputs' members")
    names = list[str]()
    for one in _list(found["given"], "outputs"):
        given = strict.mapping(one, f"{WHAT}: output")
        _members(given, {"name", "bytes", "sha256"}, set(), "an output's members")
        names.append(strict.text(given["name"], f"{WHAT}: output's name"))
        size = strict.count(given["bytes"], f"{WHAT}: output's bytes")
        need(size <= output.MAX_VALUE_BYTES, f"{WHAT}: an output that is too long")
        digest = strict.text(given["sha256"], f"{WHAT}: output's digest")
        need(strict.HEX64.match(digest), f"{WHAT}: output's digest")
    need(names == sorted(set(names)), f"{WHAT}: outputs' order")
    odd = [name for name in names if name not in granted]
    need(not odd, f"{WHAT}: an output that no policy grants: {', '.join(odd)}")
    refused = _list(found["refused"], "refused outputs")
    for one in refused:
        given = strict.mapping(one, f"{WHAT}: refused output")
        _members(given, {"name", "why"}, set(), "a refused output's members")
        name = _spelled(given["name"], "a refused output's name", escaped=False)
        need(len(name) <= output.MAX_NAME, f"{WHAT}: a refused output's name")
        need(given["why"] in output.REASONS, f"{WHAT}: a reason that there is not")
    count = strict.count(found["refused_count"], f"{WHAT}: refused outputs")
    need(len(refused) == min(count, output.MAX_REFUSED), f"{WHAT}: count of refused outputs")


def _raw(text: str) -> bytes:
    """The bytes that are spelled so."""
    return _BYTE.sub(lambda found: chr(int(found[1], 16)), text).encode("latin-1")


def _spelled(found: object, what: str, *, escaped: bool = True) -> str:
    """A text of printable ASCII, each byte in its one spelling. Not `escaped`: it may be cut within an escape."""
    text = strict.text(found, f"{WHAT}: {what}")
    need(text.isascii() and text.isprintable(), f"{WHAT}: {what} is not printable ASCII")
    if escaped:
        need(text and not _ESCAPE.search(text), f"{WHAT}: {what} has a broken escape")
        need(orders.spelled(_raw(text)) == text, f"{WHAT}: {what} in another spelling")
    return text


def _counts(found: object, names: Collection[str] | None, what: str) -> dict[str, int]:
    counts = strict.mapping(found, f"{WHAT}: {what}")
    need(names is None or counts.keys() == names, f"{WHAT}: {what} are others")
    return {name: strict.count(value, f"{WHAT}: {what}") for name, value in counts.items()}


def _members(
    found: Mapping[str, object], wanted: Collection[str], perhaps: Collection[str], what: str
) -> None:
    missing, more = set(wanted) - found.keys(), found.keys() - set(wanted) - set(perhaps)
    need(not missing and not more, f"{WHAT}: {what} are others")


def _list(found: object, what: str) -> list[object]:
    if not isinstance(found, list):
        raise strict.VerificationError(f"{WHAT}: {what} is not a list")
    return found
