"""The nouns every room shares. Imports nothing from this package; holds no behaviour."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Verdict(enum.Enum):
    """What the gate does with one flow."""

    # There is one of each member. Enum's own hash asks for its name, in Python, for every fact that is looked up.
    __hash__ = object.__hash__
    ALLOW = "allow"
    DENY = "deny"


class Protocol(enum.Enum):
    """What the client's first bytes are. SERVER_FIRST: it sent none within the grace.

    HTTPS is one request inside a TLS connection that the gate opened.
    """

    __hash__ = object.__hash__
    TLS = "tls"
    HTTP = "http"
    HTTPS = "https"
    OPAQUE = "opaque"
    SERVER_FIRST = "server-first"


class Via(enum.Enum):
    """How the client named its destination: by connecting to it, or by asking a proxy."""

    __hash__ = object.__hash__
    DIRECT = "direct"
    CONNECT = "connect"
    ABSOLUTE = "absolute-form"
    SOCKS = "socks"


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known about one flow before a byte of it leaves, and who claims it.

    The kernel states `address` and `port` (where the client connected to); our resolver states
    `synthetic` (the name it bound that address to, or None for a bare address). Everything else is
    the client's claim: `target` and `target_port` (CONNECT, absolute-form, SOCKS), `sni`, `host`
    with `host_port` (None if the Host header has none), `method`, `path` (HTTP, clear or opened).
    `query` and `headers` are the pairs that some rule's condition is about, as they were sent and in their
    order: `policy.conditions` makes them, and cuts what is long.
    All names are canonical: `wire.names.host` made them. `fault` is why the bytes or claims can not be
    vouched for; a flow with a fault is denied whatever the policy. `answer` is what a person said of the destination
    (`policy.ask` has the words), None where nobody was asked.
    """

    protocol: Protocol
    address: str
    port: int
    via: Via = Via.DIRECT
    synthetic: str | None = None
    target: str | None = None
    target_port: int | None = None
    sni: str | None = None
    host: str | None = None
    host_port: int | None = None
    method: str | None = None
    path: str | None = None
    query: tuple[tuple[str, str], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    fault: str | None = None
    answer: str | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict, the rule that gave it, and where an allowed flow may go.

    `rule` is `allow[i] file:line`, `deny[i] file:line`, `default`, `mismatch`, `fault`,
    `internal-address`, `limit` ... `reason` is one printable ASCII sentence. `remedy` is the YAML
    line that would allow the flow, or None where no line can. `name` is what the gate must look up (None for a
    bare address), `address` the bare address to connect to (None where a name is looked up), `port` the
    port that was judged. `observed` marks an ALLOW that only observe mode gave,
    `opened` one of name and port alone: what is asked inside TLS is judged request by request. `counted` is what a
    denial by a limit counted, the denied included.
    """

    verdict: Verdict
    rule: str
    reason: str
    port: int
    name: str | None = None
    address: str | None = None
    remedy: str | None = None
    observed: bool = False
    opened: bool = False
    counted: int | None = None
