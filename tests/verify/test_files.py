from __future__ import annotations

import os
from pathlib import Path

import pytest

from sluicegate.verify import files
from sluicegate.verify.source import Source


def test_a_packet_is_opened_once_and_its_streams_are_streams(tmp_path: Path) -> None:
    (tmp_path / "evidence.jsonl").write_bytes(b"1\n2\n")
    (tmp_path / "policy.json").write_bytes(b"{}")
    (tmp_path / "other").write_bytes(b"")
    with files.packet(str(tmp_path)) as found:
        (tmp_path / "evidence.jsonl").unlink()
        (tmp_path / "evidence.jsonl").write_bytes(b"swapped\n")
        assert set(found) == {"evidence.jsonl", "policy.json"}
        evidence = found["evidence.jsonl"]
        assert isinstance(evidence, Source)
        assert list(evidence) == [b"1", b"2"]
        assert found["policy.json"] == b"{}"
    assert files.unknown(str(tmp_path)) == ["other"]


def test_without_evidence_there_is_no_packet(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), files.packet(str(tmp_path)):
        pass


def test_a_file_that_grows_beyond_its_limit_is_not_read_on(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"1234")
    assert files.contents(str(path), 4) == b"1234"
    with pytest.raises(files.UnreadableError, match="more than 3 bytes"):
        files.contents(str(path), 3)
    descriptor = os.open(path, os.O_RDONLY)
    with pytest.raises(OSError, match="too large"):
        list(files.pieces(descriptor, 3))
    os.close(descriptor)


def test_every_descriptor_is_closed_again(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    (tmp_path / "evidence.jsonl").write_bytes(b"")
    (tmp_path / "policy.json").mkdir()
    with (
        pytest.raises(files.UnreadableError, match="not a regular file"),
        files.packet(str(tmp_path)),
    ):
        pass
    (tmp_path / "policy.json").rmdir()
    with files.packet(str(tmp_path)), files.stream(str(tmp_path / "evidence.jsonl"), 9):
        pass
    assert len(os.listdir("/proc/self/fd")) == before
