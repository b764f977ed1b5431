"""EvidenceReceipt v2, which other producers mix into their records; ours never does. Pure."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sluicegate.evidence import canonical
from sluicegate.evidence.keys import verifies
from sluicegate.verify import strict
from sluicegate.verify.strict import need

_ALWAYS = {
    *("record_type", "receipt_version", "payload_kind", "event_id", "timestamp", "signature"),
    *("chain_seq", "chain_prev_hash", "payload"),
}
_OPTIONAL = {
    *("canonicalization", "crit", "principal", "actor", "delegation_chain"),
    *("active_manifest_hash", "contract_hash", "selector_id", "contract_generation"),
    "policy_hash",
}
_RECEIPT_KINDS = frozenset(
    [
        *("proxy_decision", "contract_ratified", "contract_promote_committed"),
        *("contract_rollback_committed", "contract_demoted", "contract_expired"),
        *("contract_drift", "shadow_delta", "opportunity_missing", "proxy_decision_with_spans"),
    ]
)
_SIGNATURE = ("signer_key_id", "key_purpose", "algorithm", "signature")


@dataclass(slots=True)
class Chain:
    """The second chain of a record, with a sequence and links of its own."""

    keys: tuple[bytes, ...]
    seq: int = 0
    prev: str = "genesis"

    def add(self, detail: Mapping[str, object], signer: str, what: str) -> None:
        """Take the next receipt; it must be signed by the record's `signer` or a key the caller trusts.

        Raises:
            VerificationError: it is not what may stand here.
        """
        trusted = [*self.keys, bytes.fromhex(signer)] if signer else list(self.keys)
        checked(detail, trusted, what)
        need(detail["chain_seq"] == self.seq, f"{what}: chain_seq")
        need(detail["chain_prev_hash"] == self.prev, f"{what}: chain_prev_hash mismatch")
        self.seq += 1
        self.prev = hashlib.sha256(_ordered(detail)).hexdigest()


def checked(detail: Mapping[str, object], keys: Sequence[bytes], what: str) -> str:
    """The key (hex) of `keys` that signed `detail`; the receipt itself carries none.

    Raises:
        VerificationError: another shape, or signed by none of them.
    """
    need(_ALWAYS <= detail.keys() <= _ALWAYS | _OPTIONAL, f"{what}: the members of a v2 receipt")
    need(detail["record_type"] == "evidence_receipt_v2", f"{what}: record_type")
    need(detail["receipt_version"] == 2, f"{what}: receipt_version")
    need(detail["payload_kind"] in _RECEIPT_KINDS, f"{what}: unknown payload_kind")
    strict.time(strict.text(detail["timestamp"], what), f"{what}: timestamp")
    strict.count(detail["chain_seq"], f"{what}: chain_seq")
    strict.mapping(detail["payload"], f"{what}: payload")
    need(detail.get("crit", []) in ([], ["canonicalization"]), f"{what}: crit")
    signature = strict.mapping(detail["signature"], f"{what}: signature")
    need(signature.keys() == set(_SIGNATURE), f"{what}: the members of the signature")
    need(signature["algorithm"] == "ed25519", f"{what}: algorithm")
    need(signature["key_purpose"] == "receipt-signing", f"{what}: key_purpose")
    text = strict.text(signature["signature"], f"{what}: signature")
    need(text.startswith("ed25519:"), f"{what}: signature without its prefix")
    given = strict.raw_hex(text[len("ed25519:") :], 64, f"{what}: signature")
    need(keys, f"{what}: a v2 receipt carries no key, and none was given")
    message = _ordered({**detail, "signature": dict.fromkeys(_SIGNATURE, "")})
    for key in keys:
        if verifies(key, given, message):
            return key.hex()
    raise strict.VerificationError(f"{what}: signature verification failed")


def _ordered(value: object) -> bytes:
    return canonical.encode(_sorted(value))


def _sorted(value: object) -> object:
    if isinstance(value, str):
        need(unicodedata.is_normalized("NFC", value), "text that is not NFC")
    if isinstance(value, dict):
        return {name: _sorted(value[name]) for name in sorted(value)}
    if isinstance(value, list):
        return [_sorted(item) for item in value]
    return value
