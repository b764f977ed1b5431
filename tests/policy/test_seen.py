from __future__ import annotations

import pytest

from sluicegate.facts import Facts, Protocol
from sluicegate.policy.seen import Fate, Seen


@pytest.mark.parametrize(
    ("fate", "rule", "beyond"),
    [
        (Fate.DENIED, "limits.requests_per_minute", True),
        (Fate.DENIED, "secret", True),
        (Fate.DENIED, "signature", True),
        (Fate.CUT, "certificate", True),
        (Fate.CUT, "refused", True),
        (Fate.CUT, "internal-address", False),
        (Fate.DENIED, "default", False),
        (Fate.ALLOWED, "secret", False),
    ],
)
def test_what_no_rule_says(fate: Fate, rule: str, beyond: bool) -> None:
    assert Seen(0, Facts(Protocol.TLS, "192.0.2.1", 443), fate, rule, "why").beyond is beyond
