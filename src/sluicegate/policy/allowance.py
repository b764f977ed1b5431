"""What a policy's limits leave of a run, counted as it goes, and the denials of what would be over them. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from sluicegate.facts import Decision, Verdict
from sluicegate.policy.model import Policy
from sluicegate.policy.together import together

UPLOAD = "limits.upload"
UPLOAD_PER_HOST = "limits.upload_per_host"


@dataclass(slots=True)
class Allowance:
    """Of several policies every limit holds, so the least one counts; None is no limit.

    `upload` is bytes of one flow or request, `upload_per_host` of the whole run. Bytes of a request are those of its
    head as the gate writes it and of its content, without the framing of that; of an opaque flow, all that go up.
    """

    upload: int | None = None
    upload_per_host: int | None = None
    _hosts: dict[str, int] = field(default_factory=dict)

    @staticmethod
    def of(policies: tuple[Policy, ...]) -> Allowance:
        """What the policies of a run leave it at its beginning."""
        least = together(policies)
        return Allowance(least.upload, least.upload_per_host)

    @property
    def counts_bytes(self) -> bool:
        """Whether a limit is about what goes up."""
        return self.upload is not None or self.upload_per_host is not None

    def limit(self, rule: str) -> int | None:
        """That of a denial's rule; None: there is none."""
        return {UPLOAD: self.upload, UPLOAD_PER_HOST: self.upload_per_host}.get(rule)

    def left(self, decision: Decision, before: int) -> int | None:
        """Bytes that a flow may still send up which has sent `before`; None: no limit."""
        left = [] if self.upload is None else [self.upload - before]
        if self.upload_per_host is not None:
            left.append(self.upload_per_host - self._hosts.get(host(decision), 0))
        return max(0, min(left)) if left else None

    def take(self, decision: Decision, before: int, size: int) -> Decision | None:
        """Count `size` bytes more of a flow that has sent `before`; or, none counted, the denial of too many."""
        if self.upload is not None and before + size > self.upload:
            return denied(decision, UPLOAD, self.upload, before + size)
        if self.upload_per_host is None:
            return None
        whole = self._hosts.get(host(decision), 0) + size
        if whole > self.upload_per_host:
            return denied(decision, UPLOAD_PER_HOST, self.upload_per_host, whole)
        self._hosts[host(decision)] = whole
        return None


def host(decision: Decision) -> str:
    """Whom `upload_per_host` counts for: the name that was judged, or the bare address."""
    return decision.name or decision.address or ""


def reason(rule: str, limit: int) -> str:
    """The sentence for what would be over the limit of that rule."""
    words = {
        UPLOAD: "bytes would go up in one flow or request",
        UPLOAD_PER_HOST: "bytes would go up to this host in this run",
    }
    return f"more than {limit} {words[rule]}"


def denied(decision: Decision, rule: str, limit: int, counted: int) -> Decision:
    """The denial of what `decision` allowed, because it would make `counted` where the policy says `limit`."""
    judged = replace(decision, verdict=Verdict.DENY, rule=rule, reason=reason(rule, limit))
    return replace(judged, counted=counted, remedy=None, observed=False, opened=False)
