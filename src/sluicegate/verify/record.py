"""One receipt: its shape, its values, its signature. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sluicegate.evidence import canonical, keys, receipt
from sluicegate.verify import strict
from sluicegate.verify.strict import need

ACTION_TYPES = frozenset(
    [
        "read",
        "derive",
        "write",
        "delegate",
        "authorize",
        "spend",
        "commit",
        "actuate",
        "unclassified",
    ]
)
VERDICTS = frozenset(["allow", "block", "warn", "ask", "strip", "forward", "redirect"])
PHASES = frozenset([None, "intent", "outcome", "resolution"])
_TEXTS = ("action_id", "timestamp", "target", "verdict", "transport", "chain_prev_hash")
_NUMBERS = {"version", "chain_seq", "contract_generation"}
_FLAGS = {"session_contaminated", "task_override_applied"}
_LISTS = {
    *("delegation_chain", "data_classes_in", "data_classes_out", "recent_taint_sources"),
    *("contract_policy_sources", "precedent_refs"),
}
_OBJECTS = {"redaction", "shield", "key_transition", "session_control"}
_TRANSITION = {"prior_signer_key", "prior_chain_seq", "prior_chain_hash"}


@dataclass(frozen=True, slots=True)
class Receipt:
    """A receipt whose signature holds. `raw` is its canonical text, `digest` what the next one links to."""

    record: Mapping[str, object]
    signer: str
    raw: bytes
    digest: str


def checked(detail: object, what: str, *, advisory: bool = False) -> Receipt:
    """The receipt `detail` is.

    `advisory`: it may have an `ext`, as those of other producers have: nobody signs it, the next link covers it.

    Raises:
        VerificationError: a member that is missing, unknown or of the wrong kind, or a bad signature.
    """
    envelope = strict.mapping(detail, what)
    wanted = {"version", "action_record", "signature", "signer_key"}
    unsigned = {"ext"} & envelope.keys() if advisory else set()
    need(envelope.keys() == wanted | unsigned, f"{what}: the members are not those of a receipt")
    need(envelope["version"] == 1 and envelope["version"] is not True, f"{what}: version")
    claimed = strict.mapping(envelope["action_record"], what)
    try:
        record = canonical.record(claimed)
    except ValueError as error:
        raise strict.VerificationError(f"{what}: {error}") from error
    _shape(record, what)
    signer = strict.text(envelope["signer_key"], f"{what}: signer_key")
    key = strict.raw_hex(signer, 32, f"{what}: signer_key")
    signature = strict.text(envelope["signature"], f"{what}: signature")
    need(signature.startswith("ed25519:"), f"{what}: signature without its prefix")
    given = strict.raw_hex(signature[len("ed25519:") :], 64, f"{what}: signature")
    good = keys.verifies(key, given, receipt.sign_input(record))
    need(good, f"{what}: signature verification failed")
    whole = {"version": 1, "action_record": record, "signature": signature, "signer_key": signer}
    raw = canonical.encode(whole | {name: envelope[name] for name in unsigned})
    return Receipt(record, signer, raw, receipt.receipt_hash(raw))


def _shape(record: Mapping[str, object], what: str) -> None:
    for name, found in record.items():
        here = f"{what}: {name}"
        need(not _nul(found), f"{here}: has a NUL")
        if name in _NUMBERS:
            strict.count(found, here)
        elif name in _FLAGS:
            need(type(found) is bool, f"{here}: not a boolean")
        elif name in _LISTS:
            need(isinstance(found, list) or found is None, f"{here}: not a list")
            kind = dict if name == "recent_taint_sources" else str
            listed = all(isinstance(one, kind) for one in found or [])  # type: ignore[attr-defined]
            need(listed, f"{here}: not a list of {'objects' if kind is dict else 'strings'}")
        elif name in _OBJECTS:
            strict.mapping(found, here)
        else:
            text = strict.text(found, here)
            need(text or name not in _TEXTS, f"{here}: is required")
    need(record["version"] == 1, f"{what}: version")
    strict.time(str(record["timestamp"]), f"{what}: timestamp")
    need(not str(record["timestamp"]).startswith("0001-"), f"{what}: timestamp is required")
    need(record["action_type"] in ACTION_TYPES, f"{what}: unknown action_type")
    need(record["verdict"] in VERDICTS, f"{what}: unknown verdict")
    need(record.get("decision_phase") in PHASES, f"{what}: unknown decision_phase")
    nonce = record.get("run_nonce")
    need(nonce is None or strict.HEX32.match(str(nonce)), f"{what}: run_nonce")
    moved = record.get("key_transition")
    need(moved is None or strict.mapping(moved, what).keys() == _TRANSITION, f"{what}: transition")


def _nul(found: object) -> bool:
    """Whether a NUL stands anywhere in it: what reads a text up to there reads another one."""
    if isinstance(found, str):
        return "\0" in found
    if isinstance(found, dict):
        return any(_nul(name) or _nul(item) for name, item in found.items())
    return isinstance(found, list) and any(map(_nul, found))


def earlier(first: str, second: str) -> bool:
    """Whether the canonical timestamp `first` is before `second`."""
    return _comparable(first) < _comparable(second)


def _comparable(timestamp: str) -> tuple[str, str]:
    seconds, _, fraction = timestamp[:-1].partition(".")
    return seconds, fraction
