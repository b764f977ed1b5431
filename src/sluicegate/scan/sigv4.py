"""A signature of AWS that was made with a placeholder, and the one with the value in its place. Pure.

No key travels: a client signs a text that it makes of its request, and the server makes the same text and signs it too.
So a signature is made anew only where the one that came is the placeholder's, of a text that can be made of the request
as it is sent. What is signed then is what the client signed, whose key it has not.

Source: AWS Identity and Access Management User Guide, "AWS Signature Version 4 for API requests", and for the path
Amazon S3 API Reference, "Authenticating Requests (AWS Signature Version 4)".
"""

from __future__ import annotations

import enum
import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import quote, quote_from_bytes, unquote_to_bytes

NOTHING = hashlib.sha256(b"").hexdigest()  # of no content
# Of Authorization: the algorithms' names, and that of version 2.
_SCHEMES = ("aws4-", "aws ")
_ALGORITHM = "AWS4-HMAC-SHA256"
_NAME = "[!#$%&'*+.^_`|~0-9a-z-]+"
_FORM = re.compile(
    rf"{_ALGORITHM} +Credential=[!-+\-.0-~]{{1,128}}/(?P<date>[0-9]{{8}})/(?P<region>[!-+\-.0-~]{{1,64}})"
    r"/(?P<service>[!-+\-.0-~]{1,64})/aws4_request"
    rf", *SignedHeaders=(?P<names>{_NAME}(?:;{_NAME})*), *Signature=(?P<signature>[0-9a-f]{{64}})",
    re.ASCII,
)
_MOMENT = re.compile(r"[0-9]{8}T[0-9]{6}Z", re.ASCII)
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)
# What a client says in x-amz-content-sha256 that signs no content.
_UNSIGNED = frozenset(("UNSIGNED-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"))
# What a signed URL has in its query. The signature in Authorization of a request with these would be good in the URL as
# well, for up to a week and for anybody; and S3, which takes no request with both, shows it in its answer.
_OF_URLS = frozenset(
    f"x-amz-{name}".encode()
    for name in ("algorithm", "credential", "date", "expires", "signature", "signedheaders")
)
# Of one hop, or made by us: what arrives is not what the client had signed.
_OURS = frozenset(("authorization", "connection", "expect", "transfer-encoding", "upgrade"))


class Fault(enum.Enum):
    """Why a signature can not be made anew."""

    FORM = "form"  # not the one Authorization, or not in the form that all clients use
    DATE = "date"  # no x-amz-date, or of another day than the key
    HEADERS = "headers"  # a header is signed that is not there as it was
    URL = "url"  # its query is that of a signed URL, whole or in part
    CHUNKS = "chunks"  # x-amz-content-sha256 is no digest: each chunk has a signature of its own
    CONTENT = "content"  # there is no x-amz-content-sha256, and the content is not known
    OTHER = "other"  # it is not the placeholder's, or of another request


class SignatureError(Exception):
    """A signature that can not be made anew, and why."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.value)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Head:
    """A request as it is sent: `target` is path and query, `headers` have Host and what says the length.

    `content`: the hex SHA-256 of its content, None if that is not known.
    """

    method: str
    target: str
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    content: str | None = None


def signed(headers: Iterable[tuple[str, str]]) -> bool:
    """Whether a header Authorization has a signature of AWS's, of whatever kind and version."""
    return any(
        name.lower() == "authorization" and value.lower().startswith(_SCHEMES)
        for name, value in headers
    )


def wants_content(headers: Iterable[tuple[str, str]]) -> bool:
    """Whether the signature that is there can be made only by who knows the content."""
    names = {name.lower() for name, _ in headers}
    return "x-amz-content-sha256" not in names and signed(headers)


def renewed(asked: Head, sent: Head, placeholder: str, value: str) -> str:
    """What Authorization is to be of `sent`, which is `asked` with values put in; other parts of it stay.

    Raises:
        SignatureError: what `asked` has is not the placeholder's signature of it.
    """
    found = _read(asked)
    given = found["signature"]
    key = _key(placeholder, found)
    for number, text in enumerate(_texts(asked, found)):
        if hmac.compare_digest(_sign(key, asked, found, text), given):
            made = _sign(_key(value, found), sent, found, _texts(sent, found)[number])
            start, end = found.span("signature")
            return found.string[:start] + made + found.string[end:]
    raise SignatureError(Fault.OTHER)


def _read(head: Head) -> re.Match[str]:
    """The parts of the one Authorization."""
    said = _values(head, "authorization")
    found = _FORM.fullmatch(said[0]) if len(said) == 1 else None
    if found is None:
        raise SignatureError(Fault.FORM)
    names = found["names"].split(";")
    if "host" not in names or names != sorted(set(names)):
        raise SignatureError(Fault.FORM)
    pieces = head.target.partition("?")[2].split("&")
    if any(unquote_to_bytes(one.partition("=")[0]).lower() in _OF_URLS for one in pieces):
        raise SignatureError(Fault.URL)
    _moment(head, found)
    return found


def _moment(head: Head, found: re.Match[str]) -> str:
    said = _values(head, "x-amz-date")
    if len(said) != 1 or not _MOMENT.fullmatch(said[0]) or said[0][:8] != found["date"]:
        raise SignatureError(Fault.DATE)
    return said[0]


def _values(head: Head, name: str) -> list[str]:
    return [value for key, value in head.headers if key.lower() == name]


def _texts(head: Head, found: re.Match[str]) -> tuple[bytes, ...]:
    """The canonical request, once for each way in which services read a target; which one it is, its client knows.

    Storage takes the path as it was sent. Others encode it once more, and most make it normal first. A plus in a query
    is a blank to some clients and services, itself to others.
    """
    path, _, query = head.target.partition("?")
    lines = list[bytes]()
    for name in found["names"].split(";"):
        values = _values(head, name)
        if not values or name in _OURS:
            raise SignatureError(Fault.HEADERS)
        # The bytes: what is a blank in one character set is half of a letter in another.
        plain = (b" ".join(value.encode("latin-1").split()) for value in values)
        lines.append(name.encode() + b":" + b",".join(plain))
    lines += [b"", found["names"].encode(), _content(head).encode()]
    rest = b"\n".join(lines)
    return tuple(
        f"{head.method}\n{one}\n{other}\n".encode("latin-1") + rest
        for other in (_query(query), _query(query.replace("+", "%20")))
        for one in (path, quote(path, safe="/~"), quote(_normal(path), safe="/~"))
    )


def _normal(path: str) -> str:
    """Without `.`, `..` (RFC 3986 section 5.2.4) and empty segments; a slash at the end stays."""
    kept = list[str]()
    for segment in path.split("/"):
        if segment == "..":
            del kept[-1:]
        elif segment not in {"", "."}:
            kept.append(segment)
    return "/" + "/".join(kept) + ("/" if kept and path.endswith("/") else "")


def _query(query: str) -> str:
    """Each parameter encoded in the one way, sorted by name and then by value."""
    pairs = (piece.partition("=") for piece in query.split("&") if piece)
    return "&".join(
        f"{name}={value}"
        for name, value in sorted((_coded(name), _coded(value)) for name, _, value in pairs)
    )


def _coded(text: str) -> str:
    return quote_from_bytes(unquote_to_bytes(text), safe="-_.~")


def _content(head: Head) -> str:
    """The last line of what is signed: the client's word for the content, which the server holds it to."""
    said = _values(head, "x-amz-content-sha256")
    if not said:
        if head.content is None:
            raise SignatureError(Fault.CONTENT)
        return head.content
    if len(said) != 1 or not (_DIGEST.fullmatch(said[0]) or said[0] in _UNSIGNED):
        raise SignatureError(Fault.CHUNKS)
    return said[0]


def _key(secret: str, found: re.Match[str]) -> bytes:
    """The key of one day, region and service."""
    key = f"AWS4{secret}".encode()
    for part in (found["date"], found["region"], found["service"], "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def _sign(key: bytes, head: Head, found: re.Match[str], text: bytes) -> str:
    scope = "/".join((found["date"], found["region"], found["service"], "aws4_request"))
    lines = (_ALGORITHM, _moment(head, found), scope, hashlib.sha256(text).hexdigest())
    return hmac.digest(key, "\n".join(lines).encode(), "sha256").hex()
