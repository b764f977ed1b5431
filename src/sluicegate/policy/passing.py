"""One thing that a command might send, and whether policies let it through, as the gate would decide it. Pure."""

from __future__ import annotations

import enum
import functools
from dataclasses import dataclass, replace

from sluicegate.facts import Decision, Facts, Protocol, Verdict
from sluicegate.policy import conditions
from sluicegate.policy import decide as deciding
from sluicegate.policy.decide import Subject
from sluicegate.policy.model import Policy
from sluicegate.policy.opening import opened, opens

# Any address of the resolver's pool: it stands for the one that the name would be given.
_SYNTHETIC = "198.18.0.1"


class Kind(enum.Enum):
    """What is sent, in words. A TLS connection may be let through to be opened, or to carry what nobody looks at."""

    CLOSED = "TLS that is not opened"
    SECURE = "a request inside TLS"
    CLEAR = "a request in clear HTTP"
    HANDSHAKE = "a TLS connection"
    OPAQUE = "a connection that speaks another protocol"
    SILENT = "a connection whose server speaks first"


REQUESTS = (Kind.SECURE, Kind.CLEAR)


@dataclass(frozen=True, slots=True)
class Request:
    """A request as sent: `target` is its path with the query, `fields` are headers beside those of every request."""

    method: str
    target: str
    fields: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Sending:
    """`request` where the kind has one. A subject with both: a connection to the address, which claims the name."""

    subject: Subject
    kind: Kind
    request: Request | None = None

    @property
    def words(self) -> str:
        """As a URL or HOST:PORT, with the method, and what is special about it."""
        about = self.subject
        host = about.name or about.address or ""
        where = f"[{host}]" if ":" in host else host
        usual = {Kind.SECURE: 443, Kind.CLOSED: 443, Kind.CLEAR: 80}.get(self.kind)
        place = where if about.port == usual else f"{where}:{about.port}"
        text = f"{where}:{about.port} ({self.kind.value})"
        if self.kind is Kind.CLOSED:
            text = f"https://{place}/ (whatever is inside: its TLS is not opened)"
        if self.request is not None:
            scheme = "http" if self.kind is Kind.CLEAR else "https"
            text = f"{self.request.method} {scheme}://{place}{self.request.target}"
            text += "".join(f" with {name}: {value}" for name, value in self.request.fields)
        claimed = about.name is not None and about.address is not None
        return f"{text}, at the address {about.address}" if claimed else text


class Side:
    """Policies, to be asked. Several: every one must allow."""

    def __init__(self, policies: tuple[Policy, ...]) -> None:
        self.policies = policies
        self._loose = deciding.relaxed(policies)
        parameters, fields = deciding.named(policies)
        # Every request is asked about at many destinations, methods and paths.
        self._query = functools.cache(lambda target: conditions.query(target, parameters))
        self._headers = functools.cache(lambda given: conditions.headers(given, fields))
        self._tls: dict[Subject, tuple[Kind | None, Decision]] = {}

    def passes(self, sending: Sending) -> tuple[bool, Decision]:
        """Whether it is let through, in observe mode too, and the decision that says so."""
        about, kind = sending.subject, sending.kind
        if kind in {Kind.OPAQUE, Kind.SILENT}:
            protocol = Protocol.OPAQUE if kind is Kind.OPAQUE else Protocol.SERVER_FIRST
            return self._decided(replace(_facts(about), protocol=protocol, sni=None))
        if kind is Kind.CLEAR:
            return self._decided(self._asked(Protocol.HTTP, sending))
        state, decision = self.tls(about)
        if kind is Kind.SECURE and state is Kind.HANDSHAKE:
            return self._decided(self._asked(Protocol.HTTPS, sending))
        wanted = {Kind.CLOSED} if kind is Kind.CLOSED else {Kind.CLOSED, Kind.HANDSHAKE}
        return state in wanted, decision

    def tls(self, about: Subject) -> tuple[Kind | None, Decision]:
        """What becomes of a TLS connection: let through closed, or to be opened, or (None) denied."""
        if about not in self._tls:
            facts = _facts(about)
            if opens(self.policies, facts):
                made, kind = opened(self.policies, self._loose, facts), Kind.HANDSHAKE
            else:
                made, kind = deciding.decide(self.policies, facts), Kind.CLOSED
            self._tls[about] = (kind if made.verdict is Verdict.ALLOW else None, made)
        return self._tls[about]

    def admits(self, decision: Decision, addresses: tuple[str, ...]) -> tuple[str, ...]:
        """Those of the addresses that may be dialled for an allowed name which resolves to them."""
        return deciding.answered(self.policies, decision, addresses)[0]

    def _decided(self, facts: Facts) -> tuple[bool, Decision]:
        made = deciding.decide(self.policies, facts)
        return made.verdict is Verdict.ALLOW, made

    def _asked(self, protocol: Protocol, sending: Sending) -> Facts:
        request, about = sending.request, sending.subject
        if request is None:
            raise RuntimeError("a request that is none")
        known = about.address is None
        return Facts(
            protocol,
            about.address or _SYNTHETIC,
            about.port,
            synthetic=about.name if known else None,
            sni=about.name if protocol is Protocol.HTTPS else None,
            host=about.name,
            method=request.method,
            path=request.target,
            query=self._query(request.target),
            headers=self._headers(request.fields),
        )


def _facts(about: Subject) -> Facts:
    """Of a TLS connection, before anything is opened."""
    known = about.address is None
    return Facts(
        Protocol.TLS,
        about.address or _SYNTHETIC,
        about.port,
        synthetic=about.name if known else None,
        sni=about.name,
    )
