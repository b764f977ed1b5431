"""Values that the command never holds: put into requests where a policy says, and looked for everywhere else. Pure.

The command has a placeholder. One that stands where its value would be put in is the use it is made for; anywhere else,
of any request, it is on its way to somebody whom it is not for. So it is a denial, as is a value itself: of the
policy's secrets, and of what the run's own environment keeps from the command.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from sluicegate.evidence.counts import HIDDEN_METHOD, HIDDEN_NAME
from sluicegate.evidence.records import SECRET
from sluicegate.facts import Decision, Facts, Verdict
from sluicegate.gate import signing
from sluicegate.gate.whole import Room, Whole
from sluicegate.policy.decide import placed
from sluicegate.policy.hosts import covers
from sluicegate.policy.model import Secret
from sluicegate.scan import sigv4
from sluicegate.scan.folded import Folded
from sluicegate.scan.placeholder import Place, put
from sluicegate.scan.stream import Finding, Patterns, Stream
from sluicegate.wire import http

# What stands on record for a path that has one in it: the record is for strangers.
REDACTED = "/[redacted]"
# Of what is withheld, so many are looked for in every encoding: each takes a tenth of a second to compile, and the
# command waits for it. The others are literals, of which sixty take 25 ms.
THOROUGH = 4
# What a client names that it wants to reach: each may be another one, and all are on record.
_CLAIMS = ("target", "sni", "host")
KEPT = 1024  # names of which we remember what is in them: programs ask for the same few
SIGNED = "sigv4"
_PLACES: dict[str, Place] = {
    "header": "header",
    "bearer": "bearer",
    "basic": "basic",
    "query": "query",
}


@dataclass(frozen=True, slots=True)
class Held:
    """One secret of a run. Neither text is shown where the object is printed."""

    secret: Secret
    placeholder: str = field(repr=False)
    value: str = field(repr=False)


class Vault:
    """All that a run holds back. `withheld`: by name, the values of the environment that the command does not get.

    The first THOROUGH of them are looked for in every encoding, as the secrets are.
    """

    def __init__(self, held: tuple[Held, ...], withheld: dict[str, bytes]) -> None:
        # What is never sent: the client signs with its placeholder.
        self._keys = tuple(
            (one.secret, signing.Key(one.secret.name, one.placeholder, one.value))
            for one in held
            if one.secret.place == SIGNED
        )
        self._held = tuple(one for one in held if one.secret.place != SIGNED)
        self._room = Room()
        self._secrets = tuple(one.secret for one in held)
        kept = [(f"the value of {name}", value) for name, value in withheld.items()]
        sought = dict(kept[:THOROUGH])
        for one in held:
            sought[f"the placeholder of {one.secret.name}"] = one.placeholder.encode()
            sought[f"the value of {one.secret.name}"] = one.value.encode()
        self._values = frozenset(f"the value of {one.secret.name}" for one in held)
        self._patterns = Patterns(sought, dict(kept[THOROUGH:]))
        self._names = Folded({**dict(kept), **sought})
        self._known: dict[str, Finding | None] = {}

    def watch(self) -> Watch:
        """A look at the content of one request, from its first byte."""
        return Watch(self._patterns.stream(), self._values)

    def asked(self, name: bytes) -> str | None:
        """Which secret is in a name that is looked up, spelled as it was asked for; None: none is."""
        found = self._names.find(name) or next(iter(self._found(name)), None)
        return None if found is None else f"{found.name} ({found.encoding})"

    def called(
        self, facts: Facts, judge: Callable[[Facts], Decision]
    ) -> tuple[Facts, Decision] | None:
        """The denial of what is called by a name with a secret in it, and its facts without such names; None: no name
        has one. `judge` gives the decision that a stranger makes of these facts.
        """
        found = {claim: finding for claim in _CLAIMS if (finding := self._named(facts, claim))}
        if not found:
            return None
        hidden = replace(
            facts,
            target=HIDDEN_NAME if "target" in found else facts.target,
            sni=HIDDEN_NAME if "sni" in found else facts.sni,
            host=HIDDEN_NAME if "host" in found else facts.host,
            path=None if facts.path is None else REDACTED,
            query=(),
            headers=(),
        )
        return hidden, denied(judge(hidden), next(iter(found.values())), "the name")

    def _named(self, facts: Facts, claim: str) -> Finding | None:
        name: str | None = getattr(facts, claim)
        if name is None:
            return None
        if name not in self._known:
            if len(self._known) >= KEPT:
                self._known.clear()
            self._known[name] = self._names.find(name.encode())
        return self._known[name]

    def signs(self, name: str) -> bool:
        """Whether requests to the host `name` may have to be signed anew."""
        return any(covers(secret.hosts, name) for secret, _ in self._keys)

    def holds(self, request: http.Request) -> Whole | None:
        """Where to read the content of `request` first, as one must to sign it anew; most stream."""
        empty = request.framing is http.Framing.NONE
        if empty or not self._keys or not sigv4.wants_content(request.headers):
            return None
        about = request.host or "", request.method
        if not any(_for(secret, *about) for secret, _ in self._keys):
            return None
        return Whole(request, self._room)

    def weigh(
        self,
        facts: Facts,
        decision: Decision,
        request: http.Request,
        judge: Callable[[Facts], Decision],
    ) -> tuple[Facts, Decision, http.Request]:
        """What is to be recorded, decided and sent of a request that is judged as `decision`.

        Values are put in where they belong, and what is signed with a placeholder is signed anew. Where its head has a
        placeholder or value elsewhere, the request is denied, and the facts for the record are without it; `judge`
        gives the decision that a stranger makes of these.
        """
        sent = rest = request
        said = request.overrides
        # A server that does what a header says gets a value for that method only if it is for both.
        places = tuple(
            secret
            for secret in placed(self._secrets, facts, decision)
            if not secret.methods or all(method in secret.methods for method in said)
        )
        for one in self._held:
            if one.secret in places:
                sent, rest = _filled(sent, one, one.value), _filled(rest, one, "")
        with_all = b"\n".join(text for _, text in _texts(rest))
        if not self._found(with_all):
            return facts, *self._signed(decision, request, sent, places)
        all_ = {place: found[0] for place, text in _pieces(rest) if (found := self._found(text))}
        where, finding = next(iter(all_.items()))
        hidden = replace(facts, query=(), headers=())
        # Also where it is in something before the path as well, or the path has no more than a part of it.
        if "the path" in all_ or where == "the head":
            hidden = replace(hidden, path=REDACTED)
        if "the method" in all_ or where == "the head":
            hidden = replace(hidden, method=HIDDEN_METHOD)
        return hidden, denied(judge(hidden), finding, where), request

    def _signed(
        self, decision: Decision, asked: http.Request, sent: http.Request, here: tuple[Secret, ...]
    ) -> tuple[Decision, http.Request]:
        """What is decided and sent, if a key is for signing."""
        if not self._keys or decision.verdict is Verdict.DENY:
            return decision, sent
        own = tuple(key for secret, key in self._keys if secret in here)
        others = (key for secret, key in self._keys if secret not in here)
        try:
            return decision, signing.anew(asked, sent, own, others)
        except signing.UnsignedError as refused:
            return signing.denied(decision, refused), asked

    def _found(self, text: bytes) -> list[Finding]:
        stream = self._patterns.stream()
        return [*stream.feed(text), *stream.finish()]


class Watch:
    """Sees one way of one request, or of a WebSocket, in pieces of any size. `values`: names of what is put in."""

    __slots__ = ("_stream", "_values")

    def __init__(self, stream: Stream, values: frozenset[str]) -> None:
        self._stream, self._values = stream, values

    def content(self, decision: Decision, data: bytes) -> Decision | None:
        """The denial of what `decision` allows, if something is in the content since `data`."""
        found = self._stream.feed(data)
        return denied(decision, found[0], "the content") if found else None

    def response(self, decision: Decision, data: bytes) -> Decision | None:
        """The same of a response: a server that sends a value back gives it to the command."""
        found = [one for one in self._stream.feed(data) if one.name in self._values]
        return denied(decision, found[0], "the response") if found else None


def denied(decision: Decision, finding: Finding, where: str) -> Decision:
    """The denial of what `decision` is about, because of `finding` in `where`."""
    what, _, name = finding.name.rpartition(" of ")
    return replace(
        decision,
        verdict=Verdict.DENY,
        rule=SECRET,
        reason=f"{what} of {name} ({finding.encoding}) is in {where}, where it does not belong",
        remedy=None,
        observed=False,
        opened=False,
        counted=None,
    )


def _for(secret: Secret, host: str, method: str) -> bool:
    return covers(secret.hosts, host) and (not secret.methods or method in secret.methods)


def _filled(request: http.Request, one: Held, text: str) -> http.Request:
    """`request` with `text` where the placeholder is all that stands in its place."""
    secret, place = one.secret, _PLACES[one.secret.place]
    if place == "query":
        path, mark, query = request.path.partition("?")
        changed = put(place, secret.key, query, one.placeholder, text)
        return request if changed is None else replace(request, path=f"{path}{mark}{changed}")
    field_name = secret.key if place == "header" else "authorization"
    headers = []
    for name, value in request.headers:
        changed = None
        if name.lower() == field_name:
            changed = put(place, secret.key, value, one.placeholder, text)
        headers.append((name, value if changed is None else changed))
    return replace(request, headers=tuple(headers))


def _texts(request: http.Request) -> Iterator[tuple[str, bytes]]:
    """All that the client chose of the head, each with the place that it is in."""
    yield "the method", request.method.encode("latin-1", "replace")
    yield "the path", request.path.encode("latin-1", "replace")
    yield "the host", f"{request.host}".encode("latin-1", "replace")
    for name, value in request.headers:
        yield "the headers", f"{name}: {value}".encode("latin-1", "replace")


def _pieces(request: http.Request) -> Iterator[tuple[str, bytes]]:
    """As `_texts`, and all together in the end: something may have begun in one and ended in another."""
    yield from _texts(request)
    yield "the head", b"\n".join(text for _, text in _texts(request))
