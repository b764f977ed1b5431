"""A request that its client signed with the placeholder of a secret, signed anew with the value, or refused. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from sluicegate.evidence import signatures
from sluicegate.facts import Decision, Verdict
from sluicegate.scan import sigv4
from sluicegate.scan.sigv4 import Fault, SignatureError
from sluicegate.wire import http, websocket
from sluicegate.wire.cursor import WireError

ELSEWHERE = "elsewhere"


@dataclass(frozen=True, slots=True)
class Key:
    """What the command signs with, and what its server takes. Neither text is shown where the object is printed."""

    name: str
    placeholder: str = field(repr=False)
    value: str = field(repr=False)


class UnsignedError(Exception):
    """A request that must not go on: it can not be signed anew with the secret `name`. `why`: of `signatures.WHY`."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(signatures.reason(name, why))


def anew(
    asked: http.Request, sent: http.Request, here: tuple[Key, ...], others: Iterable[Key]
) -> http.Request:
    """`sent`, signed with the value of the one key of `here` whose placeholder `asked` is signed with.

    `sent` is `asked` with other values put in. Where it is for none of `here` it stays, if none of `others` signed it.

    Raises:
        UnsignedError: another signature, one that is not of this request, or that of one of `others`.
    """
    if not sigv4.signed(asked.headers):
        return sent
    if here:
        return _among(asked, sent, here)
    for key in others:
        try:
            _among(asked, sent, (key,))
        except UnsignedError:
            continue  # another's, whom it is for
        raise UnsignedError(key.name, ELSEWHERE)
    return sent


def _among(asked: http.Request, sent: http.Request, keys: tuple[Key, ...]) -> http.Request:
    fault = Fault.OTHER
    for key in keys:
        try:
            line = sigv4.renewed(_head(asked), _head(sent), key.placeholder, key.value)
        except SignatureError as error:
            fault = error.fault
        except WireError:
            fault = Fault.FORM
        else:
            return _with(sent, line)
    raise UnsignedError(keys[0].name, fault.value)


def _head(request: http.Request) -> sigv4.Head:
    """As the server gets it: written, and read again; of a WebSocket's handshake without what is not offered."""
    if request.upgrade == websocket.PROTOCOL:
        request = replace(request, headers=websocket.offer(request.headers))
    seen = http.read_request_head(http.write_request(request))
    if seen is None:
        raise WireError("the head is not whole")
    empty = request.framing is http.Framing.NONE or (
        request.framing is http.Framing.LENGTH and not request.length
    )
    content = sigv4.NOTHING if empty else request.content
    return sigv4.Head(request.method, seen.path, seen.headers, content)


def _with(request: http.Request, line: str) -> http.Request:
    headers = tuple(
        (name, line if name.lower() == "authorization" else value)
        for name, value in request.headers
    )
    return replace(request, headers=headers)


def denied(decision: Decision, refused: UnsignedError) -> Decision:
    """The denial of what `decision` allows."""
    return replace(
        decision,
        verdict=Verdict.DENY,
        rule=signatures.SIGNATURE,
        reason=str(refused),
        remedy=None,
        observed=False,
        opened=False,
    )
