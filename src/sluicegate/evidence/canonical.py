"""Go-style canonical JSON, and the field orders of everything we sign. Pure."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from datetime import UTC, datetime

import orjson

ALWAYS = frozenset(
    [
        "version",
        "action_id",
        "action_type",
        "timestamp",
        "principal",
        "actor",
        "delegation_chain",
        "target",
        "side_effect_class",
        "reversibility",
        "policy_hash",
        "verdict",
        "transport",
        "chain_prev_hash",
        "chain_seq",
    ]
)
# The signed order is the order of the struct in the published format, not of the alphabet.
RECORD = (
    "version",
    "action_id",
    "parent_action_id",
    "action_type",
    "timestamp",
    "principal",
    "actor",
    "delegation_chain",
    "target",
    "intent",
    "data_classes_in",
    "data_classes_out",
    "side_effect_class",
    "reversibility",
    "policy_hash",
    "verdict",
    "decision_phase",
    "defer_id",
    "resolution_policy",
    "resolution_source",
    "session_id",
    "session_id_original",
    "session_taint_level",
    "session_contaminated",
    "recent_taint_sources",
    "session_task_id",
    "session_task_label",
    "authority_kind",
    "taint_decision",
    "taint_decision_reason",
    "task_override_applied",
    "contract_winning_source",
    "contract_live_verdict",
    "contract_policy_sources",
    "contract_rule_id",
    "active_manifest_hash",
    "contract_hash",
    "contract_selector_id",
    "contract_generation",
    "transport",
    "method",
    "layer",
    "pattern",
    "severity",
    "redaction",
    "shield",
    "request_id",
    "chain_prev_hash",
    "chain_seq",
    "run_nonce",
    "key_transition",
    "session_control",
    "venue",
    "jurisdiction",
    "rulebook_id",
    "remedy_class",
    "contestation_window",
    "precedent_refs",
)
_KNOWN = frozenset(RECORD)
_PLACE = {name: place for place, name in enumerate(RECORD)}
_ESCAPES = (
    (b"<", b"\\u003c"),
    (b">", b"\\u003e"),
    (b"&", b"\\u0026"),
    ("\u2028".encode(), b"\\u2028"),
    ("\u2029".encode(), b"\\u2029"),
)
_RARE = b"<>&\xe2"  # without one of these there is nothing to escape: U+2028 and U+2029 begin with the last in UTF-8
# Gaps of a template: a text that needs no escapes, JSON, a whole number. As bytes that no text has in UTF-8.
TEXT, JSON, NUMBER = map(orjson.Fragment, (b"\xfd", b"\xfe", b"\xff"))
_FILLED = ((b"%", b"%%"), (b"\xfd", b'"%b"'), (b"\xfe", b"%b"), (b"\xff", b"%d"))


def encode(value: object) -> bytes:
    """The bytes Go's JSON encoder writes for `value`, keys in the order given."""
    text = orjson.dumps(value)
    # Most texts have none, and are looked through once for that alone.
    if len(text.translate(None, _RARE)) != len(text):
        for raw, escaped in _ESCAPES:
            text = text.replace(raw, escaped)
    return text


def record(fields: Mapping[str, object]) -> dict[str, object]:
    """`fields` in signed order, zero values dropped where the format drops them.

    Raises:
        ValueError: an unknown field, or a field that must always be there is missing.
    """
    names = tuple(fields)
    ordered = _ordered(names)
    if ordered == names and ALWAYS.issuperset([name for name in names if not fields[name]]):
        return dict(fields)  # as it is written: nothing to move, nothing to drop
    kept: dict[str, object] = {}
    for name in ordered:
        value = fields[name]
        present = value is not None and (isinstance(value, dict) or bool(value))
        if name in ALWAYS or present:
            kept[name] = value
    return kept


def template(value: object) -> bytes:
    """What `%` makes `encode(value)` of, with a tuple of what stands in the gaps of `value`, as bytes or numbers."""
    text = encode(value)
    for raw, filled in _FILLED:
        text = text.replace(raw, filled)
    return text


@functools.lru_cache(maxsize=64)  # as many sets of fields as there are kinds of receipts
def _ordered(names: tuple[str, ...]) -> tuple[str, ...]:
    if unknown := set(names) - _KNOWN:
        raise ValueError(f"unknown fields {sorted(unknown)}")
    if missing := ALWAYS - set(names):
        raise ValueError(f"missing fields {sorted(missing)}")
    return tuple(sorted(names, key=_PLACE.__getitem__))


@functools.lru_cache(maxsize=2)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def timestamp(nanoseconds: int) -> str:
    """RFC3339Nano UTC text of a Unix time in nanoseconds, trailing zeros dropped."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    text = _second(seconds)
    return f"{text}.{rest:09d}".rstrip("0") + "Z" if rest else f"{text}Z"
