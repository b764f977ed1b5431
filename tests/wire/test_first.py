import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.wire import first
from sluicegate.wire.first import Kind, classify

KNOWN = {
    b"\x16\x03\x01\x02\x00\x01": Kind.TLS,
    b"\x16\x03\x01\x00\x00\x16\x03\x01\x00\x05\x01": Kind.TLS,
    b"\x15\x03\x01\x00\x02\x01\x64\x16\x03\x01": Kind.TLS,
    b"\x14\x03\x03\x00\x01\x01\x16\x03\x01": Kind.TLS,
    b"\x16\x02\x00\x02\x00\x01": Kind.TLS,
    b"\x16\x02\x00\x02\x00\x02": Kind.OPAQUE,
    b"\x16\xff": Kind.OPAQUE,
    b"\x80\x2e\x01\x03\x01": Kind.OPAQUE,
    b"\x05\x01\x00": Kind.SOCKS5,
    b"\x05\x00\x0b": Kind.OPAQUE,
    b"\x04\x01\x00\x50": Kind.SOCKS4,
    b"\x04\x03": Kind.OPAQUE,
    b"GET /": Kind.HTTP,
    b"get / http/1.1": Kind.HTTP,
    b"OPTIONS *": Kind.HTTP,
    b"CONNECT a.test:443 HTTP/1.1\r\n": Kind.HTTP,
    b"GET http://a.test/ HTTP/1.1\r\n": Kind.HTTP,
    b"GET a.test HTTP/1.1\r\n": Kind.HTTP,
    b"GET\t/ HTTP/1.1\r\n": Kind.HTTP,
    b"GET  / HTTP/1.1\r\n": Kind.HTTP,
    b"GET  /\r\n": Kind.HTTP,
    b"GET\x0b/ HTTP/1.1\r\n": Kind.HTTP,
    b"GET\x0c/ HTTP/1.1\r\n": Kind.HTTP,
    b"GET\r/ HTTP/1.1\r\n": Kind.HTTP,
    b"GET \x0b\r/": Kind.HTTP,
    b"GET\x0bhttp://a.test/\x0bHTTP/1.1\r\n": Kind.HTTP,
    b"\x0bGET / HTTP/1.1\r\n": Kind.HTTP,
    b"\x0cGET / HTTP/1.1\r\n": Kind.HTTP,
    b"\rGET / HTTP/1.1\r\n": Kind.HTTP,
    b"X\rGET / HTTP/1.1\r\n": Kind.HTTP,
    b"XXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX /": Kind.HTTP,
    b"1GET x hTTp/1.1\n": Kind.HTTP,
    b"SSH-2.0 x HTTP/1.1\n": Kind.HTTP,
    b"\r\nGET / HTTP/1.1\r\n": Kind.HTTP,
    b"\nGET / HTTP/1.1\r\n": Kind.HTTP,
    b" GET / HTTP/1.1\r\n": Kind.HTTP,
    b"0036git-upload-pack /tool.git\0host=a.test\0": Kind.HTTP,
    b"0036git-upload-pack /tool.git HTTP/1.1\r\nHost: a.test\r\n\r\n": Kind.HTTP,
    b"0036git-upload-pack http://a.test/ HTTP/1.1\r\n": Kind.HTTP,
    b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n": Kind.OPAQUE,
    b"SSH-2.0-Go\r\n": Kind.OPAQUE,
    b"PING\r\n": Kind.OPAQUE,
    b"*1\r\n$4\r\nPING\r\n": Kind.OPAQUE,
    b"NICK someone\r\n": Kind.OPAQUE,
    b"CAP LS 302\r\n": Kind.OPAQUE,
    b"stats items\r\n": Kind.OPAQUE,
    b"<?xml version='1.0'?>": Kind.OPAQUE,
    b'{"id": 1}': Kind.OPAQUE,
    b"\0\0\0\x08\x04\xd2\x16\x2f": Kind.OPAQUE,
    b"\xfe\xfd": Kind.OPAQUE,
}


@pytest.mark.parametrize(("stream", "kind"), KNOWN.items())
def test_first_bytes(stream: bytes, kind: Kind) -> None:
    assert classify(stream) is kind


@pytest.mark.parametrize(
    "stream",
    [
        b"",
        b"\x16",
        b"\x16\x02\0\0\0",
        b"\x05",
        b"\x04",
        b"GET",
        b"GET ",
        b"GET h",
        b"PING\r",
        b"GET\x0b\x0c",
        b"A" * 100,
    ],
)
def test_more_is_needed(stream: bytes) -> None:
    assert classify(stream) is None


def test_an_endless_line_is_not_opaque() -> None:
    assert classify(b"A" * first.MAX_LINE) is Kind.HTTP
    assert classify(b"A b" * first.MAX_LINE) is Kind.HTTP


@given(st.binary(max_size=40) | st.lists(st.sampled_from(list(KNOWN))).map(b"".join))
def test_a_kind_never_changes_and_the_end_of_a_line_decides(stream: bytes) -> None:
    kinds = [classify(stream[:size]) for size in range(len(stream) + 1)]
    decided = [kind for kind in kinds if kind is not None]
    assert len(set(decided)) <= 1
    assert kinds == [None] * (len(kinds) - len(decided)) + decided
    assert classify(stream + b"\n\n\n\n\n\n") is not None


@pytest.mark.parametrize("stream", [b"J", b"JDWP-Handshake", b"GET", b"GET h"])
def test_a_word_may_become_anything(stream: bytes) -> None:
    assert first.is_word(stream)


@pytest.mark.parametrize("stream", [b"", b"\x16", b"\x05", b"\x04", b"GET /", b"PING\r\n", b"\0"])
def test_what_is_decided_or_of_another_kind_is_no_word(stream: bytes) -> None:
    assert not first.is_word(stream)


def packet(rest: bytes) -> bytes:
    return b"%04x" % (len(rest) + 4) + rest


GIT = packet(b"git-upload-pack /tool.git\0host=a.test\0")


@pytest.mark.parametrize(
    "stream",
    [
        GIT,
        packet(b"git-receive-pack /a/b.git\0host=a.test:9418\0"),
        packet(b"git-upload-archive /tool.git\0host=a.test\0"),
        packet(b"git-upload-pack /tool.git\0host=a.test\0\0version=2\0"),
    ],
)
def test_a_request_of_gits_own_protocol(stream: bytes) -> None:
    assert first.is_git(stream) is True
    assert [first.is_git(stream[:size]) for size in range(len(stream))] == [None] * len(stream)


@pytest.mark.parametrize(
    "stream",
    [
        b"GET / HTTP/1.1\r\n",
        b"0036got",
        b"g",
        GIT + b"GET / HTTP/1.1\r\n",
        b"0036git-upload-pack /tool\n",
        b"0036git-upload-pack /tool.git HTTP/1.1\r\nHost: a.test\r\n\r\n",
        packet(b"git-upload-pack /tool.git\0host=a.test"),
        packet(b"git-upload-pack /tool.git\0host=a.test\r\n\0"),
        packet(b"git-upload-pack /t HTTP/1.1\r\n\0host=a.test\0"),
        packet(b"git-upload-pack http://a.test/\0host=a.test\0"),
        packet(b"git-anything /tool.git\0host=a.test\0"),
        packet(b"git-upload-pack /tool.git\0host=a.test\0\0GET / HTTP/1.1\r\n\0"),
    ],
)
def test_what_is_not_exactly_one_such_request(stream: bytes) -> None:
    assert first.is_git(stream) is False
