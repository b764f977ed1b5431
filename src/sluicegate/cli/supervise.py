"""The wait: forwards signals, the terminal and the time limit until the command or a witness is gone."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING

from sluicegate.boundary.terminal import Terminal

if TYPE_CHECKING:
    from sluicegate.cli.live import Live

FORWARDED = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
)
# The second of these from outside means: now. The command has had its chance.
IMPATIENT = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
MAX_LINE_BYTES = 65_536  # a control message is a short JSON object
# How long a command may take to end after the time limit's SIGTERM.
GRACE_SECONDS = 5.0
# How long a process of ours may take for one answer. Draining thousands of flows takes well under a second, a slow
# disk a few; one that is stopped or taken over never answers, and must not hold the run.
ANSWER_SECONDS = 60.0
EXIT_TIMEOUT = 124


class ControlError(Exception):
    """A process of ours is gone or answered what it never would; `hint` is the remedy if it gave one."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class Interrupted(Exception):  # noqa: N818  # not an error: the caller asked for it
    """A signal came before the command was started."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


@dataclass(slots=True)
class Control:
    """LF-framed JSON objects over one socket, asked and answered.

    `told` hears each checkpoint that the other side tells unasked, at whatever moment it comes; `asked` each question.
    """

    peer: socket.socket
    name: str
    rest: bytes = b""
    told: Callable[[str], None] | None = None
    asked: Callable[[Mapping[str, object]], None] | None = None

    def send(self, message: object) -> None:
        self.peer.settimeout(ANSWER_SECONDS)
        try:
            self.peer.sendall(json.dumps(message).encode() + b"\n")
        except OSError as error:
            # Its last words, if it had any, say more than that it is gone.
            said: dict[str, object] = {}
            with contextlib.suppress(ControlError):
                said = self.receive()
            raise self._refused(said, "is gone") from error

    def receive(self, seconds: float = ANSWER_SECONDS) -> dict[str, object]:
        """The next message that is no checkpoint told unasked; waits for it, but not for ever."""
        deadline = time.monotonic() + seconds
        while True:
            message = self._next(deadline)
            if not self._heard(message):
                return message

    def overhear(self) -> dict[str, object] | None:
        """Take what came unasked, where nothing else is expected; waits for the rest of a line that began.

        Returns what is said of a changed boundary, if it is that.

        Raises:
            ControlError: the other side is gone, or said what nobody asked for.
        """
        while True:
            message = self._next(time.monotonic() + ANSWER_SECONDS)
            if "changed" in message:
                return message
            if not self._heard(message):
                why = message.get("refused", "spoke out of turn")
                raise ControlError(f"the {self.name} ended early: {why}")
            if b"\n" not in self.rest:
                return None

    def _heard(self, message: dict[str, object]) -> bool:
        question = message.get("question")
        if self.asked is not None and len(message) == 1 and isinstance(question, dict):
            self.asked(question)
            return True
        text = message.get("checkpoint")
        if self.told is None or len(message) != 1 or not isinstance(text, str):
            return False
        self.told(text)
        return True

    def _next(self, deadline: float) -> dict[str, object]:
        while b"\n" not in self.rest:
            data = b""
            self.peer.settimeout(max(0.001, deadline - time.monotonic()))
            try:
                data = self.peer.recv(MAX_LINE_BYTES)
            except TimeoutError as error:
                raise ControlError(f"the {self.name} does not answer") from error
            except ConnectionError:
                pass  # as good as an end of file
            if not data:
                raise ControlError(f"the {self.name} ended early")
            self.rest += data
            if len(self.rest) > MAX_LINE_BYTES:
                raise ControlError(f"the {self.name} sent no end of line")
        line, _, self.rest = self.rest.partition(b"\n")
        try:
            message = json.loads(line)
        except ValueError as error:
            raise ControlError(f"the {self.name} sent what is not JSON") from error
        if not isinstance(message, dict):
            raise ControlError(f"the {self.name} sent what is not an object")
        return message

    def ask(self, message: object, answer: str) -> dict[str, object]:
        """The value of the answer's one member, which must be `answer`."""
        self.send(message)
        return self.hear(answer)

    def hear(self, answer: str) -> dict[str, object]:
        """The value of the next message's one member, which must be `answer`."""
        got = self.receive()
        value = got.get(answer)
        if not isinstance(value, dict):
            raise self._refused(got, f"did not say {answer}")
        return value

    def expect(self, word: str) -> None:
        """Wait for `{word: true}`."""
        got = self.receive()
        if got.get(word) is not True:
            raise self._refused(got, f"did not say {word}")

    def _refused(self, said: dict[str, object], otherwise: str) -> ControlError:
        why = str(said.get("refused") or f"the {self.name} {otherwise}")
        return ControlError(why, str(said.get("hint", "")))


@dataclass(slots=True)
class Signals:
    """Signals as readable bytes, for the wait; `check` looks for one that came before it.

    `ignored` are those that were ignored when we were started (nohup, a shell's background job): so they stay, for
    us and for the command. `launched`: the command was told to start. A handler never raises: an exception could
    come in the middle of anything.
    """

    reader: int = -1
    ignored: tuple[int, ...] = ()
    stopped: int = 0
    launched: bool = False

    def handle(self, number: int, _frame: FrameType | None) -> None:
        if number in IMPATIENT:
            self.stopped = self.stopped or number

    def check(self) -> None:
        """Nothing, unless somebody wants the run to stop before it has begun.

        Raises:
            Interrupted: so it is.
        """
        if self.stopped:
            raise Interrupted(self.stopped)

    def read(self) -> list[int]:
        try:
            return list(os.read(self.reader, 512))
        except BlockingIOError:
            return []


@contextlib.contextmanager
def signals() -> Iterator[Signals]:
    """Our handlers for as long as the run lasts; those before come back after it."""
    reader, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    ignored = tuple(n for n in FORWARDED if signal.getsignal(n) is signal.SIG_IGN)
    state = Signals(reader=reader, ignored=ignored)
    before = {
        number: signal.signal(number, state.handle)
        for number in (*FORWARDED, signal.SIGWINCH, signal.SIGPIPE)
        if number not in ignored
    }
    wakeup = signal.set_wakeup_fd(writer)
    try:
        yield state
    finally:
        signal.set_wakeup_fd(wakeup)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(reader)
        os.close(writer)


@dataclass(frozen=True, slots=True)
class Ended:
    """How the command ended: a shell's exit code, and for `timeout` and `changed` (what changed) that we ended it."""

    code: int
    timeout: bool = False
    error: str = ""
    changed: str = ""


def wait(
    command: Control,
    witnesses: tuple[Control, ...],
    state: Signals,
    terminal: Terminal | None,
    timeout: float | None,
    live: Live | None = None,
) -> Ended:
    """Blocks until the command has ended, or is to be: its time is over, or the gate says that the boundary changed.

    `live` shows people what happens meanwhile.

    Raises:
        ControlError: gate or notary died first, or the boundary's own first process.
    """
    poll = select.poll()
    for control in (command, *witnesses):
        poll.register(control.peer, select.POLLIN)
    poll.register(state.reader, select.POLLIN)
    if live is not None:
        poll.register(live.peer, select.POLLIN)
    for control in witnesses:
        if b"\n" in control.rest:
            control.overhear()  # it came with an answer; the poll below would not know of it
    deadline = None if timeout is None else time.monotonic() + timeout
    late, seen = False, 0
    watched: set[int] = set()
    while True:
        watched = _watch(poll, terminal, watched)
        left = None if deadline is None else max(0.0, deadline - time.monotonic()) * 1000
        ready = dict(poll.poll(left if live is None else live.patience(left)))
        for control in witnesses:
            if control.peer.fileno() in ready:
                said = control.overhear()
                if said is not None:
                    return Ended(128 + int(signal.SIGKILL), changed=_what(said))
        if terminal is not None:
            for number in ready.keys() & watched:
                terminal.handle(number, ready[number])
        if live is not None:
            live.turn(live.peer.fileno() in ready)
        if state.reader in ready:
            seen = _forward(state.read(), command, terminal, seen)
        if command.peer.fileno() in ready:
            return _ended(command.receive(), late)
        if deadline is not None and time.monotonic() >= deadline:
            if late:
                return Ended(EXIT_TIMEOUT, timeout=True)
            command.send({"signal": int(signal.SIGTERM)})
            late, deadline = True, time.monotonic() + GRACE_SECONDS
        if seen > 1:
            return Ended(128 + int(signal.SIGKILL))


def stopped(gate: Control) -> tuple[dict[str, object], str]:
    """Tells the gate to stop: its counts, and what it says of a change of the boundary that came just before.

    Raises:
        ControlError: it is gone, or said something else.
    """
    gate.send({"stop": True})
    said, changed = gate.receive(), ""
    while "changed" in said:
        said, changed = gate.receive(), changed or _what(said)
    counts = said.get("stopped")
    if not isinstance(counts, dict):
        raise ControlError("the gate did not say stopped")
    return counts, changed


def _what(said: dict[str, object]) -> str:
    found = said.get("changed")
    return str(found.get("what", "?")) if isinstance(found, dict) else "?"


def _watch(poll: select.poll, terminal: Terminal | None, watched: set[int]) -> set[int]:
    wanted = terminal.fds() if terminal is not None else {}
    for number in watched - wanted.keys():
        poll.unregister(number)
    for number, events in wanted.items():
        poll.register(number, events)
    return set(wanted)


def _forward(numbers: list[int], command: Control, terminal: Terminal | None, seen: int) -> int:
    for number in numbers:
        if number == signal.SIGWINCH and terminal is not None:
            terminal.resize()
        elif number in FORWARDED:
            command.send({"signal": number})
            seen += number in IMPATIENT
    return seen


def impatient(numbers: list[int]) -> bool:
    """Whether one of these signals means that somebody does not want to wait any longer."""
    return any(number in IMPATIENT for number in numbers)


def _ended(message: dict[str, object], late: bool) -> Ended:
    how = message.get("exit")
    if not isinstance(how, dict):
        raise ControlError("the boundary's first process did not say how the command ended")
    code = 128 + int(how["signal"]) if "signal" in how else int(how["code"])
    return Ended(EXIT_TIMEOUT if late else code, late, str(how.get("error", "")))
