from __future__ import annotations

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.facts import Facts, Protocol
from sluicegate.gate import denials, h2head
from sluicegate.gate.h2head import MalformedError
from sluicegate.wire import http
from sluicegate.wire.cursor import WireError

GOOD = (
    (b":method", b"GET"),
    (b":scheme", b"https"),
    (b":authority", b"api.example"),
    (b":path", b"/a?b=c"),
)
Raw = tuple[tuple[bytes, bytes], ...]


def but(name: bytes, value: bytes | None) -> Raw:
    """The good request with one pseudo-header changed, or left out."""
    changed = tuple((n, value if n == name else v) for n, v in GOOD)
    return tuple((n, v) for n, v in changed if v is not None)


def test_a_request() -> None:
    more = (
        (b"x-one", b"1"),
        (b"te", b"trailers"),
        (b"cookie", b"a=1"),
        (b"cookie", b"b=2"),
        (b"host", b"API.example."),
    )
    request = h2head.read_request(GOOD + more, ended=True)
    assert (request.method, request.host, request.host_port) == ("GET", "api.example", None)
    assert (request.path, request.framing) == ("/a?b=c", http.Framing.NONE)
    assert h2head.write_request(request) == [
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", "api.example"),
        (":path", "/a?b=c"),
        ("x-one", "1"),
        ("te", "trailers"),
        ("cookie", "a=1; b=2"),
    ]
    named = frozenset(("b",)), frozenset(("x-one",))
    facts = h2head.stated(Facts(Protocol.HTTPS, "192.0.2.1", 443), request, named)
    assert (facts.host, facts.method, facts.path) == ("api.example", "GET", "/a?b=c")
    assert (facts.query, facts.headers) == ((("b", "c"),), (("x-one", "1"),))


def test_how_its_content_is_framed() -> None:
    length = ((b"content-length", b"5"),)
    told = h2head.read_request(GOOD + length, ended=False)
    assert (told.framing, told.length) == (http.Framing.LENGTH, 5)
    assert h2head.read_request(GOOD, ended=False).framing is http.Framing.CHUNKED
    with pytest.raises(MalformedError, match="a content-length, and no content"):
        h2head.read_request(GOOD + length, ended=True)
    none = h2head.read_request((*GOOD, (b"content-length", b"0")), ended=True)
    assert none.framing is http.Framing.NONE


def test_the_port_of_https_is_not_said_and_others_are() -> None:
    for said, made in (
        (b"api.example:443", "api.example"),
        (b"api.example:8443", "api.example:8443"),
        (b"[2001:db8::1]:444", "[2001:db8::1]:444"),
    ):
        request = h2head.read_request(but(b":authority", said), ended=True)
        assert (":authority", made) in h2head.write_request(request)


def test_options_of_the_server_itself() -> None:
    raw = ((b":method", b"OPTIONS"), *but(b":path", b"*")[1:])
    request = h2head.read_request(raw, ended=True)
    assert (request.form, request.path) == (http.Form.ASTERISK, "")
    assert (":path", "*") in h2head.write_request(request)


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (but(b":method", None), "without :method"),
        (but(b":scheme", None), "without :scheme"),
        (but(b":path", None), "without :path"),
        (but(b":path", b""), "without :path"),
        (but(b":authority", None), "without :authority"),
        (but(b":authority", b""), "without :authority"),
        (but(b":authority", b"user@api.example"), "not a host and port"),
        (but(b":authority", b"\xc3\xa4.example"), "not a host and port"),
        (but(b":scheme", b"http"), "not https"),
        (but(b":method", b"get"), "illegal character"),
        (but(b":method", b"GE T"), "illegal character"),
        (but(b":path", b"a"), "does not begin"),
        (but(b":path", b"/a b"), "illegal character"),
        (but(b":path", b"/a#b"), "illegal character"),
        (but(b":path", b"*"), "OPTIONS only"),
        (but(b":path", b"https://other.example/"), "does not begin"),
        ((*GOOD, (b":path", b"/b")), ":path twice"),
        ((*GOOD, (b"a", b"b"), (b":path", b"/b")), "after other fields"),
        ((*GOOD, (b":status", b"200")), "does not belong here"),
        ((*GOOD, (b"X-Upper", b"1")), "not lower case"),
        ((*GOOD, (b"x y", b"1")), "illegal character"),
        ((*GOOD, (b"", b"1")), "illegal character"),
        ((*GOOD, (b"x", b"a\r\nhost: b")), "illegal character"),
        ((*GOOD, (b"x", b"a\0")), "illegal character"),
        ((*GOOD, (b"x", b" a")), "space at an end"),
        ((*GOOD, (b"x", b"a\t")), "space at an end"),
        ((*GOOD, (b"connection", b"close")), "no meaning"),
        ((*GOOD, (b"keep-alive", b"1")), "no meaning"),
        ((*GOOD, (b"proxy-connection", b"1")), "no meaning"),
        ((*GOOD, (b"transfer-encoding", b"chunked")), "no meaning"),
        ((*GOOD, (b"transfer_encoding", b"chunked")), "no meaning"),
        ((*GOOD, (b"upgrade", b"h2c")), "no meaning"),
        ((*GOOD, (b"te", b"gzip")), "te is not"),
        ((*GOOD, (b"host", b"other.example")), "differ"),
        ((*GOOD, (b"host", b"api.example:444")), "differ"),
        ((*GOOD, (b"host", b"api.example"), (b"host", b"api.example")), "host twice"),
        ((*GOOD, (b"content-length", b"+1")), "not one number"),
        ((*GOOD, (b"content-length", b"1"), (b"content-length", b"1")), "not one number"),
    ],
)
def test_malformed_requests(raw: Raw, why: str) -> None:
    with pytest.raises(MalformedError, match=why):
        h2head.read_request(raw, ended=False)


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (((b":method", b"CONNECT"), (b":authority", b"api.example:443")), "CONNECT"),
        (((b":method", b"CONNECT"), (b":protocol", b"websocket"), *GOOD[1:]), "extended CONNECT"),
        ((*GOOD, (b"expect", b"more")), "unknown Expect"),
        ((*GOOD, *((b"x-%d" % i, b"") for i in range(201))), "more than 200"),
        (but(b":authority", b"0x7f.1.1.1.1"), "more than four parts"),
    ],
)
def test_what_is_not_carried(raw: Raw, why: str) -> None:
    with pytest.raises(WireError, match=why) as told:
        h2head.read_request(raw, ended=False)
    assert not isinstance(told.value, MalformedError)


def test_a_response() -> None:
    raw = ((b":status", b"200"), (b"content-length", b"3"), (b"alt-svc", b'h3=":443"'))
    response = h2head.read_response(raw)
    assert (response.status, response.length) == (200, 3)
    assert h2head.write_response(response) == [(":status", "200"), ("content-length", "3")]


@pytest.mark.parametrize(
    "raw",
    [
        (),
        ((b":status", b"101"),),
        ((b":status", b"2000"),),
        ((b":status", b"abc"),),
        ((b":status", b"200"), (b":status", b"200")),
        ((b":status", b"200"), (b"Upper", b"1")),
        ((b":status", b"200"), (b"connection", b"close")),
        ((b"a", b"b"), (b":status", b"200")),
        ((b":status", b"200"), (b"x", b"a\nb")),
    ],
)
def test_malformed_responses(raw: Raw) -> None:
    with pytest.raises(MalformedError):
        h2head.read_response(raw)


def test_what_may_come_after_the_content() -> None:
    raw = ((b"grpc-status", b"0"),)
    assert h2head.read_trailers(raw) == [("grpc-status", "0")]
    for name in (b"host", b"content-length", b"authorization", b"cookie"):
        with pytest.raises(WireError, match="after the body"):
            h2head.read_trailers(((name, b"1"),))
    with pytest.raises(WireError, match="x-team after the body"):
        h2head.read_trailers(((b"x-team", b"1"),), frozenset(("x-team",)))
    with pytest.raises(WireError, match="x_team after the body"):
        h2head.read_trailers(((b"x_team", b"1"),), frozenset(("x-team",)))
    with pytest.raises(MalformedError, match="does not belong"):
        h2head.read_trailers(((b":path", b"/"),))


def test_our_own_responses_say_the_same_in_both_protocols() -> None:
    response, body = h2head.from_http1(denials.FULL)
    assert response.status == 503
    assert body.startswith(b"sluicegate: the record of this run is full")
    assert ("content-length", str(len(body))) in response.fields
    assert not {"connection"} & {name for name, _ in response.fields}


_name = st.one_of(
    st.sampled_from(
        [b":method", b":path", b":scheme", b":authority", b":status", b"te", b"host", b"cookie"]
    ),
    st.sampled_from(
        [b"connection", b"content-length", b"X", b"x-a", b"", b"a b", b"transfer-encoding"]
    ),
    st.binary(min_size=1, max_size=6),
)
_value = st.one_of(
    st.sampled_from([b"GET", b"/", b"https", b"api.example", b"trailers", b"1", b"", b" x"]),
    st.binary(max_size=6),
)


@given(
    st.permutations(GOOD).map(tuple) | st.just(GOOD),
    st.lists(st.tuples(_name, _value), max_size=3).map(tuple),
)
def test_what_we_take_h2_takes_too(first: Raw, more: Raw) -> None:
    """Whoever reads what we send may be as strict as that library."""
    try:
        request = h2head.read_request(first + more, ended=True)
    except WireError:
        return
    client = h2.connection.H2Connection(h2.config.H2Configuration(validate_outbound_headers=True))
    server = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
    client.initiate_connection()
    client.send_headers(1, h2head.write_request(request), end_stream=True)
    events = server.receive_data(client.data_to_send())
    heard = next(e for e in events if isinstance(e, h2.events.RequestReceived))
    again = h2head.read_request(heard.headers or (), ended=True)
    assert (again.method, again.path, again.host) == (request.method, request.path, request.host)
