import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.wire import http
from sluicegate.wire.cursor import WireError
from sluicegate.wire.http import Form, Framing, Request, Response


def head(*lines: str, first: str = "GET /p?q=1 HTTP/1.1", host: str | None = "a.test") -> bytes:
    hosts = [] if host is None else [f"Host: {host}"]
    return ("\r\n".join([first, *hosts, *lines]) + "\r\n\r\n").encode("latin-1")


def request(raw: bytes) -> Request:
    """The request, the same read at once and byte by byte."""
    whole = http.read_request_head(raw)
    assert whole is not None
    early = [http.read_request_head(raw[:size]) for size in range(whole.size)]
    assert early == [None] * whole.size
    assert http.read_request_head(raw + b"more") == whole
    return whole


def response(raw: bytes, method: str = "GET") -> Response:
    whole = http.read_response_head(raw, method)
    assert whole is not None
    assert [http.read_response_head(raw[:size], method) for size in range(whole.size)] == [
        None
    ] * whole.size
    return whole


def test_an_ordinary_request() -> None:
    got = request(head("Accept: */*", "User-Agent: curl"))
    assert (got.method, got.form, got.path) == ("GET", Form.ORIGIN, "/p?q=1")
    assert (got.host, got.host_port, got.target_host) == ("a.test", None, None)
    assert (got.framing, got.keep_alive, got.upgrade, got.expect_continue) == (
        Framing.NONE,
        True,
        None,
        False,
    )


@pytest.mark.parametrize(
    ("first", "want"),
    [
        ("GET http://B.test/x HTTP/1.1", (Form.ABSOLUTE, "http", "b.test", 80, "/x")),
        ("GET http://b.test HTTP/1.1", (Form.ABSOLUTE, "http", "b.test", 80, "/")),
        ("GET http://b.test?q HTTP/1.1", (Form.ABSOLUTE, "http", "b.test", 80, "/?q")),
        ("GET HTTPS://b.test.:8443/x?y HTTP/1.1", (Form.ABSOLUTE, "https", "b.test", 8443, "/x?y")),
        ("GET http://[2001:DB8::1]:81/ HTTP/1.1", (Form.ABSOLUTE, "http", "2001:db8::1", 81, "/")),
        ("GET http://0x7f.1/ HTTP/1.1", (Form.ABSOLUTE, "http", "127.0.0.1", 80, "/")),
        ("CONNECT b.test:443 HTTP/1.1", (Form.AUTHORITY, None, "b.test", 443, "")),
        ("CONNECT [::1]:22 HTTP/1.0", (Form.AUTHORITY, None, "::1", 22, "")),
        ("OPTIONS * HTTP/1.1", (Form.ASTERISK, None, None, None, "")),
        ("GET //b.test/x HTTP/1.1", (Form.ORIGIN, None, None, None, "//b.test/x")),
    ],
)
def test_the_four_forms_of_a_target(first: str, want: tuple[object, ...]) -> None:
    got = request(head(first=first))
    assert (got.form, got.scheme, got.target_host, got.target_port, got.path) == want


# Each of these has been read one way by one server and another way by the next.
AMBIGUOUS = {
    "bare LF after the line": b"GET / HTTP/1.1\nHost: a.test\r\n\r\n",
    "bare LF after a header": b"GET / HTTP/1.1\r\nHost: a.test\nX: y\r\n\r\n",
    "bare LF at the end": b"GET / HTTP/1.1\r\nHost: a.test\n\n",
    "bare CR in a value": b"GET / HTTP/1.1\r\nHost: a.test\r\nX: a\rb\r\n\r\n",
    "CR CR LF": b"GET / HTTP/1.1\r\nHost: a.test\r\r\n\r\n",
    "NUL in a value": head("X: a\0b"),
    "NUL in the target": head(first="GET /\0 HTTP/1.1"),
    "folded header": head("X: a", " b"),
    "folded by a tab": head("X: a", "\tTransfer-Encoding: chunked"),
    "folded first line": b"GET / HTTP/1.1\r\n Host: a.test\r\nHost: a.test\r\n\r\n",
    "space before the colon": head("Transfer-Encoding : chunked"),
    "tab before the colon": head("Content-Length\t: 5"),
    "no colon": head("Content-Length 5"),
    "empty name": head(": x"),
    "length and coding": head("Content-Length: 5", "Transfer-Encoding: chunked"),
    "coding and length": head("Transfer-Encoding: chunked", "Content-Length: 5"),
    "two lengths": head("Content-Length: 5", "Content-Length: 6"),
    "the same length twice": head("Content-Length: 5", "content-length: 5"),
    "a list of lengths": head("Content-Length: 5, 5"),
    "signed length": head("Content-Length: +5"),
    "negative length": head("Content-Length: -5"),
    "hexadecimal length": head("Content-Length: 0x5"),
    "length with an underscore": head("Content-Length: 1_0"),
    "empty length": head("Content-Length:"),
    "huge length": head("Content-Length: 99999999999999999999"),
    "length beyond 2^53": head("Content-Length: 9007199254740992"),
    "superscript length": head("Content-Length: \xb2"),
    "two codings": head("Transfer-Encoding: gzip, chunked"),
    "identity": head("Transfer-Encoding: identity"),
    "chunked twice": head("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
    "chunked with a parameter": head("Transfer-Encoding: chunked;x=y"),
    "quoted chunked": head('Transfer-Encoding: "chunked"'),
    "vertical tab": head("Transfer-Encoding: \x0bchunked"),
    "empty coding": head("Transfer-Encoding:"),
    "coding in HTTP/1.0": head("Transfer-Encoding: chunked", first="POST / HTTP/1.0"),
    "underscore for hyphen": head("Transfer_Encoding: chunked"),
    "underscore in the length": head("Content_Length: 5"),
    "two hosts": head("Host: b.test"),
    "two equal hosts": head("host: a.test"),
    "no host": head(host=None),
    "empty host": head(host=""),
    "host with userinfo": head(host="a.test@b.test"),
    "host with a space": head(host="a.test b.test"),
    "host list": head(host="a.test,b.test"),
    "host with a path": head(host="a.test/x"),
    "host in UTF-8": head(host="b\xc3\xbccher.test"),
    "host in Latin-1": head(host="b\xfccher.test"),
    "host with an empty port": head(host="a.test:"),
    "host with a name for a port": head(host="a.test:http"),
    "host with percent": head(host="a%2etest"),
    "unpaired bracket": head(host="[::1"),
    "leading empty line": b"\r\n" + head(),
    "leading space": b" " + head(),
    "two spaces": head(first="GET  / HTTP/1.1"),
    "tab in the line": head(first="GET\t/ HTTP/1.1"),
    "space after the version": head(first="GET / HTTP/1.1 "),
    "HTTP/0.9": head(first="GET /"),
    "HTTP/2.0": head(first="PRI * HTTP/2.0"),
    "HTTP/1.2": head(first="GET / HTTP/1.2"),
    "HTTP/1.10": head(first="GET / HTTP/1.10"),
    "lower-case version": head(first="GET / http/1.1"),
    "lower-case method": head(first="get / HTTP/1.1"),
    "odd method": head(first="G(T / HTTP/1.1"),
    "fragment": head(first="GET /a#b HTTP/1.1"),
    "target in UTF-8": head(first="GET /b\xc3\xbc HTTP/1.1"),
    "relative target": head(first="GET a HTTP/1.1"),
    "other scheme": head(first="GET ftp://a.test/ HTTP/1.1"),
    "absolute without authority": head(first="GET http:///x HTTP/1.1"),
    "absolute with userinfo": head(first="GET http://a.test@b.test/ HTTP/1.1"),
    "absolute with a backslash": head(first="GET http://b.test\\@a.test/ HTTP/1.1"),
    "CONNECT without a port": head(first="CONNECT a.test HTTP/1.1"),
    "CONNECT to port 0": head(first="CONNECT a.test:0 HTTP/1.1"),
    "CONNECT to a path": head(first="CONNECT /x HTTP/1.1"),
    "CONNECT with a length": head("Content-Length: 5", first="CONNECT a.test:443 HTTP/1.1"),
    "CONNECT with chunks": head("Transfer-Encoding: chunked", first="CONNECT a.test:443 HTTP/1.1"),
    "star for GET": head(first="GET * HTTP/1.1"),
    "unknown expectation": head("Expect: 200-ok"),
    "too many headers": head(*["X: y"] * http.MAX_HEADERS),
    "too large": head("X: " + "y" * http.MAX_HEAD_BYTES),
}


@pytest.mark.parametrize("raw", AMBIGUOUS.values(), ids=AMBIGUOUS.keys())
def test_what_two_readers_could_read_differently_is_refused(raw: bytes) -> None:
    with pytest.raises(WireError):
        http.read_request_head(raw)


def test_an_endless_head_is_refused_before_its_end() -> None:
    with pytest.raises(WireError):
        http.read_request_head(b"GET / HTTP/1.1\r\nX: " + b"y" * http.MAX_HEAD_BYTES)


@pytest.mark.parametrize("raw", [b"GET / HTTP/1.1\n", b"GET / HTTP/1.1\r\nX: \0", b"GET /\rX"])
def test_what_no_byte_can_mend_is_refused_at_once(raw: bytes) -> None:
    with pytest.raises(WireError):
        http.read_request_head(raw)


@pytest.mark.parametrize(
    ("lines", "want"),
    [
        (["Content-Length: 5"], (Framing.LENGTH, 5)),
        (["content-length: 007"], (Framing.LENGTH, 7)),
        (["Transfer-Encoding: Chunked"], (Framing.CHUNKED, 0)),
        ([], (Framing.NONE, 0)),
    ],
)
def test_how_a_request_ends(lines: list[str], want: tuple[Framing, int]) -> None:
    got = request(head(*lines, first="POST / HTTP/1.1"))
    assert (got.framing, got.length) == want


@pytest.mark.parametrize(
    ("first", "lines", "alive"),
    [
        ("GET / HTTP/1.1", [], True),
        ("GET / HTTP/1.1", ["Connection: Close"], False),
        ("GET / HTTP/1.1", ["Connection: x, close"], False),
        ("GET / HTTP/1.1", ["Proxy-Connection: close"], False),
        ("GET / HTTP/1.0", [], False),
        ("GET / HTTP/1.0", ["Connection: keep-alive"], True),
    ],
)
def test_whether_the_connection_is_kept(first: str, lines: list[str], alive: bool) -> None:
    assert request(head(*lines, first=first)).keep_alive is alive


def test_what_goes_upstream_is_built_from_the_parse() -> None:
    lines = [
        "Accept: */*",
        "Connection: x-hop, close",
        "X-Hop: 1",
        "Keep-Alive: 5",
        "TE: trailers",
        "Trailer: y",
    ]
    lines += [
        "Proxy-Authorization: Basic x",
        "Proxy-Connection: close",
        "Content-Length: 03",
        "X-End:  2 ",
    ]
    got = http.write_request(request(head(*lines, first="POST http://B.test:80/a?b HTTP/1.1")))
    assert got.decode().split("\r\n") == [
        "POST /a?b HTTP/1.1",
        "Host: b.test",
        "Accept: */*",
        "X-End: 2",
        "Content-Length: 3",
        "Connection: close",
        "",
        "",
    ]


def test_a_written_upgrade() -> None:
    lines = ["Connection: keep-alive, Upgrade", "Upgrade: WebSocket", "Sec-WebSocket-Key: x"]
    got = request(head(*lines))
    assert got.upgrade == "websocket"
    text = http.write_request(got)
    assert b"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" in text
    assert b"Sec-WebSocket-Key: x" in text
    assert request(head("Upgrade: websocket")).upgrade is None


@pytest.mark.parametrize(
    ("first", "host", "want"),
    [
        ("GET / HTTP/1.1", "a.test:8080", b"Host: a.test:8080\r\n"),
        ("GET / HTTP/1.1", "[2001:db8::1]:81", b"Host: [2001:db8::1]:81\r\n"),
        ("GET http://b.test:8080/ HTTP/1.1", "a.test", b"Host: b.test:8080\r\n"),
        ("OPTIONS * HTTP/1.1", "A.test.", b"Host: a.test\r\n"),
    ],
)
def test_the_one_host_upstream(first: str, host: str, want: bytes) -> None:
    assert want in http.write_request(request(head(first=first, host=host)))


def test_a_request_without_any_host_is_not_written() -> None:
    with pytest.raises(WireError):
        http.write_request(request(head(first="GET / HTTP/1.0", host=None)))


def test_expect_continue_is_of_http_1_1() -> None:
    assert request(head("Expect: 100-Continue", "Content-Length: 5")).expect_continue
    assert not request(head("Expect: 100-continue", first="PUT / HTTP/1.0")).expect_continue


def reply(status: str, *lines: str) -> bytes:
    return ("\r\n".join([f"HTTP/1.1 {status}", *lines]) + "\r\n\r\n").encode("latin-1")


@pytest.mark.parametrize(
    ("raw", "method", "want"),
    [
        (reply("200 OK", "Content-Length: 5"), "GET", (Framing.LENGTH, 5)),
        (reply("200 OK", "Transfer-Encoding: chunked"), "GET", (Framing.CHUNKED, 0)),
        (reply("200 OK"), "GET", (Framing.UNTIL_CLOSE, 0)),
        (reply("200"), "GET", (Framing.UNTIL_CLOSE, 0)),
        (reply("200 OK", "Content-Length: 5"), "HEAD", (Framing.NONE, 0)),
        (reply("304 Not Modified", "Content-Length: 5"), "GET", (Framing.NONE, 0)),
        (reply("204 No Content", "Content-Length: 5"), "GET", (Framing.NONE, 0)),
        (reply("100 Continue", "Transfer-Encoding: chunked"), "GET", (Framing.NONE, 0)),
        (reply("200 OK"), "CONNECT", (Framing.NONE, 0)),
        (reply("403 Forbidden", "Content-Length: 1"), "CONNECT", (Framing.LENGTH, 1)),
        (reply("999 Request denied", "Content-Length: 1"), "GET", (Framing.LENGTH, 1)),
    ],
)
def test_how_a_response_ends(raw: bytes, method: str, want: tuple[Framing, int]) -> None:
    got = response(raw, method)
    assert (got.framing, got.length) == want
    assert got.keep_alive is (got.framing is not Framing.UNTIL_CLOSE)


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\n\n",
        b"HTTP/1.1  200 OK\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 099 OK\r\n\r\n",
        b"ICY 200 OK\r\n\r\n",
        b"HTTP/1.1 200 \x01\r\n\r\n",
        reply("200 OK", "Content-Length: 5", "Transfer-Encoding: chunked"),
        reply("200 OK", "Content-Length: 5", "Content-Length: 6"),
        reply("200 OK", "Transfer-Encoding: gzip"),
        reply("200 OK", "X: a", " folded"),
        reply("204 No Content", "Content-Length: x"),
    ],
)
def test_a_response_nobody_should_frame_is_refused(raw: bytes) -> None:
    with pytest.raises(WireError):
        http.read_response_head(raw, "GET")


@pytest.mark.parametrize(
    ("status", "kept"), [("204 No", 0), ("103 Early Hints", 0), ("304 Not", 1), ("200 OK", 1)]
)
def test_a_length_is_written_only_where_it_may_be(status: str, kept: int) -> None:
    got = http.write_response(response(reply(status, "Content-Length: 5"), "HEAD"))
    assert got.count(b"Content-Length: 5") == kept


def test_a_written_response() -> None:
    raw = reply(
        "200 OK", "Connection: x", "X: 1", "Y: 2", "Alt-Svc: h3", "Transfer-Encoding: chunked"
    )
    assert http.write_response(response(raw)) == reply(
        "200 OK", "Y: 2", "Transfer-Encoding: chunked"
    )
    old = reply("200 OK", "Y: 2", "Connection: close")
    assert http.write_response(response(raw), version_minor=0) == old


def test_a_written_response_says_whether_the_connection_is_kept() -> None:
    assert b"Connection: close" in http.write_response(response(reply("200 OK")))
    sized = response(reply("200 OK", "Content-Length: 1"))
    assert b"Connection" not in http.write_response(sized)
    assert b"Connection: keep-alive" in http.write_response(sized, version_minor=0)
    switched = response(reply("101 Switching", "Upgrade: websocket", "Connection: Upgrade"))
    assert http.write_response(switched).endswith(
        b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    )


def test_a_denial_is_a_whole_response() -> None:
    raw = http.denial(403, "no: \u2603\n")
    got = response(raw)
    assert (got.status, got.reason, got.keep_alive) == (403, "Forbidden", False)
    assert raw[got.size :] == b"no: \\u2603\n"
    assert len(raw) - got.size == got.length
    assert response(http.denial(418, "", close=False)).keep_alive


PARTS = st.sampled_from(
    [
        *(
            "GET",
            "POST",
            "CONNECT",
            " ",
            "/",
            "http://a.test/",
            "*",
            "HTTP/1.1",
            "HTTP/1.0",
            "\r\n",
            "\r",
            "\n",
        ),
        *(
            "Host: a.test",
            "Host",
            ":",
            "Content-Length: 5",
            "Transfer-Encoding: chunked",
            "\t",
            "\0",
            "\xe9",
        ),
        *("Connection: close", "Expect: 100-continue", "Upgrade: x", "\r\n\r\n", "HTTP/1.1 200 OK"),
    ]
)


@given(
    st.lists(PARTS, max_size=30) | st.text(st.characters(max_codepoint=255), max_size=80).map(list)
)
def test_any_bytes_are_a_head_or_a_wire_error_however_they_come(parts: list[str]) -> None:
    raw = "".join(parts).encode("latin-1")

    def at_once(data: bytes, kind: str) -> object:
        try:
            return (
                http.read_request_head(data)
                if kind == "request"
                else http.read_response_head(data, "GET")
            )
        except WireError:
            return "refused"

    for kind in ("request", "response"):
        early = next(
            (got for n in range(len(raw) + 1) if (got := at_once(raw[:n], kind)) is not None), None
        )
        assert early == at_once(raw, kind)


LEGAL = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=20).map(str.strip)
NAME = st.from_regex(r"\AX-[A-Za-z0-9]{1,8}\Z")


@given(
    st.lists(st.tuples(NAME, LEGAL), max_size=8),
    st.sampled_from([[], ["Content-Length: 3"], ["Transfer-Encoding: chunked"]]),
)
def test_what_is_written_is_read_as_the_same(
    headers: list[tuple[str, str]], framing: list[str]
) -> None:
    raw = head(*[f"{key}: {value}" for key, value in headers], *framing)
    once = request(raw)
    again = request(http.write_request(once))
    assert (again.method, again.path, again.host) == (once.method, once.path, once.host)
    assert (again.framing, again.length) == (once.framing, once.length)
    assert [pair for pair in again.headers if pair[0].startswith("X-")] == headers
    assert http.write_request(again) == http.write_request(once)


@pytest.mark.parametrize(
    ("value", "host", "port"),
    [
        ("2001:db8::10", "2001:db8::10", None),
        ("[2001:db8::10]:81", "2001:db8::10", 81),
        ("2001:db8::10:81", "2001:db8::10:81", None),
    ],
)
def test_a_host_header_with_a_bare_ipv6_address(value: str, host: str, port: int | None) -> None:
    request = http.read_request_head(f"GET / HTTP/1.1\r\nHost: {value}\r\n\r\n".encode())
    assert request is not None
    assert (request.host, request.host_port) == (host, port)
    # Upstream nobody can take the last group for a port.
    assert f"\r\nHost: [{host}]".encode() in http.write_request(request)


def test_a_host_header_with_many_colons_is_an_address_or_nothing() -> None:
    with pytest.raises(WireError):
        http.read_request_head(b"GET / HTTP/1.1\r\nHost: a.test:80:81\r\n\r\n")
