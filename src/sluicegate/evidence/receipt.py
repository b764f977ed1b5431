"""ActionReceipt v1: what is signed, and what a receipt hashes to. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

Sign = Callable[[bytes], bytes]

_EFFECTS = {
    "read": ("external_read", "full"),
    "write": ("external_write", "compensatable"),
    "unclassified": ("none", "unknown"),
}


def effects(action_type: str) -> tuple[str, str]:
    """The side effect class and reversibility that go with `action_type`."""
    return _EFFECTS.get(action_type, ("external_write", "unknown"))


def envelope(record: bytes, signer_key: str, sign: Sign) -> bytes:
    """The canonical text of the signed receipt over `record`, which is canonical."""
    signature = sign(hashlib.sha256(record).digest()).hex()
    tail = f',"signature":"ed25519:{signature}","signer_key":"{signer_key}"}}'
    return b'{"version":1,"action_record":' + record + tail.encode()


def receipt_hash(raw: bytes) -> str:
    """The bare hex hash of a receipt's canonical bytes: chain link and root."""
    return hashlib.sha256(raw).hexdigest()
