"""What the trees hold before and after (sluicegate.cli.inventory)."""

from __future__ import annotations

import hashlib
import mmap
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sluicegate.cli import inventory
from sluicegate.cli.inventory import Inventory
from sluicegate.evidence.workspace import Change, Gathered

Do = Callable[[Path], object]


@pytest.fixture
def work(tmp_path: Path) -> Path:
    top = tmp_path / "w"
    (top / "d/e").mkdir(parents=True)
    for name in ("a", "b", "d/c", "d/e/f", "package.json"):
        (top / name).write_text(f"{name}\n")
    (top / "l").symlink_to("a")
    return top


def told(seen: Inventory) -> dict[bytes, tuple[str, str, str]]:
    """By path: the kind of its change, and its types before and after."""
    gathered = Gathered()
    seen.compare(gathered)
    return {
        change.path: (change.kind, *(n.type if n else "" for n in (change.before, change.after)))
        for change in gathered.listed()
    }


def changed(top: Path, act: Do, *binds: Path) -> dict[bytes, tuple[str, str, str]]:
    seen = Inventory([os.fsencode(path) for path in (top, *binds)], [])
    seen.take()
    act(top)
    return told(seen)


def unseen(path: Path, text: str) -> None:
    """Another content of the same size, with the old times: as much as one may do to one's own file."""
    was = path.stat()
    path.write_text(text)
    os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))


def mapped(path: Path) -> None:
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as view:
        assert view[0]
        view[0] = ord("X")


FILE = ("modified", "file", "file")
CASES: list[tuple[Do, dict[bytes, tuple[str, str, str]]]] = [
    (lambda top: None, {}),
    (lambda top: (top / "a").read_text(), {}),
    (lambda top: (top / "a").write_text("more"), {b"a": FILE}),
    (lambda top: unseen(top / "a", "A\n"), {b"a": FILE}),
    (lambda top: mapped(top / "a"), {b"a": FILE}),
    (lambda top: (top / "a").chmod(0o755), {b"a": ("mode", "file", "file")}),
    (lambda top: (top / "d").chmod(0o700), {b"d": ("mode", "dir", "dir")}),
    (lambda top: top.chmod(0o700), {b".": ("mode", "dir", "dir")}),
    (lambda top: (top / "a").unlink(), {b"a": ("deleted", "file", "")}),
    (lambda top: (top / "b").rename(top / "a"), {b"a": FILE, b"b": ("deleted", "file", "")}),
    (lambda top: (top / "n").mkdir(), {b"n": ("added", "", "dir")}),
    (
        lambda top: shutil.rmtree(top / "d"),
        {
            b"d": ("deleted", "dir", ""),
            b"d/c": ("deleted", "file", ""),
            b"d/e": ("deleted", "dir", ""),
            b"d/e/f": ("deleted", "file", ""),
        },
    ),
    (
        lambda top: ((top / "d/e").rename(top / "x"), (top / "d/e").write_text("")),
        {
            b"d/e": ("modified", "dir", "file"),
            b"d/e/f": ("deleted", "file", ""),
            b"x": ("added", "", "dir"),
            b"x/f": ("added", "", "file"),
        },
    ),
    (
        lambda top: ((top / "l").unlink(), (top / "l").symlink_to("b")),
        {b"l": ("modified", "link", "link")},
    ),
    (lambda top: ((top / "l").unlink(), (top / "l").symlink_to("a")), {}),
    (lambda top: os.mkfifo(top / "p"), {b"p": ("added", "", "fifo")}),
    (lambda top: os.mknod(top / "p", 0o140600), {b"p": ("added", "", "socket")}),
    (
        lambda top: os.link(top / "a", top / "h"),
        {b"a": FILE, b"h": ("added", "", "file")},
    ),
    (
        lambda top: Path(os.fsdecode(os.fsencode(top) + b"/\xff\n%")).touch(),
        {b"\xff\n%": ("added", "", "file")},
    ),
]


@pytest.mark.parametrize(("act", "wanted"), CASES)
def test_each_change_is_told(
    work: Path, act: Do, wanted: dict[bytes, tuple[str, str, str]]
) -> None:
    assert changed(work, act) == wanted


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Path]:
    top = tmp_path / "memory"
    top.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "none", top], check=True)
    yield top
    subprocess.run(["umount", "-l", top], check=True)  # the inventory holds it open


def test_where_times_tell_of_no_mapping_contents_do(memory: Path) -> None:
    (memory / "a").write_text("abc")
    assert changed(memory, lambda top: mapped(top / "a")) == {b"a": FILE}
    assert changed(memory, lambda top: (top / "a").read_text()) == {}


def test_a_file_system_in_memory_below_a_tree_is_one(memory: Path) -> None:
    (memory / "a").write_text("abc")
    assert changed(memory.parent, lambda top: mapped(top / "memory/a")) == {b"memory/a": FILE}


def test_too_much_of_such_a_file_system_is_said(
    memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inventory, "MAX_WATCHED_BYTES", 2)
    (memory / "a").write_text("abc")
    seen = Inventory([os.fsencode(memory)], [])
    seen.take()
    assert (seen.gaps, seen.trees[0].content) == ({"unwatched"}, "read")


def test_several_trees_and_what_is_hidden_in_them(work: Path, tmp_path: Path) -> None:
    other, file = tmp_path / "other", tmp_path / "file"
    other.mkdir()
    file.write_text("1")
    places = [os.fsencode(path) for path in (work, other, work / "d", file, other)]
    seen = Inventory(places, [os.fsencode(work / "d/e")])
    assert [(tree.path, tree.kind) for tree in seen.trees] == [
        (os.fsencode(work), "workspace"),
        (os.fsencode(other), "bind"),
        (os.fsencode(file), "bind"),
    ]
    seen.take()
    for path in (work / "d/e/f", other / "n", file):
        path.write_text("22")
    gathered = Gathered()
    seen.compare(gathered)
    found = {(change.tree, change.path): change for change in gathered.listed()}
    assert {place: change.kind for place, change in found.items()} == {
        (1, b"n"): "added",
        (2, b"."): "modified",
    }
    assert {seen.digest(change) for change in found.values()} == {hashlib.sha256(b"22").hexdigest()}


def test_more_than_is_looked_at_is_said_and_nothing_is_made_up(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inventory, "MAX_ENTRIES", 6)
    seen = Inventory([os.fsencode(work)], [])
    seen.take()
    (work / "a").write_text("more")
    monkeypatch.setattr(inventory, "MAX_ENTRIES", 100)
    assert told(seen) == {b"a": FILE}
    assert seen.gaps == {"entries"}
    again = Inventory([os.fsencode(work)], [])
    again.take()
    monkeypatch.setattr(inventory, "MAX_ENTRIES", 3)
    assert told(again) == {}
    assert again.gaps == {"entries"}


def test_long_paths_count_as_what_they_take_to_hold(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = Inventory([os.fsencode(work)], [])
    seen.take()
    deep = work.joinpath(*["x" * 250] * 8)
    for number in range(50):
        (deep / str(number)).mkdir(parents=True)
    monkeypatch.setattr(inventory, "MAX_ENTRIES", 300)
    told(seen)
    assert seen.gaps == {"entries"}


def test_no_flood_of_files_hides_what_became_of_those_that_were_there(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = Inventory([os.fsencode(work)], [])
    seen.take()
    monkeypatch.setattr(inventory, "MAX_ENTRIES", 12)
    for place in (work / "0", work, work / "d"):
        place.mkdir(exist_ok=True)
        for number in range(20):
            (place / f"0{number}").touch()
    (work / "a").write_text("more")
    unseen(work / "d/c", "C\n\n\n")
    (work / "d/e/f").unlink()
    (work / "l").unlink()
    (work / "l").symlink_to("b")
    assert told(seen) == {
        b"a": FILE,
        b"d/c": FILE,
        b"d/e/f": ("deleted", "file", ""),
        b"l": ("modified", "link", "link"),
    }
    assert seen.gaps == {"entries"}


def test_contents_of_what_is_no_file_any_more_or_too_large_have_no_digest(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inventory, "MAX_HASHED_BYTES", 10)
    seen = Inventory([os.fsencode(work)], [])
    seen.take()
    (work / "small").write_text("s")
    os.truncate(work / "a", 1 << 40)  # one that has no blocks
    os.mkfifo(work / "pipe")
    gathered = Gathered()
    seen.compare(gathered)
    digests = {change.path: seen.digest(change) for change in gathered.listed()}
    assert digests == {b"small": hashlib.sha256(b"s").hexdigest(), b"a": "", b"pipe": ""}
    swapped = Change(0, b"l", "added", None, None)
    assert seen.digest(swapped) == ""  # never through a link


def test_files_with_telling_names_have_a_digest_of_before(work: Path) -> None:
    seen = Inventory([os.fsencode(work)], [])
    seen.take()
    (work / "package.json").write_text("{}")
    (work / "b").write_text("{}")
    gathered = Gathered()
    seen.compare(gathered)
    before = {c.path: c.before.sha256 for c in gathered.listed() if c.before is not None}
    digest = hashlib.sha256(b"package.json\n").hexdigest()
    assert before == {b"package.json": digest, b"b": ""}


def test_very_deep_directories_are_said_not_followed(work: Path) -> None:
    def deep(top: Path) -> None:
        here = os.open(top, os.O_RDONLY)
        for _ in range(30):
            os.mkdir("n" * 200, dir_fd=here)
            inner = os.open("n" * 200, os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = inner
        os.close(here)

    seen = Inventory([os.fsencode(work)], [])
    seen.take()
    deep(work)
    found = told(seen)
    assert 15 < len(found) < 30
    assert len(seen.unread) == 1
