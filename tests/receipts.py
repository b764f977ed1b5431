"""Receipts made of their fields in the plain way: what templates must come to, and what a forger signs."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from sluicegate.evidence import canonical, receipt


def sign_input(record: Mapping[str, object]) -> bytes:
    """The 32 bytes that are signed: SHA-256 over the canonical record."""
    return hashlib.sha256(canonical.encode(canonical.record(record))).digest()


def sealed(fields: Mapping[str, object], signer_key: str, sign: receipt.Sign) -> bytes:
    """The canonical text of the signed receipt over `fields`."""
    return receipt.envelope(canonical.encode(canonical.record(fields)), signer_key, sign)
