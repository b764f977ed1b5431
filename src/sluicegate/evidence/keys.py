"""Ed25519 keys as text. Pure: files are read and written by the caller."""

from __future__ import annotations

import base64
import binascii
import re

from sluicegate.evidence.receipt import Sign

PRIVATE = "pipelock-ed25519-private-v1"
PUBLIC = "pipelock-ed25519-public-v1"


class KeyTextError(Exception):
    """The text is not a key in a format we read."""


def signer(seed: bytes) -> tuple[Sign, str]:
    """A signing function, and the public key as 64 hex digits, of a 32-byte seed."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.from_private_bytes(seed)
    return key.sign, key.public_key().public_bytes_raw().hex()


def verifies(public: bytes, signature: bytes, message: bytes) -> bool:
    """Whether `signature` over `message` was made by the holder of `public`."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def write_private(seed: bytes) -> str:
    """The two-line private key text."""
    public = bytes.fromhex(signer(seed)[1])
    return f"{PRIVATE}\n{base64.b64encode(seed + public).decode()}\n"


def write_public(public: bytes) -> str:
    """The two-line public key text."""
    return f"{PUBLIC}\n{base64.b64encode(public).decode()}\n"


def read_private(text: str) -> bytes:
    """The seed in a private key text.

    Raises:
        KeyTextError: another format, or halves that do not belong together.
    """
    raw = _body(text, PRIVATE, 64)
    if bytes.fromhex(signer(raw[:32])[1]) != raw[32:]:
        raise KeyTextError("the public half does not belong to the private half")
    return raw[:32]


def read_public(text: str) -> bytes:
    """The key in a public key text, or in 64 hex digits.

    Raises:
        KeyTextError: neither of the two.
    """
    if re.fullmatch(r"[0-9a-fA-F]{64}", text.strip()):
        return bytes.fromhex(text.strip())
    return _body(text, PUBLIC, 32)


def _body(text: str, head: str, size: int) -> bytes:
    lines = text.strip().splitlines()
    if len(lines) != 2 or lines[0].strip() != head:
        raise KeyTextError(f"not a key text: the first line must be {head}")
    try:
        raw = base64.b64decode(lines[1].strip(), validate=True)
    except (binascii.Error, ValueError) as error:
        raise KeyTextError("the second line is not base64") from error
    if len(raw) != size:
        raise KeyTextError(f"the key has {len(raw)} bytes, not {size}")
    return raw
