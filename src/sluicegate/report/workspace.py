"""What the command changed in the workspace, for reports: from workspace.json, as it was verified. Pure."""

from __future__ import annotations

import posixpath
import urllib.parse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sluicegate import orders
from sluicegate.report.escape import code, markdown, size
from sluicegate.report.markup import Html, badge, details, join, section, table, tag
from sluicegate.report.markup import code as coded
from sluicegate.verify import changes

MAX_FLAGGED, MAX_ROWS = 30, 500  # of the summary; of each list on the page
# What a flag says, in words. `orders.FLAGS` has how much each weighs.
SAYS = {
    "git": "git's own configuration or what leads to it: any git command may start what it names",
    "hook": "a hook, which a later git command or commit starts",
    "workflow": "what a CI system executes",
    "set-id": "a program that runs as its owner",
    "script": "what a package manager, build or shell executes or is configured by",
    "link-out": "a link that leads out of the workspace",
    "special": "a device, pipe or socket",
    "executable": "a program",
    "hard-link": "a file with another name",
}
_KINDS = ("bad", "warn", "")  # of the badge, by weight


@dataclass(frozen=True, slots=True)
class Change:
    """One flagged change. `path` as the manifest spells it, `file` where it lies, as the machine names it."""

    kind: str
    path: str
    flags: tuple[str, ...]
    file: str

    @property
    def said(self) -> str:
        """What was done to it, by the command."""
        return "given another mode" if self.kind == "mode" else self.kind

    @property
    def weight(self) -> int:
        """That of its weightiest flag; 0 weighs most."""
        return min(orders.FLAGS.get(flag, 2) for flag in self.flags)


def flagged(workspace: Mapping[str, object]) -> Iterator[Change]:
    """Those that a reader should look at, the weightiest first."""
    trees = workspace.get("trees")
    first = trees[0] if isinstance(trees, list) and trees else {}
    top = str(first.get("path", "")) if isinstance(first, dict) else ""
    for kind, path, flags in changes.notable(workspace):
        # The manifest escapes what is no printable ASCII as a URI does.
        file = urllib.parse.unquote(posixpath.join(top, path))
        yield Change(kind, path, tuple(flags.split(", ")), file)


def summary(workspace: Mapping[str, object]) -> list[str]:
    """Lines of Markdown; none where the packet does not say."""
    if not workspace:
        return []
    some = list(flagged(workspace))[:MAX_FLAGGED]
    rows = ["### Workspace", "", f"{markdown(changes.told(workspace))}.", ""]
    for one in some:
        mark = "\u26a0\ufe0f " if one.weight == 0 else ""
        rows.append(f"- {mark}{code(one.path)} {one.said}: {markdown(', '.join(one.flags))}")
    rows += [f"- {markdown(one)}" for one in changes.reserved(workspace, len(some))]
    return [*rows, ""]


def page(workspace: Mapping[str, object]) -> Html:
    """The section of the page."""
    lead = tag(
        "p",
        "What is not as it was when the run began, where the command could write. Flags say what a later step"
        " may execute without being told to; digests are of the files at the end of the run.",
        class_="lead",
    )
    found = list(flagged(workspace))
    parts: list[object] = [tag("p", f"{changes.told(workspace)}."), lead]
    if found:
        rows = [_row(one) for one in found[:MAX_ROWS]]
        heads = [("path", ""), ("change", ""), ("flags", ""), ("which is", "")]
        parts.append(table("Changes to look at, the weightiest first", heads, rows))
    said = changes.reserved(workspace, min(len(found), MAX_ROWS))
    parts += [tag("p", one, class_="more") for one in said]
    listed = _listed(workspace)
    if listed:
        heads = [("path", ""), ("change", ""), ("mode", ""), ("size", "number"), ("SHA-256", "")]
        made = table("Listed changes", heads, [_listing(one) for one in listed[:MAX_ROWS]])
        hidden = len(listed) - MAX_ROWS
        more = (
            tag("p", f"and {hidden:,} more, in workspace.json", class_="more") if hidden > 0 else ""
        )
        parts.append(details(f"{len(listed):,} changes, by path", made, more))
    return section("workspace", "Workspace", *parts)


def _row(one: Change) -> list[object]:
    badges = [
        join(" " if at else "", badge(flag, _KINDS[orders.FLAGS.get(flag, 2)]))
        for at, flag in enumerate(one.flags)
    ]
    words = SAYS.get(min(one.flags, key=lambda flag: orders.FLAGS.get(flag, 2)), "")
    return [coded(one.path), one.said, join(*badges), words]


def _listed(workspace: Mapping[str, object]) -> list[Mapping[str, object]]:
    found = workspace.get("changes")
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _listing(change: Mapping[str, object]) -> list[object]:
    after = change.get("after")
    node = after if isinstance(after, dict) else {}
    many = node.get("size")
    what = (
        "" if after is None else node.get("mode") or f"{node.get('type')} to {node.get('target')}"
    )
    digest = node.get("sha256")
    return [
        coded(change.get("path", "?")),
        change.get("change", "?"),
        what,
        size(many) if type(many) is int else "",
        tag("span", coded(digest), class_="digest") if digest else "",
    ]
