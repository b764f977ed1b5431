"""workspace.json as it is written."""

from __future__ import annotations

import json

import pytest

from sluicegate.evidence import workspace
from sluicegate.evidence.workspace import Change, Gathered, Node, Tree

TREES = (Tree(b"/w", "workspace"),)


def added(path: bytes, mode: int = 0o644) -> Change:
    return Change(0, path, "added", None, Node("file", mode, 1))


def written(gathered: Gathered) -> dict[str, object]:
    text = workspace.manifest(TREES, gathered, lambda _: "a" * 64)
    found = json.loads(text)
    assert isinstance(found, dict)
    return found


def test_what_weighs_most_is_listed_however_much_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workspace, "MAX_LISTED", 4)
    gathered = Gathered()
    for number in range(50):
        gathered.add(added(b"plain%d" % number))
        gathered.add(added(b"run%d" % number, 0o755))
    for name in (b"package.json", b".husky/x", b"Jenkinsfile"):
        gathered.add(added(name))
    found = written(gathered)
    assert isinstance(found["changes"], list)
    paths = [change["path"] for change in found["changes"]]
    assert paths == [".husky/x", "Jenkinsfile", "package.json", "run0"]
    assert (found["counts"], found["unlisted"]) == (
        {"added": 103, "deleted": 0, "mode": 0, "modified": 0},
        99,
    )
    assert found["flagged"] == {"executable": 50, "hook": 1, "script": 1, "workflow": 1}


def test_long_names_are_bounded_by_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workspace, "MAX_LISTED_BYTES", 50_000)
    gathered = Gathered()
    for number in range(100):
        gathered.add(added(b"\xff" * 4000 + b"%d" % number))
    text = workspace.manifest(TREES, gathered, lambda _: "a" * 64)
    assert len(text) < 52_000
    assert json.loads(text)["unlisted"] == 100 - len(json.loads(text)["changes"])


def test_objects_of_git_are_counted_unless_they_changed() -> None:
    gathered = Gathered()
    old = Node("file", 0o444, 1)
    gathered.add(added(b".git/objects/ab/cd"))
    gathered.add(Change(0, b".git/objects/ab/ce", "deleted", old, None))
    gathered.add(Change(0, b".git/objects/ab/cf", "modified", old, old))
    found = written(gathered)
    assert found["objects"] == {"added": 1, "deleted": 1}
    assert found["flagged"] == {"git": 1}


def test_what_could_not_be_seen_is_said() -> None:
    unread = tuple((0, b"d%03d" % number) for number in range(150))
    text = workspace.manifest(TREES, Gathered(), lambda _: "", unread, frozenset({"entries"}))
    found = json.loads(text)
    assert found["unread"]["count"] == 150
    assert len(found["unread"]["places"]) == workspace.MAX_UNREAD
    assert found["gaps"] == ["entries", "unread"]


def test_a_size_beyond_exact_numbers_is_the_largest_exact_one() -> None:
    gathered = Gathered()
    gathered.add(Change(0, b"a", "added", None, Node("file", 0o644, 2**63 - 1)))
    text = workspace.manifest(TREES, gathered, lambda _: "")
    assert json.loads(text)["changes"][0]["after"] == {
        "mode": "0644",
        "size": 2**53 - 1,
        "type": "file",
    }
    assert json.loads(text)["unhashed"] == 1
