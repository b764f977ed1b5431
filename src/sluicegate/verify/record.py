"""One receipt: its shape, its values, its signature. Pure."""

from __future__ import annotations

import functools
import hashlib
import operator
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sluicegate.evidence import canonical, receipt
from sluicegate.verify import strict
from sluicegate.verify.signatures import AT_ONCE, Signatures
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
_NO_TEXTS = frozenset(_NUMBERS | _FLAGS | _LISTS | _OBJECTS)
_ENVELOPE = {"version", "action_record", "signature", "signer_key"}
_TRANSITION = {"prior_signer_key", "prior_chain_seq", "prior_chain_hash"}
# Texts that differ from receipt to receipt. All else is the same in thousands, and is looked at once for them all.
_VARYING = (*("action_id", "timestamp", "target", "pattern", "request_id", "chain_prev_hash"),)
_SEQ = "chain_seq"
_SCALARS = frozenset([str, int, bool, type(None)])
KEPT_FORMS = 256  # a run has a dozen: by verdict, phase, transport and layer


@dataclass(frozen=True, slots=True)
class Receipt:
    """A receipt whose signature holds. `raw` is its canonical text, `digest` what the next one links to.

    `form` stands for all but what varies: where it is the same, so are those members. None where nobody looked for it.
    """

    record: Mapping[str, object]
    signer: str
    raw: bytes
    digest: str
    form: object = None


def checked(
    detail: object, what: str, signatures: Signatures = AT_ONCE, *, advisory: bool = False
) -> Receipt:
    """The receipt `detail` is. Whether its signature holds is for `signatures` to say, now or later.

    `advisory`: it may have an `ext`, as those of other producers have: nobody signs it, the next link covers it.

    Raises:
        VerificationError: a member that is missing, unknown or of the wrong kind, or a bad signature.
    """
    envelope = strict.mapping(detail, what)
    ext = advisory and "ext" in envelope
    if envelope.keys() != (_ENVELOPE | {"ext"} if ext else _ENVELOPE):
        raise strict.VerificationError(f"{what}: the members are not those of a receipt")
    if not (envelope["version"] == 1 and envelope["version"] is not True):
        raise strict.VerificationError(f"{what}: version")
    claimed = record = strict.mapping(envelope["action_record"], what)
    if (form := _known(claimed)) is None:
        try:
            record = canonical.record(claimed)
        except ValueError as error:
            raise strict.VerificationError(f"{what}: {error}") from error
        _shape(record, what)
    signer = strict.words(envelope, "signer_key", what)
    key = _key(signer) or strict.raw_hex(signer, 32, f"{what}: signer_key")
    signature = strict.words(envelope, "signature", what)
    if not signature.startswith("ed25519:"):
        raise strict.VerificationError(f"{what}: signature without its prefix")
    given = strict.raw_hex(signature[len("ed25519:") :], 64, f"{what}: signature")
    signed = canonical.encode(record)
    signatures.add(key, given, hashlib.sha256(signed).digest(), what)
    # The rest of the envelope is hex, in which nothing is escaped.
    tail = f',"signature":"{signature}","signer_key":"{signer}"'.encode()
    if ext:
        tail += b',"ext":' + canonical.encode(envelope["ext"])
    raw = b'{"version":1,"action_record":%b%b}' % (signed, tail)
    return Receipt(record, signer, raw, receipt.receipt_hash(raw), form)


def _known(record: Mapping[str, object]) -> object:
    """The form of a record that needs no other look: its form has had one, and what varies is as it must be."""
    # By a list: a tuple that has to grow while it is made leaves a block behind each time, up to 2,000 of them.
    names, kinds = tuple(record), tuple([type(found) for found in record.values()])
    picked = _picked(names, kinds)
    if picked is None:
        return None
    same, varying = picked
    form = names, kinds, same(record)
    texts = varying(record)
    well = "" not in texts and "\0" not in "".join(texts) and record[_SEQ] >= 0  # type: ignore[operator]
    return _good(form) if well and _time(str(record["timestamp"])) else None


@functools.lru_cache(maxsize=KEPT_FORMS)
def _picked(
    names: tuple[str, ...], kinds: tuple[type, ...]
) -> tuple[operator.itemgetter[Any], operator.itemgetter[Any]] | None:
    """What takes from a record with such members the ones that stay the same, and the texts that vary."""
    of = dict(zip(names, kinds, strict=True))
    varying = [name for name in _VARYING if name in of]
    same = [name for name in names if name not in {*varying, _SEQ}]
    texts = all(of[name] is str for name in varying) and of.get(_SEQ) is int
    if not (texts and "timestamp" in of and len(varying) > 1 < len(same)):
        return None  # itemgetter gives no tuple for one
    if not _SCALARS.issuperset(kinds):
        return None
    return operator.itemgetter(*same), operator.itemgetter(*varying)


@functools.lru_cache(maxsize=KEPT_FORMS)
def _good(form: tuple[tuple[str, ...], tuple[type, ...], tuple[object, ...]]) -> object:
    """What stands for the form, if every record of it is a receipt's where what varies is as it must be; else None."""
    names, _, same = form
    record: dict[str, object] = dict.fromkeys(names, "x") | {
        _SEQ: 0,
        "timestamp": "2000-01-01T00:00:00Z",
    }
    stay = [name for name in names if name not in {*_VARYING, _SEQ}]
    record |= zip(stay, same, strict=True)
    try:
        whole = canonical.record(record)
        _shape(whole, "")
    except (ValueError, strict.VerificationError):
        return None  # said of the receipt itself, whose words they are
    return object() if tuple(whole) == names else None


def _time(text: str) -> bool:
    try:
        strict.time(text, "")
    except strict.VerificationError:
        return False
    return not text.startswith("0001-")


@functools.lru_cache(maxsize=4)  # most records have one signer
def _key(signer: str) -> bytes | None:
    """The key that `signer` spells; None if it spells none."""
    try:
        return strict.raw_hex(signer, 32, "")
    except strict.VerificationError:
        return None


def _shape(record: Mapping[str, object], what: str) -> None:
    texts = []
    for name, found in record.items():
        if type(found) is str and name not in _NO_TEXTS:
            texts.append(found)
        elif not (type(found) is int and found >= 0 and name in _NUMBERS):
            _other(name, found, what)
    # Twenty texts a receipt: each is looked at alone only where one of them is wrong.
    if "" in texts or "\0" in "".join(texts):
        for name, found in record.items():
            if not (found != "" or name not in _TEXTS):
                raise strict.VerificationError(f"{what}: {name}: is required")
            if not (not isinstance(found, str) or "\0" not in found):
                raise strict.VerificationError(f"{what}: {name}: has a NUL")
    if record["version"] != 1:
        raise strict.VerificationError(f"{what}: version")
    timestamp = str(record["timestamp"])
    strict.time(timestamp, f"{what}: timestamp")
    if timestamp.startswith("0001-"):
        raise strict.VerificationError(f"{what}: timestamp is required")
    if record["action_type"] not in ACTION_TYPES:
        raise strict.VerificationError(f"{what}: unknown action_type")
    if record["verdict"] not in VERDICTS:
        raise strict.VerificationError(f"{what}: unknown verdict")
    if record.get("decision_phase") not in PHASES:
        raise strict.VerificationError(f"{what}: unknown decision_phase")
    nonce = record.get("run_nonce")
    if not (nonce is None or strict.HEX32.match(str(nonce))):
        raise strict.VerificationError(f"{what}: run_nonce")
    moved = record.get("key_transition")
    if not (moved is None or strict.mapping(moved, what).keys() == _TRANSITION):
        raise strict.VerificationError(f"{what}: transition")


def _other(name: str, found: object, what: str) -> None:
    """A member that is no text."""
    need(not _nul(found), f"{what}: {name}: has a NUL")
    if name in _NUMBERS:
        strict.count(found, f"{what}: {name}")
    elif name in _FLAGS:
        need(type(found) is bool, f"{what}: {name}: not a boolean")
    elif name in _LISTS:
        need(isinstance(found, list) or found is None, f"{what}: {name}: not a list")
        kind = dict if name == "recent_taint_sources" else str
        listed = all(isinstance(one, kind) for one in found or [])  # type: ignore[attr-defined]
        objects = "objects" if kind is dict else "strings"
        need(listed, f"{what}: {name}: not a list of {objects}")
    elif name in _OBJECTS:
        strict.mapping(found, f"{what}: {name}")
    else:
        strict.text(found, f"{what}: {name}")


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
