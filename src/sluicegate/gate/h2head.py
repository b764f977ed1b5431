"""HTTP/2 header lists to requests and responses, and back (RFC 9113, 8.2 and 8.3). Pure.

A request becomes the same `http.Request` that HTTP/1.1 gives, so that it is judged, changed and recorded in one place.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from sluicegate.facts import Facts
from sluicegate.policy import conditions
from sluicegate.wire import http, names
from sluicegate.wire.cursor import WireError

Fields = list[tuple[str, str]]
Raw = Iterable[tuple[bytes, bytes]]

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+", re.ASCII)
# No space at either end (RFC 9113, 8.2.1).
_VALUE = re.compile(r"(?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?")
_METHOD = re.compile(r"[A-Z][A-Z0-9_-]{0,23}", re.ASCII)
_PATH = re.compile(r"/[\x21\x22\x24-\x7e]*", re.ASCII)  # no fragment
_LENGTH = re.compile(r"[0-9]{1,16}", re.ASCII)
_STATUS = re.compile(r"[1-5][0-9]{2}", re.ASCII)
# What speaks of one connection; HTTP/2 has none of it (RFC 9113, 8.2.2).
_HOP = frozenset(("connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade"))
# Names that differ from one of framing only in what CGI-like readers take for the same.
_ODD = frozenset(("transfer_encoding", "content_length"))
_PSEUDO = frozenset((":method", ":scheme", ":authority", ":path"))
# Orders to a proxy, which the gate is to nobody here.
_NOT_CARRIED = frozenset(("proxy-authorization", "proxy-authenticate", "http2-settings", "host"))
# What decides about a message before its body is there, and so must not come after it (RFC 9110, 6.5.1).
_NOT_AT_THE_END = frozenset(
    (
        *("host", "content-length", "content-encoding", "content-type", "content-range", "te"),
        *("authorization", "proxy-authorization", "cookie", "set-cookie", "expect", "range"),
        *("cache-control", "max-forwards", "trailer", "www-authenticate", "location"),
        *(*http.OVERRIDES, "forwarded"),
    )
)


class MalformedError(WireError):
    """The peer breaks RFC 9113 with this message: an error of its stream."""


@dataclass(frozen=True, slots=True)
class Response:
    """The head of a response. `length`: what its content-length says, None without one."""

    status: int
    fields: Fields
    length: int | None


def size_of(raw: Raw | Fields, each: int = 32) -> int:
    """Bytes of names and values, with 32 for each field, as SETTINGS_MAX_HEADER_LIST_SIZE counts (RFC 9113, 6.5.2)."""
    return sum(len(name) + len(value) + each for name, value in raw)


def read_request(raw: Raw, ended: bool) -> http.Request:
    """The request; `ended`: it has no body. Its scheme is https and its host the `:authority`.

    Raises:
        MalformedError: against RFC 9113, 8.2 or 8.3.
        WireError: what is not carried: CONNECT, or a name that nobody could read in one way alone.
    """
    pseudo, fields = _split(raw, _PSEUDO)
    method = pseudo.get(":method")
    if method == "CONNECT":
        raise WireError("CONNECT inside opened TLS")
    for name in (":method", ":scheme", ":path"):
        if not pseudo.get(name):
            raise MalformedError(f"a request without {name}")
    if method is None or not _METHOD.fullmatch(method):
        raise MalformedError("method has an illegal character")
    if pseudo[":scheme"] != "https":
        raise MalformedError("the scheme is not https, and this is TLS")
    path = pseudo[":path"]
    if path == "*" and method != "OPTIONS":
        raise MalformedError("'*' is for OPTIONS only")
    if path != "*" and not _PATH.fullmatch(path):
        raise MalformedError("the path does not begin with '/', or has an illegal character")
    host, port = _authority(pseudo.get(":authority"), fields)
    length = _length(fields)
    if ended and length:
        raise MalformedError("a content-length, and no content")
    _known(fields)
    framing = http.Framing.NONE
    if not ended:
        framing = http.Framing.CHUNKED if length is None else http.Framing.LENGTH
    return http.Request(
        method=method,
        form=http.Form.ASTERISK if path == "*" else http.Form.ORIGIN,
        scheme="https",
        target_host=None,
        target_port=None,
        path="" if path == "*" else path,
        host=host,
        host_port=port,
        headers=tuple(_one_cookie(fields)),
        framing=framing,
        length=length or 0,
        version_minor=1,
        keep_alive=True,
        expect_continue=any(name == "expect" for name, _ in fields),
        upgrade=None,
        size=0,
        overrides=http.overriding(fields),
    )


def stated(
    base: Facts, request: http.Request, named: tuple[frozenset[str], frozenset[str]]
) -> Facts:
    """`base`, with what `request` claims; `named` is what conditions are about, as `policy.decide.named` has it."""
    return replace(
        base,
        host=request.host,
        host_port=request.host_port,
        method=request.method,
        path=request.path or "*",
        query=conditions.query(request.path, named[0]),
        headers=conditions.headers(request.headers, named[1]),
    )


def write_request(request: http.Request) -> Fields:
    """The header list to send to the server, made from the parse."""
    if request.host is None:
        raise WireError("request names no host")
    authority = f"[{request.host}]" if ":" in request.host else request.host
    if request.host_port is not None and request.host_port != http.DEFAULT_PORTS["https"]:
        authority += f":{request.host_port}"
    head = [(":method", request.method), (":scheme", "https"), (":authority", authority)]
    head.append((":path", request.path or "*"))
    return head + [
        (name, value) for name, value in _lowered(request.headers) if name not in _NOT_CARRIED
    ]


def read_response(raw: Raw) -> Response:
    """The head of a response, without what must not reach the client: `alt-svc` would lead it away from here.

    Raises:
        MalformedError: against RFC 9113, 8.2 or 8.3.
    """
    pseudo, fields = _split(raw, frozenset((":status",)))
    status = pseudo.get(":status", "")
    if not _STATUS.fullmatch(status) or status == "101":
        raise MalformedError("a response without a good :status")
    length = _length(fields)
    return Response(int(status), [pair for pair in fields if pair[0] != "alt-svc"], length)


def write_response(response: Response) -> Fields:
    """The header list to send to the client."""
    return [(":status", str(response.status)), *response.fields]


def read_trailers(raw: Raw, reserved: Collection[str] = ()) -> Fields:
    """The fields after a body. `reserved`: names that only the head may have, as it is what was judged.

    Raises:
        MalformedError: pseudo-headers, or what RFC 9113, 8.2 forbids.
        WireError: a field that would change the meaning of the head.
    """
    _, fields = _split(raw, frozenset())
    for name, _ in fields:
        # A server that merges these fields with the head's may take one for the other, as CGI does '_' for '-'.
        plain = name.replace("_", "-")
        if plain in _NOT_AT_THE_END or any(plain == one.replace("_", "-") for one in reserved):
            raise WireError(f"{name} after the body")
    return fields


def lines(fields: Fields) -> bytes:
    """`fields` as lines of text."""
    return "".join(f"{name}: {value}\r\n" for name, value in fields).encode("latin-1")


def from_http1(said: bytes) -> tuple[Response, bytes]:
    """A whole HTTP/1.1 response of our own as one of HTTP/2, and its body."""
    head = http.read_response_head(said, "GET")
    if head is None:
        raise RuntimeError("not a whole response")
    fields = [pair for pair in _lowered(head.headers) if pair[0] not in _HOP]
    body = said[head.size :]
    return Response(head.status, fields, len(body)), body


def _split(raw: Raw, known: frozenset[str]) -> tuple[dict[str, str], Fields]:
    """Pseudo-headers, which come first and once each, and the fields after them."""
    pseudo, fields = dict[str, str](), Fields()
    for left, right in raw:
        name, value = left.decode("latin-1"), right.decode("latin-1")
        if not _VALUE.fullmatch(value):
            raise MalformedError("a field's value has an illegal character, or a space at an end")
        if name[:1] == ":":
            if name == ":protocol":
                raise WireError("extended CONNECT (:protocol) is not offered")
            if name not in known:
                raise MalformedError("a pseudo-header that does not belong here")
            if fields:
                raise MalformedError("a pseudo-header after other fields")
            if name in pseudo:
                raise MalformedError(f"{name} twice")
            pseudo[name] = value
            continue
        if not _NAME.fullmatch(name):
            raise MalformedError("a field's name is not lower case, or has an illegal character")
        if name in _HOP or name in _ODD:
            raise MalformedError(f"{name} has no meaning in HTTP/2")
        if name == "te" and value.lower() != "trailers":
            raise MalformedError("te is not 'trailers'")
        fields.append((name, value))
        if len(fields) > http.MAX_HEADERS:
            raise WireError(f"more than {http.MAX_HEADERS} headers")
    return pseudo, fields


def _authority(said: str | None, fields: Fields) -> tuple[str, int | None]:
    """Host and port of `:authority`; a `host` beside it says the same or the request is refused."""
    if not said:
        raise MalformedError("a request without :authority")
    if not said.isascii() or "@" in said:
        raise MalformedError(":authority is not a host and port")
    where = names.authority(said, None)
    for name, value in fields:
        if name == "host" and (not value.isascii() or names.authority(value, None) != where):
            raise MalformedError("host and :authority differ")
    return where


def _length(fields: Fields) -> int | None:
    said = [value for name, value in fields if name == "content-length"]
    if not said:
        return None
    if len(said) != 1 or not _LENGTH.fullmatch(said[0]) or int(said[0]) > http.MAX_LENGTH:
        raise MalformedError("content-length is not one number")
    return int(said[0])


def _known(fields: Fields) -> None:
    expect = [value.lower() for name, value in fields if name == "expect"]
    if expect not in ([], ["100-continue"]):
        raise WireError("unknown Expect")
    if sum(name == "host" for name, _ in fields) > 1:
        raise MalformedError("host twice")


def _one_cookie(fields: Fields) -> Fields:
    """The crumbs of a cookie as the one field that they stand for (RFC 9113, 8.2.3)."""
    crumbs = [value for name, value in fields if name == "cookie"]
    if len(crumbs) < 2:
        return fields
    rest = [pair for pair in fields if pair[0] != "cookie"]
    return [*rest, ("cookie", "; ".join(crumbs))]


def _lowered(headers: Iterable[tuple[str, str]]) -> Fields:
    return [(name.lower(), value) for name, value in headers]
