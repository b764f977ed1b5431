"""A message made again of facts, against the receipt and the line of facts that came. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from sluicegate.verify import strict
from sluicegate.verify.strict import need

# What a receipt says beside its facts; the first four are the same in an intent and its outcome.
MEMBERS = (
    *("action_type", "target", "transport", "method", "verdict", "layer", "pattern", "severity"),
)


def compared(
    message: Mapping[str, object],
    record: Mapping[str, object],
    flow: Mapping[str, object],
    what: str,
) -> None:
    """Nothing, if receipt and facts say what `message` does, and no more.

    Raises:
        VerificationError: they do not; it names the first member.
    """
    made = strict.mapping(message["flow"], what)
    for key in sorted(made.keys() | flow.keys()):
        # Both, or an absent member would be the same as one that is null.
        same = (key in made) == (key in flow) and strict.same(made.get(key), flow.get(key))
        need(same, f"{what}: {key} of its facts is not what the policies and facts give")
    for key, member in (("phase", "decision_phase"), *((name, name) for name in MEMBERS)):
        same = message.get(key) == record.get(member)
        need(same, f"{what}: {member} is not what the policies and facts give")
