"""What people see while the command runs: on a terminal one line that changes, in a log a line per new denial.

It comes from the gate (`gate.news`), as fast as the gate likes to tell it, and is not the record: what is shown may
lack something, and nothing waits for it. Nothing of it ever waits for whoever reads our stderr either.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING

from sluicegate.boundary import streams
from sluicegate.boundary.terminal import Terminal
from sluicegate.cli import closing, say, statusline
from sluicegate.cli.options import Options

if TYPE_CHECKING:
    from sluicegate.cli.asking import Asker
    from sluicegate.cli.opening import Plan
    from sluicegate.cli.supervise import Control

# How often the line changes at most: nobody reads faster, and each change is a write to a terminal that may be far.
DRAW_SECONDS = 0.25
MAX_MESSAGE_BYTES = 65_536  # the gate's messages have up to 20 KiB
MAX_WAITING = (
    64  # lines that wait for the command to end its own; the gate tells of fewer destinations
)
MAX_TEXT = 1000  # characters of one text of the gate's
COUNTS = ("flows", "denied", "observed", "up", "down")
USUAL_COLUMNS = 80  # of a terminal that does not say
MORE = "more destinations were denied; the end of the run and the packet's summary.md have them"


class Live:
    """`peer` is our end of a socket, `theirs` the gate's.

    After `begin`, `write` is how the command's output to pipes goes out.
    """

    def __init__(
        self,
        peer: socket.socket,
        theirs: socket.socket,
        asker: Asker | None = None,
        *,
        quiet: bool = False,
    ) -> None:
        peer.setblocking(False)
        self.peer, self.theirs = peer, theirs
        self.terminal: Terminal | None = None
        self.line = statusline.Line()
        self._screen: int | None = None
        self._silent = True
        self._lock = threading.Lock()
        self._place = _place(2)
        self._same = {number: _place(number) == self._place for number in (1, 2)}
        self._words = ""
        self._drawn = 0.0
        self._waiting = deque[str](maxlen=MAX_WAITING)
        self._saying: threading.Thread | None = None
        self._told_more = False
        self._quiet = quiet
        self.asker = asker

    def begin(self, tty: tuple[bool, bool, bool], terminal: Terminal | None, kind: str) -> None:
        """The command is about to start; no process is forked any more, so none gets what is opened here.

        `terminal` is the command's own, which has those of 0, 1 and 2 that `tty` says; `kind` is TERM.
        """
        self._screen = None if self._quiet else _opened(tty, kind)
        # With neither line nor log: a line of the log would stand in the command's screen.
        self._silent = self._quiet or (self._screen is None and tty[2])
        if terminal is not None and self._screen is not None:
            # Its output comes through there, with line ends that its own terminal made.
            self.terminal = terminal
            self.line = statusline.Line(b"\r\n")
            terminal.before = self.line.before
        if self.asker is not None:
            self.asker.begin(terminal, None if self.terminal is None else self.line)

    def write(self, sink: int, data: bytes) -> None:
        """Some of the command's output to descriptor `sink`, without a line of ours in it.

        Raises:
            OSError: it takes no more.
        """
        if not self._same[sink]:
            streams.write(sink, data)
            return
        with self._lock:
            streams.write(sink, self.line.before(data))

    def say(self, text: str) -> None:
        """A line that stays, on stderr; waits for whoever reads it."""
        with self._lock:
            self._erase()
            say.say(text)

    def patience(self, left: float | None) -> float | None:
        """For how many milliseconds the wait may sleep, of `left` (None: for ever)."""
        if self.asker is not None:
            left = self.asker.patience(left)
        if self._screen is None and not self._waiting:
            return left
        mine = DRAW_SECONDS * 1000
        return mine if left is None else min(left, mine)

    def turn(self, ready: bool) -> None:
        """Hear what the gate said, and show what is due."""
        if ready:
            try:
                data = self.peer.recv(MAX_MESSAGE_BYTES)
            except OSError:
                return  # of a gate that is gone others tell
            self._heard(data)
        if self.asker is not None:
            self.asker.turn()
        if self._silent:
            self._waiting.clear()
        elif self._screen is None:
            self._flush()
        elif self._words and time.monotonic() - self._drawn >= DRAW_SECONDS:
            self._draw(self._screen)

    def finish(self) -> None:
        """Nothing of ours stands on the screen, and nothing will."""
        screen, self._silent = self._screen, True
        if self.asker is not None:
            self.asker.finish()
        if screen is None:
            return
        if self.terminal is not None:
            self.terminal.show(self.line.before(b""))
        elif self._lock.acquire(blocking=False):
            # Else the command's output is on its way, and takes our line away.
            try:
                self._erase()
            finally:
                self._lock.release()
        self._screen = None
        os.close(screen)

    def _erase(self) -> None:
        clear = self.line.before(b"")
        if clear and self._screen is not None:
            _put(self._screen, clear)

    def _heard(self, data: bytes) -> None:
        try:
            said = json.loads(data)
        except (ValueError, RecursionError):
            return
        if not isinstance(said, dict):
            return
        counts = {name: _number(said.get(name)) for name in COUNTS}
        if counts["flows"]:
            self._words = statusline.words(counts, _texts(said.get("open")))
        first = said.get("first")
        for one in first if isinstance(first, list) else []:
            if isinstance(one, dict):
                self._waiting.append(_denial(one))
        if said.get("more") is True and not self._told_more:
            self._told_more = True
            self._waiting.append(MORE)

    def _draw(self, screen: int) -> None:
        self._waiting.clear()  # the line counts them, and the end of the run has them all
        columns = _columns(screen)
        if self.terminal is not None:
            if self.terminal.is_quiet:
                self._drawn = time.monotonic()
                self.terminal.show(self.line.draw(self._words, columns))
        elif _is_ours(screen) and self._lock.acquire(blocking=False):
            try:
                self._drawn = time.monotonic()
                _put(screen, self.line.draw(self._words, columns))
            finally:
                self._lock.release()

    def _flush(self) -> None:
        """Say what waits, from a thread: who does not read our stderr must not hold up signals and the time limit."""
        busy = self._saying is not None and self._saying.is_alive()
        if self._waiting and not busy:
            self._saying = threading.Thread(target=self._say_waiting, daemon=True)
            self._saying.start()

    def _say_waiting(self) -> None:
        with self._lock:
            while self._waiting and self.line.at_start:
                say.say(self._waiting.popleft())


@contextlib.contextmanager
def new(options: Options) -> Iterator[Live | None]:
    """What shows it, its sockets open until the end of the block; None where nothing is to be seen."""
    if options.quiet and not options.ask:
        yield None
        return
    asker = None
    if options.ask:
        from sluicegate.cli.asking import Asker  # with it comes what few runs need

        asker = Asker()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        yield Live(ours, theirs, asker, quiet=options.quiet)


def before(plan: Plan) -> Plan:
    """The plan of the run: with --ask its policies say so.

    Raises:
        SetupError: there is nobody to be asked.
    """
    if not plan.options.ask:
        return plan
    from sluicegate.cli import asking

    return asking.marked(plan)


def attach(shown: Live | None, gate: Control) -> None:
    """What the gate asks is heard, and answered there."""
    if shown is not None and shown.asker is not None:
        gate.asked, shown.asker.reply = shown.asker.heard, gate.send


def after(plan: Plan, shown: Live | None) -> None:
    """What a person wanted in the policy is put there, now that the run is over."""
    if shown is not None and shown.asker is not None:
        from sluicegate.cli import asking

        asking.add(plan, shown.asker.answers)


@contextlib.contextmanager
def during(
    out: closing.Out,
    pipes: streams.Streams,
    terminal: Terminal | None,
    tty: tuple[bool, bool, bool],
) -> Iterator[None]:
    """While the command runs in the block, people see what happens, if `out` has something that shows it."""
    if out.live is None:
        yield
        return
    out.live.begin(tty, terminal, os.environ.get("TERM", ""))
    pipes.write, out.checkpoints.say = out.live.write, out.live.say
    try:
        yield
    finally:
        out.live.finish()


def _opened(tty: tuple[bool, bool, bool], kind: str) -> int | None:
    """Stderr's terminal opened anew, so that no write to it ever waits; None: there can be no line."""
    if not os.isatty(2) or kind in {"", "dumb"} or (any(tty) and _place(0) != _place(2)):
        return None
    flags = os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        own = os.open(os.ttyname(2), flags)
    except OSError:
        return None  # another user's, or of another mount namespace
    if _place(own) != _place(2):
        os.close(own)
        return None
    return own


def _put(screen: int, data: bytes) -> None:
    if data:
        with contextlib.suppress(OSError):  # stopped with Ctrl-S, or hung up: it is only the line
            os.write(screen, data)


def _place(number: int) -> tuple[int, int, int]:
    found = os.fstat(number)
    return found.st_dev, found.st_ino, found.st_rdev


def _is_ours(screen: int) -> bool:
    """Whether the terminal is ours to use now, and not that of a job in the foreground."""
    try:
        return os.tcgetpgrp(screen) == os.getpgrp()
    except OSError:
        return True  # not our controlling one


def _columns(screen: int) -> int:
    try:
        return os.get_terminal_size(screen).columns or USUAL_COLUMNS
    except OSError:
        return USUAL_COLUMNS


def _number(value: object) -> int:
    return value if type(value) is int and value >= 0 else 0


def _text(value: object) -> str:
    return closing.ascii_text(str(value)[:MAX_TEXT])


def _texts(value: object) -> list[str]:
    return [_text(one) for one in value] if isinstance(value, list) else []


def _denial(one: dict[str, object]) -> str:
    """A denial in one line: what, by which rule, why, and what would allow it."""
    word = "would deny" if one.get("observed") is True else "denied"
    said = (
        f"{word} {_text(one.get('target'))} by {_text(one.get('rule'))}: {_text(one.get('reason'))}"
    )
    line = statusline.flowing(str(one.get("remedy") or "")[:MAX_TEXT])
    return f"{said}; to allow it, add under `allow:` {_text(line)}" if line else said
