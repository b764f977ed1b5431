"""A gate on loopback for tests: a plain listener in the place of TPROXY, a notary that answers."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from sluicegate.evidence import ids
from sluicegate.gate.limits import Limits
from sluicegate.gate.lookup import Lookup
from sluicegate.gate.opened import Opener
from sluicegate.gate.serve import serve_from
from sluicegate.gate.vault import Vault
from sluicegate.policy import normal
from sluicegate.policy.model import Policy, Rule
from sluicegate.verify.accounted import Audit

# What a test opened; closed at the end of its gate.
OPENED = list[socket.socket]()
Names = Mapping[str, str | tuple[str, ...]]


def answer(found: str | tuple[str, ...]) -> tuple[str, ...]:
    return (found,) if isinstance(found, str) else found


def policy(*hosts: str, ports: tuple[int, ...], **more: Any) -> Policy:
    """Allows `hosts` on `ports`, and loopback as their address but not as a bare target."""
    rules = [Rule(f"allow[{i}] p:{i}", host=h, ports=ports) for i, h in enumerate(hosts)]
    return Policy("p", allow=(*rules, *more.pop("allow", ())), **more)


def local(port: int) -> Rule:
    """Lets `port` of loopback be reached: the look-up's answers are there."""
    return Rule("allow[9] p:9", network="127.0.0.0/8", ports=(port,))


def named(port: int, *hosts: str, **more: Any) -> Policy:
    """`hosts` on one port, served on loopback."""
    return policy(*hosts, ports=(port,), allow=(local(port),), **more)


class Notary(threading.Thread):
    """Keeps the gate's messages; answers unless `holding`."""

    def __init__(self, peer: socket.socket) -> None:
        super().__init__(daemon=True)
        self.peer, self.messages, self.answering = peer, list[dict[str, Any]](), threading.Event()
        self.answering.set()
        self.arrived = threading.Condition()

    def run(self) -> None:
        rest = b""
        with contextlib.suppress(OSError):
            while data := self.peer.recv(262144):
                *lines, rest = (rest + data).split(b"\n")
                with self.arrived:
                    self.messages += [json.loads(line) for line in lines]
                    self.arrived.notify_all()
                self.answering.wait()
                self.peer.sendall(b'{"committed":%d}\n' % len(self.messages))

    def wait(self, want: Callable[[dict[str, Any]], bool], seconds: float = 8) -> dict[str, Any]:
        """The first message that is wanted."""
        with self.arrived:
            self.arrived.wait_for(lambda: any(map(want, self.messages)), seconds)
            found = [m for m in self.messages if want(m)]
        assert found, [(m["verdict"], m["flow"]) for m in self.messages]
        return found[0]

    def verdict(self, word: str, phase: str | None = None) -> dict[str, Any]:
        return self.wait(lambda m: m["verdict"] == word and m.get("phase") == phase)

    def outcome(self) -> dict[str, Any]:
        return self.verdict("allow", "outcome")


class Gate:
    """A running gate. `to` is what the next connections are taken to have been made to."""

    def __init__(
        self,
        policies: tuple[Policy, ...],
        limits: Limits,
        names: Names,
        opener: Opener | None = None,
        port: int = 0,
        vault: Vault | None = None,
    ) -> None:
        self.listener = socket.create_server(("127.0.0.1", port), backlog=4096)
        self.to = ("192.0.2.1", 443)
        ours, theirs = socket.socketpair()
        self.control, control = socket.socketpair()
        # In the kernel's place: what is sent here is its word of a change to the boundary.
        self.kernel, watched = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        OPENED.extend((ours, theirs, control, self.control, self.kernel, watched))
        self.notary = Notary(ours)
        self.notary.start()
        self.code: int | None = None
        answers = Lookup(lambda name: answer(names.get(name, ())))

        def run() -> None:
            sockets = (self.listener, None, None, None, theirs, control)
            where = (lambda _: self.to, answers, sockets, policies, limits)
            self.code = serve_from(*where, watched=(watched,), opener=opener, vault=vault)

        self.thread = threading.Thread(target=run, daemon=True)
        self.thread.start()

    def connect(self) -> socket.socket:
        client = socket.create_connection(self.listener.getsockname(), timeout=8)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        OPENED.append(client)
        return client

    def stop(self) -> dict[str, int]:
        """The counts; every receipt is there by then."""
        self.control.settimeout(10)
        self.control.sendall(b'{"stop":true}\n')
        answer = self.control.makefile("rb").readline()
        self.thread.join(10)
        assert self.code == 0
        counts = json.loads(answer)["stopped"]
        assert counts["receipts"] == len(self.notary.messages)
        return dict(counts)


@contextlib.contextmanager
def gate(
    *policies: Policy,
    names: Names | None = None,
    opener: Opener | None = None,
    port: int = 0,
    vault: Vault | None = None,
    **limits: Any,
) -> Iterator[Gate]:
    house = Gate(policies, Limits(**limits), names or {}, opener, port, vault)
    try:
        yield house
    finally:
        house.notary.answering.set()
        house.control.close()
        house.thread.join(10)
        house.listener.close()
        while OPENED:
            OPENED.pop().close()
        assert not house.thread.is_alive()
        paired(house.notary.messages)
        borne_out(policies, house.notary.messages)


def paired(messages: list[dict[str, Any]]) -> None:
    """Every intent has one outcome, and comes first; ids are met for the first time in the order of their making."""
    open_, latest = set[str](), ""
    for message in messages:
        if message.get("phase") != "outcome":
            assert ids.is_id(message["action_id"], ids.GATE)
            assert message["action_id"] > latest
            latest = message["action_id"]
        if message.get("phase") == "intent":
            open_.add(message["action_id"])
        elif message.get("phase") == "outcome":
            open_.remove(message["action_id"])


def borne_out(policies: tuple[Policy, ...], messages: list[dict[str, Any]]) -> None:
    """What the gate said is what a stranger makes of its facts."""
    audit = Audit.of(normal.policy_text(policies))
    for number, message in enumerate(messages):
        record = {name: value for name, value in message.items() if value is not None}
        record |= {"chain_seq": number, "decision_phase": message.get("phase")}
        audit.add(record, message["flow"])
    assert not audit.contradiction, audit.contradiction
    assert audit.policies is not None
    audit.policies.settle()


class Server(threading.Thread):
    """An upstream: `handle(connection)` on a thread for each connection."""

    def __init__(self, handle: Callable[[socket.socket], None], host: str = "127.0.0.1") -> None:
        super().__init__(daemon=True)
        self.listener = socket.create_server((host, 0), backlog=4096)
        self.port = self.listener.getsockname()[1]
        self.handle, self.accepted = handle, 0
        OPENED.append(self.listener)
        self.start()

    def run(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                peer, _ = self.listener.accept()
                self.accepted += 1
                threading.Thread(target=self._one, args=(peer,), daemon=True).start()

    def _one(self, peer: socket.socket) -> None:
        peer.settimeout(20)
        with contextlib.suppress(OSError), peer:
            self.handle(peer)


def until(check: Callable[[], bool], seconds: float = 5) -> bool:
    end, pause = time.monotonic() + seconds, threading.Event()
    while not check() and time.monotonic() < end:
        pause.wait(0.01)
    return check()


def read_all(peer: socket.socket) -> bytes:
    pieces = []
    while data := peer.recv(262144):
        pieces.append(data)
    return b"".join(pieces)
