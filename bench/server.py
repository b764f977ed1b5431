"""The far end of every measurement: port 7001 sends what it is asked for, 7002 swallows, 7003 answers one byte.

Prints `ready` when it listens. One process per core would flatter the direct path; one process is the same for all.
"""

from __future__ import annotations

import os
import socket
import threading

SEND_PORT, SWALLOW_PORT, ANSWER_PORT = 7001, 7002, 7003
BLOCK_BYTES = 1_048_576
ADDRESS = "203.0.113.10"


def send(stream: socket.socket, source: int) -> None:
    """An 8-byte count comes in, that many bytes go out."""
    left = int.from_bytes(stream.recv(8, socket.MSG_WAITALL))
    while left > 0:
        left -= os.sendfile(stream.fileno(), source, 0, min(left, BLOCK_BYTES))


def swallow(stream: socket.socket, _: int) -> None:
    """An 8-byte count comes in, then that many bytes; what came goes back in 8 bytes."""
    wanted = int.from_bytes(stream.recv(8, socket.MSG_WAITALL))
    buffer, count = bytearray(BLOCK_BYTES), 0
    while count < wanted and (got := stream.recv_into(buffer)):
        count += got
    stream.sendall(count.to_bytes(8))


def answer(stream: socket.socket, _: int) -> None:
    """One byte for the first one."""
    if stream.recv(64):
        stream.sendall(b"!")


def serve(port: int, work: object, source: int) -> None:
    listener = socket.create_server((ADDRESS, port), backlog=4096)

    def one(stream: socket.socket) -> None:
        with stream:
            try:
                work(stream, source)  # type: ignore[operator]
            except OSError:
                return

    def loop() -> None:
        while True:
            stream, _ = listener.accept()
            if work is answer:
                one(stream)
            else:
                threading.Thread(target=one, args=(stream,), daemon=True).start()

    threading.Thread(target=loop, daemon=True).start()


def main() -> None:
    source = os.memfd_create("block")
    os.truncate(source, BLOCK_BYTES)
    serve(SEND_PORT, send, source)
    serve(SWALLOW_PORT, swallow, source)
    serve(ANSWER_PORT, answer, source)
    print("ready", flush=True)
    os.read(0, 1)


if __name__ == "__main__":
    main()
