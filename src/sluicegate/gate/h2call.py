"""SHELL. One request of an HTTP/2 connection: judged, on record, carried, and its end on record."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Protocol

from h2.errors import ErrorCodes

from sluicegate.evidence import records
from sluicegate.facts import Decision, Facts, Verdict
from sluicegate.gate import denials, h2head
from sluicegate.gate.desk import Deed, Desk
from sluicegate.gate.h2head import MalformedError
from sluicegate.gate.h2pipe import Pipe
from sluicegate.gate.h2side import Side
from sluicegate.gate.h2store import FIELD_BYTES, STREAM_BYTES
from sluicegate.gate.machine import Style
from sluicegate.gate.passage import Barred
from sluicegate.wire import http
from sluicegate.wire.cursor import WireError

if TYPE_CHECKING:
    from sluicegate.gate.h2up import Up

# What a client acts on by itself: it asks again, or in HTTP/1.1 (RFC 9113, 7). A response would keep it from that.
UNDERSTOOD = frozenset((ErrorCodes.REFUSED_STREAM, ErrorCodes.HTTP_1_1_REQUIRED))
MAX_INTERIM = 16  # 1xx responses before the final one, as in HTTP/1.1


class Owner(Protocol):
    """The client's connection, as its requests see it."""

    desk: Desk
    who: records.Client
    client: Side

    def reach(self, call: Call) -> None: ...

    def gone(self, call: Call) -> None: ...

    def annoyed(self) -> None: ...


class Call:
    """Stream `number` of the client. `up` holds its request's content, `down` the response.

    `size`: bytes of its head, of so many `fields`, that are held until it is sent.
    """

    def __init__(self, owner: Owner, number: int, size: int = 0, fields: int = 0) -> None:
        self.owner, self.number, self.size = owner, number, size
        self._head = size + fields * FIELD_BYTES
        self.request: http.Request | None = None
        self.deed: Deed | None = None
        self.server: Up | None = None
        self.over, self.moves = False, 0
        self._store = store = owner.desk.store
        store.held += STREAM_BYTES + self._head
        self.up = Pipe(self._sent_up, self.barred, store)
        self.down = Pipe(self._sent_down, self.barred, store)
        self.up.source, self.up.source_id = owner.client, number
        self.down.sink_id = number
        self._left_up: int | None = None
        self._left_down: int | None = None
        self._interim, self._answered = 0, False
        self._method = ""

    # Deciding.

    def judge(self, facts: Facts, request: http.Request | None, *, malformed: bool = False) -> None:
        """Put the decision on record; what follows waits for that."""
        desk, who = self.owner.desk, self.owner.who
        self.request = request
        self._method = "" if request is None else request.method
        facts, decision = desk.weigh(self.owner.who, facts, self)
        if request is None or decision.verdict is Verdict.DENY:
            self.request = None
            done = functools.partial(self._refuse, facts, decision, malformed)
            desk.block(who, facts, decision, done)
            return
        if request.framing is http.Framing.LENGTH:
            self._left_up = request.length
        self.deed = deed = Deed(desk, who, facts, decision)
        self.up.look, self.down.look = deed.passage.up, deed.passage.down
        self.up.look_last, self.down.look_last = deed.passage.up, deed.passage.answer
        deed.intend(self._go)

    def _go(self) -> None:
        # One that is closed meanwhile, whyever, has no receipt that lets it go.
        if not (self.over or self.up.dead):
            self.owner.reach(self)

    def _refuse(self, facts: Facts, decision: Decision, malformed: bool = False) -> None:
        if self.over:
            return
        if malformed:
            self._give_up(ErrorCodes.PROTOCOL_ERROR)
            self.owner.annoyed()
        elif self._answered:
            self._give_up(ErrorCodes.CANCEL)
        else:
            self.answer(denials.refusal(Style.HTTP, facts, decision))

    def answer(self, said: bytes) -> None:
        """Give the client a whole response of our own, and throw away what it still sends."""
        self.owner.client.taken(self.up, self.up.kill())
        response, body = h2head.from_http1(said)
        down = self.down
        down.look = down.look_last = None
        down.put_head(h2head.write_response(response))
        if self._method != "HEAD":
            down.add(body)
        down.ended, down.source = True, None
        self.owner.client.attach(down)

    def denied(self, found: Decision) -> None:
        """What the name leads to, or what the server can not prove, is refused."""
        deed = self.deed
        if self.over or deed is None:
            return
        done = functools.partial(self._refuse, deed.facts, found)
        self.owner.desk.block(self.owner.who, deed.facts, found, done, addresses=deed.addresses)
        # Of one look-up's denials and their outcomes each pair is together: a reader expects no other in between.
        self._close(f"refused: {found.reason}", in_order=True)

    def barred(self, found: Decision) -> None:
        """No more of it may go on: the server is left with a part that it can not take for a whole."""
        deed = self.deed
        if self.over or deed is None:
            return
        self._leave_server(ErrorCodes.CANCEL)
        self.owner.client.taken(self.up, self.up.kill())
        source = self.down.source
        if self._answered and source is not None:
            source.taken(self.down, self.down.kill())
        done = functools.partial(self._refuse, deed.facts, found)
        self.owner.desk.block(self.owner.who, deed.facts, found, done)
        self._close(f"refused: {found.reason}")

    def failed(self, reason: str, code: int = ErrorCodes.INTERNAL_ERROR) -> None:
        """The server can not be reached, or is gone: said to the client, if no response has begun."""
        deed = self.deed
        if self.over or deed is None:
            return
        if self._answered or code in UNDERSTOOD:
            self._close(reason)
            self._give_up(code)
        else:
            if deed.peer is not None:
                deed.status = 502  # as in HTTP/1.1: a status is of somebody
            self._close(reason)
            self.answer(denials.failure(Style.HTTP, deed.facts, deed.decision, reason))

    def _crowded(self) -> None:
        """There is no room for what has come of it."""
        if self.deed is not None:
            self._leave_server(ErrorCodes.CANCEL)
            self.failed(f"refused: {self._store.why}")

    def placed(self) -> None:
        """Its head is not held any more."""
        self._store.held -= self._head
        self._head = self.size = 0

    # From the client.

    def client_data(self, data: bytes, size: int) -> None:
        """`size` is what it took of the windows, padding included."""
        client, up = self.owner.client, self.up
        if self._left_up is not None:
            self._left_up -= len(data)
        if self._left_up is not None and self._left_up < 0:
            self._wrong("the content is longer than content-length")
            client.taken(up, size)
        elif up.dead:
            client.taken(up, size)
        elif self._store.full:
            client.taken(up, size)
            self._crowded()
        else:
            up.add(data)
            client.taken(up, size - len(data))
            self._offer_up()

    def client_trailers(self, raw: h2head.Raw, reserved: frozenset[str]) -> None:
        try:
            fields = h2head.read_trailers(raw, reserved)
        except WireError as error:
            self._wrong(str(error))
            return
        if not self.up.dead:
            self.up.put_trailers(fields or None)

    def client_ended(self) -> None:
        if self._left_up:
            self._wrong("the content is shorter than content-length")
            return
        self.owner.client.shrunk(self.up)
        self.up.ended = True
        self._offer_up()

    def client_reset(self, code: int) -> None:
        self.cancel("client reset", code)

    def cancel(self, reason: str, code: int = ErrorCodes.CANCEL) -> None:
        """The client is gone, or its stream: so is this request."""
        if self.over:
            return
        self._leave_server(code)
        self._close(reason)
        self._forget()

    def _wrong(self, why: str) -> None:
        """The client breaks its own request off by what it sends."""
        if self.over:
            return
        self._leave_server(ErrorCodes.CANCEL)
        self._close(f"client: {why}")
        self._give_up(ErrorCodes.PROTOCOL_ERROR)
        self.owner.annoyed()

    def _offer_up(self) -> None:
        if self.server is not None:
            self.server.offer(self.up)

    # From the server.

    def server_head(self, raw: h2head.Raw, *, interim: bool) -> None:
        try:
            response = h2head.read_response(raw)
            if interim != (response.status < 200):
                raise MalformedError("an interim response at the wrong place")
            self._interim += interim
            if self._interim > MAX_INTERIM:
                raise MalformedError("more interim responses than are good for anything")
        except WireError as error:
            self._leave_server(ErrorCodes.PROTOCOL_ERROR)
            self.failed(f"upstream: {error}")
            return
        head = h2head.write_response(response)
        if not self._passes(head):
            return
        if self._store.full:
            self._crowded()
            return
        self.down.put_head(head)
        if not interim:
            self._answered = True
            if self.deed is not None:
                self.deed.status = response.status
            bodiless = self._method == "HEAD" or response.status in {204, 304}
            self._left_down = 0 if bodiless else response.length
        self.owner.client.attach(self.down)

    def _passes(self, head: h2head.Fields) -> bool:
        """Whether this head of a response may go on; if not, it is told."""
        try:
            if self.deed is not None:
                self.deed.passage.answer(h2head.lines(head))
        except Barred as refusal:
            self.barred(refusal.decision)
            return False
        return True

    def server_data(self, data: bytes, size: int, side: Side) -> None:
        down = self.down
        if self._left_down is not None:
            self._left_down -= len(data)
        if self.over or down.dead or down.source is not side:
            side.taken(down, size)
        elif self._left_down is not None and self._left_down < 0:
            side.taken(down, size)
            self.server_wrong("the content is longer than content-length")
        elif self._store.full:
            side.taken(down, size)
            self._crowded()
        else:
            down.add(data)
            side.taken(down, size - len(data))
            self.owner.client.offer(down)

    def server_trailers(self, raw: h2head.Raw) -> None:
        try:
            self.down.put_trailers(h2head.read_trailers(raw) or None)
        except WireError as error:
            self.server_wrong(str(error))

    def server_ended(self) -> None:
        if self._left_down:
            self.server_wrong("the content is shorter than content-length")
            return
        if self.server is not None and self.server.side is not None:
            self.server.side.shrunk(self.down)
        self.down.ended = True
        self.owner.client.offer(self.down)

    def server_reset(self, code: int) -> None:
        """After its whole response a server needs no more of the request (RFC 9113, 8.1)."""
        if self.down.ended:
            self.owner.client.taken(self.up, self.up.kill())
            if self.down.sent:
                self._complete()
            return
        self._detach()
        self.failed(f"upstream: it reset the stream (error {code})", code)

    def server_wrong(self, why: str) -> None:
        self._leave_server(ErrorCodes.PROTOCOL_ERROR)
        self.failed(f"upstream: {why}")

    # Ends.

    def _sent_up(self) -> None:
        if self.down.sent and not self.over:
            self._complete()

    def _sent_down(self) -> None:
        if self.over:
            return
        if self.deed is None or self.deed.closed:
            self._finish_client()  # a response of our own
        elif self.up.sent or self.up.dead:
            self._complete()

    def _complete(self) -> None:
        self._close(records.COMPLETE)
        self._detach()
        self._finish_client()

    def _finish_client(self) -> None:
        """Its response is there: what it still sends is of no use to anybody."""
        self.owner.client.reset(self.number, ErrorCodes.NO_ERROR)
        self._forget()

    def _give_up(self, code: int) -> None:
        self.owner.client.reset(self.number, code)
        self._forget()

    def _close(self, reason: str, *, in_order: bool = False) -> None:
        deed = self.deed
        if deed is not None and not deed.closed:
            deed.carried(self.up.count, self.down.count, None)
            deed.close(reason, in_order=in_order)

    def _leave_server(self, code: int) -> None:
        """Reset its stream, where it has one; what it still sends is thrown away."""
        server = self.server
        self._detach()
        if server is not None:
            server.reset(self, code)

    def _detach(self) -> None:
        if self.server is not None:
            self.server.leave(self)
            self.server = None

    def _forget(self) -> None:
        if self.over:
            return
        self.over = True
        self._store.held -= STREAM_BYTES
        client = self.owner.client
        client.taken(self.up, self.up.kill())
        size, source = self.down.kill(), self.down.source
        if source is not None:
            source.taken(self.down, size)
        client.detach(self.down)
        self.owner.gone(self)
