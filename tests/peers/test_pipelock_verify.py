"""Another producer's verifier, from the package index, accepts what we write."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sluicegate.verify import bare
from sluicegate.verify.packet import VALID
from tests.evidence import made
from tests.evidence.test_journal import VECTOR
from tests.peers.conftest import Packet

PEER = Path(sys.executable).with_name("pipelock-verify")
VECTOR_KEY = "ff7d15919431f75c048dc53965eb4293fbe1b6415f3d2fe3c46b01f071622648"


def accepts(file: Path, *arguments: str) -> bool:
    done = subprocess.run([PEER, file, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode in {0, 1}, done.stderr
    return done.returncode == 0


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    made.files(tmp_path, made.some())
    return tmp_path / "evidence.jsonl"


def test_the_published_vector() -> None:
    assert accepts(VECTOR, "--key", VECTOR_KEY)
    assert accepts(VECTOR)
    assert not accepts(VECTOR, "--key", made.PUBLIC)


def test_a_record_of_our_notary(ours: Path) -> None:
    assert accepts(ours, "--key", made.PUBLIC)
    assert accepts(ours)
    assert not accepts(ours, "--key", VECTOR_KEY)


def test_it_passes_over_empty_lines_and_so_do_we(ours: Path) -> None:
    lines = ours.read_bytes().splitlines(keepends=True)
    ours.write_bytes(b"\n".join([*lines[:3], b" ", *lines[3:]]))
    assert accepts(ours, "--key", made.PUBLIC)
    report = bare.verify(ours.read_bytes(), [made.PIN])
    assert report.outcome == VALID, report.reached


def test_it_still_rejects_what_was_changed(ours: Path) -> None:
    lines = ours.read_bytes().splitlines(keepends=True)
    ours.write_bytes(b"".join(lines[:2] + lines[3:]))
    assert not accepts(ours, "--key", made.PUBLIC)
    ours.write_bytes(b"".join(lines).replace(b"a.example", b"b.example"))
    assert not accepts(ours, "--key", made.PUBLIC)


def test_records_of_real_runs(packets: dict[str, Packet], tmp_path: Path) -> None:
    for name, packet in packets.items():
        evidence = packet.directory / "evidence.jsonl"
        assert accepts(evidence, "--key", packet.signer), name
        assert not accepts(evidence, "--key", VECTOR_KEY), name
        changed = tmp_path / "evidence.jsonl"
        lines = evidence.read_bytes().splitlines(keepends=True)
        changed.write_bytes(b"".join(lines[:1] + lines[2:]))
        assert not accepts(changed, "--key", packet.signer), name
