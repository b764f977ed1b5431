"""What our notary writes into a receipt, of all that the published format allows. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from sluicegate.evidence import canonical, journal, receipt
from sluicegate.verify.strict import VerificationError, need

_COMMON = canonical.ALWAYS | {"run_nonce"}
_DECISION = _COMMON | {"decision_phase", "method", "layer", "pattern", "severity", "request_id"}
_LIFECYCLE = _COMMON | {"session_control"}
# What every receipt says alike, and what the lifecycle does.
_FIXED = ("principal", "delegation_chain", "side_effect_class", "reversibility")
_OWN = ("action_type", "verdict", "actor", "target")


def kept(record: Mapping[str, object], what: str) -> None:
    """Nothing, if the action record has only the fields our notary fills, and in each what it puts there.

    A field that nobody fills is read by nobody: what stood in it would be signed and mean anything.

    Raises:
        VerificationError: it has another field, or another value where there is no choice.
    """
    lifecycle = "session_control" in record
    known = _LIFECYCLE if lifecycle else _DECISION
    if not record.keys() <= known:
        name = next(name for name in record if name not in known)
        raise VerificationError(f"{what}: {name} has no place here")
    _same(_FIXED, ("local", None, *receipt.effects(str(record["action_type"]))), record, what)
    if lifecycle:
        target = _target(record["session_control"])
        _same(_OWN, ("unclassified", "allow", journal.OURSELVES, target), record, what)
    same = lifecycle == (record["transport"] == journal.LIFECYCLE)
    need(same, f"{what}: transport and session_control do not belong together")


def _same(
    names: tuple[str, ...], wanted: tuple[object, ...], record: Mapping[str, object], what: str
) -> None:
    found = tuple([record[name] for name in names])
    if found != wanted:
        differs = [one != other for one, other in zip(found, wanted, strict=True)]
        name = names[differs.index(True)]
        raise VerificationError(f"{what}: {name} is not what our notary writes")


def _target(control: object) -> str:
    kind = str(control.get("kind")) if isinstance(control, dict) else ""
    return f"pipelock://session/{kind.removeprefix('session_')}"
