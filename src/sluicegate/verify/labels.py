"""The names that a record gives to lines of policies: each stands for one, which decides wherever it is named. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from sluicegate.policy.model import Rule
from sluicegate.verify.strict import VerificationError, need

# Where a rule stands in its author's file, which is the author's word: the packet has no files, and its policies are in
# another order.
_LABEL = re.compile(r"(allow|deny)\[(?:0|[1-9][0-9]{0,6})\] .")
# Rules that decided something in one run. The policies of a run have a few hundred.
MAX_LABELS = 65_536


class Labels:
    """By name the rules that it may stand for: those which decided each time that it was given."""

    __slots__ = ("_fit",)

    def __init__(self) -> None:
        self._fit: dict[str, frozenset[str]] = {}

    def hold(self, label: str, rules: Iterable[Rule], what: str) -> None:
        """Nothing, if `label` may be the name of one of `rules`, all of which decide the same.

        Raises:
            VerificationError: it is no name of a rule, or that of one which does not decide this.
        """
        found = _LABEL.match(label)
        fit = frozenset(rule.label for rule in rules if found and rule.label.startswith(found[1]))
        known = self._fit.get(label)
        if known is not None:
            fit &= known
        elif len(self._fit) >= MAX_LABELS:
            raise VerificationError(f"{what}: more than {MAX_LABELS} rules")
        need(fit, f"{what}: {label} is the name of no rule that gives this")
        self._fit[label] = fit
