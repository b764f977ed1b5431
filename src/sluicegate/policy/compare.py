"""Two policies to what only one of them lets through: found by asking both about one of each kind of thing. Pure.

Rules tell names, addresses, ports, methods, paths, parameters and headers apart in finitely many ways (`classes`,
`globs`, `asking`). So one of each kind, held against both policies by `decide` itself, is every case: where none of
them is let through by the new policy alone, nothing is, which is the proof.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from sluicegate.facts import Decision
from sluicegate.policy import asking, classes, conditions, globs, hosts
from sluicegate.policy import decide as deciding
from sluicegate.policy.decide import Subject
from sluicegate.policy.globs import UndecidedError
from sluicegate.policy.model import Policy, Rule
from sluicegate.policy.opening import CLEAR_PORT
from sluicegate.policy.passing import REQUESTS, Kind, Request, Sending, Side
from sluicegate.wire.addresses import internal

# Destinations, and requests to one of them, that are looked at one by one: some seconds each.
MAX_SUBJECTS = 400_000
MAX_REQUESTS = 60_000
# A path that two servers may read differently.
_AMBIGUOUS = "/a//b"
# One occurrence more than are kept: what is known of headers is no longer all of them.
_FLOOD = conditions.MAX_PAIRS + 1


@dataclass(frozen=True, slots=True)
class Difference:
    """What one side lets through and the other does not. `others`: further kinds of it to the same destination.

    `answers`: of a name that both allow, addresses it may resolve to; the first of them is dialled by one side alone.
    """

    sending: Sending
    old: str
    new: str
    others: int = 0
    answers: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """The request or connection."""
        if not self.answers:
            return self.sending.words
        first, *more = self.answers
        also = f" (and to {more[0]})" if more else ""
        return f"{self.sending.words}, where the name resolves to {first}{also}"


@dataclass(slots=True)
class Found:
    """`looked`: kinds of requests and connections that both policies were asked about."""

    allowed: list[Difference] = field(default_factory=list)
    denied: list[Difference] = field(default_factory=list)
    undecided: list[str] = field(default_factory=list)
    looked: int = 0


def compare(old: tuple[Policy, ...], new: tuple[Policy, ...]) -> Found:
    """What `new` lets through and `old` does not, and the other way round: an example for each destination."""
    found = Found()
    _Comparison(Side(old), Side(new), found).run()
    return found


@dataclass(frozen=True, slots=True)
class _Rules:
    """Of one side's policies the rules about one destination, by what they are held against."""

    by_address: tuple[tuple[Rule, ...], ...]
    by_name: tuple[tuple[Rule, ...], ...]
    deny: tuple[tuple[Rule, ...], ...]

    @property
    def allow(self) -> tuple[Rule, ...]:
        return tuple(itertools.chain(*self.by_address, *self.by_name))

    @property
    def denying(self) -> tuple[Rule, ...]:
        return tuple(itertools.chain(*self.deny))


@dataclass(slots=True)
class _Answer:
    """`differences`: (by the new side alone, what), that which says most first. `shared`: what passes on both."""

    differences: list[tuple[bool, Kind, Request | None]] = field(default_factory=list)
    shared: tuple[Kind, Request | None] | None = None


class _Comparison:
    def __init__(self, old: Side, new: Side, found: Found) -> None:
        self._sides, self._found = (old, new), found
        rules = [r for s in self._sides for p in s.policies for r in (*p.allow, *p.deny)]
        secrets = [x for s in self._sides for p in s.policies for x in p.secrets]
        about = [(r.host, r.wildcard) for r in rules if r.host is not None]
        about += [(h.removeprefix("*."), h[0] == "*") for x in secrets for h in x.hosts]
        self._names = classes.names(about)
        self._addresses = classes.addresses(
            tuple(sorted({rule.network for rule in rules if rule.network is not None}))
        )
        self._ports = classes.ports(port for rule in rules for port in rule.ports)
        # What was found for one destination holds for every other that the same rules are about.
        self._known: dict[object, _Answer] = {}
        # (by the new side alone, destination) of differences that are about a name or an address alone.
        self._alone: set[tuple[bool, Subject]] = set()
        # By port, what both let through by a name.
        self._shared: dict[int, Sending] = {}

    def run(self) -> None:
        count = len(self._ports) * (len(self._names) + 1) * (len(self._addresses) + 1)
        if count > MAX_SUBJECTS:
            self._found.undecided.append(f"more than {MAX_SUBJECTS} kinds of destinations")
            return
        for subject in self._subjects():
            try:
                self._destination(subject)
            except UndecidedError as error:
                where = subject.name or subject.address
                self._found.undecided.append(f"{where} port {subject.port}: {error}")
        for port in self._ports:
            self._answers(port)

    def _subjects(self) -> Iterator[Subject]:
        for name, port in itertools.product(self._names, self._ports):
            yield Subject(name, None, port)
        for address, port in itertools.product(self._addresses, self._ports):
            yield Subject(None, address, port)
        for name, address, port in itertools.product(self._names, self._addresses, self._ports):
            yield Subject(name, address, port)

    def _destination(self, subject: Subject) -> None:
        rules = tuple(_about(side.policies, subject) for side in self._sides)
        key = (
            tuple(_content(one, subject) for one in rules),
            subject.port if subject.port in {80, 443} else 0,
            subject.name is None,
            subject.address is not None and (internal(subject.address) is not None,),
            tuple(_secret(side.policies, subject) for side in self._sides),
        )
        if key not in self._known:
            self._known[key] = self._asked(subject, rules)
        answer = self._known[key]
        if answer.shared is not None and subject.address is None:
            self._shared.setdefault(subject.port, Sending(subject, *answer.shared))
        for direction in (True, False):
            found = [(k, r) for newly, k, r in answer.differences if newly is direction]
            if found:
                self._told(direction, Sending(subject, *found[0]), len(found) - 1)

    def _told(self, newly: bool, sending: Sending, others: int) -> None:
        (was, before), (now, after) = (side.passes(sending) for side in self._sides)
        if (was, now) != (not newly, newly):
            raise RuntimeError(f"{sending.words}: not what was found of its like")
        about = sending.subject
        if about.name is None or about.address is None:
            self._alone.add((newly, about))
        elif {
            (newly, replace(about, name=None)),
            (newly, replace(about, address=None)),
        } & self._alone:
            return  # the name or the address alone has said it
        found = self._found.allowed if newly else self._found.denied
        found.append(Difference(sending, _said(before), _said(after), others))

    def _asked(self, subject: Subject, rules: Sequence[_Rules]) -> _Answer:
        old, new = self._sides
        answer = _Answer()
        # In the order of what says most: what the port is for.
        first = {CLEAR_PORT: Kind.CLEAR, 443: Kind.CLOSED}.get(subject.port, Kind.OPAQUE)
        for kind in dict.fromkeys((first, *Kind)):
            if kind in {Kind.OPAQUE, Kind.SILENT} and None not in {subject.name, subject.address}:
                continue  # only TLS and HTTP have a name beside the address
            for request in self._requests(rules, kind, subject):
                sending = Sending(subject, kind, request)
                self._found.looked += 1
                was, now = old.passes(sending)[0], new.passes(sending)[0]
                if was is not now:
                    answer.differences.append((now, kind, request))
                elif now and answer.shared is None:
                    answer.shared = kind, request
        return answer

    def _requests(
        self, rules: Sequence[_Rules], kind: Kind, subject: Subject
    ) -> Iterator[Request | None]:
        if kind not in REQUESTS:
            yield None
            return
        if kind is Kind.SECURE:
            states = {side.tls(subject)[0] for side in self._sides}
            if Kind.HANDSHAKE not in states:
                return  # nobody looks inside: what TLS itself may do says it all
        allow = tuple(rule for one in rules for rule in one.allow)
        deny = tuple(rule for one in rules for rule in one.denying)
        every = (*allow, *deny)
        texts = list(dict.fromkeys(glob for rule in every for glob in rule.paths))
        ways = [*globs.of_paths(texts).values(), _AMBIGUOUS]
        methods = classes.methods(method for rule in every for method in rule.methods)
        queries = [*asking.parameters(allow, deny)]
        headers = [*asking.fields(allow, deny)]
        size = len(ways) * len(methods)
        for group in (*queries, *headers):
            size *= len(group)
        if size > MAX_REQUESTS:
            raise UndecidedError(f"more than {MAX_REQUESTS} kinds of requests")
        floods = list(self._floods(bool(queries), bool(headers)))
        for method, path, more in itertools.product(methods, ways, floods):
            for asked in itertools.product(*queries):
                pairs = tuple(itertools.chain(*asked, more[0]))
                for told in itertools.product(*headers):
                    fields = tuple(itertools.chain(*told, more[1]))
                    yield Request(method, path + asking.sent(pairs), fields)

    def _floods(
        self, queries: bool, headers: bool
    ) -> Iterator[tuple[conditions.Pairs, conditions.Pairs]]:
        """Nothing, and what makes one side alone give up on a request: names that only its rules are about."""
        yield (), ()
        old, new = (deciding.named(side.policies) for side in self._sides)
        for one, other in ((old, new), (new, old)):
            params = _loosely(one[0]) - _loosely(other[0])
            names = {conditions.header_name(n) for n in one[1]}
            names -= {conditions.header_name(n) for n in other[1]}
            if queries and params:
                yield ((";" + min(params), ""),), ()
            if headers and names:
                yield (), ((min(names), "x"),) * _FLOOD

    def _answers(self, port: int) -> None:
        """Addresses that names which both allow may resolve to."""
        sending = self._shared.get(port)
        if sending is None:
            return
        old, new = (side.passes(sending)[1] for side in self._sides)
        alike: dict[object, str] = {}
        for address in self._addresses:
            open_to = not internal(address)
            key = tuple(
                (
                    bool(s.admits(d, (address,))),
                    open_to or deciding.covered(s.policies, address, port),
                )
                for s, d in zip(self._sides, (old, new), strict=True)
            )
            alike.setdefault(key, address)
        seen = set[bool]()
        pairs = itertools.permutations(alike.values(), 2)
        for answer in (*((one,) for one in alike.values()), *pairs):
            one = answer[0]
            self._found.looked += 1
            was = one in self._sides[0].admits(old, answer)
            now = one in self._sides[1].admits(new, answer)
            if was is not now and now not in seen:
                seen.add(now)
                before, after = (
                    f"dials {one}" if got else f"never dials {one}" for got in (was, now)
                )
                found = self._found.allowed if now else self._found.denied
                found.append(Difference(sending, before, after, answers=answer))


def _said(decision: Decision) -> str:
    return f"{decision.reason} (observe mode)" if decision.observed else decision.reason


def _loosely(names: frozenset[str]) -> set[str]:
    return {conditions.loose_name(name) for name in names}


def _about(policies: tuple[Policy, ...], about: Subject) -> _Rules:
    by_name, by_address, deny = [], [], []
    for policy in policies:
        allow = [rule for rule in policy.allow if about.port in rule.ports]
        hit = [rule for rule in allow if deciding.names(rule, about)]
        by_name.append(tuple(rule for rule in hit if rule.network is None))
        by_address.append(tuple(rule for rule in hit if rule.network is not None))
        deny.append(tuple(rule for rule in policy.deny if _denies(rule, about)))
    return _Rules(tuple(by_address), tuple(by_name), tuple(deny))


def _denies(rule: Rule, about: Subject) -> bool:
    if rule.ports and about.port not in rule.ports:
        return False
    if rule.network is None:
        return deciding.names(rule, about)
    return about.address is not None and deciding.inside(rule.network, about.address, deny=True)


def _content(rules: _Rules, about: Subject) -> object:
    """What they ask for, whatever they are about."""
    allow = [
        [frozenset(map(_bare, some)) for some in kind] for kind in (rules.by_address, rules.by_name)
    ]
    # What has TLS opened takes fewer forms of an address for the same than what denies it.
    deny = [frozenset((_bare(r), deciding.names(r, about)) for r in some) for some in rules.deny]
    return tuple(map(tuple, allow)), tuple(deny)


def _bare(rule: Rule) -> Rule:
    return replace(rule, label="", host="", wildcard=False, network=None, ports=(), preset="")


def _secret(policies: Sequence[Policy], about: Subject) -> bool:
    name = about.name
    return name is not None and any(
        hosts.covers(secret.hosts, name) for policy in policies for secret in policy.secrets
    )
