"""SHELL. Bytes to a peer that may be slow, and what went wrong with one in a few words."""

from __future__ import annotations

import os

from sluicegate.gate.meter import Stream

# What a reader should be told in other words than OpenSSL's (RFC 8446 section 6.2).
_TOLD = {
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "it wants a certificate of the client, which the gate has not:"
    " inspect: false on its rule leaves it closed"
}


def push(peer: Stream, out: bytearray) -> int:
    """How many bytes of `out` the peer took; they are gone from it.

    Raises:
        OSError: the connection is broken.
    """
    sent = 0
    try:
        while out:
            size = peer.send(out)
            del out[:size]
            sent += size
    except BlockingIOError:
        pass  # the loop says when there is room
    return sent


def words(error: Exception) -> str:
    """What `error` says, in lower case."""
    said = getattr(error, "reason", None)
    if isinstance(said, str):
        return f"tls: {_TOLD.get(said, said.lower().replace('_', ' '))}"
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno).lower()
    return str(error)
