"""Where reports go: files that appear whole or not at all, never through a link, never inside the packet."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
import tempfile
from collections.abc import Iterable
from typing import IO, Self

from sluicegate.report.summary import MAX_BYTES
from sluicegate.report.verdict import Case
from sluicegate.verify import files as reading
from sluicegate.verify.source import Source

STDOUT = "-"
# Of one report on stdout, which is held until it is whole; a file may have any size.
MAX_STDOUT_BYTES = 1 << 26
# Of the packet's files that a page carries; base64 makes a third more of it, and browsers open that at once.
MAX_EMBEDDED_BYTES = 8 << 20
# The file that a step's summary is collected in; all that write there append.
STEP_SUMMARY = "GITHUB_STEP_SUMMARY"
WORKSPACE = "GITHUB_WORKSPACE"


class OutputError(Exception):
    """A report can not be written there; the text says what to name instead."""


def outside(packet: str, names: Iterable[str]) -> None:
    """Nothing, if no name leads into the packet, where a file more would make it invalid.

    Raises:
        OutputError: one does.
    """
    inside = os.path.realpath(packet)
    for name in names:
        where = os.path.realpath(os.path.dirname(name) or ".")
        if name != STDOUT and where == inside:
            raise OutputError(f"{name}: inside the packet, which is sealed: name a file beside it")


def root() -> str:
    """The directory that paths of policies are shown from: the checkout's, else the current one."""
    return os.environ.get(WORKSPACE) or os.getcwd()


def embedded(packet: str, case: Case) -> dict[str, bytes] | None:
    """The packet's files by name, for the page to check again; None where they are too large, or no whole packet.

    Raises:
        UnreadableError, OSError: they can not be read any more.
    """
    if not case.report.streams:
        return None
    found, total = dict[str, bytes](), 0
    with reading.packet(packet) as files:
        for name, content in files.items():
            pieces = [content] if isinstance(content, bytes) else _bytes(content)
            held = []
            for piece in pieces:
                total += len(piece)
                if total > MAX_EMBEDDED_BYTES:
                    return None
                held.append(piece)
            found[name] = b"".join(held)
    return found


def _bytes(source: Source) -> Iterable[bytes]:
    for line in source:
        yield line + b"\n"


class Outputs:
    """Files by report, written beside their names and put in place by `publish`; without it, nothing was."""

    def __init__(self, names: dict[str, str]) -> None:
        self._names = names
        self._open: dict[str, IO[str]] = {}
        self._drafts: dict[str, str] = {}

    def __enter__(self) -> Self:
        try:
            for report, name in self._names.items():
                self._open[report] = self._begun(report, name)
        except OSError:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._open.values():
            with contextlib.suppress(OSError):
                file.close()
        for draft in self._drafts.values():
            with contextlib.suppress(OSError):
                os.unlink(draft)

    def write(self, report: str, text: str) -> None:
        """More of one report.

        Raises:
            OutputError: stdout does not take as much.
            OSError: it can not be written.
        """
        file = self._open[report]
        file.write(text)
        if self._names[report] == STDOUT and file.tell() > MAX_STDOUT_BYTES:
            raise OutputError(f"--{report}: more than {MAX_STDOUT_BYTES} bytes: name a file")

    def publish(self) -> None:
        """Every file in its place.

        Raises:
            OutputError: a summary's file is full.
            OSError: one can not be put there.
        """
        for report, file in self._open.items():
            file.flush()
            name = self._names[report]
            if report in self._drafts:
                os.replace(self._drafts[report], name)
                del self._drafts[report]
                continue
            file.seek(0)
            if name == STDOUT:
                sys.stdout.write(file.read())
            else:
                _into(name, file.read(), appended=_is_step_summary(name))

    def _begun(self, report: str, name: str) -> IO[str]:
        """A draft beside `name`; unnamed for what is no regular file of its own, as stdout or a pipe."""
        if name == STDOUT or _is_step_summary(name) or _is_special(name):
            return tempfile.TemporaryFile("w+", encoding="utf-8")
        directory, base = os.path.split(name)
        if not base:
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), name)
        try:
            descriptor, draft = tempfile.mkstemp(prefix=f".{base[:64]}.", dir=directory or ".")
        except OSError as error:
            raise OSError(error.errno, error.strerror, name) from error
        self._drafts[report] = draft
        mask = os.umask(0)
        os.umask(mask)
        os.fchmod(descriptor, 0o666 & ~mask)
        return os.fdopen(descriptor, "w", encoding="utf-8")


def _is_step_summary(name: str) -> bool:
    wanted = os.environ.get(STEP_SUMMARY)
    return bool(wanted) and os.path.abspath(name) == os.path.abspath(wanted or "")


def _is_special(name: str) -> bool:
    """Whether `name` is neither absent nor a file nor a link, which a new file replaces."""
    try:
        mode = os.lstat(name).st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISLNK(mode))


def _into(name: str, text: str, *, appended: bool) -> None:
    data = text.encode()
    flags = os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW | (os.O_APPEND if appended else 0)
    # Not blocking: nobody may ever read from a pipe that the command has put there.
    flags |= os.O_NONBLOCK
    descriptor = os.open(name, flags | (os.O_CREAT if appended else 0), 0o644)
    os.set_blocking(descriptor, True)
    with os.fdopen(descriptor, "wb") as file:
        if appended and os.fstat(descriptor).st_size + len(data) > MAX_BYTES:
            raise OutputError(
                f"{name}: with the report more than {MAX_BYTES} bytes, GitHub shows none"
            )
        file.write(data)
