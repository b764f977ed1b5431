"""SHELL. The gate's process: accepts what the boundary captured, until the supervisor says stop."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

from sluicegate.evidence import counts, records
from sluicegate.gate.actions import action_id, nothing
from sluicegate.gate.desk import Desk
from sluicegate.gate.dial import reset
from sluicegate.gate.dnstcp import DnsConnection
from sluicegate.gate.drops import Drops
from sluicegate.gate.flow import Flow
from sluicegate.gate.ledger import LAZY_NS, Ledger, LedgerError
from sluicegate.gate.limits import Limits
from sluicegate.gate.lookup import Lookup, only_as_written
from sluicegate.gate.loop import READ, SECOND, WRITE, Loop
from sluicegate.gate.names import Names
from sluicegate.gate.news import News
from sluicegate.gate.orders import Orders
from sluicegate.gate.origins import Asked, Origins, Peer, WitnessError, original, question_of
from sluicegate.gate.pipes import Pipes
from sluicegate.gate.questions import Questions
from sluicegate.gate.resolver import Resolver
from sluicegate.gate.threads import Threads
from sluicegate.gate.watch import Watch
from sluicegate.jcs import Json
from sluicegate.policy.model import Policy

if TYPE_CHECKING:
    from sluicegate.gate.opened import Opener
    from sluicegate.gate.vault import Vault

DONE, BROKEN = 0, 1
TICK_S = 0.25  # how long a group of questions, drops or refusals waits for its receipt at most
# A receipt takes the notary about this long, and going to sleep for it would double that. Not with a single
# processor, which the notary needs meanwhile.
EAGER_NS = 150_000 if len(os.sched_getaffinity(0)) > 1 else 0
BURST = 64  # connections accepted per turn; those that are open want their turn too
DNS_PORT = 53
Destination = Callable[[socket.socket], tuple[str, int]]
# As the first six parameters of `serve`.
Sockets = tuple[
    socket.socket,
    socket.socket | None,
    socket.socket | None,
    socket.socket | None,
    socket.socket,
    socket.socket,
]
_SHORT = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


def serve(
    tcp: socket.socket,
    dns_tcp: socket.socket | None,
    dns_udp: socket.socket | None,
    nflog: socket.socket | None,
    notary: socket.socket,
    control: socket.socket,
    policies: tuple[Policy, ...],
    limits: Limits,
    witness: socket.socket,
    watched: tuple[socket.socket, ...] = (),
    opener: Opener | None = None,
    vault: Vault | None = None,
    news: News | None = None,
) -> int:
    """Runs until `control` says `{"stop":true}` (0, everything recorded) or it, notary or witness is gone (1).

    After a stop, `{"stopped":{counts}}` is the last line on `control`. `watched` are subscriptions to changes of the
    boundary's network: after the first every connection is ended, none is accepted, and `{"changed":{"what":words}}`
    is said when it is on record. `opener`: what is needed to open TLS, where a policy asks for that. `vault`: its
    secrets, if it has any. `news`: whom to tell what happens meanwhile.
    """
    sockets = (tcp, dns_tcp, dns_udp, nflog, notary, control)
    only_as_written()
    return serve_from(
        original, Lookup(), sockets, policies, limits, watched, witness, opener, vault, news
    )


def serve_from(
    destination: Destination,
    lookup: Lookup,
    sockets: Sockets,
    policies: tuple[Policy, ...],
    limits: Limits,
    watched: tuple[socket.socket, ...] = (),
    witness: socket.socket | None = None,
    opener: Opener | None = None,
    vault: Vault | None = None,
    news: News | None = None,
) -> int:
    """As `serve`, with its questions to the world given: where to, which addresses, and (or none) by which program."""
    tcp, dns_tcp, dns_udp, nflog, notary, control = sockets
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    ledger, names, loop = Ledger(notary, limits.record_bytes), Names(), Loop()
    desk = Desk(
        *(loop, ledger, lookup, names, policies, limits, Pipes(), Threads(), opener, vault, news),
    )
    gate = _Gate(desk, tcp, dns_tcp, control, destination)
    if dns_udp is not None:
        leaks = None if vault is None else vault.asked
        gate.resolver = Resolver(dns_udp, names, ledger, loop.now, leaks)
    if nflog is not None:
        gate.drops = Drops(nflog, ledger, loop.now)
    gate.watch = Watch(watched, ledger, gate.shut, gate.tell_change)
    if witness is not None:
        gate.origins = Origins(witness, loop)
    try:
        return gate.run()
    except (LedgerError, WitnessError):
        return BROKEN
    finally:
        gate.close()


class _Gate:
    def __init__(
        self,
        desk: Desk,
        tcp: socket.socket,
        dns_tcp: socket.socket | None,
        control: socket.socket,
        destination: Destination,
    ) -> None:
        self._desk, self._loop, self._ledger = desk, desk.loop, desk.ledger
        self._tcp, self._dns_tcp = tcp, dns_tcp
        self._orders = Orders(control, self._stop)
        if any(policy.ask for policy in desk.policies):
            desk.questions = Questions(self._orders.say)
            self._orders.answered = desk.questions.answered
        self._destination = destination
        self.resolver: Resolver | None = None
        self.drops: Drops | None = None
        self.watch: Watch | None = None
        self.origins: Origins | None = None
        own = [p.connections for p in desk.policies if p.connections is not None]
        self._limit = min(own, default=desk.limits.connections)
        self._flows: set[Flow | DnsConnection | Asked] = set()
        self._told_full = False
        # Given up for one moment when descriptors run out, so that the waiting client can be refused; -1 while
        # it could not be had back, and nothing is accepted then.
        self._reserve = -1
        self._refill()
        self._accepting = self._heard = False
        self._stopping = self._changed = False

    def run(self) -> int:
        loop, ledger = self._loop, self._ledger
        self._watch()
        while not self._orders.gone:
            ledger.flush(loop.now)
            if self.origins is not None:
                self.origins.flush()
            loop.want(ledger.socket.fileno(), READ | (WRITE if ledger.blocked else 0), self._notary)
            if self._stopping and not self._flows and ledger.committed == ledger.submitted:
                return self._stopped()
            ready = not self._stopping and not self._changed and self._reserve >= 0
            self._accept_if(ready and not ledger.congested)
            wait = LAZY_NS / SECOND if ledger.waiting else TICK_S
            loop.turn(wait, EAGER_NS if ledger.pressing else 0)
        return BROKEN

    def close(self) -> None:
        """Nothing may go on without the record: every connection is reset."""
        if not self._stopping or self._flows:
            for flow in tuple(self._flows):
                with contextlib.suppress(OSError):
                    flow.stop("the gate ends")
        for part in (self._desk.pipes, self._desk.threads, self._desk.lookup, self._loop):
            part.close()
        if self._reserve >= 0:
            os.close(self._reserve)
        for listener in (self._tcp, self._dns_tcp):
            if listener is not None:
                listener.close()
        self._ledger.socket.close()
        if self.origins is not None:
            self.origins.socket.close()
        self._orders.socket.close()

    def _watch(self) -> None:
        loop, desk = self._loop, self._desk
        loop.watch(self._orders.socket.fileno(), READ, self._orders.readable)
        loop.watch(desk.lookup.fd, READ, lambda _: desk.lookup.collect(loop.now))
        loop.watch(desk.threads.fd, READ, lambda _: desk.threads.collect())
        for listener in (self._tcp, self._dns_tcp):
            if listener is not None:
                listener.setblocking(False)
                # Inherited by what is accepted: small answers must not wait for an acknowledgement.
                listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        resolver, drops = self.resolver, self.drops
        if resolver is not None:
            loop.watch(resolver.socket.fileno(), READ, lambda _: resolver.readable(loop.now))
        if drops is not None:
            loop.watch(drops.socket.fileno(), READ, lambda _: drops.readable(loop.now))
        if (watch := self.watch) is not None:
            for one in watch.sockets:
                loop.watch(one.fileno(), READ, lambda _: watch.readable())
        self._tick()

    def shut(self) -> None:
        """The wall is not what was measured: what is open is ended, and nothing is accepted any more."""
        self._changed = True
        self._accept_if(False)
        self._end_flows("the boundary changed")

    def tell_change(self, what: str) -> None:
        """Say to the supervisor what changed; it ends the run."""
        self._orders.say({"changed": {"what": what}})

    def _notary(self, events: int) -> None:
        if events & ~WRITE:
            self._ledger.readable()

    def _accept_if(self, wanted: bool) -> None:
        if wanted == self._accepting:
            return
        self._accepting = wanted
        for listener, dns in ((self._tcp, False), (self._dns_tcp, True)):
            if listener is not None:
                self._loop.want(listener.fileno(), READ if wanted else 0, self._acceptor(dns))

    def _acceptor(self, dns: bool) -> Callable[[int], None]:
        listener = self._dns_tcp if dns else self._tcp

        def accept(_: int) -> None:
            for _n in range(BURST):
                if listener is None or not self._accept(listener, dns):
                    return

        return accept

    def _accept(self, listener: socket.socket, dns: bool) -> bool:
        """Whether there may be more to accept."""
        try:
            client, peer = listener.accept()
        except BlockingIOError:
            return False
        except OSError as error:
            return self._short(listener) if error.errno in _SHORT else True
        self._desk.counts["connections"] += 1
        if len(self._flows) >= self._limit:
            self._overload("connections", client)
            return True
        if self._ledger.full or self._changed:
            self._overload(counts.CHANGE if self._changed else "record", client)
            return True
        try:
            client.setblocking(False)
            address, port = self._destination(client)
            flow = self._open(client, peer, address, port, dns)
        except OSError:
            self._overload("accept", client)
            return True
        self._flows.add(flow)
        flow.start()
        return True

    def _open(
        self, client: socket.socket, peer: Peer, address: str, port: int, dns: bool
    ) -> Flow | DnsConnection | Asked:
        desk, resolver = self._desk, self.resolver
        if resolver is not None and (dns or port == DNS_PORT):
            desk.counts["dns_tcp"] += 1
            return DnsConnection(self._loop, client, resolver.question, self._flows.discard)
        desk.counts["flows"] += 1
        number = desk.counts["flows"]

        def begin(process: Json) -> Flow:
            who = records.Client(number, int(peer[1]), process)
            return Flow(desk, client, who, address, port, self._flows.discard)

        if self.origins is None:
            return begin(None)
        question = question_of(number, peer, client.getsockname())
        return Asked(
            self.origins, number, question, lambda asked, said: self._begin(asked, begin(said))
        )

    def _begin(self, asked: Asked, flow: Flow) -> None:
        """Its program is known: what waited for that is now a flow like any other."""
        self._flows.discard(asked)
        self._flows.add(flow)
        flow.start()
        if asked.stopped and flow in self._flows:
            flow.stop(asked.stopped)

    def _overload(self, limit: str, client: socket.socket) -> None:
        self._desk.overload(limit)
        reset(client)

    def _short(self, listener: socket.socket) -> bool:
        """No descriptor is left: the waiting client is refused with the one in reserve."""
        if self._reserve < 0:
            return False
        os.close(self._reserve)
        self._reserve = -1
        try:
            client, _ = listener.accept()
            self._desk.counts["connections"] += 1
            self._overload("descriptors", client)
        except OSError:
            return False
        finally:
            self._refill()
        return self._reserve >= 0

    def _refill(self) -> None:
        """Have a descriptor in reserve again, if there is one: another thread may have been faster."""
        if self._reserve < 0:
            with contextlib.suppress(OSError):
                self._reserve = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)

    def _tick(self) -> None:
        self._refill()
        for part in (self.resolver, self.drops):
            if part is not None:
                part.tick(self._loop.now)
        if not self._told_full:
            # A full record says at once that it is, and how often it mattered only at the end.
            self._told_full = not self._desk.refused.keys().isdisjoint(("record", "requests"))
            self._flush_refused()
        if self._desk.news is not None:
            self._desk.news.tick(self._desk.counts)
        self._loop.after(TICK_S, self._tick)

    def _flush_refused(self) -> None:
        for limit, count in self._desk.refused.items():
            self._ledger.submit(counts.overload(count, limit, action_id()), nothing)
        self._desk.refused.clear()

    def _stop(self) -> None:
        """No more connections; what is open is ended and recorded."""
        if self._stopping:
            return
        self._stopping = True
        if self.watch is not None:
            self.watch.flush()
        if self._reserve < 0:
            self._end_flows()  # their descriptors are wanted
            self._refill()
        # Connections in the queue were counted by the kernel: they get their receipt too.
        for listener, dns in ((self._tcp, False), (self._dns_tcp, True)):
            while listener is not None and self._accept(listener, dns):
                pass
        self._accept_if(False)
        self._end_flows()
        for part in (self.resolver, self.drops):
            if part is not None:
                part.flush()
        self._flush_refused()

    def _end_flows(self, why: str = "the run ended") -> None:
        if self._desk.questions is not None:
            self._desk.questions.close()
        for flow in tuple(self._flows):
            flow.stop(why)

    def _stopped(self) -> int:
        told: dict[str, Json] = {**self._desk.counts}
        if self.resolver is not None:
            told |= {
                "dns_asked": self.resolver.asked,
                "dns_stream": self.resolver.streamed,
                "dns_captured": self.resolver.captured,
                "dns_lost": self.resolver.lost,
            }
        if self.drops is not None:
            told |= self.drops.told()
        told["changes"] = 0 if self.watch is None else self.watch.seen
        told["receipts"] = self._ledger.committed
        self._orders.last({"stopped": told})
        return DONE
