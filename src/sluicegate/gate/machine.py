"""One client's first bytes: bytes in, steps out. Pure; `flow.py` performs the steps.

Plain bytes are classified at once; behind CONNECT or SOCKS they are classified again once the
tunnel is granted. No step forwards anything: forwarding follows a committed decision on `Judge`.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, replace

from sluicegate.facts import Facts, Protocol, Via
from sluicegate.gate.whole import Whole
from sluicegate.policy import conditions
from sluicegate.wire import http, socks, tls, websocket
from sluicegate.wire.cursor import WireError
from sluicegate.wire.first import Kind, classify, is_git, is_word

# Each arrival reads all bytes so far again: this bounds what one client can make us read. A hello
# sent byte by byte costs 2 MB, a 64 KiB head in 1,400-byte segments 1.5 MB.
MAX_WORK_BYTES = 8_388_608
NO_AUTHENTICATION = 0
# The query parameters and the headers that some rule's condition is about.
Named = tuple[frozenset[str], frozenset[str]]
UNNAMED: Named = (frozenset(), frozenset())
GIT_PORT = 9418


class Style(enum.Enum):
    """In which protocol the client understands a refusal."""

    RESET = "reset"
    HTTP = "http"
    TLS = "tls"
    SOCKS5_METHOD = "socks5-method"
    SOCKS5 = "socks5"
    SOCKS4 = "socks4"


@dataclass(frozen=True, slots=True)
class Reply:
    """Send `data`, then ask for the next step."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Ask:
    """A proxy client names its target: judge name and port, then `grant` or refuse."""

    facts: Facts


@dataclass(frozen=True, slots=True)
class Judge:
    """All facts are known."""

    facts: Facts


Step = Reply | Ask | Judge


def _nobody(_: str) -> str | None:
    return None


def _none(_: http.Request) -> Whole | None:
    return None


class Machine:
    """The start of one connection, or (`resumed`) of the next request on a kept one.

    `base` holds what the kernel, the resolver and an earlier tunnel state. `bound` is the name that the
    resolver gave to an address: a SOCKS client that resolved by itself names the address. `named` is what of a request
    the facts hold beside its path (`decide.named`).
    `holds` says of a request whether its content is read first, and `held` is that content.
    """

    def __init__(
        self,
        base: Facts,
        bound: Callable[[str], str | None] = _nobody,
        named: Named = UNNAMED,
        *,
        resumed: bool = False,
    ) -> None:
        self.base = base
        self.buffer = b""
        self.style = Style.HTTP if resumed else Style.RESET
        self.request: http.Request | None = None
        self.hello: tls.ClientHello | None = None
        self._bound, self._named = bound, named
        self._resumed = resumed
        self._socks5 = False
        self._pending: tuple[Facts, bytes, int] | None = None
        self._work = 0
        self._done = False
        self.holds: Callable[[http.Request], Whole | None] = _none
        self.held: Whole | None = None

    @property
    def ech(self) -> bool:
        """Whether the hello hides its server's name, too."""
        return self.hello is not None and self.hello.ech

    @property
    def tunnel(self) -> bool:
        """Whether a proxy handshake was granted."""
        return self.base.via in {Via.CONNECT, Via.SOCKS}

    @property
    def _inside(self) -> bool:
        """Whether these are the bytes within a TLS connection that we opened."""
        return self.base.protocol is Protocol.HTTPS

    @property
    def _clear(self) -> Protocol:
        return Protocol.HTTPS if self._inside else Protocol.HTTP

    @property
    def _port(self) -> int:
        return self.base.port if self.base.target_port is None else self.base.target_port

    def received(self, data: bytes) -> Step | None:
        """The client sent `data`; None: more is needed."""
        if self.held is not None:
            return self._hold(data)
        self.buffer += data
        self._work += len(self.buffer)
        if self._work > MAX_WORK_BYTES:
            return self._fault("the first bytes come in too many pieces")
        return self.step()

    def step(self) -> Step | None:
        """The next step from the bytes so far."""
        if self._done:
            raise RuntimeError("the facts were stated already")
        if self.held is not None:
            return None
        try:
            return self._step()
        except WireError as error:
            return self._fault(str(error))

    def grant(self) -> bytes:
        """The positive reply to the `Ask`; the tunnel's own first bytes are next."""
        if self._pending is None:
            raise RuntimeError("nothing was asked")
        tunnel, reply, size = self._pending
        self.base, self.buffer, self._pending = tunnel, self.buffer[size:], None
        self.style, self._socks5 = Style.RESET, False
        return reply

    def silent(self) -> Judge:
        """The client waits for the server to speak, or left without a byte."""
        self._done = True
        return Judge(replace(self.base, protocol=Protocol.SERVER_FIRST))

    @property
    def hesitant(self) -> bool:
        """Whether the client stopped within its first word: it may wait for an answer to that."""
        return self.style is Style.RESET and not self._socks5 and is_word(self.buffer)

    def opaque(self) -> Judge:
        """A hesitant client is taken at its word so far."""
        return self._judge(Protocol.OPAQUE)

    def late(self) -> Judge:
        """Bytes were begun but not finished in time."""
        return self._fault("the client did not finish its first bytes in time")

    def ended(self) -> Judge:
        """The client ended its stream: no byte can follow that would change the meaning."""
        if not self.buffer:
            return self.silent()
        # What would have been one request of git's is a request line without its end to others.
        line = classify(self.buffer.lstrip(b"\r\n")) is Kind.HTTP
        if self.style is Style.RESET and not self._resumed and not line:
            return self._judge(Protocol.OPAQUE)
        return self._fault("the client ended its first bytes too early")

    def _step(self) -> Step | None:
        if self._socks5:
            return self._request5()
        if self._port == GIT_PORT and not self._resumed:
            git = is_git(self.buffer)
            if git is None:
                return None
            if git:
                return self._judge(Protocol.OPAQUE)
        lead = self.buffer.lstrip(b"\r\n")
        kind = classify(lead)
        if kind is None:
            return None
        if kind is Kind.HTTP:
            # Servers skip empty lines before a request (RFC 9112 section 2.2), so an "opaque" flow must not
            # begin with them: it would be a request nobody judged.
            self.buffer = lead
            return self._http()
        if self._resumed:
            where = "bytes within TLS" if self._inside else "bytes after the response"
            return self._fault(f"{where} are not an HTTP request")
        if kind is Kind.OPAQUE or lead != self.buffer:
            return self._judge(Protocol.OPAQUE)
        if kind is Kind.TLS:
            return self._tls()
        if self.tunnel:
            return self._fault("a proxy request inside a tunnel")
        return self._greeting() if kind is Kind.SOCKS5 else self._request4()

    def _tls(self) -> Step | None:
        self.style = Style.TLS
        self.hello = hello = tls.read_client_hello(self.buffer)
        if hello is None:
            return None
        self.base = replace(self.base, sni=hello.sni)
        return self._judge(Protocol.TLS)

    def _http(self) -> Step | None:
        self.style = Style.HTTP
        self.request = request = http.read_request_head(self.buffer)
        if request is None:
            return None
        if request.form is http.Form.AUTHORITY:
            return self._connect(request)
        base = self.base
        # Not `replace`, which takes as long as to read the request; no base has what is left out here.
        self.base = Facts(
            *(base.protocol, base.address, base.port, base.via, base.synthetic, base.target),
            target_port=base.target_port,
            sni=base.sni,
            host=request.host,
            host_port=request.host_port,
            method=request.method,
            path=request.path or "*",
            query=conditions.query(request.path, self._named[0]),
            headers=conditions.headers(request.headers, self._named[1]),
        )
        if request.form is http.Form.ABSOLUTE:
            if self.tunnel or self._inside:
                return self._fault("a proxy request inside a tunnel", self._clear)
            target = request.target_host or ""
            self.base = replace(
                self.base, via=Via.ABSOLUTE, target=target, target_port=request.target_port
            )
            if request.scheme != "http":
                return self._fault("an https URL in a clear proxy request", self._clear)
        if request.upgrade == websocket.PROTOCOL:
            websocket.check_offer(request)
        elif request.upgrade is not None and not _http2(request.upgrade):
            return self._fault("the request asks for another protocol (Upgrade)", self._clear)
        self.held = self.holds(request)
        if self.held is None:
            return self._judge(self._clear)
        self.buffer, rest = self.buffer[: request.size], self.buffer[request.size :]
        return self._hold(rest)

    def _hold(self, data: bytes) -> Step | None:
        """The same request once its content is there, which is then in `buffer` behind its head."""
        held, request = self.held, self.request
        if held is None or request is None:
            raise RuntimeError("no content is held")
        try:
            said = held.take(data)
        except WireError as error:
            return self._fault(str(error))
        if not held.over:
            return Reply(said) if said else None
        self.buffer += held.given()
        self.request = replace(request, content=held.digest)
        return self._judge(self._clear)

    def _connect(self, request: http.Request) -> Step:
        if self.tunnel or self._resumed:
            return self._fault("a proxy request inside a tunnel or after another request")
        if request.framing is not http.Framing.NONE:
            return self._fault("CONNECT with a body")
        target, port = request.target_host or "", request.target_port
        facts = self._tunnel(Via.CONNECT, target, port)
        asked = replace(facts, host=request.host, host_port=request.host_port)
        self._pending = (facts, b"HTTP/1.1 200 Connection established\r\n\r\n", request.size)
        self.request = None
        return Ask(asked)

    def _greeting(self) -> Step | None:
        self.style = Style.SOCKS5_METHOD
        greeting = socks.read_greeting5(self.buffer)
        if greeting is None:
            return None
        if NO_AUTHENTICATION not in greeting.methods:
            return self._fault("a SOCKS client that insists on a password")
        self.buffer = self.buffer[greeting.size :]
        self.style, self._socks5 = Style.SOCKS5, True
        return Reply(socks.greeting_reply(True))

    def _request5(self) -> Step | None:
        request = socks.read_request5(self.buffer)
        return None if request is None else self._asked(request, socks.reply5(0))

    def _request4(self) -> Step | None:
        self.style = Style.SOCKS4
        request = socks.read_request4(self.buffer)
        return None if request is None else self._asked(request, socks.reply4(90))

    def _asked(self, request: socks.SocksRequest, reply: bytes) -> Step:
        facts = self._tunnel(Via.SOCKS, request.host, request.port)
        if request.command != socks.CONNECT:
            self.base = facts
            return self._fault("a SOCKS command that is not CONNECT")
        self._pending = (facts, reply, request.size)
        return Ask(facts)

    def _tunnel(self, via: Via, target: str, port: int | None) -> Facts:
        name = self._bound(target) or target
        return replace(self.base, protocol=Protocol.OPAQUE, via=via, target=name, target_port=port)

    def _judge(self, protocol: Protocol) -> Judge:
        self._done = True
        base = self.base
        return Judge(base if base.protocol is protocol else replace(base, protocol=protocol))

    def _fault(self, why: str, protocol: Protocol | None = None) -> Judge:
        self._done = True
        if protocol is None:
            protocol = {Style.HTTP: self._clear, Style.TLS: Protocol.TLS}.get(
                self.style, Protocol.OPAQUE
            )
        return Judge(replace(self.base, protocol=protocol, fault=why))


def _http2(upgrade: str) -> bool:
    """Whether only HTTP/2 is offered: an offer that a server may ignore, so we do."""
    return all(word.strip() == "h2c" for word in upgrade.split(","))
