"""The commands `prove` and `verify-proof` (sluicegate.cli.prove)."""

from __future__ import annotations

from pathlib import Path

import pytest

from sluicegate.cli import prove
from tests.evidence import made


@pytest.fixture
def where(tmp_path: Path) -> Path:
    directory = tmp_path / "packet"
    directory.mkdir()
    for name, data in made.files(directory, made.some()).items():
        (directory / name).write_bytes(data)
    return directory


def test_one_receipt_goes_to_a_stranger(
    where: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "one.tlog-proof")
    assert prove.main([str(where), "--seq", "2", "--out", out]) == 0
    assert prove.main([str(where), "--seq", "2", "--out", out]) == 2  # never over another file
    capsys.readouterr()
    assert prove.check([out, "--key", made.PUBLIC]) == 0
    assert capsys.readouterr().out.startswith("PROVEN: receipt 2 of ")
    assert prove.check([out]) == 4
    assert prove.check([out, "--key", "0" * 64]) == 4
    assert "PROVEN, BUT NOT PINNED" in capsys.readouterr().out
    assert prove.check([out, "--key", made.PUBLIC, "--json"]) == 0
    assert '"pinned": true' in capsys.readouterr().out


def test_what_does_not_hold_proves_nothing(where: Path, tmp_path: Path) -> None:
    out = str(tmp_path / "none")
    assert prove.main([str(where), "--seq", "99", "--out", out]) == 1
    assert prove.main([str(tmp_path / "nowhere"), "--seq", "0", "--out", out]) == 2
    (where / "flows.jsonl").write_bytes(b"")
    assert prove.main([str(where), "--seq", "0", "--out", out]) == 1
    assert not Path(out).exists()
    (tmp_path / "bad").write_text("c2sp.org/tlog-proof@v1")
    assert prove.check([str(tmp_path / "bad")]) == 1
    assert prove.check([str(tmp_path / "nowhere")]) == 2
    assert prove.main([]) == 2
    assert prove.check(["--help"]) == 0
