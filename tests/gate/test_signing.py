from dataclasses import replace

import pytest

from sluicegate.evidence import signatures
from sluicegate.facts import Decision, Verdict
from sluicegate.gate import signing
from sluicegate.gate.signing import Key, UnsignedError
from sluicegate.scan import sigv4
from sluicegate.wire import http
from tests import aws

HERE = Key("AWS_SECRET_ACCESS_KEY", "placeholder/of/forty/characters+as/it+is", "value")
MORE = Key("OTHER_KEY", "another/placeholder/of/forty/characters/", "more")


def request(text: str = "GET / HTTP/1.1", *headers: str) -> http.Request:
    lines = (text, "Host: s3.example", f"X-Amz-Date: {aws.DATE}", *headers, "", "")
    found = http.read_request_head("\r\n".join(lines).encode())
    assert found is not None
    return found


def signed(
    asked: http.Request, secret: str, names: tuple[str, ...] = ("host", "x-amz-date")
) -> http.Request:
    """`asked` as a client sends it that has signed it."""
    said = {name.lower(): value for name, value in asked.headers} | {"host": str(asked.host)}
    if asked.framing is http.Framing.LENGTH:
        said["content-length"] = str(asked.length)
    text = aws.authorization(secret, asked.method, asked.path, said, names)
    return replace(asked, headers=(*asked.headers, ("Authorization", text)))


def why(asked: http.Request, here: tuple[Key, ...], others: tuple[Key, ...] = ()) -> str:
    with pytest.raises(UnsignedError) as caught:
        signing.anew(asked, asked, here, others)
    return str(caught.value)


@pytest.mark.parametrize(
    "asked",
    [
        request("GET /a//b?x=1&a=%20 HTTP/1.1"),
        request("PUT /a HTTP/1.1", "Content-Length: 0"),
        request("PUT /a HTTP/1.1", "x-amz-content-sha256: UNSIGNED-PAYLOAD", "Content-Length: 9"),
        request(
            "POST / HTTP/1.1", f"x-amz-content-sha256: {'0' * 64}", "Transfer-Encoding: chunked"
        ),
        request("GET / HTTP/1.0", "Connection: keep-alive"),
    ],
)
def test_signed_with_the_placeholder_it_goes_on_signed_with_the_value(asked: http.Request) -> None:
    given, wanted = signed(asked, HERE.placeholder), signed(asked, HERE.value)
    assert signing.anew(given, given, (HERE,), ()) == wanted != given
    assert signing.anew(given, given, (MORE, HERE), ()) == wanted
    # For nobody who is named: none of them made it, and it is no concern of ours.
    assert signing.anew(given, given, (), (MORE,)) is given
    assert why(given, (), (MORE, HERE)) == signatures.reason(HERE.name, "elsewhere")
    assert why(given, (MORE,)) == signatures.reason(MORE.name, "other")
    assert why(wanted, (HERE,)) == signatures.reason(HERE.name, "other")


def test_without_a_signature_it_goes_on_as_it_is() -> None:
    for more in ((), ("Authorization: Bearer x",), ("Authorization: awsome c2ln",)):
        asked = request("GET / HTTP/1.1", *more)
        assert signing.anew(asked, asked, (HERE,), (MORE,)) is asked


@pytest.mark.parametrize("names", [("connection", "host"), ("host", "te"), ("expect", "host")])
def test_what_is_not_sent_on_as_it_came_is_not_signed(names: tuple[str, ...]) -> None:
    asked = request("GET / HTTP/1.1", "TE: trailers", "Expect: 100-continue", "Connection: te")
    given = signed(asked, HERE.placeholder, names)
    assert why(given, (HERE,)) == signatures.reason(HERE.name, "headers")


def test_a_header_that_the_client_takes_off_on_the_way() -> None:
    """Connection names it, so it would not go on; what is signed would be another request than is sent."""
    asked = request("GET / HTTP/1.1", "X-A: 1", "Connection: x-a")
    given = signed(asked, HERE.placeholder, ("host", "x-a", "x-amz-date"))
    assert why(given, (HERE,)) == signatures.reason(HERE.name, "headers")
    asked = request("GET / HTTP/1.1", "Connection: x-amz-date")
    assert why(signed(asked, HERE.placeholder), (HERE,)) == signatures.reason(HERE.name, "date")


def test_of_a_handshake_what_is_not_offered_is_not_signed() -> None:
    own = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13")
    more = ("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Extensions: x")
    asked = request("GET / HTTP/1.1", *own, *more)
    names = ("host", "sec-websocket-key", "sec-websocket-version", "x-amz-date")
    given = signed(asked, HERE.placeholder, names)
    assert signing.anew(given, given, (HERE,), ()) == signed(asked, HERE.value, names)
    given = signed(asked, HERE.placeholder, ("host", "sec-websocket-extensions", "x-amz-date"))
    assert why(given, (HERE,)) == signatures.reason(HERE.name, "headers")


def test_a_host_is_the_one_that_is_sent() -> None:
    asked = request("GET / HTTP/1.1")
    given = signed(replace(asked, host="other.example"), HERE.placeholder)
    moved = replace(given, host="s3.example")
    assert why(moved, (HERE,)) == signatures.reason(HERE.name, "other")
    nowhere = replace(given, host=None)
    assert why(nowhere, (HERE,)) == signatures.reason(HERE.name, "form")


def test_a_length_is_the_one_that_is_sent() -> None:
    more = ("x-amz-content-sha256: UNSIGNED-PAYLOAD", "Content-Length: 0007")
    asked = request("PUT /a HTTP/1.1", *more)
    given = signed(asked, HERE.placeholder, ("content-length", "host", "x-amz-date"))
    assert signing.anew(given, given, (HERE,), ()) != given
    assert b"Content-Length: 7\r\n" in http.write_request(given)


def test_a_content_that_nobody_has_seen() -> None:
    asked = request("POST / HTTP/1.1", "Content-Length: 9")
    assert why(signed(asked, HERE.placeholder), (HERE,)) == signatures.reason(HERE.name, "content")


def test_all_that_can_be_wrong_has_its_words() -> None:
    assert {*signatures.WHY} == {fault.value for fault in sigv4.Fault} | {signing.ELSEWHERE}


def test_nothing_that_is_printed_shows_a_key() -> None:
    assert repr(HERE) == "Key(name='AWS_SECRET_ACCESS_KEY')"


def test_a_denial_says_why_and_offers_nothing() -> None:
    yes = Decision(Verdict.ALLOW, "allow[0] p:1", "it is allowed", 443, "s3.example")
    no = signing.denied(replace(yes, observed=True), UnsignedError("K", "chunks"))
    assert (no.verdict, no.rule, no.observed, no.remedy) == (Verdict.DENY, "signature", False, None)
    assert signatures.named(no.reason) == "K"
    assert (no.name, no.port) == (yes.name, yes.port)
