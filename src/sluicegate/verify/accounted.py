"""Whether nothing is unaccounted for: receipts against policies, and the kernel's counters against receipts. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sluicegate.evidence import equation
from sluicegate.verify import strict
from sluicegate.verify.reckon import Reckoning
from sluicegate.verify.redecide import Redecide
from sluicegate.verify.strict import VerificationError, need

KINDS = frozenset(("connection", "dns", "drop", "overload", "change", "boundary"))


@dataclass(slots=True)
class Audit:
    """What the receipts of a record say, one after the other.

    `contradiction` is the first that the policies or facts do not bear out, with its number; the record is then not
    what it claims, however well it is signed.
    """

    policies: Redecide | None = None
    reckoning: Reckoning = field(default_factory=Reckoning)
    contradiction: str = ""

    @staticmethod
    def of(policy_json: bytes) -> Audit:
        """An audit of receipts under the policies in `policy_json`."""
        try:
            return Audit(Redecide(policy_json))
        except VerificationError as error:
            return Audit(contradiction=str(error))

    def add(self, record: Mapping[str, object], flow: Mapping[str, object]) -> None:
        """Take one receipt that carries facts."""
        if self.contradiction or self.policies is None:
            return
        what = f"receipt {record['chain_seq']}"
        try:
            need(flow.get("kind") in KINDS, f"{what}: facts of an unknown kind")
            self.reckoning.add(record, flow, what)
            if flow["kind"] == "connection":
                self.policies.decision(record, flow, what)
        except VerificationError as error:
            self.contradiction = str(error)

    def level(self, measured: Mapping[str, object]) -> tuple[bool, str]:
        """Whether the run is accounted for, and why; `measured` is boundary.json's object, of a closed record."""
        if self.contradiction:
            return False, self.contradiction
        try:
            solution = self._solution(measured)
        except (VerificationError, equation.EquationError) as error:
            self.contradiction = str(error)
            return False, self.contradiction
        lines = equation.open_lines(solution)
        if self.reckoning.missing:
            lines.append(f"connections without a receipt: {self.reckoning.missing}")
        if lines:
            return False, "the kernel counted what the record does not hold: " + ", ".join(lines)
        derived = strict.mapping(solution["derived"], "equation")
        why = "every connection decided again, residual 0:"
        why += f" {derived['accepted']} connections, {self.reckoning.udp} questions"
        return True, f"{why}, {self.reckoning.drops} refused packets"

    def _solution(self, measured: Mapping[str, object]) -> dict[str, object]:
        """The equation of the kernel's counters and these receipts, if boundary.json has the same."""
        opened = strict.mapping(measured.get("open"), "boundary.json: open")
        closed = strict.mapping(measured.get("close"), "boundary.json: close")
        gate = strict.mapping(closed.get("gate"), "boundary.json: gate")
        totals = {n: strict.count(gate.get(n), f"boundary.json: {n}") for n in _TOTALS}
        risen = equation.between(opened.get("counters"), closed.get("counters"))
        made = equation.solved(risen, self.reckoning.held(totals["dns_tcp"]), totals)
        told = strict.mapping(closed.get("equation"), "boundary.json: equation")
        for part in made:
            ours, theirs = strict.mapping(made[part], part), told.get(part)
            given = theirs if isinstance(theirs, dict) else {}
            wrong = [n for n in {**ours, **given} if not strict.same(ours.get(n), given.get(n))]
            need(not wrong, f"boundary.json's equation: {part} {', '.join(sorted(wrong))}")
        need(told.keys() == made.keys(), "boundary.json's equation has other parts")
        return made


_TOTALS = ("dns_tcp", "bytes_up", "bytes_down")
