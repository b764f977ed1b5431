"""What a policy's limits leave of a run, counted as it goes, and the denials of what would be over them. Pure.

Gate and verifier count alike: one as requests come, the other as receipts do.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from sluicegate.facts import Decision, Protocol, Verdict
from sluicegate.policy.model import Policy
from sluicegate.policy.together import together

UPLOAD = "limits.upload"
UPLOAD_PER_HOST = "limits.upload_per_host"
REQUESTS = "limits.requests_per_minute"
NAMES = "limits.names_per_wildcard"
MINUTE_MS = 60_000
REQUEST = (Protocol.HTTP, Protocol.HTTPS)
_WORDS = {
    UPLOAD: "bytes would go up in this run",
    UPLOAD_PER_HOST: "bytes would go up to this host in this run",
    REQUESTS: "requests would be made within a minute",
    NAMES: "names below one wildcard rule would be asked for in this run",
}


@dataclass(slots=True)
class Allowance:
    """Of several policies every limit holds, so the least one counts; None is no limit.

    `upload` is bytes of the whole run, `upload_per_host` those to one host. Bytes of a request are those of its head as
    the gate writes it and of its content, without the framing of that, except a WebSocket's, whose frames keep their
    borders; of an opaque flow, all that go up.
    `requests` are of any minute, over all hosts; `names` of the whole run.
    """

    upload: int | None = None
    upload_per_host: int | None = None
    requests: int | None = None
    names: int | None = None
    # Of each policy the names of its allow rules, and the wildcards, as what follows the star.
    rules: tuple[tuple[frozenset[str], tuple[str, ...]], ...] = ()
    _sent: int = 0
    _hosts: dict[str, int] = field(default_factory=dict)
    _below: dict[str, set[str]] = field(default_factory=dict)
    _moments: deque[int] = field(default_factory=deque)

    @staticmethod
    def of(policies: tuple[Policy, ...]) -> Allowance:
        """What the policies of a run leave it at its beginning."""
        least = together(policies)
        rules = []
        for policy in policies:
            hosts = [rule for rule in policy.allow if rule.host is not None]
            plain = frozenset(str(rule.host) for rule in hosts if not rule.wildcard)
            wild = tuple(dict.fromkeys(f".{rule.host}" for rule in hosts if rule.wildcard))
            rules.append((plain, wild))
        return Allowance(
            least.upload,
            least.upload_per_host,
            least.requests_per_minute,
            least.names_per_wildcard,
            tuple(rules),
        )

    @property
    def counts_bytes(self) -> bool:
        """Whether a limit is about what goes up."""
        return self.upload is not None or self.upload_per_host is not None

    def limit(self, rule: str) -> int | None:
        """That of a denial's rule; None: there is none."""
        limits = (self.upload, self.upload_per_host, self.requests, self.names)
        return dict(zip(_WORDS, limits, strict=True)).get(rule)

    # Before anything is begun.

    def begin(self, protocol: Protocol, decision: Decision, now_ms: int) -> Decision | None:
        """The denial of what `decision` allows, if one more would be too many; it does not count yet.

        `now_ms` is the Unix time in milliseconds.
        """
        if self.names is not None:
            for wild in self._wildcards(decision):
                known = self._below.get(wild, set())
                if decision.name not in known and len(known) >= self.names:
                    return denied(decision, NAMES, self.names, len(known) + 1)
        if self.requests is None or protocol not in REQUEST:
            return None
        # After a clock was set back the difference may be less than zero: then as well.
        full = len(self._moments) == self.requests and now_ms - self._moments[0] < MINUTE_MS
        return denied(decision, REQUESTS, self.requests, self.requests + 1) if full else None

    def began(self, protocol: Protocol, decision: Decision, moment_ms: int) -> None:
        """Count what was begun at that moment, which its receipt's id has."""
        if self.names is not None and decision.name is not None:
            for wild in self._wildcards(decision):
                self._below.setdefault(wild, set()).add(decision.name)
        if self.requests is not None and protocol in REQUEST:
            if len(self._moments) == self.requests:
                self._moments.popleft()
            self._moments.append(moment_ms)

    @property
    def begun(self) -> int:
        """Requests that count, those longest ago forgotten."""
        return len(self._moments)

    def _wildcards(self, decision: Decision) -> Iterator[str]:
        """Wildcards below which the judged name is; not of a policy that has the name itself."""
        name = decision.name
        if name is None:
            return
        for plain, wild in self.rules:
            if name not in plain:
                yield from (one for one in wild if name.endswith(one))

    # While it is carried.

    def left(self, decision: Decision) -> int | None:
        """Bytes that a flow may still send up; None: no limit."""
        left = [] if self.upload is None else [self.upload - self._sent]
        if self.upload_per_host is not None:
            left.append(self.upload_per_host - self._hosts.get(host(decision), 0))
        return max(0, min(left)) if left else None

    def take(self, decision: Decision, size: int) -> Decision | None:
        """Count `size` bytes more of a flow; or, none counted, the denial of too many."""
        whole, own = self._sent + size, self._hosts.get(host(decision), 0) + size
        if self.upload is not None and whole > self.upload:
            return denied(decision, UPLOAD, self.upload, whole)
        if self.upload_per_host is not None:
            if own > self.upload_per_host:
                return denied(decision, UPLOAD_PER_HOST, self.upload_per_host, own)
            self._hosts[host(decision)] = own
        self._sent = whole
        return None


def host(decision: Decision) -> str:
    """Whom `upload_per_host` counts for: the name that was judged, or the bare address."""
    return decision.name or decision.address or ""


def denied(decision: Decision, rule: str, limit: int, counted: int) -> Decision:
    """The denial of what `decision` allowed, because it would make `counted` where the policy says `limit`."""
    reason = f"more than {limit} {_WORDS[rule]}"
    judged = replace(decision, verdict=Verdict.DENY, rule=rule, reason=reason, counted=counted)
    return replace(judged, remedy=None, observed=False, opened=False)
