"""The packet's directory (sluicegate.cli.packetdir)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sluicegate.cli import packetdir


def test_files_are_written_once_and_all(tmp_path: Path) -> None:
    staged = packetdir.staging()
    os.write(staged, b"lines\n" * 300_000)
    reserved = packetdir.reserve(str(tmp_path / "out"), None)
    packetdir.publish(reserved, {"a": b"1", "b": staged}, None)
    assert (tmp_path / "out/a").read_bytes() == b"1"
    assert (tmp_path / "out/b").read_bytes() == b"lines\n" * 300_000
    packetdir.discard(reserved)
    assert (tmp_path / "out/a").exists()
    os.close(staged)


def test_a_full_directory_is_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("x")
    with pytest.raises(packetdir.PacketDirError, match="not empty"):
        packetdir.reserve(str(tmp_path), None)
    assert (tmp_path / "old").read_text() == "x"


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    with pytest.raises(packetdir.PacketDirError):
        packetdir.reserve(str(tmp_path / "link"), None)


def test_a_missing_parent_is_an_error_with_a_hint(tmp_path: Path) -> None:
    with pytest.raises(packetdir.PacketDirError) as caught:
        packetdir.reserve(str(tmp_path / "a/b"), None)
    assert caught.value.hint


def test_a_moved_directory_gets_nothing(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    reserved = packetdir.reserve(str(tmp_path / "in/out"), None)
    (tmp_path / "in").rename(tmp_path / "away")
    (tmp_path / "in/out").mkdir(parents=True)
    with pytest.raises(packetdir.PacketDirError, match="moved"):
        packetdir.publish(reserved, {"a": b"1"}, None)
    assert not list((tmp_path / "away/out").iterdir())
    packetdir.discard(reserved)
    assert (tmp_path / "in/out").exists()


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    reserved = packetdir.reserve(str(tmp_path / "out"), None)
    with pytest.raises(packetdir.PacketDirError):
        packetdir.publish(reserved, {"a": b"1", "b/c": b"2"}, None)
    assert not list((tmp_path / "out").iterdir())
    packetdir.discard(reserved)
    assert not (tmp_path / "out").exists()
