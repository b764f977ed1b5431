"""`sluicegate keygen NAME`: an Ed25519 pair as NAME.key and NAME.pub."""

from __future__ import annotations

import os
import secrets
import sys

from sluicegate.evidence import keys


def main(argv: list[str]) -> int:
    """0 when both files were written; 2 otherwise. Existing files are never overwritten."""
    if len(argv) != 1 or argv[0].startswith("-"):
        print("sluicegate: usage: keygen NAME", file=sys.stderr)
        return 2
    seed = secrets.token_bytes(32)
    public = keys.write_public(bytes.fromhex(keys.signer(seed)[1]))
    for path in (f"{argv[0]}.key", f"{argv[0]}.pub"):
        if os.path.lexists(path):
            print(f"sluicegate: {path} exists", file=sys.stderr)
            return 2
    try:
        for suffix, mode, text in (
            (".key", 0o600, keys.write_private(seed)),
            (".pub", 0o644, public),
        ):
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
            with os.fdopen(os.open(argv[0] + suffix, flags, mode), "w") as out:
                out.write(text)
    except OSError as error:
        print(f"sluicegate: {error}", file=sys.stderr)
        return 2
    return 0
