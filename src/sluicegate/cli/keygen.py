"""`sluicegate keygen NAME`: an Ed25519 pair as NAME.key and NAME.pub."""

from __future__ import annotations

import contextlib
import getopt
import os
import secrets
import sys
from collections.abc import Sequence

from sluicegate.cli import options, say, secretfd
from sluicegate.evidence import keys

USAGE = """\
usage: sluicegate keygen NAME [--encrypt [--passphrase-fd N]]

Makes an Ed25519 key: NAME.key to sign with (keep it secret), NAME.pub to verify with (give it away).

  --encrypt           NAME.key opens with a passphrase only, which is asked for twice
  --passphrase-fd N   the passphrase is the line in descriptor N: 3< <(printf %s "$SECRET")
"""


def main(argv: Sequence[str]) -> int:
    """0 when both files were written; 2 otherwise. Existing files are never overwritten."""
    if list(argv) in (["-h"], ["--help"]):
        sys.stdout.write(USAGE)
        return 0
    try:
        pairs, names = getopt.gnu_getopt(list(argv), "", ["encrypt", "passphrase-fd="])
    except getopt.GetoptError as error:
        say.complain(str(error), USAGE.splitlines()[0])
        return 2
    given = {name.removeprefix("--"): value for name, value in pairs}
    if len(names) != 1:
        say.complain(f"want one NAME, got {len(names)}", USAGE.splitlines()[0])
        return 2
    name = names[0]
    if os.path.basename(name) in {"", ".", ".."}:
        say.complain(f"{name!r} names no file", "for example: sluicegate keygen release")
        return 2
    for path in (f"{name}.key", f"{name}.pub"):
        if os.path.lexists(path):
            say.complain(f"{path} exists", "choose another name")
            return 2
    seed = secrets.token_bytes(keys.SEED_BYTES)
    try:
        text = _private(seed, name, given)
    except (options.OptionError, keys.KeyTextError) as error:
        say.complain(str(error), error.hint)
        return 2
    except OSError as error:
        say.complain(f"can not read the passphrase: {error.strerror}")
        return 2
    return _write(name, text, keys.signer(seed)[1])


def _private(seed: bytes, name: str, given: dict[str, str]) -> str:
    """The text of NAME.key.

    Raises:
        OptionError: there is no passphrase for it.
    """
    number = options.descriptor("passphrase-fd", given)
    if "encrypt" not in given:
        if number is not None:
            raise options.OptionError("--passphrase-fd without --encrypt", "add --encrypt")
        return keys.write_private(seed)
    if number is not None:
        secretfd.checked("--passphrase-fd", number)
        word = secretfd.passphrase(number)
    else:
        word = _asked(f"{os.path.basename(name)}.key")
    try:
        salt, nonce = secrets.token_bytes(keys.SALT_BYTES), secrets.token_bytes(keys.NONCE_BYTES)
        return keys.write_encrypted(seed, word, salt, nonce)
    finally:
        keys.wipe(word)


def _asked(name: str) -> memoryview:
    word = secretfd.ask(f"passphrase for {name!a}: ")
    again = secretfd.ask("the same again: ")
    try:
        if word != again:
            keys.wipe(word)
            raise options.OptionError("the two passphrases differ", "nothing was written")
    finally:
        keys.wipe(again)
    return word


def _write(name: str, private: str, public: str) -> int:
    files = (
        (f"{name}.key", 0o600, private),
        (f"{name}.pub", 0o644, keys.write_public(bytes.fromhex(public))),
    )
    written: list[str] = []
    try:
        for path, mode, text in files:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            with os.fdopen(os.open(path, flags, mode), "w") as out:
                written.append(path)
                out.write(text)
    except OSError as error:
        for made in written:
            with contextlib.suppress(OSError):
                os.unlink(made)
        say.complain(f"can not write {path}: {error.strerror}", "choose another place")
        return 2
    sys.stdout.write(say.visible(f"{name}.key") + "\n")
    sys.stdout.write(say.visible(f"{name}.pub {public}") + "\n")
    return 0
