"""SHELL. TLS over a connected socket, used like the socket itself: OpenSSL speaks to memory, and we to the kernel.

Not `SSLSocket`: the client's first bytes are read before anybody knows that they will be answered here, and OpenSSL
could not be given them. It also leaves us the count of what was really sent, which the kernel's must equal.
"""

from __future__ import annotations

import contextlib
import encodings.idna  # noqa: F401  # what `ssl` asks for by name, when the gate may not read it any more
import socket
import ssl
from collections.abc import Callable

from sluicegate.gate.loop import READ, WRITE, Loop
from sluicegate.gate.meter import written

READ_BYTES = 65_536
# Plaintext that is encrypted at once: four records. What the peer does not take of it waits in OpenSSL's memory.
SEND_BYTES = 65_536
Done = Callable[[OSError | None], None]
# Bytes sent as we counted them, and as the kernel did.
Told = Callable[[int, int], None]


def _nobody(_sent: int, _kernel: int) -> None:
    pass


class Secure:
    """A peer behind TLS. `recv` and `send` raise as those of a non-blocking socket do.

    `sent` counts the bytes that the kernel took for it, handshake and records included; `ready`: the handshake is done;
    `spoken`: the peer has said something behind it.
    """

    def __init__(
        self,
        peer: socket.socket,
        context: ssl.SSLContext,
        *,
        heard: bytes = b"",
        name: str | None = None,
        session: ssl.SSLSession | None = None,
        told: Told,
    ) -> None:
        """With a `name` as its client, which demands it of the peer's certificate; else as the server.

        `heard`: what the peer has said already. `told` is called once, when it is closed.

        Raises:
            ValueError: a name that no certificate can hold.
        """
        self.peer, self.sent = peer, 0
        self.ready = self.spoken = False
        self._told, self._before = told, written(peer)
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        server = name is None
        self.tls = context.wrap_bio(
            self._in, self._out, server_side=server, server_hostname=name, session=session
        )
        self._in.write(heard)
        self._waiting = b""
        self._begun = 0

    def handshake(self) -> bool:
        """Go on with the handshake; whether it is done. BlockingIOError: the peer has more to say, or to take.

        Raises:
            OSError: the peer ended, or spoke no acceptable TLS (ssl.SSLError says how).
        """
        while True:
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                self._flush()
                self._hear()
                continue
            except ssl.SSLError:
                self._flush_quietly()  # the alert that says why
                raise
            self.ready = True
            self._flush()
            return True

    def recv(self, _: int) -> bytes:
        """All that has come and can be read: whoever waits for the socket would not hear of what is left in our memory.

        No more than a read of the socket and a record begun before it. Empty at the end of the peer's stream.

        Raises:
            BlockingIOError: nothing has come.
            OSError: the connection is broken, or ended without TLS saying so (the last bytes may be missing).
        """
        pieces = list[bytes]()
        if not (self._in.pending or self.tls.pending()):
            self._hear()
        while True:
            try:
                piece = self.tls.read(READ_BYTES)
            except ssl.SSLWantReadError:
                if pieces:
                    break
                self._flush_quietly()  # OpenSSL's own alert, to who negotiates again: below too
                self._hear()
                continue
            except ssl.SSLZeroReturnError:
                piece = b""
            except ssl.SSLEOFError as error:
                if pieces:
                    break
                raise ConnectionResetError("ended without a closing alert") from error
            if not piece:
                # Who waits for the socket must hear of it again, also where the peer keeps that open.
                with contextlib.suppress(OSError):
                    self.peer.shutdown(socket.SHUT_RD)
                break
            self.spoken = True
            pieces.append(piece)
            if not (self._in.pending or self.tls.pending()):
                break  # asking again would cost as much as what was read
        if self._out.pending:
            self._flush_quietly()
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def send(self, data: bytes | bytearray) -> int:
        """How many of the first bytes of `data` have gone to the kernel.

        Raises:
            BlockingIOError: none has; the next call must begin with the same bytes.
            OSError: the connection is broken.
        """
        if not self._begun:
            self._begun = self.tls.write(memoryview(data)[:SEND_BYTES])
        self._flush()
        done, self._begun = self._begun, 0
        return done

    def shutdown(self, _: int) -> None:
        """Say that nothing follows."""
        # It waits for the peer's own end, which may never come.
        with contextlib.suppress(ssl.SSLError):
            self.tls.unwrap()
        self._flush_quietly()
        self.peer.shutdown(socket.SHUT_WR)

    def fileno(self) -> int:
        return self.peer.fileno()

    def close(self) -> None:
        """Without a closing alert: what was cut short must not look whole."""
        if self.peer.fileno() >= 0:
            told, self._told = self._told, _nobody  # who is told may hold this connection
            told(self.sent, written(self.peer) - self._before)
            self.peer.close()

    def setsockopt(self, level: int, name: int, value: int | bytes) -> None:
        self.peer.setsockopt(level, name, value)

    def getsockopt(self, level: int, name: int, size: int) -> bytes:
        return self.peer.getsockopt(level, name, size)

    def _hear(self) -> None:
        data = self.peer.recv(READ_BYTES)
        if data:
            self._in.write(data)
        else:
            self._in.write_eof()

    def _flush(self) -> None:
        waiting = self._waiting or self._out.read()
        try:
            while waiting:
                sent = self.peer.send(waiting)
                self.sent += sent
                waiting = waiting[sent:]
                if not waiting and self._out.pending:
                    waiting = self._out.read()
        finally:
            self._waiting = waiting

    def _flush_quietly(self) -> None:
        with contextlib.suppress(OSError):  # nobody is there to hear it
            self._flush()

    @property
    def blocked(self) -> bool:
        """Whether bytes wait for the peer to take some."""
        return bool(self._waiting or self._out.pending)


class Handshake:
    """One handshake on the loop: `done(None)`, or `done(error)`, once, maybe before `start` returns."""

    def __init__(self, loop: Loop, secure: Secure, seconds: float, done: Done) -> None:
        self._loop, self._secure, self._done = loop, secure, done
        self._timer = loop.after(seconds, self._late)

    def start(self) -> None:
        self._ready(READ)

    def cancel(self) -> None:
        """No call to `done` any more."""
        self._timer.cancel()
        if self._secure.fileno() >= 0:
            self._loop.forget(self._secure.fileno())

    def _ready(self, _: int) -> None:
        try:
            self._secure.handshake()
        except BlockingIOError:
            events = READ | (WRITE if self._secure.blocked else 0)
            self._loop.want(self._secure.fileno(), events, self._ready)
            return
        except OSError as error:
            self._finish(error)
            return
        self._finish(None)

    def _late(self) -> None:
        self._finish(TimeoutError("the handshake was not finished in time"))

    def _finish(self, error: OSError | None) -> None:
        self.cancel()
        self._done(error)
