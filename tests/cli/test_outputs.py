"""Outputs from the private file to the runner's (sluicegate.cli.outputs)."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from sluicegate.cli import outputs
from sluicegate.cli.opening import Handing, SetupError
from sluicegate.evidence import output


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Handing:
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    real = tmp_path / "real"
    real.write_text("before=1\n")
    return outputs.handing(("a", "b"), {"GITHUB_OUTPUT": str(real)}, "0f" * 8)


def test_nothing_is_handed_on_where_nobody_grants_or_takes(tmp_path: Path) -> None:
    assert outputs.handing((), {"GITHUB_OUTPUT": "/x"}, "r") == Handing()
    none = outputs.handing(("a",), {}, "r")
    assert (none, none.env, none.binds, none.hidden) == (Handing(), {}, (), ())
    with outputs.opened(none, 0, 0) as found:
        assert found is None


def test_what_is_granted_comes_through_and_the_rest_is_said(
    place: Handing, capsys: pytest.CaptureFixture[str]
) -> None:
    assert place.env == {"GITHUB_OUTPUT": place.path}
    assert place.binds == (place.path,)
    assert place.hidden == (place.real,)
    with outputs.opened(place, 65_000, 65_000) as found:
        assert found is not None
        status = os.stat(place.path)
        assert (status.st_uid, status.st_mode & 0o777) == (65_000, 0o600)
        Path(place.path).write_text("a=1\nb<<E\n2\n3\nE\nc\x1b=::x::\na\n")
        found.hand_on(found.judged())
    text = Path(place.real).read_text()
    assert text.startswith("before=1\na<<ghadelimiter_") is False
    assert text.startswith("before=1\nb<<ghadelimiter_")
    assert "\n2\n3\nghadelimiter_" in text
    said = capsys.readouterr().err
    assert "output c%1B is not handed on: not granted by every policy" in said
    assert "hint: name it under `agent: {outputs: [...]}`" in said
    assert "output a is not handed on: not an output" in said
    assert not Path(place.path).parent.exists()


def test_a_file_that_is_too_large_is_not_read(
    place: Handing, capsys: pytest.CaptureFixture[str]
) -> None:
    with outputs.opened(place, 0, 0) as found:
        assert found is not None
        os.truncate(place.path, 1 << 40)
        judged = found.judged()
        found.hand_on(judged)
    assert judged == output.Outputs(refused=(("GITHUB_OUTPUT", output.TOO_LARGE),))
    assert Path(place.real).read_text() == "before=1\n"
    assert "the file has more than 1048576 bytes" in capsys.readouterr().err


def test_a_file_whose_place_was_moved_is_still_ours(place: Handing, tmp_path: Path) -> None:
    with outputs.opened(place, 0, 0) as found:
        assert found is not None
        Path(place.path).write_text("a=1\n")
        Path(place.path).parent.rename(tmp_path / "moved")
        found.hand_on(found.judged())
    assert "a<<ghadelimiter_" in Path(place.real).read_text()


@pytest.mark.parametrize("kind", ["link", "pipe", "directory", "nothing"])
def test_a_runners_file_of_another_kind_starts_nothing(
    place: Handing, tmp_path: Path, kind: str
) -> None:
    real = Path(place.real)
    real.unlink()
    if kind == "link":
        real.symlink_to("/etc/passwd")
    elif kind == "pipe":
        os.mkfifo(real)
    elif kind == "directory":
        real.mkdir()
    with pytest.raises(SetupError), outputs.opened(place, 0, 0):
        raise AssertionError("it was opened")
    assert not Path(place.path).parent.exists()
