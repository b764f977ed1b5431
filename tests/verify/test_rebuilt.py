from __future__ import annotations

from typing import Any

import pytest

from sluicegate.verify.rebuilt import MEMBERS, compared
from sluicegate.verify.strict import VerificationError

MESSAGE: dict[str, Any] = {name: name for name in MEMBERS} | {"flow": {"kind": "x", "count": 1}}


def test_what_is_the_same() -> None:
    compared(MESSAGE, MESSAGE, MESSAGE["flow"], "it")


@pytest.mark.parametrize("member", [*MEMBERS, "decision_phase"])
def test_a_member_of_the_receipt(member: str) -> None:
    for value in ("other", None):
        if member == "decision_phase" and value is None:
            continue
        with pytest.raises(VerificationError, match=f"it: {member} is not"):
            compared(MESSAGE, MESSAGE | {member: value}, MESSAGE["flow"], "it")


@pytest.mark.parametrize(
    ("flow", "member"),
    [
        ({"kind": "x", "count": True}, "count"),
        ({"kind": "x"}, "count"),
        ({"kind": "x", "count": 1, "note": None}, "note"),
        ({"kind": "y", "count": 1}, "kind"),
    ],
)
def test_a_member_of_the_facts(flow: dict[str, object], member: str) -> None:
    with pytest.raises(VerificationError, match=f"it: {member} of its facts"):
        compared(MESSAGE, MESSAGE, flow, "it")
