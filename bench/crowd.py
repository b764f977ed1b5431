"""Inside a boundary: sleeping processes, and clients that connect one after another; figures as one line of JSON.

crowd.py SLEEPERS CLIENTS CONNECTIONS
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time

HOST, PORT = "203.0.113.10", 7003


def connect(count: int) -> list[float]:
    """Milliseconds from connect to the first byte of the answer, decision and receipt included."""
    times = []
    for _ in range(count):
        begun = time.perf_counter()
        with socket.create_connection((HOST, PORT)) as stream:
            stream.sendall(b"?")
            if not stream.recv(1):
                raise OSError("no answer")
        times.append((time.perf_counter() - begun) * 1000)
    return times


def main(sleepers: int, clients: int, count: int) -> None:
    idle = []
    for _ in range(sleepers):
        pid = os.fork()
        if not pid:
            signal.pause()
        idle.append(pid)
    connect(20)
    begun, pipes = time.perf_counter(), []
    for _ in range(clients):
        read, write = os.pipe()
        if not os.fork():
            with os.fdopen(write, "w") as out:
                json.dump(connect(count), out)
            os._exit(0)
        os.close(write)
        pipes.append(read)
    times = []
    for read in pipes:
        with os.fdopen(read) as source:
            times += json.load(source)
    seconds = time.perf_counter() - begun
    for pid in idle:
        os.kill(pid, signal.SIGKILL)
    times.sort()
    found = {"rate": len(times) / seconds, "p50": times[len(times) // 2]}
    print(json.dumps(found | {"p99": times[len(times) * 99 // 100]}), flush=True)
    # The run's own processes are measured before they end.
    sys.stdin.readline()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
