"""workspace.json in words: counts, what a reader should look at, and what was not seen. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from sluicegate import orders as names

_GAPS = {
    "entries": "there was more than is looked at: not every change may be known",
    "unread": "places could not be looked into: their changes are not known",
    "unwatched": "writes through mappings may be missing, on a file system in memory with more than is read",
}


def told(workspace: Mapping[str, object]) -> str:
    """The counts in one line."""
    counts, objects = _counts(workspace, "counts"), _counts(workspace, "objects")
    words = [f"{counts.get(kind, 0)} {kind}" for kind in ("added", "modified", "deleted")]
    words.append(f"{counts.get('mode', 0)} of another mode")
    if any(objects.values()):
        words.append(f"git objects: {objects['added']} added, {objects['deleted']} deleted")
    return ", ".join(words)


def notable(workspace: Mapping[str, object]) -> list[tuple[str, str, str]]:
    """The flagged changes, as (change, path, flags), those first that weigh most; of a bound tree the whole path."""
    found = list[tuple[int, int, str, str, str]]()
    trees = [str(_part(tree).get("path", "")) for tree in _list(workspace, "trees")]
    for one in _list(workspace, "changes"):
        change = _part(one)
        flags = [str(flag) for flag in _list(change, "flags")]
        if flags:
            at, path = change["tree"], str(change["path"])
            number = at if isinstance(at, int) else 0
            shown = f"{trees[number]}/{path}" if number else path
            weight = min(names.FLAGS[flag] for flag in flags)
            found.append((weight, number, shown, str(change["change"]), ", ".join(flags)))
    return [(change, path, flags) for _, _, path, change, flags in sorted(found)]


def orders(workspace: Mapping[str, object]) -> tuple[str, ...]:
    """The changed paths that a later step executes without being told to: flags that weigh most."""
    return tuple(
        path
        for _, path, flags in notable(workspace)
        if min(names.FLAGS[flag] for flag in flags.split(", ")) == 0
    )


def reserved(workspace: Mapping[str, object], shown: int) -> list[str]:
    """What else is to be said: flagged changes that are not among the `shown`, what was not seen, outputs."""
    counts, lines = _counts(workspace, "flagged"), list[str]()
    hidden = len(notable(workspace)) - shown
    if hidden:
        lines.append(f"and {hidden} more that are flagged, in workspace.json")
    if unlisted := workspace.get("unlisted", 0):
        each = ", ".join(f"{name} {counts[name]}" for name in sorted(counts))
        lines.append(f"{unlisted} changes are counted, not listed; flags of all: {each or 'none'}")
    if unhashed := workspace.get("unhashed", 0):
        lines.append(f"{unhashed} of the listed files have no digest")
    lines += [_GAPS[str(gap)] for gap in _list(workspace, "gaps")]
    outputs = _part(workspace.get("outputs"))
    if given := [str(_part(one).get("name")) for one in _list(outputs, "given")]:
        lines.append(f"outputs handed on: {', '.join(given)}")
    if count := outputs.get("refused_count", 0):
        lines.append(f"outputs refused: {count}")
    return lines


def _counts(holder: Mapping[str, object], name: str) -> dict[str, int]:
    return {k: v for k, v in _part(holder.get(name)).items() if isinstance(v, int)}


def _part(found: object) -> Mapping[str, object]:
    return found if isinstance(found, dict) else {}


def _list(holder: Mapping[str, object], name: str) -> list[object]:
    found = holder.get(name)
    return found if isinstance(found, list) else []
