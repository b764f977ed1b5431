"""The packet's directory (sluicegate.cli.packetdir)."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from sluicegate.cli import packetdir


def names(path: Path) -> list[str]:
    return sorted(entry.name for entry in path.iterdir())


def test_the_record_is_in_its_place_from_the_start(tmp_path: Path) -> None:
    reserved = packetdir.reserve(str(tmp_path / "out"), None)
    assert names(tmp_path / "out") == ["evidence.jsonl", "flows.jsonl"]
    for number, text in zip(reserved.files, (b"one\n", b"two\n"), strict=True):
        os.write(number, text)
    assert (tmp_path / "out/evidence.jsonl").read_bytes() == b"one\n"
    assert (tmp_path / "out/flows.jsonl").read_bytes() == b"two\n"
    assert (tmp_path / "out/flows.jsonl").stat().st_mode & 0o777 == 0o644
    packetdir.hand_over(reserved)
    assert names(tmp_path / "out") == ["evidence.jsonl", "flows.jsonl"]


def test_files_are_written_once_and_all(tmp_path: Path) -> None:
    reserved = packetdir.reserve(str(tmp_path / "out"), None)
    packetdir.publish(reserved, {"a": b"1", "b": b"2" * 3_000_000}, packetdir.RECORD)
    assert (tmp_path / "out/a").read_bytes() == b"1"
    assert (tmp_path / "out/b").stat().st_size == 3_000_000
    with pytest.raises(packetdir.PacketDirError, match="something was put"):
        packetdir.publish(reserved, {"c": b"1"}, packetdir.RECORD)
    packetdir.discard(reserved)
    assert names(tmp_path / "out") == ["a", "b"]


def test_what_is_written_is_the_owners_and_the_record_at_its_end(tmp_path: Path) -> None:
    reserved = packetdir.reserve(str(tmp_path / "out"), (1234, 2345))
    packetdir.publish(reserved, {"boundary.json": b"1"}, packetdir.RECORD)
    with packetdir.replacing(reserved, "boundary.json", b"2"):
        owned = {name: (tmp_path / "out" / name).stat().st_uid for name in names(tmp_path / "out")}
        assert owned == {
            "boundary.json": 1234,
            "evidence.jsonl": os.getuid(),
            "flows.jsonl": os.getuid(),
        }
    packetdir.hand_over(reserved)
    for path in (tmp_path / "out", *(tmp_path / "out").iterdir()):
        assert (path.stat().st_uid, path.stat().st_gid) == (1234, 2345)


class _NoTemporary:
    """`os` on a file system without O_TMPFILE."""

    def __getattr__(self, name: str) -> object:
        return getattr(os, name)

    def open(self, path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(errno.EOPNOTSUPP, "Operation not supported")
        return os.open(path, flags, mode, dir_fd=dir_fd)


@pytest.mark.parametrize("temporary", [True, False])
def test_a_file_is_replaced_when_the_body_ended_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, temporary: bool
) -> None:
    if not temporary:
        monkeypatch.setattr(packetdir, "os", _NoTemporary())
    reserved = packetdir.reserve(str(tmp_path / "out"), None)
    kept = ["boundary.json", "evidence.jsonl", "flows.jsonl"]
    packetdir.publish(reserved, {"boundary.json": b"old"}, packetdir.RECORD)
    with pytest.raises(ZeroDivisionError), packetdir.replacing(reserved, "boundary.json", b"new"):
        raise ZeroDivisionError
    assert names(tmp_path / "out") == kept
    assert (tmp_path / "out/boundary.json").read_bytes() == b"old"
    with packetdir.replacing(reserved, "boundary.json", b"new"):
        assert (tmp_path / "out/boundary.json").read_bytes() == b"old"
        assert (names(tmp_path / "out") == kept) == temporary
    assert names(tmp_path / "out") == kept
    assert (tmp_path / "out/boundary.json").read_bytes() == b"new"
    assert (tmp_path / "out/boundary.json").stat().st_mode & 0o777 == 0o644
    packetdir.discard(reserved)


def test_a_record_that_can_not_be_made_leaves_no_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(_NoTemporary):
        def open(
            self, path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None
        ) -> int:
            if path == "flows.jsonl":
                raise OSError(errno.ENOSPC, "No space left on device")
            return os.open(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(packetdir, "os", Full())
    with pytest.raises(packetdir.PacketDirError, match="No space") as caught:
        packetdir.reserve(str(tmp_path / "out"), None)
    assert caught.value.hint == "free some space and run again"
    assert not (tmp_path / "out").exists()


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
        packetdir.publish(reserved, {"a": b"1"}, packetdir.RECORD)
    with (
        pytest.raises(packetdir.PacketDirError, match="moved"),
        packetdir.replacing(reserved, "boundary.json", b"1"),
    ):
        pytest.fail("the body has begun")
    assert names(tmp_path / "away/out") == ["evidence.jsonl", "flows.jsonl"]
    packetdir.discard(reserved)
    assert (tmp_path / "in/out").exists()


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    reserved = packetdir.reserve(str(tmp_path / "out"), None)
    with pytest.raises(packetdir.PacketDirError):
        packetdir.publish(reserved, {"a": b"1", "b/c": b"2"}, packetdir.RECORD)
    assert names(tmp_path / "out") == ["evidence.jsonl", "flows.jsonl"]
    packetdir.discard(reserved)
    assert not (tmp_path / "out").exists()
