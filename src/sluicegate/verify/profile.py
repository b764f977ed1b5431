"""What our notary writes into a receipt, of all that the published format allows. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from sluicegate.evidence import canonical, journal, receipt
from sluicegate.verify.strict import VerificationError, need

_COMMON = canonical.ALWAYS | {"run_nonce"}
_DECISION = _COMMON | {"decision_phase", "method", "layer", "pattern", "request_id"}
_LIFECYCLE = _COMMON | {"session_control"}


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
    side_effect, reversibility = receipt.effects(str(record["action_type"]))
    wanted: dict[str, object] = {
        "principal": "local",
        "delegation_chain": None,
        "side_effect_class": side_effect,
        "reversibility": reversibility,
    }
    if lifecycle:
        wanted |= {"action_type": "unclassified", "verdict": "allow", "actor": journal.OURSELVES}
        wanted["target"] = _target(record["session_control"])
    for name, value in wanted.items():
        if record[name] != value:
            raise VerificationError(f"{what}: {name} is not what our notary writes")
    same = lifecycle == (record["transport"] == journal.LIFECYCLE)
    need(same, f"{what}: transport and session_control do not belong together")


def _target(control: object) -> str:
    kind = str(control.get("kind")) if isinstance(control, dict) else ""
    return f"pipelock://session/{kind.removeprefix('session_')}"
