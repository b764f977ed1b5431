"""Whether nothing is unaccounted for: receipts against policies, and the kernel's counters against receipts. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sluicegate.evidence import equation
from sluicegate.verify import strict
from sluicegate.verify.counted import Bound, Counted
from sluicegate.verify.reckon import Reckoning
from sluicegate.verify.redecide import Redecide
from sluicegate.verify.strict import VerificationError, need


@dataclass(slots=True)
class Audit:
    """What the receipts of a record say, one after the other.

    `contradiction` is the first that the policies or facts do not bear out, with its number; the record is then not
    what it claims, however well it is signed.
    """

    policies: Redecide | None = None
    reckoning: Reckoning = field(default_factory=Reckoning)
    counted: Counted = field(default_factory=lambda: Counted(Bound()))
    contradiction: str = ""

    @staticmethod
    def of(policy_json: bytes) -> Audit:
        """An audit of receipts under the policies in `policy_json`."""
        try:
            policies = Redecide(policy_json)
            return Audit(policies, counted=Counted(policies.bound, policies.secrets))
        except VerificationError as error:
            return Audit(contradiction=str(error))

    @property
    def secrets(self) -> bool:
        """Whether the policies have a secret together; those that can not be read have none."""
        return self.policies is not None and bool(self.policies.secrets)

    @property
    def outputs(self) -> tuple[str, ...]:
        """The outputs that the policies grant."""
        return () if self.policies is None else self.policies.outputs

    @property
    def asks(self) -> bool:
        """Whether the policies let a person be asked."""
        return self.policies is not None and self.policies.answers.asks

    def add(self, record: Mapping[str, object], flow: Mapping[str, object]) -> None:
        """Take one receipt that carries facts."""
        if self.contradiction or self.policies is None:
            return
        what = f"receipt {record['chain_seq']}"
        try:
            if flow.get("kind") == "connection":
                self.policies.decision(record, flow, what)
            else:
                self.counted.check(record, flow, what)
            self.reckoning.add(record, flow, what)
        except VerificationError as error:
            self.contradiction = str(error)

    def level(self, measured: Mapping[str, object]) -> tuple[bool, str]:
        """Whether the run is accounted for, and why; `measured` is boundary.json's object, of a closed record."""
        if self.contradiction:
            return False, self.contradiction
        try:
            if self.policies is not None:
                self.policies.settle()
                self.policies.answers.settle(_closed(measured)[0])
            solution = self._solution(measured)
            lines = equation.open_lines(solution)
            claims = self._claims(measured)
        except (VerificationError, equation.EquationError) as error:
            self.contradiction = str(error)
            return False, self.contradiction
        if self.reckoning.missing:
            lines.append(f"connections without a receipt: {self.reckoning.missing}")
        if lines:
            return False, "the kernel counted what the record does not hold: " + ", ".join(lines)
        if claims:
            return False, "the gate counted what the record does not hold: " + ", ".join(claims)
        derived = strict.mapping(solution["derived"], "equation")
        why = "every connection decided again, residual 0:"
        sums = self.reckoning.sums
        why += f" {derived['accepted']} connections, {sums.udp} questions"
        return True, f"{why}, {sums.drops} refused packets"

    def _solution(self, measured: Mapping[str, object]) -> dict[str, object]:
        """The equation of the kernel's counters and these receipts, if boundary.json has the same."""
        opened = strict.mapping(measured.get("open"), "boundary.json: open")
        closed, gate = _closed(measured)
        totals = {n: strict.count(gate.get(n), f"boundary.json: {n}") for n in _TOTALS}
        risen = equation.between(opened.get("counters"), closed.get("counters"))
        made = equation.solved(risen, self.reckoning.held(totals["dns_tcp"]), totals)
        told = strict.mapping(closed.get("equation"), "boundary.json: equation")
        for part in made:
            ours, theirs = strict.mapping(made[part], part), told.get(part)
            given = theirs if isinstance(theirs, dict) else {}
            # Both, or a term more would be as good as absent where it is null.
            both = ours.keys() & given.keys()
            wrong = [
                *(ours.keys() ^ given.keys()),
                *(n for n in both if not strict.same(ours[n], given[n])),
            ]
            need(not wrong, f"boundary.json's equation: {part} {', '.join(sorted(wrong))}")
        need(told.keys() == made.keys(), "boundary.json's equation has other parts")
        return made

    def _claims(self, measured: Mapping[str, object]) -> list[str]:
        """Where the gate counted something else than its receipts add up to, as `name: difference`."""
        _, gate = _closed(measured)
        lines = []
        wanted = self.reckoning.claims(strict.count(gate.get("dns_tcp"), "boundary.json: dns_tcp"))
        for name, count in wanted.items():
            told = strict.count(gate.get(name), f"boundary.json: {name}")
            if told != count:
                lines.append(f"{name}: {told - count:+d}")
        return lines


def _closed(measured: Mapping[str, object]) -> tuple[Mapping[str, object], Mapping[str, object]]:
    """The close part of boundary.json, and what the gate counted."""
    closed = strict.mapping(measured.get("close"), "boundary.json: close")
    return closed, strict.mapping(closed.get("gate"), "boundary.json: gate")


_TOTALS = ("dns_tcp", "bytes_up", "bytes_down")
