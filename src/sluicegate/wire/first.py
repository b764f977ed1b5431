"""What a client's first bytes are.

Whatever a lenient server might take for TLS or HTTP is called that here, and then read strictly: an
"opaque" flow is one whose server name or Host nobody compares.
"""

from __future__ import annotations

import enum
import re

# Longer request lines are refused by common servers, some of them at twice this size.
MAX_LINE = 16_384
# gitprotocol-pack(5): the length of all of it in four hexadecimal digits, the service, a path, NUL, the host, and
# perhaps a list of extra parameters behind a second NUL. No blank stands in it but the first one.
_GIT = re.compile(
    rb"([0-9a-f]{4})git-(?:upload-pack|receive-pack|upload-archive) /[^\0\s]*\0host=[^\0\s]+\0"
    rb"(?:\0(?:version=[0-9]+\0)+)?"
)
_GIT_BEGINS = re.compile(rb"[0-9a-f]{4}git-")
_GIT_BYTES = 4  # of the length
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


def is_git(stream: bytes) -> bool | None:
    """Whether `stream` is exactly one request of git's own protocol; None while it may yet become one.

    By itself it is a request line to whoever takes any word for a method: to be asked only on git's port.
    """
    if len(stream) < _GIT_BYTES + 4:
        return None if _GIT_BEGINS.match(stream + b"0000git-"[len(stream) :]) else False
    if not _GIT_BEGINS.match(stream):
        return False
    size = int(stream[:_GIT_BYTES], 16)
    if len(stream) < size:
        return None if b"\n" not in stream else False
    found = _GIT.fullmatch(stream)
    return found is not None and size == len(stream)


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
