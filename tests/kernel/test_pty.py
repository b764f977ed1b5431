"""An interactive command: a terminal of its own, its size, Ctrl-C and job control."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import shlex
import signal
import struct
import termios

from tests.conftest import Tier, catcher

LIMIT_MS = 20_000  # a broken terminal shows as silence; this only bounds the failure


class Screen:
    """A pseudo-terminal with a `sluicegate run` on it; `whole` is all that was read from it so far."""

    whole = b""

    def __init__(
        self,
        tier: Tier,
        command: list[str],
        columns: int,
        *options: str,
        term: str = "dumb",
        policy: str = "version: 1\n",
    ) -> None:
        argv, self.packet = tier.argv(command, policy, *options)
        enter = tier.world.enter(tier.user)
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(tier.work)
            size = struct.pack("HHHH", 33, columns, 0, 0)
            fcntl.ioctl(0, termios.TIOCSWINSZ, size)
            if term != "dumb" and tier.user is not None:
                os.fchown(
                    0, tier.user, -1
                )  # as a login does; another's terminal gets no line of ours
            env = {"PATH": os.environ["PATH"], "HOME": str(tier.work), "TERM": term}
            os.execvpe(enter[0], [*enter, *argv], env)
        self.seen = b""

    def until(self, word: str) -> str:
        """Everything up to and with `word`; fails when the terminal falls silent before."""
        poll = select.poll()
        poll.register(self.fd, select.POLLIN)
        while word.encode() not in self.seen:
            assert poll.poll(LIMIT_MS), f"waiting for {word!r}, saw {self.seen!r}"
            self.seen += (some := os.read(self.fd, 4096))
            self.whole += some
        text, _, self.seen = self.seen.partition(word.encode())
        return text.decode() + word

    def type(self, text: str) -> None:
        os.write(self.fd, text.encode())

    def end(self) -> int:
        try:
            while some := os.read(self.fd, 4096):
                self.whole += some
        except OSError:
            os.close(self.fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def test_size_interrupt_and_exit_code(tier: Tier) -> None:
    caught = shlex.join(catcher(signal.SIGINT))
    screen = Screen(tier, ["sh", "-c", f"tty; stty size; exec {caught}"], 101)
    said = screen.until("ready")
    assert "/dev/pts/0" in said
    assert "33 101" in said
    screen.type("\x03")
    screen.until("caught")
    assert screen.end() == 9
    assert (screen.packet / "packet.json").exists()


def test_job_control_and_a_new_size(tier: Tier) -> None:
    screen = Screen(tier, ["bash", "--norc", "--noediting", "-i"], 80)
    screen.until("$ ")
    screen.type("echo u''p; cat\n")
    screen.until("up\r\n")
    screen.type("to cat\n")
    screen.until("to cat\r\nto cat\r\n")
    screen.type("\x1a")
    screen.until("Stopped")
    screen.type("fg\n")
    screen.type("again\n")
    screen.until("again\r\n")
    screen.until("again\r\n")
    screen.type("\x03")
    # The shell throws away what was typed before it is back at its prompt.
    screen.until("$ ")
    screen.type("echo gone-$?\n")
    screen.until("\ngone-130")
    screen.until("$ ")
    fcntl.ioctl(screen.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 44, 111, 0, 0))
    # The new size comes by a signal: asked until it is there.
    screen.type('until [ "$(stty size)" = "44 111" ]; do :; done; echo size-ok\n')
    screen.until("\nsize-ok")
    screen.type("exit 5\n")
    assert screen.end() == 5


def test_without_a_terminal_there_is_none_inside(tier: Tier) -> None:
    done = tier.run(["sh", "-c", "tty; test -t 1 || echo none"])
    assert done.out == "not a tty\nnone\n"


def test_no_checkpoint_is_printed_into_the_commands_screen(tier: Tier) -> None:
    file = tier.work.parent / "told"
    script = "curl -s -o /dev/null http://denied.test/; echo ready; read x; echo going"
    options = ("--checkpoint-seconds", "1", "--checkpoint-file", str(file))
    screen = Screen(tier, ["sh", "-c", script], 80, *options)
    screen.until("ready")
    with file.open() as told:
        # The second note is told during the command; the first was before it.
        while told.seek(0) or told.read().count("\n\u2014 ") < 2:
            assert os.waitpid(screen.pid, os.WNOHANG) == (0, 0)
    screen.type("x\n")
    assert screen.end() == 0
    before, _, after = screen.whole.partition(b"ready")
    meanwhile, _, after = after.partition(b"going")
    counts = [text.count(b"sluicegate: checkpoint ") for text in (before, meanwhile, after)]
    assert counts == [1, 0, 1], screen.whole
    assert file.read_text().count("\n\u2014 ") >= 3
