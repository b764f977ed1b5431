"""What a client's first bytes are.

Whatever a lenient server might take for TLS or HTTP is called that here, and then read strictly: an
"opaque" flow is one whose server name or Host nobody compares.
"""

from __future__ import annotations

import enum
import re

# Longer request lines are refused by common servers, some of them at twice this size.
MAX_LINE = 16_384
_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]*")
# Change cipher spec, alert, handshake, application data, heartbeat: servers skip some of the others.
_RECORDS = range(0x14, 0x19)


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
    if lead in _RECORDS:
        return _tls(stream)
    if lead in {4, 5}:
        if len(stream) < 2:
            return None
        if lead == 5:
            # Version, number of methods (at least one).
            return Kind.SOCKS5 if stream[1] else Kind.OPAQUE
        return Kind.SOCKS4 if stream[1] in {1, 2} else Kind.OPAQUE
    return _http(stream)


def _tls(stream: bytes) -> Kind | None:
    if len(stream) < 2:
        return None
    if stream[1] == 3:
        return Kind.TLS
    # Some servers ignore the first record's version. A ClientHello begins with its type, 1.
    if stream[0] != 0x16 or stream[1] >= 0x10:
        return Kind.OPAQUE
    if len(stream) < 6:
        return None
    return Kind.TLS if stream[5] == 1 else Kind.OPAQUE


def _http(stream: bytes) -> Kind | None:
    if stream[0] in b" \t\r\n":
        # Skipped by some servers before a request.
        return Kind.HTTP
    line, ended, _ = stream[:MAX_LINE].partition(b"\n")
    method = _TOKEN.match(line)
    size = method.end() if method else 0
    if size < len(line):
        if not size or line[size] not in b" \t":
            return Kind.OPAQUE
        # A path, or a version anywhere in the line: servers differ about all that is between.
        if line[size + 1 : size + 2] in {b"/", b"*"} or b"http/" in line.lower():
            return Kind.HTTP
    if ended:
        return Kind.OPAQUE
    return Kind.HTTP if len(stream) >= MAX_LINE else None
