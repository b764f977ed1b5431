"""Descriptors that rest: what the loop believes of them is what the kernel knows, whatever clients and servers do.

One thread is everybody: clients, servers and the notary move between the gate's turns, by a seeded plan, and what is
late comes by a clock of ours.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import resource
import socket
import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest

from sluicegate.gate import loop as loops
from sluicegate.gate.limits import Limits
from sluicegate.gate.lookup import Lookup
from sluicegate.gate.loop import BROKEN, SECOND, Loop
from sluicegate.gate.serve import serve_from
from sluicegate.wire import netlink, websocket
from tests.kernel.gatehouse import borne_out, named, paired

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
RESET = struct.pack("ii", 1, 0)
HOSTS = ("ok.test", "also.test")
STEPS, PATIENCE, AT_ONCE = 120, 2000, 12
CALMLY, STOPPED, CHANGED = range(3)
SEEDS = 9


def registered(loop: Loop) -> dict[int, int]:
    """What the kernel watches for the loop (proc_pid_fdinfo(5)); BROKEN is in every mask, asked or not."""
    text = Path(f"/proc/self/fdinfo/{loop._epoll.fileno()}").read_text(encoding="ascii")
    found = re.finditer(r"tfd: *(\d+) events: *([0-9a-f]+)", text)
    return {int(one[1]): int(one[2], 16) for one in found}


def agrees(loop: Loop) -> None:
    """Raises AssertionError where the loop believes something else than the kernel knows."""
    believed = {number: mask | BROKEN for number, mask in loop._masks.items()}
    assert registered(loop) == believed
    assert loop._handlers.keys() <= loop._masks.keys()


class Clock:
    """`time` as the loop has it: it goes only where it is put."""

    def __init__(self) -> None:
        self.now = SECOND

    def monotonic_ns(self) -> int:
        return self.now


class AtOnce(Lookup):
    """Every name is loopback, and known."""

    def ask(self, name: str, now: int, done: Any) -> None:
        done(("127.0.0.1",) if name in HOSTS else ())


def said(peer: socket.socket) -> bytes | None:
    """What it said, empty at its end or its reset; None: nothing."""
    try:
        return peer.recv(65536)
    except BlockingIOError:
        return None
    except OSError:
        return b""


@dataclass
class Client:
    peer: socket.socket
    wanted: list[str]  # the paths of its requests, in order
    out: bytes  # of them, not sent yet
    said: bytes = b""
    left: bool = False  # by itself
    over: bool = False

    def answers(self) -> list[tuple[int, str]]:
        """Status and body of each whole response."""
        found, rest = list[tuple[int, str]](), self.said
        while b"\r\n\r\n" in rest:
            head, _, after = rest.partition(b"\r\n\r\n")
            status = int(head[9:12])
            length = re.search(rb"(?i)content-length: (\d+)", head)
            size = int(length[1]) if length else 0
            if len(after) < size or status == 101:
                found += [(101, "")] if status == 101 else []
                break
            found.append((status, after[:size].decode("latin-1")))
            rest = after[size:]
        return found


@dataclass
class Server:
    peer: socket.socket
    heard: bytes = b""
    owed: list[bytes] = field(default_factory=list)  # requests without an answer
    out: bytes = b""
    closes: str = ""  # how, once all is said


class World:
    """Who is around the gate. `faulty`: servers break, and so may a client's connection."""

    def __init__(self, seed: int, faulty: bool) -> None:
        self.random, self.faulty, self.clock = random.Random(seed), faulty, Clock()
        # How it ends: when all is said, or in the middle of everything.
        self.end = seed % 3 if faulty else CALMLY
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.servers = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.servers.setblocking(False)
        self.notary, self.for_gate = socket.socketpair()
        self.control, self.controlled = socket.socketpair()
        self.kernel, self.watched = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.notary.setblocking(False)
        self.policy = named(self.servers.getsockname()[1], *HOSTS)
        self.clients, self.upstreams = list[Client](), list[Server]()
        self.messages, self.rest, self.told = list[dict[str, Any]](), b"", 0
        self.steps = self.numbers = 0
        self.seen = Counter[str]()
        self.soft, self.hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.over, self.patience, self.starving = False, PATIENCE, False

    # The gate's turns.

    def turn(self, loop: Loop, real: Any) -> None:
        """In the place of a turn: the world moves, the gate has its turn, and what it believes is true."""
        self.steps += 1
        self.clock.now += SECOND // 1000
        if self.steps <= STEPS:
            self.move()
            if self.steps == STEPS // 2 and self.end == CHANGED:
                self.kernel.send(netlink.request(80, b"\2\0\0\0", 0, 0))
        elif self.over:
            self.notarize()
        elif self.end == CALMLY and self.patience and any(map(self.owes, self.clients)):
            self.patience -= 1
            self.calm()
        else:
            self.over = True
            self.ended()
            self.control.sendall(b'{"stop":true}\n')
        with self.starved() if self.starving else contextlib.nullcontext():
            real(loop, 0.001 if self.steps > STEPS else 0)
        agrees(loop)

    @contextlib.contextmanager
    def starved(self) -> Iterator[None]:
        """No descriptor is left, for the gate alone of all who share this process."""
        most, held = max(map(int, os.listdir("/proc/self/fd"))) + 1, list[int]()
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, self.hard))
        try:
            with contextlib.suppress(OSError):
                while True:
                    held.append(os.open(os.devnull, os.O_RDONLY))
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (self.hard, self.hard))
            for one in held:
                os.close(one)

    def run(self) -> int:
        names = (self.listener, None, None, None, self.for_gate, self.controlled)
        target = ("192.0.2.1", self.servers.getsockname()[1])
        answers = AtOnce()
        limits = Limits(head_s=5, idle_http_s=20)
        return serve_from(lambda _: target, answers, names, (self.policy,), limits, (self.watched,))

    def close(self) -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (self.soft, self.hard))
        peers = [one.peer for one in (*self.clients, *self.upstreams)]
        ends = (self.servers, self.notary, self.control, self.kernel, self.watched)
        for one in (*peers, *ends, self.listener, self.for_gate, self.controlled):
            one.close()

    # What the others do.

    def move(self) -> None:
        """A few things at random."""
        plan = self.random
        acts = [self.arrive, self.speak, self.speak, self.serve, self.serve, self.answer]
        acts += [self.answer, self.notarize, self.notarize, self.listen, self.leave]
        if self.faulty:
            acts += [self.break_off, self.wait, self.starve]
        for act in plan.choices(acts, k=plan.randint(1, 5)):
            act()

    def calm(self) -> None:
        """Everybody does what the others wait for."""
        self.starving = False
        for one in self.clients:
            self.say(one, len(one.out))
        for _ in range(AT_ONCE):
            self.serve()
        for up in self.upstreams:
            while up.owed and not up.closes:
                up.out += self.response(up)
            self.flush(up)
        self.notarize()
        self.listen()

    def ended(self) -> None:
        """Raises AssertionError unless every client has what it asked for, in order."""
        for one in self.clients:
            found = one.answers()
            for (status, body), path in zip(found, one.wanted, strict=False):
                self.seen[str(status)] += 1
                if status == 200:
                    assert body == path
                else:
                    usual = {403: "/denied", 101: "/socket", 502: "/"}
                    if self.faulty:
                        usual[400] = "/"  # too late
                    assert path.startswith(usual[status]), (status, body, path, one.wanted)
            assert len(found) <= len(one.wanted)
            assert self.end != CALMLY or not self.owes(one), (one.wanted, found, one.out)

    def owes(self, one: Client) -> bool:
        """Whether the gate still owes it something."""
        found = one.answers()
        last = found[-1][0] if found else 0
        left = one.left or (one.over and self.faulty) or last in {101, 400, 403, 502}
        return not left and (len(found) < len(one.wanted) or bool(one.out))

    def arrive(self) -> None:
        if sum(not one.left for one in self.clients) >= AT_ONCE:
            return
        peer = socket.socket()
        peer.setblocking(False)
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(BlockingIOError):
            peer.connect(self.listener.getsockname())
        wanted, out = list[str](), b""
        for _ in range(self.random.randint(1, 6)):
            kind = self.random.choice((*["plain"] * 8, *["body"] * 3, "denied", "socket"))
            self.numbers += 1
            wanted.append(f"/{kind}/{self.numbers}")
            out += self.request(kind, wanted[-1])
        self.clients.append(Client(peer, wanted, out))

    def request(self, kind: str, path: str) -> bytes:
        host = "bad.test" if kind == "denied" else self.random.choice(HOSTS)
        more, body = "", b""
        if kind == "body":
            body = self.random.randbytes(self.random.randint(1, 400)).replace(b"\r", b"x")
            more = f"Content-Length: {len(body)}\r\n"
        elif kind == "socket":
            more = f"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: {KEY}\r\n"
            more += "Sec-WebSocket-Version: 13\r\n"
        method = "POST" if body else "GET"
        port = self.servers.getsockname()[1]
        head = f"{method} {path} HTTP/1.1\r\nHost: {host}:{port}\r\n{more}\r\n"
        return head.encode() + body

    def say(self, one: Client, size: int) -> None:
        if one.out and not one.left and not one.over:
            with contextlib.suppress(OSError):
                one.out = one.out[one.peer.send(one.out[:size]) :]

    def speak(self) -> None:
        some = [one for one in self.clients if one.out and not one.left]
        if some:
            sizes = (1, 17, 40, 60, 90, 200, 5000)
            self.say(self.random.choice(some), self.random.choice(sizes))

    def listen(self) -> None:
        for one in self.clients:
            while not one.over and not one.left and (data := said(one.peer)) is not None:
                one.said += data
                one.over = not data

    def leave(self) -> None:
        """A client goes: half, or with a reset."""
        some = [one for one in self.clients if not one.left]
        if not some or self.random.random() < 0.8:
            return
        one = self.random.choice(some)
        one.left = True
        with contextlib.suppress(OSError):
            if self.random.random() < 0.4:
                one.peer.shutdown(socket.SHUT_WR)
                return
            if self.random.random() < 0.7:
                one.peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        one.peer.close()

    def serve(self) -> None:
        """Take a connection; hear what was sent on those there are."""
        with contextlib.suppress(BlockingIOError):
            peer, _ = self.servers.accept()
            peer.setblocking(False)
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.upstreams.append(Server(peer))
        for up in self.upstreams:
            while up.peer.fileno() >= 0 and (data := said(up.peer)) is not None:
                if not data:
                    up.peer.close()
                    break
                up.heard += data
            while (found := self.whole(up.heard)) is not None:
                up.owed.append(up.heard[:found])
                up.heard = up.heard[found:]

    @staticmethod
    def whole(heard: bytes) -> int | None:
        head, end, body = heard.partition(b"\r\n\r\n")
        length = re.search(rb"Content-Length: (\d+)", head)
        size = int(length[1]) if length else 0
        return len(head) + 4 + size if end and len(body) >= size else None

    def response(self, up: Server) -> bytes:
        request = up.owed.pop(0)
        path = request.split(b" ")[1]
        assert not path.startswith(b"/denied")
        if path.startswith(b"/socket"):
            up.closes = "end"
            word = websocket.accept(KEY).encode()
            head = b"HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            return head + b"Sec-WebSocket-Accept: " + word + b"\r\n\r\n"
        said = self.random.choice((b"", b"", b"", b"Connection: close\r\n"))
        if b"Connection: close" in request or said:
            up.closes = "end"
        elif self.random.random() < 0.15:
            up.closes = "end"  # without a word of it
        return b"HTTP/1.1 200 OK\r\n%bContent-Length: %d\r\n\r\n%b" % (said, len(path), path)

    def answer(self) -> None:
        some = [up for up in self.upstreams if up.peer.fileno() >= 0 and (up.owed or up.out)]
        if not some:
            return
        up = self.random.choice(some)
        if up.owed and not up.out and not up.closes:
            up.out = self.response(up)
            if self.faulty and self.random.random() < 0.15:
                up.out += b"HTTP/1.1 200 stray\r\nContent-Length: 0\r\n\r\n"
        self.flush(up, self.random.choice((7, 30, 70, 5000, 5000)))

    def flush(self, up: Server, size: int = 1_000_000) -> None:
        if up.peer.fileno() < 0:
            return
        with contextlib.suppress(OSError):
            up.out = up.out[up.peer.send(up.out[:size]) :]
        if up.closes and not up.out:
            up.peer.close()

    def break_off(self) -> None:
        some = [up for up in self.upstreams if up.peer.fileno() >= 0]
        if some and self.random.random() < 0.3:
            up = self.random.choice(some)
            if self.random.random() < 0.5:
                up.peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            up.peer.close()

    def wait(self) -> None:
        if self.random.random() < 0.1:
            self.clock.now += self.random.choice((1, 3, 6, 25)) * SECOND

    def starve(self) -> None:
        """For a while there is no descriptor left."""
        if self.starving or self.random.random() < 0.03:
            self.starving = not self.starving

    def notarize(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while data := self.notary.recv(1 << 20):
                *lines, self.rest = (self.rest + data).split(b"\n")
                self.messages += map(orjson.loads, lines)
        if self.told < len(self.messages):
            self.told = len(self.messages)
            self.notary.sendall(b'{"committed":%d}\n' % self.told)


def play(seed: int, faulty: bool, monkeypatch: pytest.MonkeyPatch) -> World:
    world, real = World(seed, faulty), Loop.turn
    with monkeypatch.context() as patched:
        patched.setattr(loops, "time", world.clock)
        patched.setattr(Loop, "turn", lambda loop, *_: world.turn(loop, real))
        try:
            assert world.run() == 0, seed
            world.notarize()
        finally:
            world.close()
    paired(world.messages)
    borne_out((world.policy,), world.messages)
    return world


@pytest.mark.parametrize("faulty", [False, True])
def test_what_the_loop_believes_is_what_the_kernel_watches(
    faulty: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And every answer is the one that was asked for: bytes that come while a request rests keep their place."""
    seen = Counter[str]()
    for seed in range(SEEDS):
        seen += play(seed, faulty, monkeypatch).seen
    assert seen.keys() >= {"200", "403", "101", *({"502", "400"} if faulty else ())}
