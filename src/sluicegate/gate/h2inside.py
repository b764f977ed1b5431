"""SHELL. The HTTP/2 side of an opened connection: each stream is a request, judged and recorded by itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from h2.errors import ErrorCodes
from h2.events import (
    DataReceived,
    Event,
    RequestReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)

from sluicegate.evidence import records
from sluicegate.facts import Facts
from sluicegate.gate import denials, h2guard, h2head
from sluicegate.gate.actions import nothing
from sluicegate.gate.desk import Desk
from sluicegate.gate.h2call import Call
from sluicegate.gate.h2guard import ConnectionFaultError
from sluicegate.gate.h2head import MalformedError
from sluicegate.gate.h2side import Side
from sluicegate.gate.h2up import Towards, Up
from sluicegate.gate.kept import Kept
from sluicegate.gate.linger import Linger
from sluicegate.gate.secure import Secure
from sluicegate.wire.cursor import WireError

# Of all heads of one client's requests that wait for their decision or their turn: with usual ones of 2 KB, four times
# as many as there may be streams.
MAX_HEADS_BYTES = 8_388_608
# How long a client is not read while the record catches up, before it is looked at again.
PAUSE_S = 0.02
Place = tuple[str | None, str | None, int]


class Opened(Towards, Protocol):
    """The opened connection: told once how what is inside has ended."""

    def ended(self, reason: str) -> None: ...

    def distrusted(self, error: OSError) -> str | None: ...


class Streams:
    """The client's end, its requests, and the connections to servers that they share."""

    def __init__(
        self,
        opened: Opened,
        desk: Desk,
        who: records.Client,
        client: Secure,
        base: Facts,
        kept: Kept | None,
    ) -> None:
        self.desk, self.who, self._opened, self._base = desk, who, opened, base
        self.client = Side(
            *(desk.loop, client), client=False, heard=self._heard, broken=self._broken
        )
        self._calls = dict[int, Call]()
        self._ups = dict[Place, Up]()
        self._all = set[Up]()
        self._heads, self._kept = 0, kept
        self._named = desk.named
        self._linger: Linger | None = None
        self._parting: str | None = None  # why, once GOAWAY is said
        self._over = self._ending = False
        self._seen, self._quiet = -1, desk.loop.now
        self._timer = desk.loop.after(desk.limits.head_s, self._check)

    def start(self) -> None:
        """Begin; the client's first bytes may be there already."""
        kept, self._kept = self._kept, None
        if kept is not None and isinstance(kept.socket, Secure):
            one = kept.decision
            up = Up.of(kept, kept.socket, self.desk, self._opened, self)
            self._ups[one.name, one.address, one.port] = up
            self._all.add(up)
        self.client.start()

    def stop(self, reason: str) -> None:
        """End it now, the outcome of what is under way recorded."""
        if not self._over:
            self._end_calls(reason)
            self._finish(reason)

    # What the client says.

    def _heard(self, event: Event) -> None:
        if isinstance(event, RequestReceived):
            self._request(event)
            return
        call = self._calls.get(getattr(event, "stream_id", None) or 0)
        if isinstance(event, DataReceived):
            size = event.flow_controlled_length or 0
            if call is None:
                self.client.spared(size)
            else:
                call.client_data(event.data or b"", size)
        elif call is None:
            pass
        elif isinstance(event, TrailersReceived):
            call.client_trailers(event.headers or (), self._named[1])
        elif isinstance(event, StreamEnded):
            call.client_ended()
        elif isinstance(event, StreamReset):
            call.client_reset(int(event.error_code or 0))
            if not event.remote_reset:
                self.annoyed()  # by h2, for a window that overflows

    def _request(self, event: RequestReceived) -> None:
        number, raw, store = event.stream_id or 0, event.headers or [], self.desk.store
        crowded = store.full
        if store.over:
            raise ConnectionFaultError(store.why, h2guard.ENHANCE_YOUR_CALM)
        size = h2head.size_of(raw)
        call = self._calls[number] = Call(self, number, size, len(raw))
        self._heads += size
        self.client.measured(number)
        if crowded or self.desk.ledger.full:
            self.desk.refused["memory" if crowded else "requests"] += 1
            self.desk.counts["refused_requests"] += 1
            call.answer(denials.CROWDED if crowded else denials.FULL)
            return
        facts = self._base
        if self._heads > MAX_HEADS_BYTES:
            why = f"heads of waiting requests take more than {MAX_HEADS_BYTES} bytes"
            call.judge(replace(facts, fault=why), None)
            return
        try:
            request = h2head.read_request(raw, event.stream_ended is not None)
        except WireError as error:
            malformed = isinstance(error, MalformedError)
            call.judge(replace(facts, fault=str(error)), None, malformed=malformed)
        else:
            call.judge(h2head.stated(facts, request, self._named), request)
        if self.desk.ledger.congested and not self.client.paused:
            self.client.paused = True
            self.desk.loop.after(PAUSE_S, self._resume)

    def _resume(self) -> None:
        if self._over:
            return
        if self.desk.ledger.congested:
            self.desk.loop.after(PAUSE_S, self._resume)
            return
        self.client.paused = False
        self.client.work()
        self.client.touch()

    # What its requests want.

    def reach(self, call: Call) -> None:
        """Give an allowed request, which is on record, to the connection that leads where it may go."""
        deed = call.deed
        if deed is None:
            raise RuntimeError("nothing is allowed")
        one = deed.decision
        place = one.name, one.address, one.port
        up = self._ups.get(place)
        if up is None:
            up = self._ups[place] = Up(self.desk, self._opened, self)
            self._all.add(up)
        up.take(call)

    again = reach

    def sent(self, call: Call) -> None:
        """Its head is not held any more."""
        self._heads -= call.size
        call.placed()

    def gone(self, call: Call) -> None:
        """A request is over, and its stream closed."""
        if self._calls.get(call.number) is call:
            del self._calls[call.number]
            self.sent(call)
        if self.client.goaway is not None and not self._calls and not self._ending:
            self._part(records.COMPLETE, ErrorCodes.NO_ERROR)

    def annoyed(self) -> None:
        """The client made us reset a stream."""
        try:
            self.client.guard.gave_up(self.desk.loop.now)
        except ConnectionFaultError as fault:
            self._fault(fault)

    def ended(self, up: Up) -> None:
        for place, other in tuple(self._ups.items()):
            if other is up:
                del self._ups[place]
        if up.over:
            self._all.discard(up)

    # Ends.

    def _broken(self, error: Exception) -> None:
        """The client is gone, or what it says can not be gone on with."""
        if isinstance(error, ConnectionFaultError):
            self._fault(error)
            return
        quiet = not self._calls
        reason = "client reset"
        if isinstance(error, OSError):
            reason = self._opened.distrusted(error) or reason
        self._end_calls(reason)
        self._finish(records.COMPLETE if quiet and reason == "client reset" else reason)

    def _fault(self, fault: ConnectionFaultError) -> None:
        """On record as a denial; the client hears GOAWAY."""
        if self._over or self._linger is not None:
            return
        facts = replace(self._base, fault=str(fault))
        self.desk.block(self.who, facts, self.desk.judge(facts), nothing)
        reason = f"refused: {fault}"
        self._end_calls(reason)
        self._part(reason, fault.code)

    def _part(self, reason: str, code: int) -> None:
        """Say GOAWAY, and close without a reset that would overtake it."""
        if self._linger is not None:
            return
        self._parting, client = reason, self.client
        client.farewell(code)
        client.close()
        self._timer.cancel()
        self._linger = Linger(
            self.desk.loop, client.secure, bytes(client.out), lambda: self._finish(reason)
        )
        self._linger.start()

    def _end_calls(self, reason: str) -> None:
        self._ending = True
        for call in tuple(self._calls.values()):
            call.cancel(reason)
        for up in tuple(self._all):
            up.close()

    def _check(self) -> None:
        """Due every `head_s`: a head that does not end, settings that are not taken, or an idle connection."""
        limits, now = self.desk.limits, self.desk.loop.now
        since = self.client.guard.block_since
        if since is not None and now - since > limits.head_s * h2guard.NS_PER_S:
            self._fault(ConnectionFaultError("the client did not finish a header block in time"))
            return
        if not self.client.heeded:
            why = "the client did not acknowledge our SETTINGS in time"
            self._fault(ConnectionFaultError(why, h2guard.SETTINGS_TIMEOUT))
            return
        moved = self.client.moved
        if moved != self._seen:
            self._seen, self._quiet = moved, now
        elif now - self._quiet >= limits.idle_http_s * h2guard.NS_PER_S:
            reason = "idle for too long" if self._calls else records.COMPLETE
            self._end_calls(reason)
            self._part(reason, ErrorCodes.NO_ERROR)
            return
        self._timer = self.desk.loop.after(limits.head_s, self._check)

    def _finish(self, reason: str) -> None:
        if self._over:
            return
        self._over = True
        self._timer.cancel()
        self.client.close()
        if self._linger is not None:
            self._linger.cancel()
        for up in tuple(self._all):
            up.close()
        if self.client.secure.fileno() >= 0:
            self.client.secure.close()
        self._opened.ended(self._parting or reason)
