"""SHELL. The HTTP/2 connection to a server that the requests of one client's connection share."""

from __future__ import annotations

import socket
import ssl
from collections import deque
from collections.abc import Callable
from typing import Protocol

from h2.errors import ErrorCodes
from h2.events import (
    DataReceived,
    Event,
    InformationalResponseReceived,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)
from h2.exceptions import H2Error

from sluicegate.facts import Decision
from sluicegate.gate import h2head
from sluicegate.gate.desk import Deed, Desk
from sluicegate.gate.dial import reset
from sluicegate.gate.h2call import Call
from sluicegate.gate.h2pipe import Pipe
from sluicegate.gate.h2side import Side
from sluicegate.gate.kept import Kept
from sluicegate.gate.loop import Timer
from sluicegate.gate.passage import Barred
from sluicegate.gate.reach import Reach
from sluicegate.gate.secure import Handshake, Secure
from sluicegate.gate.upstream import failure, unproven
from sluicegate.wire.cursor import WireError

H2 = "h2"
# Connections that end while a request waits in them, before it fails: a server may close each that it accepts.
MAX_MOVES = 2


class Towards(Protocol):
    """What opens TLS to the server of one opened connection."""

    def towards(self, peer: socket.socket) -> Secure: ...


class House(Protocol):
    """Whose connection it is."""

    def ended(self, up: Up) -> None:
        """It takes no more requests; maybe called twice."""

    def sent(self, call: Call) -> None:
        """The head of this request is on its way."""

    def again(self, call: Call) -> None:
        """Nothing of this request was sent, and it wants another connection."""


class Up:
    """Dialled for its first request."""

    def __init__(self, desk: Desk, opened: Towards, house: House) -> None:
        self._desk, self._opened, self._house = desk, opened, house
        self.side: Side | None = None
        self._secure: Secure | None = None
        self._dial: Reach | None = None
        self._handshake: Handshake | None = None
        self._waiting = deque[Call]()
        self._calls = dict[int, Call]()
        self._known: tuple[tuple[str, ...], int, str | None] = ((), 0, None)
        self._settling: Timer | None = None
        self._asked: Deed | None = None  # whose look-up it was; its request may be gone since
        self.leaving = self.over = False

    @classmethod
    def of(cls, kept: Kept, secure: Secure, desk: Desk, opened: Towards, house: House) -> Up:
        """One that was connected before any request was known."""
        made = cls(desk, opened, house)
        made._known = (kept.addresses, kept.address_count, kept.peer)
        made._begin(secure)
        return made

    @property
    def idle(self) -> bool:
        return not self._calls and not self._waiting

    def take(self, call: Call) -> None:
        """Send the request when its turn comes: only for a deed that is committed."""
        call.server = self
        self._waiting.append(call)
        if self.side is not None:
            self._known_to(call)
            self.side.touch()
        elif self._dial is None and self._handshake is None and call.deed is not None:
            self._asked = call.deed
            self._dial = Reach(self._desk, call.deed, self._reached)
            self._dial.start()

    def offer(self, pipe: Pipe) -> None:
        """There is more of a request; before its head is sent it waits with that."""
        if self.side is not None and pipe.sink_id:
            self.side.offer(pipe)

    def reset(self, call: Call, code: int) -> None:
        if self.side is not None and call.up.sink_id:
            self.side.reset(call.up.sink_id, code)

    def leave(self, call: Call) -> None:
        """This request is over, here or at all."""
        if self._calls.pop(call.up.sink_id, None) is None and call in self._waiting:
            self._waiting.remove(call)
        if self.side is not None:
            self.side.detach(call.up)
        if self.leaving and self.idle:
            self.close()

    def close(self) -> None:
        """No more calls from here; what it still has is told nothing."""
        if self.over:
            return
        self.over = True
        for part in (self._dial, self._handshake, self._settling):
            if part is not None:
                part.cancel()
        if self.side is not None:
            self.side.close()
            self.side.secure.close()
        elif self._secure is not None:
            reset(self._secure)
        self._house.ended(self)

    # Connecting.

    def _reached(self, found: socket.socket | Decision | str) -> None:
        self._dial = None
        if (first := self._asked) is not None:
            self._known = (first.addresses, first.address_count, first.peer)
        if isinstance(found, str):
            self._fail(found)
        elif isinstance(found, Decision):
            self._refuse(lambda own: self._desk.admitted(own, self._known[0])[1] or found)
        else:
            self._secure = self._opened.towards(found)
            limit = self._desk.limits.connect_s
            self._handshake = Handshake(self._desk.loop, self._secure, limit, self._shaken)
            self._handshake.start()

    def _shaken(self, error: OSError | None) -> None:
        self._handshake, secure = None, self._secure
        if error is None and secure is not None:
            if secure.tls.selected_alpn_protocol() == H2:
                self._begin(secure)
                for call in self._waiting:
                    self._known_to(call)
                return
            self._fail("the server does not speak HTTP/2 any more")
        elif isinstance(error, ssl.SSLCertVerificationError):
            self._refuse(lambda own: unproven(own, error))
        elif error is not None:
            self._fail(f"the server's TLS can not be used: {failure(error).words}")

    def _known_to(self, call: Call) -> None:
        if call.deed is not None:
            call.deed.addresses, call.deed.address_count, call.deed.peer = self._known

    def _refuse(self, decision: Callable[[Decision], Decision]) -> None:
        for call in self._stopped():
            if call.deed is not None:
                self._known_to(call)
                call.denied(decision(call.deed.decision))

    def _fail(self, reason: str) -> None:
        for call in self._stopped():
            self._known_to(call)
            call.failed(reason)

    def _stopped(self) -> list[Call]:
        """All requests, which are no longer ours; nothing more is taken."""
        calls = [*self._calls.values(), *self._waiting]
        self._calls.clear()
        self._waiting.clear()
        for call in calls:
            call.server = None
        self.close()
        return calls

    # Carrying.

    def _begin(self, secure: Secure) -> None:
        self._secure = None
        self.side = Side(
            *(self._desk.loop, secure),
            client=True,
            heard=self._heard,
            broken=self._broken,
            room=self._send_waiting,
            leaving=self._told,
        )
        self.side.start()
        # Nothing is sent before it has said how much it takes at once.
        self._settling = self._desk.loop.after(self._desk.limits.connect_s, self._unsettled)

    def _unsettled(self) -> None:
        if self.side is None or self.over:
            return
        if not self.side.settled:
            self._fail("the server does not begin to speak HTTP/2")
        elif not self.side.heeded:
            self._fail("the server does not acknowledge our SETTINGS")

    def _send_waiting(self) -> None:
        side = self.side
        if side is None or not self._waiting:
            return
        free = side.free
        while self._waiting and free > 0 and not side.full and not self.leaving:
            call, free = self._waiting.popleft(), free - 1
            if call.request is None or call.deed is None:
                continue
            try:
                fields = h2head.write_request(call.request)
                call.deed.passage.head(h2head.size_of(fields, 0))
                number = side.open(fields, call.up)
            except Barred as refusal:
                call.server = None
                call.barred(refusal.decision)
                continue
            except (WireError, H2Error) as error:
                call.server = None
                call.failed(f"the request can not be sent: {error}")
                continue
            call.down.source, call.down.source_id = side, number
            call.request = None
            self._calls[number] = call
            self._house.sent(call)

    def _heard(self, event: Event) -> None:
        side = self.side
        call = self._calls.get(getattr(event, "stream_id", None) or 0)
        if side is None:
            return
        if isinstance(event, DataReceived):
            size = event.flow_controlled_length or 0
            if call is None:
                side.spared(size)
            else:
                call.server_data(event.data or b"", size, side)
        elif call is None:
            pass
        elif isinstance(event, ResponseReceived | InformationalResponseReceived):
            side.measured(call.up.sink_id)
            call.server_head(event.headers or (), interim=not isinstance(event, ResponseReceived))
        elif isinstance(event, TrailersReceived):
            call.server_trailers(event.headers or ())
        elif isinstance(event, StreamEnded):
            call.server_ended()
        elif isinstance(event, StreamReset):
            call.server_reset(int(event.error_code or 0))

    def _told(self) -> None:
        """Act on a GOAWAY: what the server has not taken may be sent again, and what it has is finished."""
        side = self.side
        if side is None or side.goaway is None:
            return
        last, code = side.goaway
        left = [call for number, call in self._calls.items() if number > last]
        self.leaving = True
        self._house.ended(self)
        for call in left:
            self._calls.pop(call.up.sink_id, None)
            call.server = None
            reason = f"upstream: it ended the connection before this request (error {code})"
            call.failed(reason, ErrorCodes.REFUSED_STREAM)
        self._move()
        if self.idle:
            self.close()

    def _broken(self, error: Exception) -> None:
        said = getattr(error, "strerror", None) or str(error)
        self.leaving = True
        self._house.ended(self)
        self._move()
        self._fail(f"upstream: {str(said).lower()}")

    def _move(self) -> None:
        """Requests that were still waiting here go elsewhere, though not for ever."""
        moved = [call for call in self._waiting if call.moves < MAX_MOVES]
        self._waiting = deque(call for call in self._waiting if call.moves >= MAX_MOVES)
        for call in moved:
            call.moves += 1
            call.server = None
            self._house.again(call)
