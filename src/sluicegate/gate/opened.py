"""SHELL. A TLS connection that the gate answers itself: the server's side first, then the client's, then requests.

The server is asked before the client is answered, so that both speak the same protocol, and a server that can not
prove its name is never shown to the client as one that could.
"""

from __future__ import annotations

import socket
import ssl
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from sluicegate.evidence import records
from sluicegate.facts import Decision, Facts, Protocol
from sluicegate.gate.authority import Authority
from sluicegate.gate.certificates import AuthorityError
from sluicegate.gate.desk import Deed, Desk
from sluicegate.gate.dial import reset
from sluicegate.gate.flow import Flow
from sluicegate.gate.kept import Kept
from sluicegate.gate.machine import Machine
from sluicegate.gate.meter import Stream
from sluicegate.gate.relay import End
from sluicegate.gate.secure import Handshake, Secure
from sluicegate.gate.upstream import Upstream, distrust, failure, unproven
from sluicegate.wire.tls import ClientHello

if TYPE_CHECKING:
    from sluicegate.gate.h2inside import Streams

HTTP1, H2 = "http/1.1", "h2"
SPOKEN = (H2, HTTP1)  # what is opened, the best first
# Sessions kept for servers that are asked again, 3 KB each; a full handshake is all that is lost with one.
MAX_SESSIONS = 512
# How a client leaves that took the handshake, and not the certificate in it.
_WORDLESS = frozenset((records.COMPLETE, "client reset"))


@dataclass(slots=True)
class Opener:
    """What all opened connections share: both sides' contexts, and the sessions of servers."""

    authority: Authority
    upstream: Upstream
    # By name and context: OpenSSL takes a session only with the context that it was made with.
    _sessions: OrderedDict[tuple[str, ssl.SSLContext], ssl.SSLSession] = field(
        default_factory=OrderedDict
    )

    def towards(
        self,
        peer: socket.socket,
        name: str,
        alpn: tuple[str, ...],
        told: Callable[[int, int], None],
    ) -> Secure:
        """The client's side of TLS with the server `name`.

        Raises:
            ValueError: not a name that a certificate can hold.
        """
        context = self.upstream.context(alpn)
        session = self._sessions.get((name, context))

        def closed(sent: int, kernel: int) -> None:
            self._remember(name, secure)
            told(sent, kernel)

        secure = Secure(peer, context, name=name, session=session, told=closed)
        return secure

    def _remember(self, name: str, secure: Secure) -> None:
        """Keep the session of a connection that ends, if it has a ticket, which may come long after the handshake.

        Not where the kept one was good enough: to ask OpenSSL for one costs as much as half a handshake.
        """
        asked = name, secure.tls.context
        if not secure.ready or (secure.tls.session_reused and asked in self._sessions):
            return
        session = secure.tls.session
        if session is None or not session.has_ticket:
            return
        self._sessions[asked] = session
        self._sessions.move_to_end(asked)
        if len(self._sessions) > MAX_SESSIONS:
            self._sessions.popitem(last=False)


class Opened:
    """After `start`, `done` is called once: how the connection as a whole ended, its bytes as TLS sent them."""

    def __init__(
        self,
        desk: Desk,
        who: records.Client,
        client: socket.socket,
        upstream: socket.socket,
        deed: Deed,
        hello: ClientHello,
        held: bytes,
        done: Callable[[End], None],
    ) -> None:
        if desk.opener is None or deed.decision.name is None:
            raise RuntimeError("nothing can be opened")
        self._desk, self._who, self._opener = desk, who, desk.opener
        self._client, self._upstream, self._deed, self._done = client, upstream, deed, done
        self._hello, self._held, self._name = hello, held, deed.decision.name
        # First what both may speak, then the one protocol that both do.
        self.alpn = tuple(one for one in SPOKEN if one in hello.alpn)
        if HTTP1 in self.alpn and desk.vault is not None and desk.vault.signs(self._name):
            self.alpn = (HTTP1,)  # whose contents can be there before their request is judged
        self._handshake: Handshake | None = None
        self._server: Secure | None = None
        self._facing: Secure | None = None
        self._inside: Inside | Streams | None = None
        self._up = self._down = self._kernel_up = self._kernel_down = 0
        self._over = False

    def start(self) -> None:
        """Begin; `done` may be called before this returns."""
        if self._hello.alpn and not self.alpn:
            spoken = " nor ".join(SPOKEN)
            self._finish(
                f"the client speaks neither {spoken}, and nothing else is opened; {self._leave}"
            )
            return
        try:
            self._server = self.towards(self._upstream)
        except ValueError:
            self._finish("the name of the server is none that a certificate can hold")
            return
        seconds = self._desk.limits.connect_s
        self._handshake = Handshake(self._desk.loop, self._server, seconds, self._connected)
        self._handshake.start()

    def abort(self, reason: str) -> None:
        """Reset both sides."""
        if self._inside is not None:
            self._inside.stop(reason)
        self._finish(reason)

    def towards(self, peer: socket.socket) -> Secure:
        """TLS with the server, its bytes counted for this connection."""
        return self._opener.towards(peer, self._name, self.alpn, self._told_up)

    def _connected(self, error: OSError | None) -> None:
        server = self._server
        if error is not None and server is not None:
            # Said again, and more readably, in answer to the client's request.
            reset(server)
            self._server = server = None
        if not self._agree(None if server is None else server.tls.selected_alpn_protocol()):
            self._finish(
                f"the server does not speak {H2}, and the client nothing else; {self._leave}"
            )
            return
        try:
            context = self._opener.authority.context(self._name, self.alpn)
        except AuthorityError as refusal:
            self._finish(str(refusal))
            return
        self._facing = Secure(self._client, context, heard=self._held, told=self._told_down)
        seconds = self._desk.limits.head_s
        self._handshake = Handshake(self._desk.loop, self._facing, seconds, self._answered)
        self._handshake.start()

    def _agree(self, chosen: str | None) -> bool:
        """Narrow `alpn` to what the server has chosen; without a choice, to what every server speaks.

        Both sides speak one protocol: a request that is translated from the one to the other is a request that two
        readers may understand differently.
        """
        if not self.alpn:
            return True
        if chosen is None and self._server is None:
            chosen = self.alpn[-1]  # nobody was reached: it is only to tell the client so
        self.alpn = (chosen or HTTP1,) if (chosen or HTTP1) in self.alpn else ()
        return bool(self.alpn)

    def _answered(self, error: OSError | None) -> None:
        facing, self._handshake = self._facing, None
        if error is not None or facing is None:
            self._finish(self._why(error))
            return
        base = replace(self._deed.facts, protocol=Protocol.HTTPS)
        kept = None
        if self._server is not None:
            deed = self._deed
            known = (deed.addresses, deed.address_count, deed.peer or "")
            kept = Kept(self._server, deed.decision, *known)
        self._server = None
        if facing.tls.selected_alpn_protocol() == H2:
            from sluicegate.gate.h2inside import Streams

            self._inside = Streams(self, self._desk, self._who, facing, base, kept)
        else:
            self._inside = Inside(self, self._desk, self._who, facing, base, kept)
        self._inside.start()

    @property
    def _leave(self) -> str:
        return f"inspect: false in {self._deed.decision.rule} would leave it closed"

    def _why(self, error: OSError | None) -> str:
        said = None if error is None else distrust(error)
        if said is not None:
            return f"the client does not trust our certificate ({said}); {self._leave}"
        gone = isinstance(error, ssl.SSLEOFError | ConnectionError)
        if gone and self._facing is not None and self._facing.sent:
            # So do some that have roots of their own: rustls within ureq 3 sends no alert.
            why = "the client left when it had our certificate, as one may that does not trust it"
            return f"{why}; {self._leave}"
        return "client: the TLS handshake failed" if error is None else f"client: {_words(error)}"

    def ended(self, reason: str) -> None:
        """What is inside is over."""
        self._inside = None
        if reason in _WORDLESS and self._facing is not None and not self._facing.spoken:
            why = "the client left without a word, as one does that pins its server's certificate"
            reason = f"{why}; {self._leave}"
        self._finish(reason)

    def distrusted(self, error: OSError) -> str | None:
        """Why a client left that had finished its handshake, if it was our certificate (TLS 1.3 says so then)."""
        return None if distrust(error) is None else self._why(error)

    def _told_up(self, sent: int, kernel: int) -> None:
        self._up, self._kernel_up = self._up + sent, self._kernel_up + kernel

    def _told_down(self, sent: int, kernel: int) -> None:
        self._down, self._kernel_down = self._down + sent, self._kernel_down + kernel

    def _finish(self, reason: str) -> None:
        if self._over:
            return
        self._over = True
        if self._handshake is not None:
            self._handshake.cancel()
            self._handshake = None  # it holds this connection
        ends: tuple[Secure | socket.socket | None, ...] = (
            self._server,
            self._facing,
            self._client,
            self._upstream,
        )
        for end in ends:
            if end is not None and end.fileno() >= 0:
                self._desk.loop.forget(end.fileno())
                reset(end)
        self._done(End(reason, self._up, self._down, (self._kernel_up, self._kernel_down)))


class Inside(Flow):
    """The requests of an opened connection, each judged as one of clear HTTP is."""

    def __init__(
        self,
        opened: Opened,
        desk: Desk,
        who: records.Client,
        client: Secure,
        base: Facts,
        kept: Kept | None,
    ) -> None:
        super().__init__(desk, client, who, base.address, base.port, self._left)
        self._opened, self._base, self._kept = opened, base, kept
        self._machine = Machine(base, desk.names.name, desk.named, resumed=True)
        self._hold()
        self._times.patient()
        self._resumed = True
        self._reason = "complete"
        self._securing: Handshake | None = None

    def _hold(self) -> None:
        """What is signed with a secret may have to be there as a whole before it is judged."""
        if self._desk.vault is not None:
            self._machine.holds = self._desk.vault.holds

    def _release(self) -> None:
        if self._machine.held is not None:
            self._machine.held.free()

    def _next_request(self, rest: bytes) -> None:
        self._release()
        super()._next_request(rest)
        self._hold()

    def _finish(self) -> None:
        self._release()
        super()._finish()

    def _left(self, _: Flow) -> None:
        self._gone = _nobody  # this is its own method, and would hold it
        if self._securing is not None:
            self._securing.cancel()
        self._opened.ended(self._reason)

    def _broken(self, error: OSError) -> None:
        self._reason = self._opened.distrusted(error) or "client reset"
        super()._broken(error)

    def stop(self, reason: str) -> None:
        """End it now, the outcome of what is under way recorded."""
        self._reason = reason
        super().stop(reason)

    def _reached(self, found: Stream | Decision | str) -> None:
        if not isinstance(found, socket.socket):
            super()._reached(found)
            return
        self._dial = None
        secure = self._opened.towards(found)

        def done(error: OSError | None) -> None:
            self._securing = None
            super(Inside, self)._reached(secure if error is None else self._refused(secure, error))

        self._securing = Handshake(self._desk.loop, secure, self._desk.limits.connect_s, done)
        self._securing.start()

    def _refused(self, secure: Secure, error: OSError) -> Decision | str:
        reset(secure)
        deed = self._deed
        if deed is None or not isinstance(error, ssl.SSLCertVerificationError):
            return f"the server's TLS can not be used: {failure(error).words}"
        return unproven(deed.decision, error)


def _nobody(_: Flow) -> None:
    pass


def _words(error: OSError) -> str:
    said = error.reason if isinstance(error, ssl.SSLError) else error.strerror
    return records.printable(str(said or error)).lower().replace("_", " ")
