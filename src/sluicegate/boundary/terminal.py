"""The outer side of the command's terminal: raw mode, window size, and the bytes both ways.

The command has a pty of its own, so nothing it does reaches the terminal outside but the bytes it prints.
The supervisor owns the loop: it polls what `fds` asks for and gives the events to `handle`. Nothing here
blocks, and the terminal outside is as it was after the `with` block, however that ends.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
import sys
import termios
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Self

READ_BYTES = 65_536
# What may wait for a slow side; the other side is not read meanwhile.
MAX_WAITING_BYTES = 262_144
# Output that is still under way when the command has ended. A terminal stopped with Ctrl-S, or a
# daemon that prints for ever, must not hold up the end of the run.
DRAIN_SECONDS = 2.0
# How often a run in the background asks whether its turn has come: `fg` sends no signal to a job
# that runs.
TURN_SECONDS = 0.25
# A terminal we could not open anew is written to in small pieces: it may block on a long one.
SMALL_WRITE_BYTES = 256
_BROKEN = select.POLLHUP | select.POLLERR | select.POLLNVAL


def _own_descriptor(fd: int) -> tuple[int, bool]:
    """A new opening of the terminal behind `fd`, and whether it is ours (else it is `fd` itself).

    O_NONBLOCK belongs to the opening, and that of `fd` is shared with the shell and its other jobs.
    """
    try:
        own = os.open(os.ttyname(fd), os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        # Another user's terminal, or one of another mount namespace.
        return fd, False
    if os.fstat(own).st_rdev != os.fstat(fd).st_rdev:
        os.close(own)
        return fd, False
    return own, True


class Terminal:
    """Carries bytes between the master of the command's pty and the terminal the run was started on.

    `tty` says which of the descriptors 0, 1 and 2 are that terminal; the others are not touched.
    Use it as a context manager.
    """

    def __init__(self, master: int, tty: tuple[bool, bool, bool]) -> None:
        self._master = master
        self._reads = tty[0]
        # Where stdout or stderr go elsewhere, others may print here too and need their line ends.
        self._keeps_line_ends = not (tty[1] and tty[2])
        self._outer, self._is_own = _own_descriptor(tty.index(True))
        self._to_master = bytearray()
        self._to_outer = bytearray()
        # What the command prints while somebody else has the terminal, and whose the keys are then.
        self._held = bytearray()
        self._typed: Callable[[bytes], bytes] | None = None
        self._master_ended = self._outer_ended = False
        self._saved: list[int | list[bytes | int]] | None = None
        # Set until raw mode is known to hold: at the start, and whenever a shell continued us.
        self._stale = True
        self._ticks = False
        self._handlers: dict[int, object] = {}
        # What to print instead of some bytes of the command's: something else may stand on the terminal.
        self.before: Callable[[bytes], bytes] = bytes

    def __enter__(self) -> Self:
        os.set_blocking(self._master, False)
        # In the background we wait for our turn; the default of these would stop the supervisor.
        for number in (signal.SIGTTOU, signal.SIGTTIN):
            self._handlers[number] = signal.signal(number, signal.SIG_IGN)
        # Handlers, for the wake-up they give to the supervisor's loop.
        for number, handler in (
            (signal.SIGCONT, self._continued),
            (signal.SIGALRM, self._ticked),
        ):
            self._handlers[number] = signal.signal(number, handler)
        try:
            self._saved = termios.tcgetattr(self._outer)
            termios.tcsetattr(self._master, termios.TCSANOW, self._saved)
        except termios.error:
            self._outer_ended = True
        self.resize()
        self._take()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if self._saved is not None and not self._stale and self._is_foreground():
            try:
                termios.tcsetattr(self._outer, termios.TCSANOW, self._saved)
            except termios.error:
                # Hung up: there is no terminal to put right.
                self._outer_ended = True
        self._tick(False)
        for number, handler in self._handlers.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        self._handlers.clear()
        if self._is_own:
            os.close(self._outer)
            self._is_own = False

    def _continued(self, _number: int, _frame: FrameType | None) -> None:
        self._stale = True

    def _ticked(self, _number: int, _frame: FrameType | None) -> None:
        """Only to wake the loop: `fds` then looks whose turn it is."""

    def _tick(self, wanted: bool) -> None:
        if wanted != self._ticks:
            self._ticks = wanted
            signal.setitimer(signal.ITIMER_REAL, *((TURN_SECONDS,) * 2 if wanted else (0, 0)))

    def _is_foreground(self) -> bool:
        """Whether the terminal is ours to use now; if it is not our controlling one, always."""
        try:
            return os.tcgetpgrp(self._outer) == os.getpgrp()
        except OSError:
            return True

    def _take(self) -> None:
        """Raw mode, if it is our turn. In the background the settings are the shell's."""
        waits = self._stale and not self._outer_ended
        turn = waits and self._is_foreground()
        self._tick(waits and not turn)
        if not turn:
            return
        try:
            mode = termios.tcgetattr(self._outer)
            self._saved = self._saved or mode
            termios.tcsetattr(self._outer, termios.TCSANOW, self._raw(mode))
        except termios.error:
            self._outer_ended = True
            return
        self._stale = False
        self.resize()

    def _raw(self, mode: list[int | list[bytes | int]]) -> list[int | list[bytes | int]]:
        """As cfmakeraw(3): what keys mean is decided by the terminal inside."""
        iflag, oflag, cflag, lflag, ispeed, ospeed, characters = mode
        assert isinstance(iflag, int) and isinstance(oflag, int)  # noqa: S101, PT018
        assert isinstance(cflag, int) and isinstance(lflag, int)  # noqa: S101, PT018
        assert isinstance(characters, list)  # noqa: S101
        iflag &= ~(termios.IGNBRK | termios.BRKINT | termios.PARMRK | termios.ISTRIP)
        iflag &= ~(termios.INLCR | termios.IGNCR | termios.ICRNL | termios.IXON)
        if not self._keeps_line_ends:
            oflag &= ~termios.OPOST
        cflag = cflag & ~(termios.CSIZE | termios.PARENB) | termios.CS8
        lflag &= ~(termios.ECHO | termios.ECHONL | termios.ICANON | termios.ISIG | termios.IEXTEN)
        changed = list(characters)
        changed[termios.VMIN], changed[termios.VTIME] = 1, 0
        return [iflag, oflag, cflag, lflag, ispeed, ospeed, changed]

    def resize(self) -> None:
        """Give the inner terminal the size of the outer; the kernel tells its programs."""
        self._resize()

    def _resize(self, fewer: int = 0) -> None:
        try:
            size = fcntl.ioctl(self._outer, termios.TIOCGWINSZ, bytes(8))
            rows = int.from_bytes(size[:2], sys.byteorder)
            size = max(1, rows - fewer).to_bytes(2, sys.byteorder) + size[2:]
            fcntl.ioctl(self._master, termios.TIOCSWINSZ, size)
        except OSError:
            # One of them has hung up; reading and writing will tell.
            return

    def fds(self) -> dict[int, int]:
        """The events wanted now, by descriptor. Asked for before every poll."""
        self._take()
        wanted = dict[int, int]()
        if not self._master_ended:
            room = len(self._to_outer) + len(self._held) < MAX_WAITING_BYTES
            wanted[self._master] = (select.POLLIN if room else 0) | (
                select.POLLOUT if self._to_master else 0
            )
        if not self._outer_ended:
            room = len(self._to_master) < MAX_WAITING_BYTES
            reads = self._reads and room and not self._stale and not self._master_ended
            wanted[self._outer] = (select.POLLIN if reads else 0) | (
                select.POLLOUT if self._to_outer else 0
            )
        # A hang-up is reported unasked: with nothing wanted it would spin.
        return {fd: events for fd, events in wanted.items() if events}

    def handle(self, fd: int, events: int) -> None:
        """Act on the events of one descriptor of `fds`."""
        if fd == self._master:
            self._handle_master(events)
        elif fd == self._outer:
            self._handle_outer(events)

    def _handle_master(self, events: int) -> None:
        if events & select.POLLOUT and self._to_master:
            self._write(self._master, self._to_master, READ_BYTES)
        if events & (select.POLLIN | _BROKEN):
            try:
                got = os.read(self._master, READ_BYTES)
            except BlockingIOError:
                return
            except OSError:
                # EIO: the command's side has no holder any more.
                got = b""
            if not got:
                self._master_ended = True
            elif not self._outer_ended:
                if self._typed is not None:
                    self._held += got
                else:
                    self._to_outer += self.before(got)

    def _handle_outer(self, events: int) -> None:
        if events & select.POLLOUT and self._to_outer:
            size = READ_BYTES if self._is_own else SMALL_WRITE_BYTES
            if not self._write(self._outer, self._to_outer, size):
                self._hang_up()
        if events & _BROKEN and not self._reads:
            self._hang_up()
        if events & (select.POLLIN | _BROKEN) and not self._outer_ended:
            try:
                got = os.read(self._outer, READ_BYTES)
            except BlockingIOError:
                return
            except OSError:
                if not self._is_foreground():
                    # EIO for a background reader: not our turn any more.
                    self._stale = True
                    return
                got = b""
            if got:
                self._to_master += got if self._typed is None else self._typed(got)
            else:
                self._hang_up()

    @property
    def is_quiet(self) -> bool:
        """Whether all that the command printed is out, and something else could be."""
        waits = self._to_outer or self._typed is not None
        return self._is_own and self.usable and not waits

    @property
    def ended(self) -> bool:
        """Whether the terminal outside is gone."""
        return self._outer_ended

    @property
    def usable(self) -> bool:
        """Whether it is there, and it is our turn to use it."""
        return not (self._outer_ended or self._stale)

    def pause(self, typed: Callable[[bytes], bytes]) -> None:
        """Hold back what the command prints. Keys go to `typed`, which returns those that are still the command's."""
        self._typed = typed

    def resume(self, *, redraw: bool) -> None:
        """Go on; `redraw`: let the command's programs paint their screen again."""
        self._typed = None
        if self._held:
            self._to_outer += self.before(bytes(self._held))
            self._held.clear()
        if redraw:
            self._resize(fewer=1)
            self._resize()

    def show(self, data: bytes) -> None:
        """Print `data`, which is not the command's, behind what was printed."""
        if data and not self._outer_ended:
            self._to_outer += data
            if not self._write(self._outer, self._to_outer, READ_BYTES):
                self._hang_up()

    def _hang_up(self) -> None:
        """The terminal outside is gone: the command's output is still taken, so that it can end."""
        self._outer_ended = True
        self._to_outer.clear()

    @staticmethod
    def _write(fd: int, waiting: bytearray, at_most: int) -> bool:
        """False where the descriptor will never take more; then nothing waits any longer."""
        try:
            done = os.write(fd, waiting[:at_most])
        except BlockingIOError:
            return True
        except OSError:
            waiting.clear()
            return False
        del waiting[:done]
        return True

    def drain(self) -> None:
        """After the command's end: carry out what is still under way, for a bounded time."""
        deadline = time.monotonic() + DRAIN_SECONDS
        self._reads = False
        self._to_master.clear()
        while time.monotonic() < deadline:
            wanted = self.fds()
            if not wanted:
                return
            poll = select.poll()
            for fd, events in wanted.items():
                poll.register(fd, events)
            left = max(0.0, deadline - time.monotonic())
            for fd, events in poll.poll(left * 1000):
                self.handle(fd, events)
