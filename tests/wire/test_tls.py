import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.wire import tls
from sluicegate.wire.cursor import WireError
from sluicegate.wire.tls import ClientHello, read_client_hello


def vector(width: int, data: bytes) -> bytes:
    return len(data).to_bytes(width, "big") + data


def extension(kind: int, data: bytes) -> bytes:
    return kind.to_bytes(2, "big") + vector(2, data)


def sni(name: bytes, kind: int = 0) -> bytes:
    return extension(0, vector(2, bytes([kind]) + vector(2, name)))


def hello(
    extensions: bytes | None,
    *,
    session: bytes = bytes(32),
    suites: bytes = b"\x13\x01",
    tail: bytes = b"",
) -> bytes:
    body = b"\x03\x03" + bytes(32) + vector(1, session) + vector(2, suites) + vector(1, b"\0")
    body += b"" if extensions is None else vector(2, extensions)
    return b"\x01" + vector(3, body + tail)


def records(message: bytes, size: int = 16384, version: bytes = b"\x03\x01") -> bytes:
    return b"".join(
        b"\x16" + version + vector(2, message[i : i + size]) for i in range(0, len(message), size)
    )


def real(
    name: str | None, alpn: list[str], least: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2
) -> bytes:
    """The bytes a real client sends first."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = least
    if alpn:
        context.set_alpn_protocols(alpn)
    sent = ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), sent, server_hostname=name).do_handshake()
    return sent.read()


def message_of(stream: bytes) -> bytes:
    return stream[5:]


@pytest.mark.parametrize("least", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize(
    ("name", "alpn"),
    [("a.example", ["h2", "http/1.1"]), ("xn--bcher-kva.example", []), (None, ["h2"])],
)
def test_a_real_hello_whole_byte_by_byte_and_in_many_records(
    name: str | None, alpn: list[str], least: ssl.TLSVersion
) -> None:
    raw, want = real(name, alpn, least), ClientHello(name, tuple(alpn), ech=False)
    assert read_client_hello(raw) == want
    assert read_client_hello(raw + b"\x14\x03\x03\x00\x01\x01") == want
    assert [read_client_hello(raw[:size]) for size in range(len(raw))] == [None] * len(raw)
    for size in (1, 2, 3, 4, 5, 100):
        assert read_client_hello(records(message_of(raw), size)) == want


def test_names_are_canonical() -> None:
    for spelling in (b"A.Example", b"a.example.", b"A.EXAMPLE."):
        got = read_client_hello(records(hello(sni(spelling))))
        assert got is not None
        assert got.sni == "a.example"


def test_grease_and_unknown_extensions_are_passed_over() -> None:
    grease = extension(0x0A0A, b"") + extension(0xFAFA, b"\0")
    got = read_client_hello(records(hello(grease + sni(b"a.test") + extension(0x1234, b"x" * 99))))
    assert got == ClientHello("a.test", (), ech=False)


@pytest.mark.parametrize("kind", [0xFE0D, 0xFFCE])
def test_encrypted_client_hello_is_seen(kind: int) -> None:
    got = read_client_hello(records(hello(sni(b"outer.test") + extension(kind, b"\0" * 64))))
    assert got == ClientHello("outer.test", (), ech=True)


def test_a_hello_of_post_quantum_size() -> None:
    got = read_client_hello(
        records(hello(extension(51, bytes(12_000)) + sni(b"a.test") + extension(21, bytes(9000))))
    )
    assert got == ClientHello("a.test", (), ech=False)


def test_a_hello_without_extensions() -> None:
    assert read_client_hello(records(hello(None))) == ClientHello(None, (), ech=False)
    assert read_client_hello(records(hello(b""))) == ClientHello(None, (), ech=False)


def alpn(*names: bytes) -> bytes:
    return extension(16, vector(2, b"".join(vector(1, name) for name in names)))


BAD = {
    "two server names": records(hello(sni(b"a.test") + sni(b"b.test"))),
    "a list of two": records(
        hello(
            extension(0, vector(2, (b"\0" + vector(2, b"a.test")) + (b"\0" + vector(2, b"b.test"))))
        )
    ),
    "other name type": records(hello(sni(b"a.test", kind=1))),
    "empty name": records(hello(sni(b""))),
    "empty extension": records(hello(extension(0, b""))),
    "bytes after the list": records(
        hello(extension(0, vector(2, b"\0" + vector(2, b"a.test")) + b"x"))
    ),
    "NUL in the name": records(hello(sni(b"a.test\0.b.test"))),
    "UTF-8 in the name": records(hello(sni("b\u00fccher.test".encode()))),
    "space in the name": records(hello(sni(b"a.test b"))),
    "name with a port": records(hello(sni(b"a.test:443"))),
    "wildcard": records(hello(sni(b"*.test"))),
    "long name": records(hello(sni(b"a." * 127 + b"test"))),
    "repeated extension": records(hello(alpn(b"h2") + alpn(b"h3"))),
    "empty protocol": records(hello(alpn(b""))),
    "no list of protocols": records(hello(extension(16, b"\0"))),
    "no suites": records(hello(b"", suites=b"")),
    "odd suites": records(hello(b"", suites=b"\x13")),
    "long session": records(hello(b"", session=bytes(33))),
    "bytes after the extensions": records(hello(b"", tail=b"x")),
    "cut extension": records(hello(b"\0\0\0\x05a")),
    "cut extension head": records(hello(b"\0\0\0")),
    "cut message": records(b"\x01\0\0\x03abc"),
    "not a hello": records(b"\x02" + hello(b"")[1:]),
    "another message in the record": records(hello(b"") + b"\x01"),
    "too large": records(b"\x01\x01\x00\x01" + bytes(100)),
    "alert first": b"\x15\x03\x01\0\x02\x01\x64" + records(hello(b"")),
    "empty record first": b"\x16\x03\x01\0\0" + records(hello(b"")),
    "empty record within": records(hello(b"")[:9]) + b"\x16\x03\x01\0\0",
    "other record within": records(hello(b"")[:9]) + b"\x17\x03\x03\0\x01x",
    "record too large": b"\x16\x03\x01\x40\x01" + bytes(10),
    "other version": records(hello(b""), version=b"\x02\x00"),
    "SSLv2": b"\x80\x2e\x01\x03\x01",
}


@pytest.mark.parametrize("stream", BAD.values(), ids=BAD.keys())
def test_a_hello_that_two_servers_could_read_differently_is_refused(stream: bytes) -> None:
    with pytest.raises(WireError):
        read_client_hello(stream)


def test_a_hello_in_countless_records_is_refused() -> None:
    big = hello(extension(21, bytes(tls.MAX_RECORDS)))
    with pytest.raises(WireError, match="records"):
        read_client_hello(records(big, 1))


def outcome(stream: bytes) -> object:
    try:
        return read_client_hello(stream)
    except WireError:
        return "refused"


def first_outcome(stream: bytes) -> object:
    return next(
        (got for n in range(len(stream) + 1) if (got := outcome(stream[:n])) is not None), None
    )


@given(
    st.binary(max_size=200)
    | st.sampled_from(list(BAD.values())).filter(lambda raw: len(raw) < 1000)
)
def test_random_bytes_however_they_come(stream: bytes) -> None:
    assert first_outcome(stream) == outcome(stream)


@given(st.data())
def test_a_changed_byte_is_a_hello_or_a_wire_error(data: st.DataObject) -> None:
    raw = bytearray(records(hello(sni(b"a.test") + alpn(b"h2")), 20))
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] = data.draw(st.integers(0, 255))
    assert first_outcome(bytes(raw)) == outcome(bytes(raw))


def test_the_alert_is_understood_by_a_real_client() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    received = ssl.MemoryBIO()
    received.write(tls.ACCESS_DENIED)
    with pytest.raises(ssl.SSLError, match=r"(?i)access.denied"):
        context.wrap_bio(received, ssl.MemoryBIO(), server_hostname="a.test").do_handshake()
