"""SHELL. What all flows of a run share: policies, the ledger, the look-up, pipes, and the counts."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from typing import Protocol as Protocols

from sluicegate.evidence import ids, records
from sluicegate.facts import Decision, Facts, Protocol, Verdict, Via
from sluicegate.gate.actions import NS_PER_MS, action_id, nothing
from sluicegate.gate.dial import interleaved
from sluicegate.gate.h2store import Store
from sluicegate.gate.ledger import Ledger
from sluicegate.gate.limits import Limits
from sluicegate.gate.lookup import Lookup
from sluicegate.gate.loop import Loop
from sluicegate.gate.machine import UNNAMED, Ask, Judge, Named, Step
from sluicegate.gate.names import Names
from sluicegate.gate.news import News
from sluicegate.gate.override import overridden
from sluicegate.gate.passage import Contents, Passage
from sluicegate.gate.pipes import Pipes
from sluicegate.gate.questions import Questions
from sluicegate.gate.threads import Threads
from sluicegate.jcs import Json
from sluicegate.policy.allowance import REQUEST, Allowance
from sluicegate.policy.ask import askable, settled, where
from sluicegate.policy.decide import answered, decide, decisive, named, relaxed
from sluicegate.policy.model import Policy
from sluicegate.policy.opening import opened, opens
from sluicegate.wire import http

if TYPE_CHECKING:
    from sluicegate.gate.opened import Opener  # with it comes OpenSSL, which few runs need
    from sluicegate.gate.vault import Vault

TLS_PORT = 443
PROXIED = (Via.CONNECT, Via.SOCKS)
COUNTS = (
    *("connections", "flows", "allowed", "denied", "observed", "overload"),
    *("bytes_up", "bytes_down", "kernel_up", "kernel_down", "dns_tcp"),
    *("broken", "refused_requests", "proxied", "http", "http_up"),
)


# Decisions that are kept, by their facts: programs ask for the same again and again, and to decide takes a sixth of the
# gate's own time for a request. Of what is long (in characters of the path) none is kept: a MB or two are enough.
MAX_SAID, MAX_SAID_PATH = 256, 1024


class Asking(Protocols):
    """Whoever has read a request and will send it."""

    request: http.Request | None


@dataclass(slots=True)
class Desk:
    """Shared by reference; `counts` are what `stopped` reports."""

    loop: Loop
    ledger: Ledger
    lookup: Lookup
    names: Names
    policies: tuple[Policy, ...]
    limits: Limits
    pipes: Pipes
    threads: Threads
    opener: Opener | None = None
    vault: Vault | None = None
    news: News | None = None
    questions: Questions | None = None
    loose: tuple[Policy, ...] = ()
    allowance: Allowance = field(default_factory=Allowance)
    named: Named = UNNAMED
    digests: bool = False
    store: Store = field(init=False)
    _said: dict[Facts, Decision] = field(default_factory=dict)
    _said_by: tuple[Policy, ...] = ()
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTS, 0))
    refused: Counter[str] = field(default_factory=Counter)  # by limit, until it is on record

    def __post_init__(self) -> None:
        self.store = Store(self.limits.h2_bytes)
        self.allowance = Allowance.of(self.policies)
        self.loose, self.named = relaxed(self.policies), named(self.policies)
        self.digests = any(policy.digests for policy in self.policies)

    def judge(self, facts: Facts) -> Decision:
        """What the policies say, and their limits; of TLS that must be opened, about name and port."""
        if self._said_by is not self.policies:
            self._said_by = self.policies
            self._said.clear()
        found = self._said.get(facts)
        if found is None:
            if self.opener is not None and opens(self.policies, facts):
                found = opened(self.policies, self.loose, facts)
            else:
                found = settled(self.policies, facts, decide(self.policies, facts))
            if len(facts.path or "") <= MAX_SAID_PATH:
                if len(self._said) >= MAX_SAID:
                    self._said.clear()
                self._said[facts] = found
        return self._within(facts, found)

    def _within(self, facts: Facts, decision: Decision) -> Decision:
        if decision.verdict is Verdict.DENY:
            return decision
        now_ms = time.time_ns() // NS_PER_MS
        return self.allowance.begin(facts.protocol, decision, now_ms) or decision

    def ask(self, who: records.Client, step: Step, done: Callable[[], None]) -> bool:
        """Whether a person is asked before `step` is done; `done` is called when there is an answer."""
        if self.questions is None or not self.questions.open or not isinstance(step, Judge | Ask):
            return False
        facts = step.facts
        if self.alarm(facts) is not None:
            return False  # nobody is shown the name, whose answer would be on record with it
        policies, seen = self._seen(facts, target=isinstance(step, Ask))
        made = decide(policies, seen)
        if not askable(policies, seen, made):
            return False
        return self.questions.ask(who, facts, made, done)

    def informed(self, who: records.Client, facts: Facts, *, target: bool = False) -> Facts:
        """`facts` with what a person said about them, if one was asked."""
        if self.questions is None:
            return facts
        policies, seen = self._seen(facts, target=target)
        made = decide(policies, seen)
        if not askable(policies, seen, made):
            return facts
        return replace(facts, answer=self.questions.known(who.connection, where(made)))

    def _seen(self, facts: Facts, *, target: bool) -> tuple[tuple[Policy, ...], Facts]:
        if target:
            return self.loose, replace(facts, protocol=Protocol.SERVER_FIRST)
        return self.policies, facts

    def alarm(self, facts: Facts, *, target: bool = False) -> tuple[Facts, Decision] | None:
        """What is to be recorded and decided where a name in `facts` has a secret in it; None: none has."""
        if self.vault is None:
            return None
        return self.vault.called(facts, self.preliminary if target else self.judge)

    def target(self, who: records.Client, facts: Facts) -> tuple[Facts, Decision]:
        """What is to be recorded of a proxy client's target, and decided of it alone."""
        if (alarm := self.alarm(facts, target=True)) is not None:
            return alarm
        facts = self.informed(who, facts, target=True)
        return facts, self.preliminary(facts)

    def weigh(self, who: records.Client, facts: Facts, asking: Asking) -> tuple[Facts, Decision]:
        """What is to be recorded of `facts`, and decided; a request gets its secrets, if none is elsewhere in it."""
        if (alarm := self.alarm(facts)) is not None:
            return alarm
        facts = self.informed(who, facts)
        decision = self.judge(facts)
        if asking.request is not None and asking.request.overrides:
            facts, decision = overridden(self.judge, facts, decision, asking.request.overrides)
        if self.vault is None or asking.request is None:
            return facts, decision
        known = (facts, decision, asking.request)
        facts, decision, asking.request = self.vault.weigh(*known, self.judge)
        return facts, decision

    def preliminary(self, facts: Facts) -> Decision:
        """The verdict on name and port alone, whatever will be spoken there."""
        policies, seen = self._seen(facts, target=True)
        return self._within(facts, settled(policies, seen, decide(policies, seen)))

    def waits(self, base: Facts) -> bool:
        """Whether a client that said nothing within the grace may still say what decides."""
        facts = replace(base, protocol=Protocol.SERVER_FIRST)
        decision = self.judge(facts)
        sure = decision.verdict is Verdict.ALLOW and not decision.observed
        named = facts.synthetic is not None or facts.target is not None
        if not sure and not named and self.may_be_named(decision.port):
            return True  # its hello or Host may yet name it
        if decision.port == TLS_PORT and self._opens_named(facts):
            return True  # only TLS is spoken there, and once the server is connected it can not be opened
        denied = decision.verdict is Verdict.DENY
        # Its request may yet be one that a rule allows.
        return denied and self.preliminary(facts).verdict is Verdict.ALLOW

    def _opens_named(self, base: Facts) -> bool:
        """Whether TLS of the name that the resolver or a proxy was asked for would be opened."""
        hello = replace(base, protocol=Protocol.TLS, sni=base.synthetic or base.target)
        return self.opener is not None and opens(self.policies, hello)

    def half(self, base: Facts) -> bool | None:
        """Whether half a word within the grace is let through as opaque; None: it may yet become a good request."""
        facts = replace(base, protocol=Protocol.OPAQUE)
        decision = self.judge(facts)
        if decision.rule == "protocol":
            return None
        if decision.verdict is Verdict.ALLOW:
            return True
        return False if self.preliminary(facts).verdict is Verdict.DENY else None

    def may_be_named(self, port: int) -> bool:
        """Whether there is a host that a client of a bare address could still name and be allowed."""
        return all(
            policy.observe
            or (policy.ask and self.questions is not None)
            or any(rule.host and port in rule.ports for rule in policy.allow)
            for policy in self.policies
        )

    def admitted(
        self, decision: Decision, addresses: tuple[str, ...]
    ) -> tuple[tuple[str, ...], Decision | None]:
        """The addresses that may be dialled; where there is none, those the record needs, and why."""
        good, denied = answered(self.policies, decision, addresses)
        if denied is None:
            return good, None
        # Recorded in this order, so that the same question has the same answer then.
        shown = interleaved(decisive(self.policies, decision, addresses, records.MAX_ADDRESSES))
        return shown, answered(self.policies, decision, shown)[1]

    def block(
        self,
        client: records.Client,
        facts: Facts,
        decision: Decision,
        done: Callable[[], None],
        *,
        ech: bool = False,
        asked: bool = False,
        addresses: tuple[str, ...] = (),
    ) -> None:
        """Record a denial, as `records.decision` has it; `done` when it is committed."""
        self.counts["denied"] += 1
        self.counts["proxied"] += facts.via in PROXIED
        if self.news is not None:
            self.news.denied(facts, decision)
        known = (client, facts, decision, action_id())
        self.submit(records.decision(*known, ech=ech, asked=asked, addresses=addresses), done)

    def overload(self, limit: str) -> None:
        """Count one connection that is refused unread because `limit` is reached."""
        self.counts["overload"] += 1
        self.refused[limit] += 1

    def submit(self, message: Mapping[str, Json], done: Callable[[], None]) -> None:
        self.ledger.submit(message, done)

    def note(self, message: Mapping[str, Json]) -> None:
        """Put on record what nobody waits for; it may go behind what is submitted later."""
        self.ledger.submit(message, nothing, self.loop.now)


class Deed:
    """One allowed action, from its intent to its outcome."""

    __slots__ = (
        *("_action", "_begun", "_client", "_closed", "_desk", "_known", "address_count"),
        *("addresses", "bytes_down", "bytes_up", "decision", "facts", "frames", "kernel"),
        *("passage", "peer", "status"),
    )

    def __init__(
        self, desk: Desk, client: records.Client, facts: Facts, decision: Decision
    ) -> None:
        self.facts, self.decision = facts, decision
        self.addresses: tuple[str, ...] = ()
        self.address_count = 0
        self.peer: str | None = None
        self.status: int | None = None
        self.bytes_up = self.bytes_down = 0
        self.kernel: tuple[int, int] | None = None
        self.frames: tuple[int, int] | None = None  # of a WebSocket
        self.passage = Passage(desk, facts, decision)
        self._desk, self._client, self._action = desk, client, ""
        self._known: records.Common | None = None  # of what was recorded last
        self._begun, self._closed = desk.loop.now, False

    @property
    def closed(self) -> bool:
        """Whether its outcome is recorded."""
        return self._closed

    def intend(self, done: Callable[[], None], *, ech: bool = False) -> None:
        """Record the intent (and in observe mode the warning); `done` when it is committed."""
        desk, known = self._desk, (self._client, self.facts, self.decision)
        desk.counts["allowed"] += 1
        if desk.news is not None:
            desk.news.began(self)
        if self.decision.observed:
            desk.counts["observed"] += 1
            if desk.news is not None:
                desk.news.denied(*known[1:])
            # Not as a note, which may go behind others: its id is earlier than theirs.
            desk.submit(records.warning(*known, action_id()), nothing)
        self._action = action_id()
        moment = ids.moment_ms(self._action)
        desk.allowance.began(self.facts.protocol, self.decision, moment)
        self._known = records.common(*known)
        desk.submit(records.decision(*known, self._action, ech=ech, known=self._known), done)

    def turn(
        self,
        reason: str,
        facts: Facts,
        decision: Decision,
        done: Callable[[], None],
        *,
        ech: bool = False,
    ) -> None:
        """Close it and begin another one with the same peer: it is now known to be more than was recorded."""
        moved = self.passage.moved
        self.close(reason, in_order=True)
        self.passage.moved = moved
        self.facts, self.decision = facts, decision
        self.passage.facts, self.passage.decision = facts, decision
        self.bytes_up = self.bytes_down = 0
        self.kernel = None
        self._begun, self._closed = self._desk.loop.now, False
        self.intend(done, ech=ech)

    def carried(self, up: int, down: int, kernel: tuple[int, int] | None) -> None:
        """Add what a carrier moved, as it counted and as the kernel did; a request may be sent a second time."""
        self.bytes_up, self.bytes_down = self.bytes_up + up, self.bytes_down + down
        if kernel is None:
            return  # within TLS: the connection's own outcome has it
        before = self.kernel or (0, 0)
        self.kernel = before[0] + kernel[0], before[1] + kernel[1]

    def found(self, addresses: tuple[str, ...]) -> None:
        """Keep what may be dialled and recorded of `addresses`: an answer may hold thousands."""
        self.addresses, self.address_count = interleaved(addresses), len(addresses)

    @property
    def _passed(self) -> tuple[int | None, Contents]:
        """What of a request counts against limits, if there are any, and its contents, if they are asked for."""
        counts = self.facts.protocol in REQUEST and self._desk.allowance.counts_bytes
        return self.passage.counted if counts else None, self.passage.contents

    def close(self, reason: str, *, in_order: bool = False) -> None:
        """Record the outcome, once; `in_order`: before the next receipt, which may be of the same connection."""
        if self._closed:
            return
        self._closed = True
        self.passage.moved = None  # no two that hold each other: a flow needs no collector
        counts = self._desk.counts
        if self._desk.news is not None:
            self._desk.news.ended(self)
        if self.facts.protocol is not Protocol.HTTPS:
            # What is inside an opened connection is counted with that, as TLS sends it.
            counts["bytes_up"] += self.bytes_up
            counts["bytes_down"] += self.bytes_down
        up, down = self.kernel or (0, 0)
        counts["kernel_up"] += up
        counts["kernel_down"] += down
        counts["broken"] += reason != records.COMPLETE
        counts["proxied"] += self.facts.via in PROXIED
        if self.decision.opened or self.facts.protocol is Protocol.HTTP:
            # What went up is not what the client sent, but made of it.
            counts["http"] += 1
            counts["http_up"] += self.bytes_up
        end = records.Outcome(
            reason,
            self.bytes_up,
            self.bytes_down,
            (self._desk.loop.now - self._begun) // NS_PER_MS,
            self.addresses,
            self.peer,
            self.status,
            self.address_count,
            self.kernel,
            *(self.frames, *self._passed),
        )
        known = (self._client, self.facts, self.decision, self._action, end, self._known)
        message = records.outcome(*known)
        if in_order:
            self._desk.submit(message, nothing)
        else:
            self._desk.note(message)
