"""What a client's first bytes are.

Whatever a lenient server might take for TLS or HTTP is called that here, and then read strictly: an
"opaque" flow is one whose server name or Host nobody compares.
"""

from __future__ import annotations

import enum
import re

# Longer request lines are refused by common servers, some of them at twice this size.
MAX_LINE = 16_384
# gitprotocol-pack(5): a length in four hexadecimal digits, the service, a path, then NUL and the host. Without the
# NUL it is a request line to whoever takes any word for a method.
_GIT = re.compile(rb"[0-9a-fA-F]{4}git-(?:upload-pack|receive-pack|upload-archive) /[^\n]*")
_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]*")
# Readers of some servers split a line at these too (RFC 9112 section 3), so that a method may end with any.
_SEPARATORS = b" \t\x0b\x0c\r"
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


def is_word(stream: bytes) -> bool:
    """Whether `stream` is all of a word so far, which may become a request line or not."""
    return bool(stream) and classify(stream) is None and stream[0] not in {*_RECORDS, 4, 5}


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
    if stream[0] in _SEPARATORS + b"\n":
        # Skipped by some servers before a request.
        return Kind.HTTP
    if git := _GIT.match(stream, 0, MAX_LINE):
        if b"\0" in git[0]:
            return Kind.OPAQUE
        if git.end() == len(stream) < MAX_LINE:
            return None
    line, ended, _ = stream[:MAX_LINE].partition(b"\n")
    method = _TOKEN.match(line)
    size = method.end() if method else 0
    if size < len(line):
        if not size or line[size] not in _SEPARATORS:
            return Kind.OPAQUE
        # A path, or a version anywhere in the line: servers differ about all that is between.
        if line[size:].lstrip(_SEPARATORS)[:1] in {b"/", b"*"} or b"http/" in line.lower():
            return Kind.HTTP
    if ended:
        return Kind.OPAQUE
    return Kind.HTTP if len(stream) >= MAX_LINE else None
