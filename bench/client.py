"""The near end: orders on stdin, one JSON result per line on stdout. Standard library only: it runs in every boundary.

    down FLOWS BYTES | up FLOWS BYTES | connect CLIENTS COUNT

With PROXY=host:port in the environment it asks that proxy with CONNECT, else it connects directly.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
import time
from collections.abc import Callable

HOST, SEND_PORT, SWALLOW_PORT, ANSWER_PORT = "203.0.113.10", 7001, 7002, 7003
PROXY = os.environ.get("PROXY", "")


def dial(port: int) -> socket.socket:
    if not PROXY:
        return socket.create_connection((HOST, port))
    host, _, number = PROXY.rpartition(":")
    stream = socket.create_connection((host, int(number)))
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    stream.sendall(
        b"CONNECT %s:%d HTTP/1.1\r\nHost: %s:%d\r\n\r\n"
        % (HOST.encode(), port, HOST.encode(), port)
    )
    head = b""
    while b"\r\n\r\n" not in head:
        piece = stream.recv(1)
        if not piece:
            raise OSError("the proxy closed")
        head += piece
    if b" 200 " not in head.split(b"\r\n")[0]:
        raise OSError(head.decode())
    return stream


def down(count: int) -> None:
    with dial(SEND_PORT) as stream:
        stream.sendall(count.to_bytes(8, "big"))
        buffer, left = bytearray(1 << 20), count
        while left:
            got = stream.recv_into(buffer)
            if not got:
                raise OSError("short")
            left -= got


def up(count: int) -> None:
    block = memoryview(bytes(1 << 20))
    with dial(SWALLOW_PORT) as stream:
        # The count goes first: not every proxy carries a half-close.
        stream.sendall(count.to_bytes(8, "big"))
        left = count
        while left:
            left -= stream.send(block[: min(left, len(block))])
        if int.from_bytes(stream.recv(8, socket.MSG_WAITALL), "big") != count:
            raise OSError("short")


def connect(count: int, times: list[float]) -> None:
    for _ in range(count):
        begun = time.perf_counter()
        with dial(ANSWER_PORT) as stream:
            stream.sendall(b"?")
            if stream.recv(1) != b"!":
                raise OSError("no answer")
        times.append(time.perf_counter() - begun)


def together(flows: int, work: Callable[[], None]) -> float:
    """Seconds until `flows` forked processes have all done `work`."""
    begun = time.perf_counter()
    pids = []
    for _ in range(flows):
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                work()
                code = 0
            finally:
                os._exit(code)
        pids.append(pid)
    ends = [os.waitpid(pid, 0)[1] for pid in pids]
    if any(ends):
        raise OSError("a flow failed")
    return time.perf_counter() - begun


def order(words: list[str]) -> dict[str, float]:
    what, many, size = words[0], int(words[1]), int(words[2])
    if what in ("down", "up"):
        share = size // many
        seconds = together(many, lambda: (down if what == "down" else up)(share))
        return {"bytes": share * many, "seconds": seconds}
    times = []
    threads = [threading.Thread(target=connect, args=(size // many, times)) for _ in range(many)]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - begun
    if len(times) != size // many * many:
        raise OSError("a connection failed")
    times.sort()
    return {"count": len(times), "seconds": seconds, "p99": times[len(times) * 99 // 100]}


for line in sys.stdin:
    print(json.dumps(order(line.split())), flush=True)
