from __future__ import annotations

import os
from pathlib import Path

import pytest

from sluicegate.cli import policyfiles
from sluicegate.policy.document import MAX_BYTES
from sluicegate.policy.model import Policy, PolicyError


def write(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_named_files_and_not_the_workspace_s_own(tmp_path: Path) -> None:
    write(tmp_path / "sluicegate.yaml", "version: 1\nallow: [{host: evil.example}]")
    one = write(tmp_path / "one.yaml", "version: 1\nallow: [{host: a.example}]")
    two = write(tmp_path / "two.yaml", "version: 1\nmode: observe")
    policies = policyfiles.load([one, two], str(tmp_path))
    assert [policy.source for policy in policies] == [one, two]
    assert policies[0].allow[0].label == f"allow[0] {one}:2"
    assert [policy.observe for policy in policies] == [False, True]


def test_without_any_the_working_directory_s_own(tmp_path: Path) -> None:
    write(tmp_path / "sluicegate.yaml", "version: 1\nallow: [{host: a.example}]")
    (policy,) = policyfiles.load([], str(tmp_path))
    assert policy.source == "sluicegate.yaml"
    assert policy.allow[0].label == "allow[0] sluicegate.yaml:2"


def test_without_a_file_nothing_is_allowed(tmp_path: Path) -> None:
    assert policyfiles.load([], str(tmp_path)) == (Policy("sluicegate.yaml (missing)"),)


def test_observe_is_for_every_file(tmp_path: Path) -> None:
    one = write(tmp_path / "one.yaml", "version: 1")
    assert all(p.observe for p in policyfiles.load([one, one], str(tmp_path), observe=True))
    assert policyfiles.load([], str(tmp_path), observe=True)[0].observe


def refused(path: str | Path) -> PolicyError:
    with pytest.raises(PolicyError) as caught:
        policyfiles.load([str(path)], ".")
    return caught.value


def test_files_that_can_not_be_read(tmp_path: Path) -> None:
    assert str(refused(tmp_path / "no.yaml")) == (
        f"{tmp_path}/no.yaml: policy can not be read: no such file or directory"
    )
    assert "is a directory" in refused(tmp_path).message
    assert "null" in refused("a\0b").message


def test_bytes_that_are_not_utf8_have_a_place(tmp_path: Path) -> None:
    (tmp_path / "p").write_bytes("version: 1\n# é ".encode() + b"\xff")
    error = refused(tmp_path / "p")
    assert (error.line, error.column, error.message) == (2, 5, "byte 0xff is not UTF-8")


def test_a_huge_file_is_not_read_whole(tmp_path: Path) -> None:
    with open(tmp_path / "p", "wb") as file:
        file.truncate(1 << 40)
    assert f"more than {MAX_BYTES}" in refused(tmp_path / "p").message


def test_a_pipe_in_the_workspace_does_not_make_us_wait(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "sluicegate.yaml")
    with pytest.raises(PolicyError, match="not a regular file"):
        policyfiles.load([], str(tmp_path))


def test_a_dangling_link_is_not_no_policy(tmp_path: Path) -> None:
    (tmp_path / "sluicegate.yaml").symlink_to("gone.yaml")
    with pytest.raises(PolicyError, match="not a regular file"):
        policyfiles.load([], str(tmp_path))
