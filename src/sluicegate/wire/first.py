"""What a client's first bytes are."""

from __future__ import annotations

import enum
import string

# The longest method token worth waiting for; longer is no HTTP that anyone speaks.
MAX_METHOD = 24
_TOKEN = frozenset((string.ascii_letters + string.digits + "-_!#$%&'*+.^`|~").encode())


class Kind(enum.Enum):
    """A protocol as its first bytes show it."""

    TLS = "tls"
    HTTP = "http"
    SOCKS5 = "socks5"
    SOCKS4 = "socks4"
    OPAQUE = "opaque"


def classify(stream: bytes) -> Kind | None:
    """The kind of `stream`, or None while more bytes are needed."""
    if not stream:
        return None
    lead = stream[0]
    if lead == 0x16:
        return _tls(stream)
    if lead == 5:
        # Version, number of methods (at least one).
        if len(stream) < 2:
            return None
        return Kind.SOCKS5 if stream[1] else Kind.OPAQUE
    if lead == 4:
        if len(stream) < 2:
            return None
        return Kind.SOCKS4 if stream[1] in {1, 2} else Kind.OPAQUE
    return _http(stream)


def _tls(stream: bytes) -> Kind | None:
    # Record: handshake, version 3.x, length; then the ClientHello's type.
    if len(stream) > 1 and stream[1] != 3:
        return Kind.OPAQUE
    if len(stream) < 6:
        return None
    return Kind.TLS if stream[5] == 1 else Kind.OPAQUE


def _http(stream: bytes) -> Kind | None:
    word, space, rest = stream[: MAX_METHOD + 1].partition(b" ")
    if not word or not _TOKEN.issuperset(word) or len(word) > MAX_METHOD:
        return Kind.OPAQUE
    if not word[:1].isalpha():
        return Kind.OPAQUE
    if not space:
        # "SSH-2.0-" is a token as well, but a method has no digits and dots in this place.
        return Kind.OPAQUE if word.startswith(b"SSH-") else None
    if not rest:
        return None
    # Origin form, asterisk, or the first letter of a scheme or an authority.
    return Kind.HTTP if rest[:1] in b"/*[" or rest[:1].isalnum() else Kind.OPAQUE
