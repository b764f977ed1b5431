"""SHELL. Where the signing key comes from: opened in the supervisor, read in the notary and nowhere else."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field

from sluicegate.boundary import identity, syscalls
from sluicegate.cli import secretfd
from sluicegate.cli.opening import SetupError
from sluicegate.cli.options import OptionError, Options
from sluicegate.evidence import keys

# Of a signing key's mode: whatever others may, and a group's writing (a group's reading is a deployment's choice).
LOOSE_BITS = 0o037
MAX_KEY_BYTES = 4096  # the longest text has about 300
# The first bytes of an encrypted text and of no other: what the supervisor may look at.
_MARK = keys.ENCRYPTED[:10].encode()


@dataclass(slots=True)
class Source:
    """Descriptors to read the key's text and its passphrase from, if there are any, and the files behind them.

    `secrets`: by name those of a policy's secrets, which the gate reads.
    """

    key: int | None = None
    passphrase: int | None = None
    files: tuple[str, ...] = ()
    secrets: dict[str, int] = field(default_factory=dict)

    def descriptors(self) -> list[int]:
        return [number for number in (self.key, self.passphrase) if number is not None]

    def close(self) -> None:
        """Once notary and gate have them they are nobody else's. Idempotent."""
        for number in (*self.descriptors(), *self.secrets.values()):
            os.close(number)
        self.key = self.passphrase = None
        self.secrets = {}


@contextlib.contextmanager
def opened(options: Options) -> Iterator[Source]:
    """What `options` name; closed in the end. Before anything else is opened, forked or handled: it may ask a person.

    Raises:
        OptionError, SetupError: there is no such key, or others than its owner may have it.
    """
    source = Source()
    try:
        _take(options, source)
        yield source
    finally:
        source.close()


def _take(options: Options, source: Source) -> None:
    if options.passphrase_fd is not None:
        path = secretfd.checked("--passphrase-fd", options.passphrase_fd)
        source.passphrase = options.passphrase_fd
        source.files += () if path is None else (path,)
    if options.key_fd is not None:
        path = secretfd.checked("--key-fd", options.key_fd)
        source.key = options.key_fd
        if path is not None:
            source.files += (path,)
            _tight(source.key, path, _owners(options))
    for name, number in options.secret_fds:
        path = secretfd.checked(f"--secret-fd {name}", number)
        source.secrets[name] = number
        source.files += () if path is None else (path,)
    if options.key is not None:
        source.key = _open(options.key)
        _tight(source.key, options.key, _owners(options))
        if source.passphrase is None and os.pread(source.key, len(_MARK), 0) == _MARK:
            source.passphrase = _asked(options.key)


def _open(path: str) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        why = "it is a symbolic link" if error.errno == errno.ELOOP else error.strerror
        raise SetupError(
            f"can not read the key {path}: {why}", "make one: sluicegate keygen NAME"
        ) from error


def _owners(options: Options) -> set[int]:
    """Whose a key may be: root's, ours, sudo's caller's, and for root the workspace's owner's, whose run it is."""
    ours = os.geteuid()
    if ours:
        return {0, ours}
    caller = identity.number(os.environ, "SUDO_UID")
    with contextlib.suppress(OSError):
        return {0, os.stat(options.workdir).st_uid if caller is None else caller}
    return {0}


def _tight(key: int, path: str, owners: set[int]) -> None:
    """Raises SetupError if the key is no file, or one that others may read or change."""
    found = os.fstat(key)
    mode = found.st_mode
    if not stat.S_ISREG(mode):
        raise SetupError(f"the key {path} is not a regular file", "name the .key file of keygen")
    if found.st_uid not in owners:
        raise SetupError(
            f"the key {path} belongs to uid {found.st_uid}, who may read and change it",
            f"chown {os.geteuid()} {path}, and make a new one if they may have read it",
        )
    if mode & LOOSE_BITS:
        raise SetupError(
            f"the key {path} may be read or changed by others (mode {stat.S_IMODE(mode):04o})",
            f"chmod 600 {path}, and make a new one if others may have read it",
        )


def _asked(path: str) -> int:
    if not os.isatty(0):
        example = secretfd.EXAMPLE.format(option="--passphrase-fd", number=4)
        raise SetupError(
            f"the key {path} is encrypted, and there is no terminal to ask for its passphrase",
            f"give it: {example}",
        )
    return secretfd.piped(secretfd.ask(f"passphrase of {os.path.basename(path)!a}: "))


def seed(key: int, passphrase: int | None) -> bytearray:
    """The 32 bytes that both descriptors give, in memory of its own, to be wiped. For the notary, when it is one.

    Raises:
        keys.KeyTextError, OptionError: there is no key, or the passphrase is not its own.
        OSError: reading failed.
    """
    word = memoryview(b"") if passphrase is None else secretfd.passphrase(passphrase)
    text = secretfd.read(key, MAX_KEY_BYTES)
    try:
        found = keys.read_private(text, word)
    finally:
        for secret in (text, word):
            keys.wipe(secret)
    syscalls.keep_in_memory(found)
    return found


def why(error: Exception) -> tuple[str, str]:
    """What to tell a person about a failure of `seed`, and the remedy."""
    hint = error.hint if isinstance(error, keys.KeyTextError | OptionError) else ""
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return (
        f"the signing key can not be used: {said}",
        hint or "it is the whole text of a NAME.key that `sluicegate keygen NAME` makes",
    )
