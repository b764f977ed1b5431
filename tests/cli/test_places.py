"""What of the run's own lies where the command writes (sluicegate.cli.places)."""

from __future__ import annotations

from pathlib import Path

import pytest

from sluicegate.cli import places
from sluicegate.cli.opening import SetupError


@pytest.mark.parametrize(
    ("out", "writable"),
    [
        ("/w/out", ("/w",)),
        ("/elsewhere/deep/out", ("/w",)),
        ("/w/a/out", ("/w", "/w/a")),
        ("/w/out", ("/w", "/w/a/b")),
    ],
)
def test_a_packet_that_can_not_be_moved_away(out: str, writable: tuple[str, ...]) -> None:
    places.apart(out, writable)


@pytest.mark.parametrize(
    ("out", "writable", "said"),
    [
        ("/w", ("/w",), "where the command writes"),
        ("/w", ("/w/a",), "where the command writes"),
        ("/w/a/out", ("/w",), "/w/a away"),
        ("/w/a/b/out", ("/w", "/w/a/b"), "/w/a away"),
        ("/w/a/b/out", ("/w", "/w/a"), "/w/a/b away"),
    ],
)
def test_a_packet_that_can(out: str, writable: tuple[str, ...], said: str) -> None:
    with pytest.raises(SetupError, match=said) as caught:
        places.apart(out, writable)
    assert "--packet" in caught.value.hint or "a directory of its own" in caught.value.hint


def test_policies_where_the_command_writes_are_kept(tmp_path: Path) -> None:
    work, other = tmp_path / "work", tmp_path / "other"
    for place in (work, other):
        place.mkdir()
        (place / "p.yaml").write_text("version: 1\n")
    paths = [
        str(work / "p.yaml"),
        str(other / ".." / "work" / "p.yaml"),
        str(other / "p.yaml"),
        str(work / "none"),
    ]
    assert places.kept(paths, (str(work),)) == (str(work / "p.yaml"),)


def test_a_link_that_the_command_can_turn_is_refused(tmp_path: Path) -> None:
    work = tmp_path / "work"
    (work / "d").mkdir(parents=True)
    (work / "d" / "p.yaml").write_text("version: 1\n")
    (work / "p.yaml").symlink_to("d/p.yaml")
    (work / "e").symlink_to("d")
    (tmp_path / "p.yaml").symlink_to("work/p.yaml")
    for path in (work / "p.yaml", work / "e" / "p.yaml", tmp_path / "p.yaml"):
        with pytest.raises(SetupError, match="symbolic link") as caught:
            places.kept([str(path)], (str(work),))
        assert caught.value.hint == f"name the file itself: {work}/d/p.yaml"
    # A link that lies elsewhere is not the command's.
    (tmp_path / "direct.yaml").symlink_to("work/d/p.yaml")
    assert places.kept([str(tmp_path / "direct.yaml")], (str(work),)) == (
        str(work / "d" / "p.yaml"),
    )


def test_a_circle_of_links_ends(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("a")
    assert len(list(places.links(str(tmp_path / "a")))) == places.MAX_LINKS


def test_a_checkpoint_file_lies_outside_of_all_that() -> None:
    places.outside("/logs/cp", "/w/out", ("/w", "/cache"))
    for file in ("/w/cp", "/w/a/cp", "/cache/cp", "/out/cp", "/out"):
        with pytest.raises(SetupError, match="lies in the packet, or where the command writes"):
            places.outside(file, "/out", ("/w", "/cache"))


def test_a_link_that_can_not_be_read_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(_: str) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.path.realpath", closed)
    with pytest.raises(SetupError, match="--packet '/proc/1/cwd' can not be followed: permission"):
        places.resolved("/proc/1/cwd/x", "--packet")
