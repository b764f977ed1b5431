"""Rotation endorsements: the old key's word for the new one. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from sluicegate.evidence import canonical, keys
from sluicegate.verify import strict
from sluicegate.verify.strict import need

_DOMAIN = b"pipelock-rotation-endorsement-v1\0"
_SIGNED = (
    *("version", "session_id", "prior_signer_key", "prior_final_seq", "prior_tail_hash"),
    *("new_signer_key", "rotated_at"),
)


@dataclass(frozen=True, slots=True)
class Boundary:
    """Where one key ends and another begins."""

    session: str
    prior_key: str
    prior_seq: int
    prior_hash: str
    new_key: str


@dataclass(frozen=True, slots=True)
class Endorsement:
    """A boundary that the old key signed."""

    boundary: Boundary


def read(data: bytes) -> Endorsement:
    """The endorsement that `data` is the JSON text of.

    Raises:
        VerificationError: another shape, or not signed by the old key.
    """
    what = "rotation endorsement"
    found = strict.value(data, what)
    need(found.keys() == {*_SIGNED, "endorsement"}, f"{what}: the members")
    need(found["version"] == 1 and found["version"] is not True, f"{what}: version")
    names = set(_SIGNED) - {"version", "prior_final_seq"}
    texts = {name: strict.text(found[name], f"{what}: {name}") for name in names}
    need(texts["session_id"].strip(), f"{what}: session_id")
    strict.time(texts["rotated_at"], f"{what}: rotated_at")
    old = strict.raw_hex(texts["prior_signer_key"], 32, f"{what}: prior_signer_key")
    new = strict.raw_hex(texts["new_signer_key"], 32, f"{what}: new_signer_key")
    strict.raw_hex(texts["prior_tail_hash"], 32, f"{what}: prior_tail_hash")
    need(old != new, f"{what}: the keys are the same")
    seq = strict.count(found["prior_final_seq"], f"{what}: prior_final_seq")
    signature = strict.text(found["endorsement"], f"{what}: endorsement")
    need(signature.startswith("ed25519:"), f"{what}: endorsement without its prefix")
    given = strict.raw_hex(signature[len("ed25519:") :], 64, f"{what}: endorsement")
    signed = canonical.encode({name: found[name] for name in _SIGNED})
    digest = hashlib.sha256(_DOMAIN + signed).digest()
    need(keys.verifies(old, given, digest), f"{what}: signature verification failed")
    return Endorsement(
        Boundary(
            texts["session_id"],
            texts["prior_signer_key"],
            seq,
            texts["prior_tail_hash"],
            texts["new_signer_key"],
        )
    )
