"""Two ptys: one plays the terminal outside, one is the command's."""

from __future__ import annotations

import fcntl
import os
import select
import signal
import struct
import termios
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from sluicegate.boundary.terminal import MAX_WAITING_BYTES, Terminal

ROUNDS = 2000  # of 10 ms: for a loaded machine


@dataclass
class Pair:
    """`person` is where keys are typed and output is seen; `inner` is the command's side."""

    person: int
    outer: int
    master: int
    inner: int

    def close(self) -> None:
        for fd in (self.person, self.outer, self.master, self.inner):
            if fd >= 0:
                os.close(fd)


@pytest.fixture
def pair() -> Iterator[Pair]:
    person, outer = os.openpty()
    master, inner = os.openpty()
    made = Pair(person, outer, master, inner)
    os.set_blocking(person, False)
    try:
        yield made
    finally:
        made.close()


def terminal(pair: Pair, *, stdout: bool = True) -> Terminal:
    """A terminal whose descriptor 0 is the pair's outer side."""
    saved = os.dup(0)
    os.dup2(pair.outer, 0)
    try:
        return Terminal(pair.master, (True, stdout, stdout))
    finally:
        os.dup2(saved, 0)
        os.close(saved)


def turn(it: Terminal, until: int) -> bytes:
    """Run the loop until `until` is readable; what it then has to say."""
    os.set_blocking(until, False)
    for _ in range(ROUNDS):
        poll = select.poll()
        for fd, events in it.fds().items():
            poll.register(fd, events)
        poll.register(until, select.POLLIN)
        for fd, events in poll.poll(10):
            if fd == until:
                return os.read(until, 1 << 16)
            it.handle(fd, events)
    raise AssertionError("nothing came through")


def fail() -> None:
    raise KeyError


def raw(fd: int) -> bool:
    return not termios.tcgetattr(fd)[3] & (termios.ICANON | termios.ECHO | termios.ISIG)


def test_keys_go_in_and_output_comes_out(pair: Pair) -> None:
    with terminal(pair) as it:
        os.write(pair.person, b"hello\r")
        assert turn(it, pair.inner) == b"hello\n"
        # The echo is the inner terminal's, and so are its line ends.
        assert turn(it, pair.person) == b"hello\r\n"
        os.write(pair.inner, b"one\ntwo")
        assert turn(it, pair.person) == b"one\r\ntwo"


def test_the_terminal_outside_is_raw_meanwhile_and_as_before_after(
    pair: Pair,
) -> None:
    before = termios.tcgetattr(pair.outer)
    assert not raw(pair.outer)
    with pytest.raises(KeyError), terminal(pair):  # noqa: PT012 - the end is what is tested
        assert raw(pair.outer)
        assert not termios.tcgetattr(pair.outer)[1] & termios.OPOST
        fail()
    assert termios.tcgetattr(pair.outer) == before
    with terminal(pair, stdout=False):
        # Somebody else prints there: lines must still end.
        assert termios.tcgetattr(pair.outer)[1] & termios.OPOST
    assert termios.tcgetattr(pair.outer) == before


def test_settings_and_size_are_taken_over(pair: Pair) -> None:
    mode = termios.tcgetattr(pair.outer)
    mode[6][termios.VERASE] = b"\x08"
    termios.tcsetattr(pair.outer, termios.TCSANOW, mode)
    fcntl.ioctl(pair.outer, termios.TIOCSWINSZ, struct.pack("4H", 33, 99, 0, 0))

    def size() -> tuple[int, ...]:
        return struct.unpack("4H", fcntl.ioctl(pair.inner, termios.TIOCGWINSZ, bytes(8)))[:2]

    with terminal(pair) as it:
        assert termios.tcgetattr(pair.inner)[6][termios.VERASE] == b"\x08"
        assert not raw(pair.inner)
        assert size() == (33, 99)
        fcntl.ioctl(pair.outer, termios.TIOCSWINSZ, struct.pack("4H", 50, 120, 0, 0))
        it.resize()
        assert size() == (50, 120)


def test_the_shell_s_descriptor_stays_blocking(pair: Pair) -> None:
    with terminal(pair):
        assert os.get_blocking(pair.outer)


def test_what_waits_is_bounded(pair: Pair) -> None:
    """Nobody reads outside: the command is held back, nothing is lost, the loop goes on."""
    os.set_blocking(pair.inner, False)
    written, taken = 0, 0
    with terminal(pair) as it:
        for _ in range(ROUNDS):
            try:
                written += os.write(pair.inner, b"x" * 4096)
            except BlockingIOError:
                if pair.master not in it.fds():
                    break
            poll = select.poll()
            for fd, events in it.fds().items():
                poll.register(fd, events)
            for fd, events in poll.poll(1):
                it.handle(fd, events)
        assert written < MAX_WAITING_BYTES + (1 << 19)
        assert pair.master not in it.fds()
        while taken < written:
            taken += len(turn(it, pair.person))
    assert taken == written


def test_the_end_of_either_side(pair: Pair) -> None:
    with terminal(pair) as it:
        os.write(pair.inner, b"last words")
        os.close(pair.inner)
        pair.inner = -1
        it.drain()
        assert turn(it, pair.person) == b"last words"
        assert pair.master not in it.fds()


def test_a_hang_up_outside_does_not_hold_the_command(
    pair: Pair,
) -> None:
    with terminal(pair) as it:
        os.close(pair.person)
        pair.person = -1
        os.write(pair.inner, b"x" * 2000)
        for _ in range(ROUNDS):
            wanted = it.fds()
            if set(wanted) == {pair.master}:
                break
            poll = select.poll()
            for fd, events in wanted.items():
                poll.register(fd, events)
            for fd, events in poll.poll(10):
                it.handle(fd, events)
        assert set(it.fds()) == {pair.master}
        it.resize()


def test_handlers_come_back(pair: Pair) -> None:
    watched = (signal.SIGTTOU, signal.SIGTTIN, signal.SIGCONT)
    before = [signal.getsignal(number) for number in watched]
    with terminal(pair):
        assert signal.getsignal(signal.SIGTTOU) is signal.SIG_IGN
    assert [signal.getsignal(number) for number in watched] == before


def test_after_a_stop_raw_mode_is_taken_again(pair: Pair) -> None:
    cooked = termios.tcgetattr(pair.outer)
    with terminal(pair) as it:
        termios.tcsetattr(pair.outer, termios.TCSANOW, cooked)  # as a shell does
        os.kill(os.getpid(), signal.SIGCONT)
        it.fds()
        assert raw(pair.outer)
    assert termios.tcgetattr(pair.outer) == cooked


def in_the_background(pair: Pair) -> str:
    """In a process of its own: wait in the background, then take the terminal when it is our turn."""
    os.setsid()
    fcntl.ioctl(pair.outer, termios.TIOCSCTTY, 0)
    woken, wake = os.pipe2(os.O_NONBLOCK)
    signal.set_wakeup_fd(wake)
    other = os.fork()
    if other == 0:
        signal.pause()
        os._exit(0)
    os.setpgid(other, other)
    os.tcsetpgrp(pair.outer, other)
    cooked = termios.tcgetattr(pair.outer)
    with terminal(pair) as it:
        os.write(pair.person, b"for somebody else\r")
        if termios.tcgetattr(pair.outer) != cooked or pair.outer in it.fds():
            return "touched the terminal of another job"
        os.tcsetpgrp(pair.outer, os.getpgrp())
        if not select.select([woken], [], [], 10)[0]:
            return "was not woken"
        it.fds()
        if not raw(pair.outer):
            return "did not take its turn"
    os.kill(other, signal.SIGKILL)
    os.waitpid(other, 0)
    return "" if termios.tcgetattr(pair.outer) == cooked else "did not put the terminal right"


def test_in_the_background_it_waits_for_its_turn(pair: Pair) -> None:
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        said = "failed"
        try:
            said = in_the_background(pair)
        finally:
            os.write(writing, said.encode())
            os._exit(0)
    os.close(writing)
    assert os.read(reading, 100) == b""
    os.close(reading)
    os.waitpid(pid, 0)


def test_while_somebody_else_has_the_terminal_output_waits_and_keys_are_theirs(pair: Pair) -> None:
    typed = list[bytes]()

    def theirs(data: bytes) -> bytes:
        typed.append(data)
        return b"for the command\r" if data == b"c" else b""

    with terminal(pair) as it:
        it.before = lambda data: b"[" + data + b"]"
        assert it.is_quiet
        assert it.usable
        assert not it.ended
        it.pause(theirs)
        assert not it.is_quiet
        os.write(pair.inner, b"held")
        it.show(b"asked? ")
        os.write(pair.person, b"k")
        assert turn(it, pair.person) == b"asked? "
        while typed != [b"k"]:
            for fd, events in it.fds().items():
                poll = select.poll()
                poll.register(fd, events)
                for _, ready in poll.poll(10):
                    it.handle(fd, ready)
        os.write(pair.person, b"c")
        assert turn(it, pair.inner) == b"for the command\n"
        with pytest.raises(BlockingIOError):
            os.read(pair.person, 1)
        it.resume(redraw=True)
        assert turn(it, pair.person).startswith(b"[held")
