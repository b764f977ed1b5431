"""Where the checkpoints of a run are told (sluicegate.cli.checkpoints); runs: tests/kernel/test_checkpoints.py."""

from __future__ import annotations

import os
import resource
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sluicegate.cli import checkpoints
from sluicegate.cli.opening import SetupError
from sluicegate.cli.supervise import ControlError
from sluicegate.evidence import keys, note

SIGN, PUBLIC = keys.signer(b"k" * 32)


def told(size: int) -> str:
    head = note.Checkpoint(note.origin("1" * 32), size, bytes([size]) * 32)
    return note.sign_checkpoint(head, bytes.fromhex(PUBLIC), SIGN).decode()


def line(size: int) -> str:
    return "sluicegate: checkpoint " + note.one_line(told(size).encode()) + "\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "cp"


def test_each_is_a_note_in_the_file_and_a_line_on_stderr(
    file: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    descriptor = checkpoints.create(str(file), None)
    heads = checkpoints.Checkpoints(descriptor, quiet=False)
    heads.keep(told(1))
    heads.show()
    heads.told(told(2))
    heads.keep(told(3))
    heads.show()
    checkpoints.let_go(str(file), descriptor)
    assert file.read_text() == told(1) + told(2) + told(3)
    assert file.stat().st_mode & 0o7777 == 0o644
    assert capfd.readouterr().err == line(1) + line(2) + line(3)


@pytest.mark.parametrize("silent", [True, False])
def test_quiet_and_a_command_on_our_terminal_are_left_alone(
    file: Path, capfd: pytest.CaptureFixture[str], silent: bool
) -> None:
    descriptor = checkpoints.create(str(file), (os.getuid(), os.getgid()))
    heads = checkpoints.Checkpoints(descriptor, quiet=not silent)
    heads.silent = silent
    heads.told(told(1))
    assert heads._printing is None
    heads.silent = False
    heads.show()
    checkpoints.let_go(str(file), descriptor)
    assert capfd.readouterr().err == (line(1) if silent else "")
    assert file.read_text() == told(1)


def test_nobody_waits_for_whoever_does_not_read_stderr(file: Path) -> None:
    script = f"""
import os, sys
sys.path[:0] = {sys.path!r}
from sluicegate.cli import checkpoints
from tests.cli.test_checkpoints import told
os.set_blocking(2, False)
try:
    while True: os.write(2, b"x" * 4096)
except BlockingIOError: pass
os.set_blocking(2, True)
heads = checkpoints.Checkpoints(checkpoints.create({str(file)!r}, None), quiet=False)
for size in range(1, 100): heads.told(told(size))
print("told", flush=True)
heads.show()
"""
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert select.select([process.stdout], [], [], 20)[0], "it waits for its reader"
    assert process.stdout.readline() == "told\n"
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0
    # One line waited; those meanwhile are in the file alone; the last one is said again.
    assert err.lstrip("x") == line(1) + line(99)
    assert file.read_text() == "".join(told(size) for size in range(1, 100))


def test_what_is_no_checkpoint_is_not_passed_on(file: Path) -> None:
    heads = checkpoints.Checkpoints(None, quiet=True)
    with pytest.raises(ControlError, match="the notary told no checkpoint"):
        heads.told("hello")
    assert heads.last == ""


def test_the_file_is_new_and_stays_only_if_something_was_told(file: Path) -> None:
    descriptor = checkpoints.create(str(file), None)
    with pytest.raises(SetupError, match=r"--checkpoint-file .*/cp exists"):
        checkpoints.create(str(file), None)
    file.rename(file.with_name("moved"))
    file.write_text("another's")
    checkpoints.let_go(str(file), descriptor)
    assert file.read_text() == "another's"
    file.unlink()
    file.symlink_to("elsewhere")
    with pytest.raises(SetupError, match="exists"):
        checkpoints.create(str(file), None)
    file.unlink()
    checkpoints.let_go(str(file), checkpoints.create(str(file), None))
    assert not file.exists()
    with pytest.raises(SetupError, match="No such file or directory"):
        checkpoints.create(str(file / "deeper"), None)


def test_a_note_is_written_whole_or_not_at_all(file: Path) -> None:
    descriptor = checkpoints.create(str(file), None)
    heads = checkpoints.Checkpoints(descriptor, quiet=True)
    heads.told(told(1))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        for room in (20, 0):
            resource.setrlimit(resource.RLIMIT_FSIZE, (len(told(1).encode()) + room, before[1]))
            with pytest.raises(ControlError, match="a checkpoint could not be written: ") as caught:
                heads.told(told(2))
            assert caught.value.hint == "choose another --checkpoint-file"
            assert file.read_text() == told(1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
        checkpoints.let_go(str(file), descriptor)
