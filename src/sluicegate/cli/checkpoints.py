"""The signed checkpoints of a run that is going on, to places where a later cut or rewrite can not reach them.

Each is one line on stderr, which a job's log keeps, and the note itself in the file that --checkpoint-file names.
"""

from __future__ import annotations

import contextlib
import os
import stat
import threading
from collections.abc import Callable

from sluicegate.cli import say
from sluicegate.cli.opening import SetupError
from sluicegate.cli.supervise import ControlError


class Checkpoints:
    """What was told so far: `last` is the newest as a line, `descriptor` the file's or None."""

    def __init__(self, descriptor: int | None, *, quiet: bool) -> None:
        self.descriptor, self.quiet = descriptor, quiet
        self.last = ""
        # Set while the command has the terminal that is our stderr: a line of ours would stand in its screen.
        self.silent = False
        # How a line is printed while the command runs: other things may stand where it is to go.
        self.say: Callable[[str], None] = say.say
        self._printing: threading.Thread | None = None

    def keep(self, text: str) -> None:
        """Append the note `text` to the file, whole or not at all, and know it as the last.

        Raises:
            ControlError: the notary told something else, or the file could not be written.
        """
        from sluicegate.evidence import note

        try:
            self.last = "checkpoint " + note.one_line(text.encode())
        except note.NoteError as error:
            raise ControlError(f"the notary told no checkpoint: {error}") from error
        if self.descriptor is None:
            return
        data, before = text.encode(), os.fstat(self.descriptor).st_size
        try:
            written = os.write(self.descriptor, data)
            why = "the disk is full" if written < len(data) else ""
        except OSError as error:
            why = str(error.strerror)
        if why:
            with contextlib.suppress(OSError):
                os.ftruncate(self.descriptor, before)
            raise ControlError(
                f"a checkpoint could not be written: {why}", "choose another --checkpoint-file"
            )

    def told(self, text: str) -> None:
        """`keep`, and print the line without waiting for whoever reads it.

        Who does not read our stderr must not hold up signals and the time limit; while one line waits, the next are
        not printed. The file has them.
        """
        self.keep(text)
        waiting = self._printing is not None and self._printing.is_alive()
        if not (self.quiet or self.silent or waiting):
            self._printing = threading.Thread(target=self.say, args=(self.last,), daemon=True)
            self._printing.start()

    def show(self) -> None:
        """Print the last one, after those that were told before it."""
        if self._printing is not None:
            self._printing.join()
        if not self.quiet and self.last:
            say.say(self.last)


def create(path: str, owner: tuple[int, int] | None) -> int:
    """A descriptor of the new file `path` (absolute), given to `owner` (uid, gid).

    Raises:
        SetupError: there is something, or it can not be made.
    """
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, 0o644)
    except FileExistsError as error:
        raise SetupError(
            f"--checkpoint-file {path} exists", "name a new one: a run's checkpoints are its own"
        ) from error
    except OSError as error:
        raise SetupError(
            f"can not make --checkpoint-file {path}: {error.strerror}", "choose another place"
        ) from error
    if owner is not None:
        os.fchown(descriptor, *owner)
    return descriptor


def let_go(path: str, descriptor: int) -> None:
    """Close the file of `create`; remove it if nothing was told, so that the same command can be given again."""
    held = os.fstat(descriptor)
    os.close(descriptor)
    if held.st_size == 0:
        with contextlib.suppress(OSError):
            now = os.stat(path, follow_symlinks=False)
            if stat.S_ISREG(now.st_mode) and os.path.samestat(now, held):
                os.unlink(path)
