"""Which trees lie where times tell of every write (sluicegate.cli.noting)."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from sluicegate.cli import noting


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Path]:
    top = tmp_path / "up on\ttop"
    top.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "none", top], check=True)
    yield top
    subprocess.run(["umount", "-l", top], check=True)


def tells(path: Path) -> bool:
    return noting.tells(os.fsencode(path))


def test_a_disk_tells_and_memory_does_not(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert tells(tmp_path)
    assert tells(tmp_path / "file")
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


def test_memory_does_not_wherever_below_it_is(memory: Path) -> None:
    (memory / "d").mkdir()
    (memory / "file").touch()
    places = (memory, memory / "d", memory / "file", memory.parent)
    assert [tells(place) for place in places] == [False] * 4


def test_an_overlay_is_as_what_it_lies_on(memory: Path, tmp_path: Path) -> None:
    place = tmp_path / "over"
    for path in (place, memory / "up", memory / "work"):
        path.mkdir()
    (tmp_path / "m").symlink_to(memory.name)
    options = "lowerdir=over,upperdir=m/up,workdir=m/work"
    argv = ["mount", "-t", "overlay", "overlay", "-o", options, "over"]
    if subprocess.run(argv, cwd=tmp_path, capture_output=True, check=False).returncode:
        pytest.skip("no overlay can be mounted here")
    try:
        assert not tells(place)
    finally:
        subprocess.run(["umount", place], check=True)
