"""`sluicegate keygen NAME`: an Ed25519 pair as NAME.key and NAME.pub."""

from __future__ import annotations

import contextlib
import os
import secrets
import sys
from collections.abc import Sequence

from sluicegate.cli import say
from sluicegate.evidence import keys

USAGE = """\
usage: sluicegate keygen NAME

Makes an Ed25519 key: NAME.key to sign with (keep it secret), NAME.pub to verify with (give it away).
"""


def main(argv: Sequence[str]) -> int:
    """0 when both files were written; 2 otherwise. Existing files are never overwritten."""
    if list(argv) in (["-h"], ["--help"]):
        sys.stdout.write(USAGE)
        return 0
    if len(argv) != 1 or argv[0].startswith("-"):
        say.complain(f"want one NAME, got {len(argv)}", USAGE.splitlines()[0])
        return 2
    if os.path.basename(argv[0]) in {"", ".", ".."}:
        say.complain(f"{argv[0]!r} names no file", "for example: sluicegate keygen release")
        return 2
    seed = secrets.token_bytes(32)
    public = keys.signer(seed)[1]
    files = (
        (f"{argv[0]}.key", 0o600, keys.write_private(seed)),
        (f"{argv[0]}.pub", 0o644, keys.write_public(bytes.fromhex(public))),
    )
    for path, _, _ in files:
        if os.path.lexists(path):
            say.complain(f"{path} exists", "choose another name")
            return 2
    written: list[str] = []
    try:
        for path, mode, text in files:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            with os.fdopen(os.open(path, flags, mode), "w") as out:
                written.append(path)
                out.write(text)
    except OSError as error:
        for path in written:
            with contextlib.suppress(OSError):
                os.unlink(path)
        say.complain(f"can not write {path}: {error.strerror}", "choose another place")
        return 2
    sys.stdout.write(say.visible(f"{argv[0]}.key") + "\n")
    sys.stdout.write(say.visible(f"{argv[0]}.pub {public}") + "\n")
    return 0
