from __future__ import annotations

import hashlib
import os
import select
from pathlib import Path

import pytest

from sluicegate.boundary import digests
from sluicegate.boundary.digests import Digests
from sluicegate.boundary.procfs import program


def opened(path: Path) -> int:
    return os.open(path, os.O_RDONLY)


def digest(found: Digests, path: Path) -> str | None:
    descriptor = opened(path)
    return found.get(program(descriptor), descriptor)


def come(found: Digests) -> list[str]:
    assert select.select([found.fd], [], [], 30)[0]
    return list(found.collect().values())


def test_a_program_is_hashed_once_and_again_when_it_is_another(tmp_path: Path) -> None:
    path, found = tmp_path / "tool", Digests()
    path.write_bytes(b"one" * 1_000_000)
    assert digest(found, path) is None
    first = hashlib.sha256(b"one" * 1_000_000).hexdigest()
    assert come(found) == [first]
    assert digest(found, path) == first
    path.write_bytes(b"two")
    assert digest(found, path) is None
    assert come(found) == [hashlib.sha256(b"two").hexdigest()]


def test_an_empty_program_has_a_digest_too(tmp_path: Path) -> None:
    path, found = tmp_path / "tool", Digests()
    path.touch()
    assert digest(found, path) is None
    assert come(found) == [hashlib.sha256().hexdigest()]


def test_what_is_too_large_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "tool"
    with path.open("wb") as file:
        file.truncate(digests.MAX_PROGRAM_BYTES + 1)
    assert digest(Digests(), path) == digests.TOO_LARGE


def test_what_changes_meanwhile_has_no_digest(tmp_path: Path) -> None:
    path, found = tmp_path / "tool", Digests()
    path.write_bytes(b"one")
    descriptor = opened(path)
    before = program(descriptor)
    path.write_bytes(b"longer than before")
    assert found.get(before, descriptor) is None
    assert come(found) == [digests.CHANGED]
    assert digest(found, path) is None


def test_a_crowd_of_new_programs_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digests, "MAX_WAITING", 0)
    path = tmp_path / "tool"
    path.touch()
    assert digest(Digests(), path) == digests.CROWDED
