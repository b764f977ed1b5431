"""What a run showed of one connection or request, for whoever decides again or learns from it. Pure."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from sluicegate.facts import Facts

# Rules that are no line of a policy, and none that one could have instead.
_BEYOND = frozenset(("secret", "signature", "certificate", "refused"))


class Fate(enum.Enum):
    """What became of it. CUT: allowed, and then refused for what came after the decision, or ended by a limit."""

    ALLOWED = "allowed"
    OBSERVED = "observed"
    DENIED = "denied"
    CUT = "refused"


@dataclass(frozen=True, slots=True)
class Seen:
    """One decision of a record. `seq` is its receipt's number.

    `rule` and `reason` are what it was decided by, or refused. `opened`: a TLS connection whose requests are decisions
    of their own; `asked`: a proxy's client named it, and nothing more was known. `program` is the path of the program,
    empty where nobody had the socket any more. `addresses` are what its name had, `peer` the one that was connected to.
    `named` are the parameters and headers that the record would show. `up` and `down` are bytes.
    """

    seq: int
    facts: Facts
    fate: Fate
    rule: str
    reason: str
    named: tuple[frozenset[str], frozenset[str]] = (frozenset(), frozenset())
    opened: bool = False
    asked: bool = False
    program: str = ""
    addresses: tuple[str, ...] = ()
    peer: str | None = None
    up: int = 0
    down: int = 0

    @property
    def beyond(self) -> bool:
        """Whether it was refused by what no rule says: a limit, a secret, what the server could not prove."""
        own = self.rule.startswith("limits.") or self.rule in _BEYOND
        return own and not self.passed

    @property
    def passed(self) -> bool:
        """Whether it was let through, in observe mode too."""
        return self.fate in {Fate.ALLOWED, Fate.OBSERVED}
