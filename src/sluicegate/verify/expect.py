"""What a caller knows from elsewhere and demands, against what the signed record says. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sluicegate.verify.strict import need

# These name the record itself: one that differs is not the record that was meant, as if it had been changed.
ITSELF = ("root", "receipts", "run_nonce")
# These name who or what it is of: one that differs makes a sound record below the trust that was asked for.
ABOUT = ("signer_key", "policy_hash", "policy", "tier", "identity", "repo", "sha", "run")
EXPECTABLE = (*ITSELF, *ABOUT)
# Those that a record has which is not a packet.
OF_A_CHAIN = (*ITSELF, "signer_key", "policy_hash", "policy")
# Members of the CI job in boundary.json's open part, and of `run` in packet.json.
CI = ("repository", "workflow", "run_id", "run_attempt", "ref", "sha")


@dataclass(frozen=True, slots=True)
class Expectation:
    """One demand. `found` are the values that would have met it: none where the record does not say."""

    name: str
    wanted: str
    found: tuple[str, ...]

    @property
    def met(self) -> bool:
        """Whether the record says it."""
        return self.wanted in self.found

    @property
    def words(self) -> str:
        """The difference, in words."""
        said = " or ".join(self.found) or "not in the record"
        return f"{self.name} is {said}, not the expected {self.wanted}"


def of_a_chain(
    root: str, receipts: int, signer: str, nonce: str, policy_hash: str
) -> dict[str, tuple[str, ...]]:
    """What the receipts alone say, by the names of `OF_A_CHAIN`."""
    return {
        "root": (root,),
        "receipts": (str(receipts),),
        "signer_key": (signer,),
        "run_nonce": _said(nonce),
        "policy_hash": (policy_hash,),
        "policy": (policy_hash, policy_hash.removeprefix("sha256:")),
    }


def of_a_boundary(measured: Mapping[str, object]) -> dict[str, tuple[str, ...]]:
    """What boundary.json says, which the record binds: tier, identity, and the CI job as it was when the run began."""
    opened, closed = _part(measured, "open"), _part(measured, "close")
    job, run = _part(opened, "ci"), _part(closed, "run")
    number, attempt = _said(job.get("run_id")), _said(job.get("run_attempt"))
    return {
        "tier": _said(opened.get("tier")),
        "identity": _said(run.get("agent_identity")),
        "repo": _said(job.get("repository")),
        "sha": tuple(dict.fromkeys(_said(job.get("sha")) + _said(opened.get("commit")))),
        "run": number + tuple(f"{one}-{again}" for one in number for again in attempt),
    }


def held(
    wanted: Mapping[str, str], found: Mapping[str, tuple[str, ...]]
) -> tuple[Expectation, ...]:
    """Each demand in `wanted` with what the record says to it.

    Raises:
        VerificationError: a demand of `ITSELF` is not met.
    """
    made = tuple(Expectation(name, text, found.get(name, ())) for name, text in wanted.items())
    for one in made:
        need(one.met or one.name not in ITSELF, one.words)
    return made


def unmet(expectations: Sequence[Expectation]) -> str:
    """The demands that are not met, in words; empty where all are."""
    return "; ".join(one.words for one in expectations if not one.met)


def _said(found: object) -> tuple[str, ...]:
    return (found,) if isinstance(found, str) and found else ()


def _part(holder: Mapping[str, object], name: str) -> Mapping[str, object]:
    found = holder.get(name)
    return found if isinstance(found, dict) else {}
