"""SHELL. Secrets that come on a descriptor or from a person at the terminal, each read once into memory of its own."""

from __future__ import annotations

import fcntl
import os
import select
import stat
import termios

from sluicegate.boundary import syscalls
from sluicegate.cli.options import OptionError
from sluicegate.evidence import keys

MAX_PASSPHRASE_BYTES = 1024  # no person types more, and it fits a pipe without a reader
EXAMPLE = '{option} {number} {number}< <(printf %s "$SECRET")'
LF, CR = 10, 13


def checked(option: str, number: int) -> str | None:
    """The path of the file behind descriptor `number`, which is then closed in what is started; None: it has none.

    To be asked before anything of ours is opened, which might get that number.

    Raises:
        OptionError: it is not there, not readable, or no source of bytes.
    """
    example = f"for example {EXAMPLE.format(option=option, number=number)}"
    try:
        found = os.fstat(number)
        access = fcntl.fcntl(number, fcntl.F_GETFL)
    except OSError as error:
        raise OptionError(
            f"{option} {number}: descriptor {number} is not open",
            f"{example}; sudo closes it, so there give it by stdin: "
            f"""sudo sh -c 'exec "$@" {number}<&0 </dev/null' sh sluicegate ...""",
        ) from error
    if stat.S_ISDIR(found.st_mode):
        raise OptionError(f"{option} {number}: descriptor {number} is a directory", example)
    if access & os.O_PATH or access & os.O_ACCMODE == os.O_WRONLY:
        raise OptionError(
            f"{option} {number}: descriptor {number} is not open for reading", example
        )
    os.set_inheritable(number, False)
    return _path(number, found)


def _path(number: int, found: os.stat_result) -> str | None:
    if not stat.S_ISREG(found.st_mode) or not found.st_nlink:
        return None
    try:
        path = os.readlink(f"/proc/self/fd/{number}")
        return path if os.path.samestat(os.stat(path), found) else None
    except OSError:
        return None


def read(number: int, most: int) -> memoryview:
    """All that descriptor `number` gives, of at most `most` bytes; it is closed. To be wiped by the caller.

    Raises:
        OptionError: there is more.
        OSError: reading failed.
    """
    held = bytearray(most + 1)
    syscalls.keep_in_memory(held)
    room, size = memoryview(held), 0
    poll = select.poll()
    poll.register(number, select.POLLIN)
    try:
        while size < len(held):
            poll.poll()  # the writer may have made it non-blocking
            got = os.readv(number, [room[size:]])
            if not got:
                return room[:size]
            size += got
    finally:
        os.close(number)
    keys.wipe(held)
    raise OptionError(f"descriptor {number} holds more than {most} bytes")


def passphrase(number: int) -> memoryview:
    """The one line that descriptor `number` holds, without its end.

    Raises:
        OptionError: no line, more than one, or too long a one.
        OSError: reading failed.
    """
    return _line(read(number, MAX_PASSPHRASE_BYTES), f"descriptor {number}")


def ask(prompt: str) -> memoryview:
    """What a person types at the terminal after `prompt`; it is not shown.

    Raises:
        OptionError: there is no terminal, or nothing was typed.
    """
    try:
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
        before = termios.tcgetattr(terminal)
    except (OSError, termios.error) as error:
        raise OptionError(
            "there is no terminal to ask for a passphrase", "use --passphrase-fd N"
        ) from error
    silent = list(before)
    silent[3] &= ~termios.ECHO
    held = bytearray(MAX_PASSPHRASE_BYTES + 1)
    syscalls.keep_in_memory(held)
    try:
        termios.tcsetattr(terminal, termios.TCSAFLUSH, silent)
        os.write(terminal, prompt.encode())
        # A terminal gives a line at a time; one without an end is an end of file in the middle of a line.
        size = os.readv(terminal, [held])
        if size > MAX_PASSPHRASE_BYTES:
            termios.tcflush(terminal, termios.TCIFLUSH)  # the rest of it is not for the command
            keys.wipe(held)
            raise OptionError(f"a passphrase has at most {MAX_PASSPHRASE_BYTES} bytes")
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)
        os.write(terminal, b"\n")
        os.close(terminal)
    return _line(memoryview(held)[:size], "the terminal")


def piped(secret: memoryview) -> int:
    """A descriptor to read `secret` from, once; `secret` is wiped."""
    out, into = os.pipe2(os.O_CLOEXEC)
    try:
        os.write(into, secret)
    finally:
        os.close(into)
        keys.wipe(secret)
    return out


def _line(data: memoryview, where: str) -> memoryview:
    size = len(data)
    if size and data[size - 1] == LF:
        size -= 1
    if size and data[size - 1] == CR:
        size -= 1
    if not size:
        raise OptionError(f"{where} gave no passphrase", "an empty one protects nothing")
    if LF in data[:size]:
        keys.wipe(data)
        raise OptionError(f"{where} gave more than one line for a passphrase", "one line is wanted")
    return data[:size]
