"""What a TLS client says after its first hello, until it can name no other server.

A server may ask for a second ClientHello (HelloRetryRequest, RFC 8446 section 4.1.4), and some servers
choose their certificate by the name in that one.
"""

from __future__ import annotations

from sluicegate.wire import tls
from sluicegate.wire.cursor import WireError
from sluicegate.wire.tls import ClientHello

RECORDS = range(20, 25)  # change cipher spec, alert, handshake, application data, heartbeat
HANDSHAKE, APPLICATION_DATA = 22, 23
CLIENT_HELLO = 1
# Early data that a server may skip before a second hello: 16 KiB is usual, few are set to more.
MAX_EARLY_BYTES = 1_048_576
# The first byte of a hello's length. No server takes a longer hello (OpenSSL: 131,396 bytes): what looks like one
# is an encrypted message.
MAX_LENGTH_HIGH = 2
# Alerts and the like before a second hello: servers give up after 5 to 32 of them.
MAX_RECORDS = 1024
# Each arrival reads the second hello again: a 2 KiB hello byte by byte costs 2 MB.
MAX_WORK_BYTES = 8_388_608


class Flight:
    """Fed with the client's bytes after the `first` hello; says which of them may go on.

    `free`: no hello can follow any more, all further bytes may go. `refusal`: why nothing may go any more,
    with `second` as the hello that says so, if it could be read.
    """

    def __init__(self, first: ClientHello) -> None:
        self.free = False
        self.refusal = ""
        self.second: ClientHello | None = None
        self._first = first
        self._held = b""
        self._left = 0  # bytes of the record that is passing
        self._early = MAX_EARLY_BYTES if first.early else 0
        self._records = self._work = 0

    def received(self, data: bytes) -> bytes:
        """What may go on now. A second hello is held until it is complete and names the same server."""
        held, at = self._held + data, 0
        while at < len(held) and not self.free and not self.refusal:
            self._left = self._left or self._passing(held, at)
            if not self._left:
                break
            size = min(self._left, len(held) - at)
            at, self._left = at + size, self._left - size
        if self.free:
            at = len(held)
        self._held = held[at:]
        return held[:at]

    def ended(self) -> bytes:
        """The client's stream has ended: what may still go."""
        if self._held[:1] == bytes([HANDSHAKE]) and len(self._held) > 5:
            self.refusal = "the client ended within a second hello"
            return b""
        self.free = True
        return self.received(b"")

    def _passing(self, held: bytes, at: int) -> int:
        """The size of the record at `at`, if it may pass; else 0, as for what is not there yet."""
        kind, size = held[at], int.from_bytes(held[at + 3 : at + 5], "big")
        if kind not in RECORDS or (kind == APPLICATION_DATA and self._early <= 0):
            # Not TLS, so that no server reads on; or nothing that could come before a second hello.
            self.free = True
            return 0
        if len(held) - at < 5:
            return 0
        if kind == HANDSHAKE:
            self._handshake(held[at:], size)
            return 0
        # Servers skip these while they wait for the second hello.
        if kind == APPLICATION_DATA:
            self._early -= 5 + size
        else:
            self._records += 1
            if self._records > MAX_RECORDS:
                self.refusal = "too many records before the handshake goes on"
                return 0
        return 5 + size

    def _handshake(self, held: bytes, size: int) -> None:
        other = size and len(held) > 5 and held[5] != CLIENT_HELLO
        if other or (size > 1 and len(held) > 6 and held[6] > MAX_LENGTH_HIGH):
            self.free = True
            return
        self._work += len(held)
        if self._work > MAX_WORK_BYTES:
            self.refusal = "the second hello comes in too many pieces"
            return
        try:
            hello = tls.read_client_hello(held)
        except WireError as error:
            self.refusal = f"the second hello can not be read: {error}"
            return
        if hello is None:
            return
        self.second, first = hello, self._first
        if hello.sni != first.sni:
            # What it names is among the facts, where a secret in it is hidden.
            self.refusal = "the sni of the second hello is another one"
        elif hello.ech != first.ech:
            self.refusal = "only one of two hellos is encrypted"
        else:
            self.free = True
