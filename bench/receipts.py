"""What the receipt adds to a connection: the same gate beside the real notary, and beside one that only says yes.

Open loop at a fixed rate: a connection is begun when it is due, whether or not the one before it is answered, and its
latency counts from then (so a stall is not left out by the client that waits for it).
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from sluicegate.evidence import notary
from sluicegate.gate.limits import Limits
from sluicegate.gate.lookup import Lookup
from sluicegate.gate.serve import serve_from
from sluicegate.policy.model import Policy, Rule

RATE = 500  # connections a second
COUNT = 2000
Keeper = Callable[[socket.socket], contextlib.AbstractContextManager[list[int]]]
OPEN = b'{"open":{"policy_hash":"sha256:%s","boundary_open_sha256":"sha256:%s"}}\n' % (
    *(b"0" * 64, b"0" * 64),
)


def report(rounds: int) -> None:
    print(f"\nreceipts: what they add to a connection at {RATE}/s, microseconds")
    results: dict[str, list[tuple[float, float]]] = {"none": [], "receipts": []}
    for number in range(rounds):
        order = list(results) if number % 2 == 0 else list(results)[::-1]
        for name in order:
            with gate(signed if name == "receipts" else agreed) as address:
                results[name].append(latencies(address))
    for at, what in ((0, "p50"), (1, "p99")):
        without, with_ = (statistics.median(r[at] for r in results[n]) for n in results)
        added = statistics.median(
            one[at] - other[at]
            for one, other in zip(results["receipts"], results["none"], strict=True)
        )
        print(f"    {what}  {without:6.0f} without, {with_:6.0f} with: {added:+6.0f}")


@contextlib.contextmanager
def agreed(gate_end: socket.socket) -> Iterator[list[int]]:
    """As fast as any notary can be: counts the lines and says committed."""

    def agree() -> None:
        seen = 0
        while data := gate_end.recv(65_536):
            seen += data.count(b"\n")
            gate_end.sendall(b'{"committed":%d}\n' % seen)

    yield [forked(agree)]


@contextlib.contextmanager
def signed(gate_end: socket.socket) -> Iterator[list[int]]:
    """The real one, its record open before a gate can speak to it."""
    ours, theirs = socket.socketpair()
    flags = os.O_CREAT | os.O_RDWR | os.O_APPEND
    with ours, tempfile.TemporaryDirectory() as directory:
        files = [os.open(Path(directory, name), flags) for name in ("evidence", "flows")]
        pid = forked(lambda: notary.serve(gate_end, theirs, *files, None))
        for ended in (*files, theirs.detach()):
            os.close(ended)
        ours.sendall(OPEN)
        if b'"opened"' not in (said := ours.recv(65_536)):
            raise RuntimeError(f"the notary did not open the record: {said!r}")
        yield [pid]


@contextlib.contextmanager
def gate(keeper: Keeper) -> Iterator[tuple[str, int]]:
    """The address of a gate whose notary is `keeper`; both are processes of their own."""
    upstream = socket.create_server(("127.0.0.1", 0), backlog=4096)
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    to_notary, to_gate = socket.socketpair()
    control, gate_control = socket.socketpair()
    port = upstream.getsockname()[1]
    rule = Rule("allow[0] bench", network="127.0.0.0/8", ports=(port,))

    def serve() -> None:
        sockets = (listener, None, None, None, to_notary, gate_control)
        policies = (Policy("bench", allow=(rule,)),)
        serve_from(lambda _: ("127.0.0.1", port), Lookup(), sockets, policies, Limits(grace_s=0))

    with keeper(to_gate) as children:
        children += [forked(serve), forked(lambda: answer(upstream))]
        for ours in (to_notary, to_gate, gate_control, upstream):
            ours.close()
        try:
            yield listener.getsockname()
        finally:
            control.close()
            listener.close()
            for pid in children:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)


def answer(upstream: socket.socket) -> None:
    """One byte for each connection."""
    while True:
        peer, _ = upstream.accept()
        with contextlib.suppress(OSError):
            peer.sendall(b"!")
        peer.close()


def forked(work: Callable[[], None]) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            work()
        finally:
            os._exit(0)
    return pid


def latencies(address: tuple[str, int]) -> tuple[float, float]:
    """Median and 99th percentile, in microseconds, from when a connection was due to its answer."""
    poll, due, held, took = select.epoll(), dict[int, float](), dict[int, socket.socket](), []
    begun, sent = time.perf_counter(), 0
    while len(took) < COUNT:
        now = time.perf_counter()
        while sent < COUNT and now >= begun + sent / RATE:
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(address)
            poll.register(one.fileno(), select.EPOLLIN)
            held[one.fileno()], due[one.fileno()] = one, begun + sent / RATE
            sent += 1
        wait = max(0.0, begun + sent / RATE - now) if sent < COUNT else 1.0
        for number, _ in poll.poll(wait):
            took.append(time.perf_counter() - due.pop(number))
            poll.unregister(number)
            held.pop(number).close()
    took.sort()
    return took[COUNT // 2] * 1e6, took[COUNT * 99 // 100] * 1e6
