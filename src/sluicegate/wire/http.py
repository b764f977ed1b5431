"""HTTP/1 heads (RFC 9112), read so that no other reader could read them differently."""

from __future__ import annotations

import enum
import functools
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from sluicegate.wire import names
from sluicegate.wire.cursor import WireError

# Cookies and tokens make large heads; common servers stop between 8 and 64 KiB.
MAX_HEAD_BYTES = 64 * 1024
MAX_HEADERS = 200
# Beyond 2^53 - 1 lengths stop being exact in the records.
MAX_LENGTH = 2**53 - 1
DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}

_FIELD = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):([\t\x20-\x7e\x80-\xff]*)", re.ASCII)
_METHOD = re.compile(r"[A-Z][A-Z0-9_-]{0,23}", re.ASCII)
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_TARGET = re.compile(r"[\x21-\x7e]+")
_LENGTH = re.compile(r"[0-9]{1,16}", re.ASCII)
_STATUS = re.compile(r"HTTP/1\.([01]) ([1-9][0-9]{2})(?: (.*))?")
# What is said to the next reader alone, or written anew; the gate answers Expect itself.
_HOP = frozenset(
    (
        *("connection", "keep-alive", "proxy-connection", "proxy-authenticate"),
        *("proxy-authorization", "te", "trailer", "transfer-encoding", "upgrade"),
        *("http2-settings", "content-length", "host", "expect"),
    )
)
_ODD = frozenset(("transfer_encoding", "content_length"))
# What some servers take for the method, whatever the request line says; by CGI, an underscore is the same.
OVERRIDES = frozenset(
    name.replace("-", sign)
    for name in ("x-http-method-override", "x-http-method", "x-method-override")
    for sign in "-_"
)
# Names in lower case of what is read of a head, whichever kind it is.
_TELLING = _ODD.union(OVERRIDES) | {
    *("host", "expect", "upgrade", "connection", "proxy-connection"),
    *("transfer-encoding", "content-length"),
}
# Where a sender names what is for the next reader alone.
_OPTIONAL = ("connection", "proxy-connection")
_NO_OPTIONS = frozenset[str]()
Headers = tuple[tuple[str, str], ...]
# The values of what is telling, by name.
Said = Mapping[str, Sequence[str]]
# Heads that are read or written often: a client asks again with the headers that it asked with before. What is longer
# (in bytes) is read each time; all that is kept is 3 MB at most, of heads with 200 short headers.
MAX_KEPT, MAX_KEPT_BYTES = 64, 2048


class Form(enum.Enum):
    """The four request targets of RFC 9112 section 3.2."""

    ORIGIN = "origin"
    ABSOLUTE = "absolute"
    AUTHORITY = "authority"
    ASTERISK = "asterisk"


class Framing(enum.Enum):
    """How the end of a body is told."""

    NONE = "none"
    LENGTH = "length"
    CHUNKED = "chunked"
    UNTIL_CLOSE = "until-close"


@dataclass(frozen=True, slots=True)
class Request:
    """A request head. Hosts are canonical; `path` is the path and query as sent.

    `overrides` are what headers say that the method is (OVERRIDES).
    `content`: the hex SHA-256 of its content, if that was read before the request was judged.
    """

    method: str
    form: Form
    scheme: str | None
    target_host: str | None
    target_port: int | None
    path: str
    host: str | None
    host_port: int | None
    headers: Headers
    framing: Framing
    length: int
    version_minor: int
    keep_alive: bool
    expect_continue: bool
    upgrade: str | None
    size: int
    overrides: tuple[str, ...] = ()
    content: str | None = None


@dataclass(frozen=True, slots=True)
class Response:
    """A response head, framed for the request it answers."""

    status: int
    reason: str
    headers: Headers
    framing: Framing
    length: int
    keep_alive: bool
    size: int


def read_request_head(stream: bytes) -> Request | None:
    """The request that `stream` begins with, or None while its head is incomplete.

    Raises:
        WireError: illegal, or legal but read differently by different readers.
    """
    head = _head(stream)
    if head is None:
        return None
    line, headers, said, size = head
    parts = line.split(" ")
    if len(parts) != 3 or parts[2] not in {"HTTP/1.0", "HTTP/1.1"}:
        raise WireError("request line is not 'method target HTTP/1.x'")
    method, target, version = parts
    if not _METHOD.fullmatch(method) or not _TARGET.fullmatch(target):
        raise WireError("method or target has an illegal character")
    minor = int(version[-1])
    form, scheme, where, path = _target(method, target)
    hosts = said.get("host", ())
    if len(hosts) > 1 or (minor and not hosts):
        raise WireError("not exactly one Host")
    if hosts and not hosts[0].isascii():
        # Whether these bytes are UTF-8 or Latin-1 is anyone's guess, and two guesses are two hosts.
        raise WireError("Host is not ASCII")
    claimed = _claimed(hosts[0]) if hosts and hosts[0] else (None, None)
    if claimed[0] is None and form in {Form.ORIGIN, Form.ABSOLUTE} and hosts:
        raise WireError("empty Host")
    framing, length = _framing(said, minor)
    if form is Form.AUTHORITY and (framing is Framing.CHUNKED or length):
        raise WireError("CONNECT with a body")
    options = _options(said)
    expect = said.get("expect", ())
    if expect and [value.lower() for value in expect] != ["100-continue"]:
        raise WireError("unknown Expect")
    upgrade = said.get("upgrade")
    return Request(
        method=method,
        form=form,
        scheme=scheme,
        target_host=where[0],
        target_port=where[1],
        path=path,
        host=claimed[0],
        host_port=claimed[1],
        headers=headers,
        framing=framing,
        length=length,
        version_minor=minor,
        keep_alive="close" not in options and (minor == 1 or "keep-alive" in options),
        expect_continue=bool(expect) and minor == 1,
        upgrade=", ".join(upgrade).lower() if upgrade and "upgrade" in options else None,
        size=size,
        overrides=() if OVERRIDES.isdisjoint(said) else overriding(headers),
    )


def overriding(headers: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """The methods that the headers say, in capitals. One may have several: readers differ in which they take."""
    said = (value for name, value in headers if name.lower() in OVERRIDES)
    return tuple(one.strip().upper() for value in said for one in value.split(","))


def _claimed(value: str) -> tuple[str, int | None]:
    """The host and port of a Host header. Some clients write an IPv6 address without its brackets, and no port.

    What goes upstream has brackets, so that nobody can take the last group for a port.
    """
    if value.count(":") > 1 and not value.startswith("["):
        return names.host(value), None
    return names.authority(value, None)


def read_response_head(stream: bytes, method: str) -> Response | None:
    """The response that `stream` begins with, framed as the answer to `method`; None: need more."""
    head = _head(stream)
    if head is None:
        return None
    line, headers, said, size = head
    match = _STATUS.fullmatch(line)
    if match is None or not _VALUE.fullmatch(match[3] or ""):
        raise WireError("status line is not 'HTTP/1.x status reason'")
    minor, status = int(match[1]), int(match[2])
    framing, length = _framing(said, minor)
    stated = framing is not Framing.NONE
    # RFC 9112 section 6.3, rules 1, 2 and 8.
    bodiless = method == "HEAD" or status < 200 or status in {204, 304}
    if bodiless or (method == "CONNECT" and status < 300):
        framing, length = Framing.NONE, 0
    elif not stated:
        framing = Framing.UNTIL_CLOSE
    options = _options(said)
    alive = "close" not in options and (minor == 1 or "keep-alive" in options)
    return Response(
        status=status,
        reason=match[3] or "",
        headers=headers,
        framing=framing,
        length=length,
        keep_alive=alive and framing is not Framing.UNTIL_CLOSE,
        size=size,
    )


def write_request(request: Request) -> bytes:
    """The head to send upstream: origin form, one Host, framing from the parse."""
    name, port = request.target_host or request.host, request.target_port or request.host_port
    if request.form is Form.ORIGIN:
        name, port = request.host, request.host_port
    if name is None:
        raise WireError("request names no host")
    text = f"[{name}]" if ":" in name else name
    if port is not None and port != DEFAULT_PORTS.get(request.scheme or ""):
        text += f":{port}"
    target = "*" if request.form is Form.ASTERISK else request.path
    lines = [f"{request.method} {target} HTTP/1.1", f"Host: {text}"]
    lines += _carried(request, upgrading=request.upgrade is not None)
    lines += _framed(request.framing, request.length)
    if request.upgrade is not None:
        lines += ["Connection: Upgrade", f"Upgrade: {request.upgrade}"]
    elif not request.keep_alive:
        lines.append("Connection: close")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def write_response(response: Response, version_minor: int = 1) -> bytes:
    """The head to send to a client of HTTP/1.`version_minor`; a 101 keeps its Upgrade, Alt-Svc never leaves.

    A client of HTTP/1.0 does not know chunks: it gets the payload alone, and the close as its end.
    """
    chunked = response.framing is Framing.CHUNKED
    alive = response.keep_alive and (version_minor == 1 or not chunked)
    lines = [f"HTTP/1.1 {response.status} {response.reason}"]
    lines += _carried(response)
    if version_minor or not chunked:
        lines += _framed(response.framing, response.length)
    if response.framing is Framing.NONE and response.status >= 200 and response.status != 204:
        # The length of a body that HEAD or 304 does not send is metadata, and stays. RFC 9110 section 8.6
        # forbids it with 1xx and 204.
        lines += [f"Content-Length: {v}" for v in _all(response.headers, "content-length")]
    if response.status == 101:
        lines += ["Connection: Upgrade"]
        lines += [f"Upgrade: {value}" for value in _all(response.headers, "upgrade")]
    elif response.status >= 200 and not alive:
        lines.append("Connection: close")
    elif response.status >= 200 and version_minor == 0:
        lines.append("Connection: keep-alive")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def denial(status: int, body: str, close: bool = True, allow: Collection[str] = ()) -> bytes:
    """A whole response of plain text that refuses; a 405 says which methods to `allow`."""
    reason = {400: "Bad Request", 403: "Forbidden", 405: "Method Not Allowed", 429: "Too Many"}
    data = body.encode("ascii", "backslashreplace")
    lines = [f"HTTP/1.1 {status} {reason.get(status, 'Refused')}"]
    lines += ["Content-Type: text/plain; charset=us-ascii", f"Content-Length: {len(data)}"]
    lines += ["Cache-Control: no-store", "X-Content-Type-Options: nosniff"]
    # RFC 9110 section 15.5.6.
    lines += [f"Allow: {', '.join(sorted(allow))}"] if status == 405 else []
    lines += ["Connection: close"] if close else []
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii") + data


def _head(stream: bytes) -> tuple[str, Headers, Said, int] | None:
    end = stream.find(b"\r\n\r\n", 0, MAX_HEAD_BYTES)
    block = stream[: MAX_HEAD_BYTES if end < 0 else end + 2]
    # Said at once: a bare LF or CR would otherwise wait for an end that never comes.
    if block.count(b"\n") != block.count(b"\r\n") or b"\0" in block:
        raise WireError("bare LF or NUL in the head")
    if block.removesuffix(b"\r").count(b"\r") != block.count(b"\r\n"):
        raise WireError("bare CR in the head")
    if end < 0:
        if len(stream) >= MAX_HEAD_BYTES:
            raise WireError("head is larger than 64 KiB")
        return None
    line, _, rest = block.partition(b"\r\n")
    headers, said = (_fields if len(rest) <= MAX_KEPT_BYTES else _fields.__wrapped__)(rest)
    return line.decode("latin-1"), headers, said, end + 4


@functools.lru_cache(MAX_KEPT)
def _fields(block: bytes) -> tuple[Headers, Said]:
    """The headers of whole lines, and of those the values that say how a message is framed and passed on."""
    lines = block[:-2].decode("latin-1").split("\r\n") if block else []
    if len(lines) > MAX_HEADERS:
        raise WireError("more than 200 headers")
    fields, said = [], dict[str, list[str]]()
    for line in lines:
        found = _FIELD.fullmatch(line)
        if found is None:
            folded = line[:1] in {" ", "\t"}
            raise WireError("folded header" if folded else "header is not 'name: value'")
        name, value = found[1], found[2].strip(" \t")
        fields.append((name, value))
        if (lower := name.lower()) in _TELLING:
            said.setdefault(lower, []).append(value)
    return tuple(fields), said


def _all(headers: Headers, name: str) -> list[str]:
    return [value for key, value in headers if key.lower() == name]


def _options(said: Said) -> frozenset[str]:
    if said.keys().isdisjoint(_OPTIONAL):
        return _NO_OPTIONS
    return _listed([value for name in _OPTIONAL for value in said.get(name, ())])


def _listed(values: Sequence[str]) -> frozenset[str]:
    options = ",".join(values).split(",")
    return frozenset(option.strip(" \t").lower() for option in options if option.strip())


def _framing(said: Said, minor: int) -> tuple[Framing, int]:
    codings, lengths = said.get("transfer-encoding", ()), said.get("content-length", ())
    # A name that differs only in '_' for '-' is the same name to CGI-like readers.
    if not _ODD.isdisjoint(said):
        raise WireError("framing header with an underscore")
    if codings:
        if lengths or minor == 0 or len(codings) != 1 or codings[0].lower() != "chunked":
            raise WireError("Transfer-Encoding is not 'chunked' alone")
        return Framing.CHUNKED, 0
    if lengths:
        if len(lengths) != 1 or not _LENGTH.fullmatch(lengths[0]) or int(lengths[0]) > MAX_LENGTH:
            raise WireError("Content-Length is not one number")
        return Framing.LENGTH, int(lengths[0])
    return Framing.NONE, 0


def _target(
    method: str, target: str
) -> tuple[Form, str | None, tuple[str | None, int | None], str]:
    if "#" in target:
        raise WireError("target has a fragment")
    if method == "CONNECT":
        where = names.authority(target, None)
        if where[1] is None:
            raise WireError("CONNECT without a port")
        return Form.AUTHORITY, None, where, ""
    if target == "*":
        if method != "OPTIONS":
            raise WireError("'*' is for OPTIONS only")
        return Form.ASTERISK, None, (None, None), ""
    if target[0] == "/":
        return Form.ORIGIN, None, (None, None), target
    scheme, separator, rest = target.partition("://")
    scheme = scheme.lower()
    if not separator or scheme not in {"http", "https"}:
        raise WireError("target is neither a path nor an http URL")
    cut = min((i for i in map(rest.find, "/?") if i >= 0), default=len(rest))
    path = rest[cut:]
    if "\\" in rest[:cut]:
        raise WireError("authority has a backslash")
    where = names.authority(rest[:cut], DEFAULT_PORTS[scheme])
    return Form.ABSOLUTE, scheme, where, path if path[:1] == "/" else "/" + path


def _carried(head: Request | Response, *, upgrading: bool = False) -> Sequence[str]:
    lines = _lines if head.size <= MAX_KEPT_BYTES else _lines.__wrapped__
    return lines(head.headers, upgrading, isinstance(head, Response))


@functools.lru_cache(MAX_KEPT)
def _lines(headers: Headers, upgrading: bool, answer: bool) -> tuple[str, ...]:
    """What is passed on of a request's headers, or of an `answer`'s."""
    options = [value for key, value in headers if key.lower() in _OPTIONAL]
    named = _listed(options) - ({"upgrade"} if upgrading else set())
    drop = _HOP | named | ({"alt-svc"} if answer else set())
    return tuple(f"{key}: {value}" for key, value in headers if key.lower() not in drop)


def _framed(framing: Framing, length: int) -> list[str]:
    if framing is Framing.CHUNKED:
        return ["Transfer-Encoding: chunked"]
    return [f"Content-Length: {length}"] if framing is Framing.LENGTH else []
