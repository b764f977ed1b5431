"""SHELL. One connection from its first byte to its outcome: performs what `machine.py` says.

The order is the product: facts, decision, receipt, `committed`, and only then look-up and bytes.
"""

from __future__ import annotations

import enum
import functools
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

from sluicegate.evidence import records
from sluicegate.facts import Decision, Facts, Protocol, Verdict
from sluicegate.gate import denials
from sluicegate.gate.cut import cut, gone
from sluicegate.gate.desk import Deed, Desk
from sluicegate.gate.dial import reset
from sluicegate.gate.exchange import READ_BYTES, Exchange, Result
from sluicegate.gate.kept import Kept
from sluicegate.gate.linger import Linger
from sluicegate.gate.loop import READ
from sluicegate.gate.machine import Ask, Judge, Machine, Step
from sluicegate.gate.meter import Stream
from sluicegate.gate.reach import Reach
from sluicegate.gate.relay import End, Relay
from sluicegate.gate.retry import Retry
from sluicegate.gate.second import Second, same
from sluicegate.gate.times import Times

if TYPE_CHECKING:
    from sluicegate.gate.opened import Opened


class Stage(enum.Enum):
    """What the flow waits for."""

    READING = enum.auto()
    ASKING = enum.auto()
    DECIDING = enum.auto()
    DIALLING = enum.auto()
    CARRYING = enum.auto()
    LINGERING = enum.auto()
    GONE = enum.auto()


class Flow:
    """Owns the client's socket, and whatever is connected for it. `gone` is called once, at the end."""

    def __init__(
        self,
        desk: Desk,
        client: Stream,
        who: records.Client,
        address: str,
        port: int,
        gone: Callable[[Flow], None],
    ) -> None:
        self._desk, self._client, self.who, self._gone = desk, client, who, gone
        synthetic = desk.names.name(address)
        self._base = Facts(Protocol.OPAQUE, address, port, synthetic=synthetic)
        self._machine = Machine(self._base, desk.names.name, desk.named)
        self._stage = Stage.READING
        self._deed: Deed | None = None
        self._dial: Reach | None = None
        self._carrier: Relay | Exchange | Opened | None = None
        self._linger: Linger | None = None
        self._kept: Kept | None = None
        self._asked: Step | None = None
        self._resumed = self._reused = self._hesitant = False
        self._times = Times(desk.loop, desk.limits, self._silent, self._late)

    def start(self) -> None:
        """Read what is there: the first bytes often come with the connection. It may be over when this returns."""
        self._readable(READ)
        if self._stage is Stage.READING:
            self._desk.loop.watch(self._client.fileno(), READ, self._readable)

    # Reading: until the machine has all facts.

    def _readable(self, _: int) -> None:
        try:
            data = self._client.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            self._broken(error)
            return
        if not data:
            if self._resumed and not self._machine.buffer:
                self._finish()
            else:
                self._perform(self._machine.ended())
            return
        self._times.heard()
        self._perform(self._machine.received(data))

    def _broken(self, _: OSError) -> None:
        self._leave("client reset")

    def _perform(self, step: Step | None) -> None:
        while step is not None:
            if self._desk.ask(self.who, step, self._answered):
                self._stage, self._asked = Stage.ASKING, step
                self._times.pause()
                self._desk.loop.forget(self._client.fileno())
                return
            if isinstance(step, Judge):
                self._judged(*self._desk.weigh(self.who, step.facts, self._machine))
                return
            if isinstance(step, Ask):
                facts, decision = self._desk.target(self.who, step.facts)
                if decision.verdict is Verdict.DENY:
                    self._judged(facts, decision, asked=True)
                    return
                if not self._say(self._machine.grant()):
                    return
                self._base = self._machine.base
                self._times.again()
            elif not self._say(step.data):
                return
            step = self._machine.step()

    def _answered(self) -> None:
        """There is an answer, or there will be none: the step that waited for it."""
        step, self._asked = self._asked, None
        if self._stage is Stage.ASKING:
            self._stage = Stage.READING
            self._go_on(step)

    def _go_on(self, step: Step | None) -> None:
        """As `_perform`, for a client that is not watched, and is again if more of it is wanted."""
        self._perform(step)
        if self._stage is Stage.READING:
            self._desk.loop.want(self._client.fileno(), READ, self._readable)

    def _say(self, data: bytes) -> bool:
        """Send a short handshake reply; a client that does not even take that has left."""
        try:
            if self._client.send(data) == len(data):
                return True
        except OSError:
            pass  # told below, as a client that left
        self._leave("client left during the handshake")
        return False

    def _silent(self) -> None:
        """The grace is over: a client that said nothing is judged by name and port, if that can be said."""
        if self._machine.buffer or self._resumed:
            self._hesitate()
            return
        if not self._desk.waits(self._base):
            self._perform(self._machine.silent())

    def _hesitate(self) -> None:
        """The grace is over within a word: opaque, unless it may yet be a request that a rule allows."""
        if self._resumed or not self._machine.hesitant:
            return
        let = self._desk.half(self._base)
        if let is not None:
            self._hesitant = let
            self._perform(self._machine.opaque())

    def _late(self) -> None:
        if self._resumed and not self._machine.buffer:
            self._finish()
            return
        self._perform(self._machine.late() if self._machine.buffer else self._machine.silent())

    # Deciding: nothing is done before the notary has it.

    def _judged(self, facts: Facts, decision: Decision, *, asked: bool = False) -> None:
        desk, self._stage = self._desk, Stage.DECIDING
        self._times.pause()
        # Only a request's exchange takes it up again as it is.
        (desk.loop.rest if self._machine.request else desk.loop.forget)(self._client.fileno())
        if self._resumed and desk.ledger.full:
            desk.refused["requests"] += 1
            desk.counts["refused_requests"] += 1
            self._say_last(denials.FULL)
            return
        ech = self._machine.ech
        if decision.verdict is Verdict.DENY:
            done = functools.partial(self._refuse, facts, decision)
            desk.block(self.who, facts, decision, done, ech=ech, asked=asked)
            return
        self._deed = Deed(desk, self.who, facts, decision)
        self._deed.intend(self._go, ech=ech)

    def _refuse(self, facts: Facts, made: Decision, before: bytes = b"", more: bool = True) -> None:
        if self._stage is not Stage.GONE:
            words = denials.refusal(self._machine.style, facts, made) if more else b""
            self._say_last(before + words)

    def _say_last(self, data: bytes) -> None:
        """Send `data` and close without a reset that would overtake it; no data is a reset."""
        self._drop_kept()
        if not data or self._client.fileno() < 0:
            self._desk.loop.drop(self._client.fileno())
            reset(self._client)
            self._finish()
            return
        self._part(data)

    def _part(self, data: bytes) -> None:
        self._stage = Stage.LINGERING
        self._linger = Linger(self._desk.loop, self._client, data, self._finish)
        self._linger.start()

    def _go(self) -> None:
        deed = self._deed
        if self._stage is not Stage.DECIDING or deed is None:
            return
        kept = self._kept
        if kept is not None and same(kept.decision, deed.decision) and kept.alive:
            self._kept, self._reused = None, True
            deed.addresses, deed.address_count = kept.addresses, kept.address_count
            deed.peer = kept.peer
            self._carry(kept.socket)
            return
        self._drop_kept()
        self._reach(deed)

    def _reach(self, deed: Deed) -> None:
        self._stage, self._reused = Stage.DIALLING, False
        self._dial = Reach(self._desk, deed, self._reached)
        self._dial.start()

    def _reached(self, found: Stream | Decision | str) -> None:
        self._dial = None
        deed = self._deed
        if isinstance(found, str) or deed is None:
            self._fail(str(found))
        elif isinstance(found, Decision):
            self._stage = Stage.DECIDING
            done = functools.partial(self._refuse, deed.facts, found)
            self._desk.block(self.who, deed.facts, found, done, addresses=deed.addresses)
            deed.close(f"refused: {found.reason}")
        else:
            self._carry(found)

    def _fail(self, reason: str) -> None:
        deed = self._deed
        if deed is None:
            raise RuntimeError("a failure of nothing")
        deed.close(reason)
        self._say_last(denials.failure(self._machine.style, deed.facts, deed.decision, reason))

    # Carrying.

    def _carry(self, upstream: Stream) -> None:
        deed, machine, desk = self._deed, self._machine, self._desk
        if deed is None:
            raise RuntimeError("nothing is allowed")
        self._stage = Stage.CARRYING
        if machine.request is not None:
            rest = machine.buffer[machine.request.size :]
            self._carrier = exchange = Exchange(
                *(desk.loop, self._client, upstream, machine.request, deed.facts),
                *(deed.passage, rest, desk.limits, self._exchanged, self._times.alarm),
            )
            exchange.start()
            return
        client = self._client
        if not isinstance(client, socket.socket) or not isinstance(upstream, socket.socket):
            raise RuntimeError("only requests are carried within TLS")  # noqa: TRY004
        hello = machine.hello if deed.facts.protocol is Protocol.TLS else None
        size = len(machine.buffer) if hello is None else hello.size
        held, machine.buffer = machine.buffer, b""
        if hello is not None and deed.decision.opened:
            from sluicegate.gate.opened import Opened

            known = (desk, self.who, client, upstream, deed, hello, held, self._relayed)
            self._carrier = opened = Opened(*known)
            opened.start()
            return
        self._carrier = relay = Relay(
            *(desk.loop, desk.pipes, desk.threads, client, upstream, held[:size]),
            *(desk.limits.idle_opaque_s, self._relayed, deed.passage),
            functools.partial(cut, desk, self.who, deed),
        )
        if hello is not None:
            retry = Retry(desk, self.who, relay, deed, hello)
            relay.start()
            retry.start(held[size:])
            return
        if deed.facts.protocol is Protocol.SERVER_FIRST or self._hesitant:
            second = Second(desk, self.who, self._base, relay, deed, self._become_http, held)
            relay.hold(second.readable)
        relay.start()

    def _relayed(self, end: End) -> None:
        if self._deed is not None:
            self._deed.carried(end.bytes_up, end.bytes_down, end.kernel)
            self._deed.close(end.reason)
        self._finish()

    def _exchanged(self, result: Result) -> None:
        deed = self._deed
        if deed is None:
            raise RuntimeError("nothing is allowed")
        self._carrier = None
        deed.carried(result.bytes_up, result.bytes_down, result.kernel)
        if result.again and self._reused:
            self._reach(deed)  # the kept connection closed just then: not the client's concern
            return
        self._deed = None
        deed.status, deed.frames = result.status, result.frames
        if result.barred is not None:
            self._stage = Stage.DECIDING
            known = (deed.facts, result.barred, result.last, result.frames is None)
            done = functools.partial(self._refuse, *known)
            self._desk.block(self.who, deed.facts, result.barred, done)
            deed.close(result.reason)
            return
        deed.close(result.reason, in_order=result.rest is not None)
        if result.upstream is not None:
            self._keep(result.upstream, deed)
        if result.last:
            self._say_last(result.last)
        elif self._client.fileno() < 0:
            self._finish()
        elif result.rest is None:
            self._part(b"")
        else:
            self._next_request(result.rest)

    def _next_request(self, rest: bytes) -> None:
        desk = self._desk
        self._resumed, self._stage = True, Stage.READING
        self._machine = Machine(self._base, desk.names.name, desk.named, resumed=True)
        self._times.resume(bool(rest))
        if rest:
            # From the loop, not from here: many short requests in one segment must not nest. Until then the client
            # rests: what else it has sent, which may be told in this very turn, comes after these bytes.
            desk.loop.after(0, lambda: self._pipelined(rest))
        else:
            desk.loop.want(self._client.fileno(), READ, self._readable)

    def _pipelined(self, rest: bytes) -> None:
        if self._stage is Stage.READING:
            self._go_on(self._machine.received(rest))

    def _become_http(self, machine: Machine, facts: Facts, decision: Decision) -> None:
        """The silent client turned out to speak HTTP: its requests are judged one by one."""
        relay, deed = self._carrier, self._deed
        if not isinstance(relay, Relay) or deed is None:
            return
        _, upstream = relay.detach()
        self._carrier, self._machine = None, machine
        deed.close("became an HTTP connection")
        self._keep(upstream, deed)
        self._judged(facts, decision)

    # The end.

    def _leave(self, reason: str) -> None:
        """The client is gone before its decision: judged all the same, so that it is on record."""
        step = self._machine.ended() if not self._resumed or self._machine.buffer else None
        self._stage = Stage.GONE
        if step is not None:
            gone(self._desk, self.who, step.facts, self._machine, reason)
        self._desk.loop.forget(self._client.fileno())
        reset(self._client)
        self._finish()

    def stop(self, reason: str) -> None:
        """End the flow now, its outcome recorded."""
        self._answered()  # who still waits is on record as denied: there is no answer
        if self._stage is Stage.READING:
            self._leave(reason)
        elif self._carrier is not None:
            self._carrier.abort(reason)
        elif self._stage is not Stage.GONE:
            if self._deed is not None:
                self._deed.close(reason)
            self._finish()

    def _keep(self, upstream: Stream, deed: Deed) -> None:
        known = (deed.addresses, deed.address_count, deed.peer or "")
        self._kept = Kept(upstream, deed.decision, *known)

    def _drop_kept(self) -> None:
        if self._kept is not None:
            self._kept.close(self._desk.loop)
            self._kept = None

    def _finish(self) -> None:
        self._stage = Stage.GONE
        self._times.stop()
        self._drop_kept()
        for part in (self._dial, self._linger):
            if part is not None:
                part.cancel()
        self._dial = self._linger = self._carrier = None  # they hold this flow
        if self._client.fileno() >= 0:
            self._desk.loop.forget(self._client.fileno())
            self._client.close()
        self._gone(self)
