"""What people see while the command runs (sluicegate.cli.live); real runs: tests/kernel/test_live.py."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterator

import pytest

from sluicegate.boundary import streams
from sluicegate.cli import closing, live
from sluicegate.cli.live import Live
from sluicegate.cli.options import Options

LOG = (False, False, False)


@pytest.fixture
def gate() -> Iterator[tuple[Live, socket.socket]]:
    with live.new(Options(("true",))) as it:
        assert it is not None
        yield it, it.theirs


@pytest.fixture
def log(capfd: pytest.CaptureFixture[str], gate: tuple[Live, socket.socket]) -> Live:
    it = gate[0]
    it.begin(LOG, None, "")
    return it


def tell(gate: socket.socket, *first: dict[str, object], more: object = False) -> None:
    gate.send(json.dumps({"flows": 1, "first": first, "more": more}).encode())


def hear(it: Live) -> None:
    """Take what was told, and wait until it is said."""
    it.turn(True)
    if it._saying is not None:
        it._saying.join()


ONE: dict[str, object] = {
    "target": "http://a.test/", "rule": "default", "reason": "no rule allows it",
    "remedy": "- host: a.test", "observed": False,
}  # fmt: skip


def test_a_log_gets_a_line_per_denial_and_one_that_there_are_more(
    log: Live, gate: tuple[Live, socket.socket], capfd: pytest.CaptureFixture[str]
) -> None:
    tell(gate[1], ONE, {**ONE, "target": "tcp://b.test:22", "observed": True, "remedy": None})
    hear(log)
    for _ in range(2):
        tell(gate[1], more=True)
        hear(log)
    assert capfd.readouterr().err == (
        "sluicegate: denied http://a.test/ by default: no rule allows it;"
        " to allow it, add under `allow:` - host: a.test\n"
        "sluicegate: would deny tcp://b.test:22 by default: no rule allows it\n"
        f"sluicegate: {live.MORE}\n"
    )


def test_a_line_waits_for_the_command_to_end_its_own(
    log: Live, gate: tuple[Live, socket.socket], capfd: pytest.CaptureFixture[str]
) -> None:
    log.write(2, b"half")
    tell(gate[1], ONE)
    hear(log)
    assert log.patience(None) == live.DRAW_SECONDS * 1000
    assert log.patience(5.0) == 5.0
    log.write(2, b" a line\n")
    log.turn(False)
    hear_again = log._saying
    assert hear_again is not None
    hear_again.join()
    assert log.patience(None) is None
    assert capfd.readouterr().err.splitlines()[0] == "half a line"


@pytest.mark.parametrize(
    "data",
    [
        b"", b"nonsense", b"[]", b"{}", b"\xff", b'{"first":3}', b'{"first":[3,null]}',
        b'{"flows":"x","open":{"a":1},"up":-1}', b'{"flows":1e999}', b"[" * 60_000,
    ],
)  # fmt: skip
def test_a_gate_that_was_taken_over_can_say_anything(
    log: Live, gate: tuple[Live, socket.socket], data: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    gate[1].send(data)
    hear(log)
    assert capfd.readouterr().err == ""


def test_hostile_texts_are_printable_ascii_on_one_line(
    log: Live, gate: tuple[Live, socket.socket], capfd: pytest.CaptureFixture[str]
) -> None:
    bad = "\n::error::x\r\x1b[2J\u202e\u009b" + "y" * 5000
    tell(gate[1], dict.fromkeys(ONE, bad), {**ONE, "remedy": f"- host: {bad}"})
    hear(log)
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 2
    for line in lines:
        assert line.startswith("sluicegate: denied ")
        assert line.isascii()
        assert line.isprintable()


def test_who_does_not_read_the_log_holds_up_nothing_but_its_lines() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    try:
        while True:
            os.write(writer, b"x" * 4096)
    except BlockingIOError:
        os.set_blocking(writer, True)
    saved = os.dup(2)
    os.dup2(writer, 2)
    try:
        with live.new(Options(("true",))) as it:
            assert it is not None
            it.begin(LOG, None, "")
            command = threading.Thread(target=it.write, args=(2, b"the command's\n"))
            command.start()
            tell(it.theirs, ONE)
            it.turn(True)  # back at once, although neither can be written
            it.turn(False)
            it.finish()
            os.set_blocking(reader, False)
            seen = b""
            while b"the command's\n" not in seen or command.is_alive():
                try:
                    seen += os.read(reader, 65_536)
                except BlockingIOError:
                    command.join(0.01)
            assert it._saying is not None
            it._saying.join()
    finally:
        os.dup2(saved, 2)
        for number in (saved, reader, writer):
            os.close(number)


@pytest.mark.parametrize("kind", ["", "dumb"])
def test_a_terminal_that_can_not_erase_has_no_line(kind: str) -> None:
    person, outer = os.openpty()
    saved = os.dup(2)
    os.dup2(outer, 2)
    try:
        with live.new(Options(("true",))) as it:
            assert it is not None
            it.begin((True, True, True), None, kind)
            assert it.patience(None) is None
            it.finish()
    finally:
        os.dup2(saved, 2)
        for number in (saved, person, outer):
            os.close(number)


def test_without_anything_to_show_the_commands_output_goes_straight_out() -> None:
    pipes = streams.Streams((True, True, True), None)
    nothing: object = None
    out = closing.Out(nothing, nothing)  # type: ignore[arg-type]
    with live.during(out, pipes, None, LOG):
        assert pipes.write is streams.write
