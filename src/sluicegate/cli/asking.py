"""`run --ask`: a person at the terminal decides about destinations that no rule names.

The command has a terminal of its own, so it can type nothing here. While a question is open, what it prints waits, and
one key of the person's is the answer; the gate's flows to that destination wait, and nothing else does.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from sluicegate.boundary.terminal import Terminal
from sluicegate.cli import closing, policyfiles, say, statusline
from sluicegate.cli.opening import Plan, SetupError
from sluicegate.cli.supervise import ControlError
from sluicegate.policy import amend, ask, remedies
from sluicegate.policy.model import PolicyError

# How long a question stays open. Clients give up after some minutes; nobody is there any more by then.
ANSWER_SECONDS = 120.0
# Keys that come sooner were typed for the command, and answers of the terminal to what it printed come as quickly.
GUARD_SECONDS = 1.0
KEYS = {b"o": ask.ONCE, b"r": ask.RUN, b"a": ask.POLICY, b"d": ask.DENY}
STOPS = (b"\x03", b"\x04")  # Ctrl-C and Ctrl-D deny
CHOICES = "o once, r for this run, a add to the policy, d deny: "
COMMENT = "allowed by a person whom a run asked"
MAX_PORT = 65_535
_TEXTS = ("host", "url", "program")


@dataclass(frozen=True, slots=True)
class Question:
    """What the gate asks; `connection` is its number of the connection that waits first."""

    number: int
    connection: int
    host: str
    port: int
    url: str
    method: str
    program: str


class Asker:
    """Shows what the gate asks (`heard`), and tells it the answers. `answers` are those of the run, in their order."""

    def __init__(self) -> None:
        self.answers: list[dict[str, object]] = []
        self.reply: Callable[[Mapping[str, object]], None] | None = None
        self._terminal: Terminal | None = None
        self._line = statusline.Line(b"\r\n")
        self._open: Question | None = None
        self._shown = False
        self._until = self._guard = 0.0

    def begin(self, terminal: Terminal | None, line: statusline.Line | None) -> None:
        """The command is about to start; `line` is what already knows where the terminal's cursor is."""
        self._terminal = terminal
        if terminal is not None and line is None:
            terminal.before = self._line.before
        self._line = line or self._line

    def heard(self, message: Mapping[str, object]) -> None:
        """A question from the gate.

        Raises:
            ControlError: it is none, or one too many.
        """
        question = _question(message)
        due = question is not None and question.number == len(self.answers) < ask.MAX_QUESTIONS
        if question is None or not due or self._open is not None:
            raise ControlError("the gate asked what is no question")
        self._open, self._shown = question, False
        self._until = time.monotonic() + ANSWER_SECONDS
        if self._terminal is None:
            self._open = None  # the command has ended: nobody is asked any more

    def patience(self, left: float | None) -> float | None:
        """For how many milliseconds the wait may sleep, of `left` (None: for ever)."""
        if self._open is None:
            return left
        mine = max(0.0, self._until - time.monotonic()) * 1000
        # Whether the terminal is ours to use is told by nobody.
        mine = mine if self._shown else min(mine, GUARD_SECONDS * 1000)
        return mine if left is None else min(left, mine)

    def turn(self) -> None:
        """Show what is to be asked; a question whose time is over, or whose terminal is gone, is denied."""
        terminal = self._terminal
        if self._open is None or terminal is None:
            return
        if terminal.ended or time.monotonic() >= self._until:
            self._answer(ask.UNANSWERED)
        elif not self._shown and terminal.usable:
            self._show(terminal, self._open)

    def finish(self) -> None:
        """The command has ended: nothing is asked any more."""
        if self._terminal is not None and self._shown:
            self._terminal.show(b"\r\n")
            self._terminal.resume(redraw=False)
        self._terminal = self._open = None
        self._shown = False

    def _show(self, terminal: Terminal, question: Question) -> None:
        self._shown = True
        self._guard = time.monotonic() + GUARD_SECONDS
        begun = b"" if self._line.at_start and not self._line.owned else b"\r\n"
        clear = self._line.before(b"")
        terminal.pause(self._typed)
        who = question.program or "the command"
        what = f"{who} wants {question.method}{question.url}"
        about = f"no rule allows {question.host} port {question.port}"
        how = f"denied in {ANSWER_SECONDS:.0f} seconds; {CHOICES}"
        text = f"{say.PREFIX}{what}; {about}\r\n{say.PREFIX}{how}"
        terminal.show(clear + begun + text.encode("ascii", "replace"))

    def _typed(self, data: bytes) -> bytes:
        """Bytes from the person's terminal: the answer, or (what is returned) still the command's."""
        now = time.monotonic()
        if now < self._guard:
            return data
        word = ask.DENY if data in STOPS else KEYS.get(data.lower())
        if word is None:
            # A paste, or the terminal's own answer to a question: what comes with it is no answer to ours.
            self._guard_again(now)
        else:
            self._answer(word)
        return b""

    def _guard_again(self, now: float) -> None:
        self._guard = now + GUARD_SECONDS

    def _answer(self, word: str) -> None:
        question, self._open = self._open, None
        if question is None or self.reply is None:
            return
        if self._terminal is not None and self._shown:
            self._terminal.show(f"{word}\r\n".encode())
            self._terminal.resume(redraw=self._line.owned)
        self._shown = False
        known = {"connection": question.connection, "host": question.host, "port": question.port}
        self.answers.append({**known, "answer": word})
        self.reply({"answer": {"number": question.number, "word": word}})


def _question(message: Mapping[str, object]) -> Question | None:
    number, connection, port = (message.get(name) for name in ("number", "connection", "port"))
    texts = [message.get(name) for name in _TEXTS]
    method = message.get("method")
    if type(number) is not int or type(connection) is not int or type(port) is not int:
        return None
    if not all(isinstance(text, str) for text in texts) or not 0 < port <= MAX_PORT:
        return None
    host, url, program = (closing.ascii_text(str(text)) for text in texts)
    said = f"{closing.ascii_text(method)} " if isinstance(method, str) else ""
    return Question(number, connection, host, port, url, said, program)


def marked(plan: Plan) -> Plan:
    """The plan of a run with --ask: its policies say so, and their files are known as they are now.

    Raises:
        SetupError: there is nobody to be asked, or nothing that could be.
        PolicyError: a file can not be read any more.
    """
    policies = plan.policies
    if not (os.isatty(0) and os.isatty(2)):
        raise SetupError(
            "--ask needs a terminal on stdin and stderr",
            "leave it out where nobody sits: what no rule allows is denied",
        )
    if any(policy.observe for policy in policies):
        raise SetupError("--ask in observe mode, which lets everything through", "choose one")
    if any(policy.inspect == "all" for policy in policies):
        raise SetupError(
            "--ask with `inspect: all`: the authority of a run knows the names of rules alone",
            "set `inspect: auto` for this run",
        )
    files = policyfiles.paths(plan.options.policies, plan.spec.workspace)
    return replace(
        plan,
        policies=tuple(replace(policy, ask=True) for policy in policies),
        texts=tuple(policyfiles.text(path, path) for path in files),
    )


def add(plan: Plan, answers: list[dict[str, object]]) -> None:
    """The rules that a person wanted in the policy, put there, or shown if the file is not as the run began with it."""
    wanted = [one for one in answers if one["answer"] == ask.POLICY]
    if not wanted:
        return
    rules = [_rule(str(one["host"]), int(str(one["port"]))) for one in wanted]
    paths = policyfiles.paths(plan.options.policies, plan.spec.workspace)
    why = "there are several policies" if len(paths) > 1 else "there is no policy file"
    if len(paths) == 1:
        why = _written(paths[0], plan.texts[0], rules)
    if not why:
        say.say(f"{len(rules)} rules were added to {paths[0]}; read them: git diff {paths[0]}")
        return
    say.say(f"not added to the policy: {why}; add under `allow:`")
    for rule in rules:
        say.say("\n".join(f"  {line}" for line in rule.splitlines()))


def _rule(host: str, port: int) -> str:
    bare = host.replace(":", "").replace(".", "").isalnum() and (":" in host or host[-1].isdigit())
    return remedies.plain(None if bare else host, host if bare else None, port)


def _written(path: str, known: str, rules: list[str]) -> str:
    """Why the rules could not be put into the file, which had the text `known`; empty if they are there now."""
    directory, name = os.path.split(os.path.abspath(path))
    try:
        where = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        return str(error.strerror).lower()
    try:
        held = os.stat(name, dir_fd=where, follow_symlinks=False)
        if not stat.S_ISREG(held.st_mode) or held.st_nlink > 1:
            return f"{path} is a link"
        if policyfiles.text(path, path) != known:
            return f"{path} was changed meanwhile"
        text = amend.amended(known, rules, COMMENT)
        if text is None:
            return f"the `allow` of {path} is not a plain list"
        _replace(where, name, held, text.encode())
    except (OSError, PolicyError) as error:
        return str(getattr(error, "strerror", None) or error).lower()
    finally:
        os.close(where)
    return ""


def _replace(where: int, name: str, held: os.stat_result, data: bytes) -> None:
    """The file's content, at once, its owner and mode as they were."""
    new = f".{name}.{os.urandom(8).hex()}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    file = os.open(new, flags, 0o600, dir_fd=where)
    try:
        with os.fdopen(file, "wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
            if (held.st_uid, held.st_gid) != (os.geteuid(), os.getegid()):
                os.fchown(out.fileno(), held.st_uid, held.st_gid)
            os.fchmod(out.fileno(), stat.S_IMODE(held.st_mode))
        os.rename(new, name, src_dir_fd=where, dst_dir_fd=where)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(new, dir_fd=where)
        raise
