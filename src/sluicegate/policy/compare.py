"""Two policies to what only one of them lets through: found by asking both about one of each kind of thing. Pure.

Rules tell names, addresses, ports, methods, paths, parameters and headers apart in finitely many ways (`classes`,
`globs`, `asking`). So one of each kind, held against both policies by `decide` itself, is every case: where none of
them is let through by the new policy alone, nothing is, which is the proof.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
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


class _Book:
    """One side's policies, to be looked up by destination."""

    def __init__(self, policies: tuple[Policy, ...]) -> None:
        self._policies = policies
        self._hits: dict[tuple[str | None, str | None], list[tuple[list[Rule], list[Rule]]]] = {}

    def about(self, subject: Subject) -> _Rules:
        """The rules about a destination."""
        port = subject.port
        by_name, by_address = self._of(subject.name, None), self._of(None, subject.address)
        return _Rules(
            tuple(tuple(r for r in allow if port in r.ports) for allow, _ in by_address),
            tuple(tuple(r for r in allow if port in r.ports) for allow, _ in by_name),
            tuple(
                tuple(r for r in (*one[1], *other[1]) if not r.ports or port in r.ports)
                for one, other in zip(by_name, by_address, strict=True)
            ),
        )

    def _of(self, name: str | None, address: str | None) -> list[tuple[list[Rule], list[Rule]]]:
        """Of each policy the allow and deny rules about the name, or about the address, whatever the port."""
        if (name, address) not in self._hits:
            one = Subject(name, address, 0)
            self._hits[name, address] = [
                (
                    [rule for rule in policy.allow if deciding.names(rule, one)],
                    [rule for rule in policy.deny if _denies(rule, one)],
                )
                for policy in self._policies
            ]
        return self._hits[name, address]


def _denies(rule: Rule, about: Subject) -> bool:
    if rule.network is None:
        return deciding.names(rule, about)
    return about.address is not None and deciding.inside(rule.network, about.address, deny=True)


@dataclass(frozen=True, slots=True)
class _Key:
    """What decides about a destination: of two that have the same, nothing passes at one alone.

    `rules` are those about it on each side, `secrets` whether one has its TLS opened there; `inside` is of an address.
    """

    rules: tuple[object, ...]
    secrets: tuple[bool, ...]
    port: int
    named: bool
    inside: bool | None


@dataclass(slots=True)
class _Answer:
    """`differences`: (by the new side alone, what), that which says most first. `shared`: what passes on both."""

    differences: list[tuple[bool, Kind, Request | None]] = field(default_factory=list)
    shared: tuple[Kind, Request | None] | None = None


class _Comparison:
    def __init__(self, old: Side, new: Side, found: Found) -> None:
        self._sides, self._found = (old, new), found
        self._books = (_Book(old.policies), _Book(new.policies))
        # Whether the sides differ in their rules alone.
        self._alike = _beside(old) == _beside(new)
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
        for count, subject in enumerate(self._subjects()):
            if count == MAX_SUBJECTS:
                self._found.undecided.append(f"more than {MAX_SUBJECTS} kinds of destinations")
                return
            try:
                self._destination(subject)
            except UndecidedError as error:
                where = subject.name or subject.address
                self._found.undecided.append(f"{where} port {subject.port}: {error}")
        for port in self._ports:
            self._answers(port)

    def _subjects(self) -> Iterator[Subject]:
        for port in self._ports:
            names = [Subject(name, None, port) for name in self._names]
            addresses = [Subject(None, address, port) for address in self._addresses]
            yield from names
            yield from addresses
            # An address that claims a name: one of each kind, as the rules about it are those about either.
            for one, other in itertools.product(self._kinds(names), self._kinds(addresses)):
                yield Subject(one.name, other.address, port)

    def _kinds(self, subjects: Iterable[Subject]) -> list[Subject]:
        found = dict[object, Subject]()
        for subject in subjects:
            found.setdefault(self._key(subject), subject)
        return list(found.values())

    def _key(self, subject: Subject) -> _Key:
        return _Key(
            tuple(_content(book.about(subject), subject) for book in self._books),
            tuple(_secret(side.policies, subject) for side in self._sides),
            subject.port if subject.port in {80, 443} else 0,
            subject.name is not None,
            None if subject.address is None else internal(subject.address) is not None,
        )

    def _destination(self, subject: Subject) -> None:
        key = self._key(subject)
        if key not in self._known:
            rules = tuple(book.about(subject) for book in self._books)
            same = self._alike and all(len(set(pair)) == 1 for pair in (key.rules, key.secrets))
            self._known[key] = self._equal(subject, rules) if same else self._asked(subject, rules)
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

    def _equal(self, subject: Subject, rules: Sequence[_Rules]) -> _Answer:
        """Of a destination about which both sides say the same: what passes there by a name."""
        for kind in (Kind.HANDSHAKE, Kind.SILENT, Kind.OPAQUE, Kind.CLEAR):
            for request in self._requests(rules, kind, subject) if subject.address is None else ():
                self._found.looked += 1
                if self._sides[0].passes(Sending(subject, kind, request))[0]:
                    return _Answer(shared=(kind, request))
        self._found.looked += 1
        return _Answer()

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


def _beside(side: Side) -> object:
    """What of policies is no rule and yet decides what passes."""
    parameters, fields = deciding.named(side.policies)
    given = [(policy.observe, policy.inspect) for policy in side.policies]
    return given, _loosely(parameters), {conditions.header_name(name) for name in fields}


def _loosely(names: frozenset[str]) -> set[str]:
    return {conditions.loose_name(name) for name in names}


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
