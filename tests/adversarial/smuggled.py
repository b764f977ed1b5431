"""Requests that two readers could take for different ones.

HOST is the allowed host; `second` is what must not get through.
"""

from __future__ import annotations

_TE = b"Transfer-Encoding: chunked\r\n"
_LAST = b"0\r\n\r\n"


def _post(*fields: bytes, body: bytes = b"", line: bytes = b"POST /ok/a HTTP/1.1") -> bytes:
    return line + b"\r\nHost: HOST\r\n" + b"".join(fields) + b"\r\n" + body


def _length(size: int) -> bytes:
    return b"Content-Length: %d\r\n" % size


CHUNKED = {
    b"Transfer-Encoding : chunked\r\n",
    b"Transfer-Encoding\t: chunked\r\n",
    b" Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: xchunked\r\n",
    b"Transfer-Encoding: chunked, identity\r\n",
    b"Transfer-Encoding: identity, chunked\r\n",
    b"Transfer-Encoding: chunked, chunked\r\n",
    b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: \x0bchunked\r\n",
    b"Transfer-Encoding: chunked\x0c\r\n",
    b"Transfer-Encoding: \xa0chunked\r\n",
    b"Transfer-Encoding: chunked\0\r\n",
    b'Transfer-Encoding: "chunked"\r\n',
    b"Transfer-Encoding:\r\n chunked\r\n",
    b"Transfer-Encoding:\n chunked\r\n",
    b"Transfer-Encoding: chunked;q=1\r\n",
    b"Transfer-Encoding: chunk\r\n",
    b"Transfer-Encoding: ch\xc3\xbcnked\r\n",
    b"Transfer_Encoding: chunked\r\n",
    b"X: a\rTransfer-Encoding: chunked\r\n",
    b"X: a\nTransfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: chunked\n",
    b"Transfer-Encoding chunked\r\n",
    b"Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked, x\r\n",
}
LENGTHS = {
    b"Content-Length: 0\r\nContent-Length: SIZE\r\n",
    b"Content-Length: SIZE\r\nContent-Length: 0\r\n",
    b"Content-Length: SIZE\r\nContent-Length: SIZE\r\n",
    b"Content-Length: 0, SIZE\r\n",
    b"Content-Length: +0\r\n",
    b"Content-Length: -1\r\n",
    b"Content-Length: 0x00\r\n",
    b"Content-Length: 0 0\r\n",
    b"Content-Length: 0\x0b\r\n",
    b"Content-Length : 0\r\n",
    b"Content_Length: 0\r\n",
    b"Content-Length: 0\r\n ,SIZE\r\n",
    b"Content-Length: \xb2\r\n",
    b"Content-Length:\r\n",
    b"Content-Length: 99999999999999999999999\r\n",
    b"Content-Length: 18446744073709551616\r\n",
    b"Content-Length: 0\nContent-Length: SIZE\r\n",
    b"Content-Length: 0\rContent-Length: SIZE\r\n",
    b"Content-Length: 0\0\r\n",
}
SIZES = {
    b"0x0\r\n\r\n",
    b"00000000000000000\r\n\r\n",
    b"+0\r\n\r\n",
    b"-0\r\n\r\n",
    b"0;\r\n\r\n",
    b"0 ;x\r\n\r\n",
    b'0;x="\r\n"\r\n\r\n',
    b"1;a\nb\r\nA\r\n0\r\n\r\n",
    b"1\nA\n0\n\n",
    b"1\r\nAB\r\n0\r\n\r\n",
    b"1\r\nA0\r\n\r\n",
    b"1\r\rA\r\n0\r\n\r\n",
    b"10000000000000000\r\n",
    b"ffffffffffffffff1\r\nA\r\n0\r\n\r\n",
    b"\r\n0\r\n\r\n",
    b" 0\r\n\r\n",
    b"0\r\nX: y\r\n\r\n",
    b"0\r\nContent-Length: 99\r\n\r\n",
    b"0\r\n\n",
    b"0\n\r\n",
    b"g\r\n\r\n",
    b"0_0\r\n\r\n",
}


def second(host: bytes) -> bytes:
    """A request that no rule allows."""
    return b"GET /smuggled HTTP/1.1\r\nHost: " + host + b"\r\n\r\n"


def requests(host: bytes) -> dict[str, bytes]:
    """By name. `second` is at the end of each, or within what one of two readers takes for the body."""
    found, last = dict[str, bytes](), second(host)
    for spelt in sorted(CHUNKED):
        name = repr(spelt)[2:-1]
        found[f"{name} alone"] = _post(spelt, body=_LAST + last)
        found[f"{name} and a length"] = _post(spelt, _length(len(_LAST + last)), body=_LAST + last)
        found[f"{name} and no length"] = _post(_length(0), spelt, body=_LAST + last)
    for spelt in sorted(LENGTHS):
        name = repr(spelt)[2:-1]
        found[f"{name} alone"] = _post(spelt.replace(b"SIZE", b"%d" % len(last)), body=last)
        found[f"{name} and chunks"] = _post(_TE, spelt.replace(b"SIZE", b"5"), body=_LAST + last)
    for size in sorted(SIZES):
        found[f"chunks {size!r}"] = _post(_TE, body=size + last)
    found |= {
        "cl.te": _post(_length(6), _TE, body=b"0\r\n\r\nG" + last),
        "te.cl": _post(_TE, _length(4), body=b"5c\r\n" + last + _LAST),
        "a body that is a request": _post(_length(len(last)), body=last),
        "a chunk that is a request": _post(_TE, body=b"%x\r\n%b\r\n" % (len(last), last) + _LAST),
        "a get with a body": _post(_length(len(last)), body=last, line=b"GET /ok/a HTTP/1.1"),
        "a head with a body": _post(_length(len(last)), body=last, line=b"HEAD /ok/a HTTP/1.1"),
        "100-continue": _post(_length(len(last)), b"Expect: 100-continue\r\n", body=last),
        "another expectation": _post(_length(len(last)), b"Expect: 200-maybe\r\n", body=last),
        "1.0 and chunks": _post(_TE, body=_LAST + last, line=b"POST /ok/a HTTP/1.0"),
        "bare lf": (_post() + last).replace(b"\r\n", b"\n"),
        "bare cr": (_post() + last).replace(b"\r\n", b"\r"),
        "lf in the end of the head": _post()[:-2] + b"\n" + last,
        "a line folded": _post(b"X: a\r\n\tContent-Length: 99\r\n", body=last),
        "a first line folded": b"GET /ok/a HTTP/1.1\r\n Host: HOST\r\nHost: HOST\r\n\r\n" + last,
        "a request in a value": _post(b"X: a\r\r\n\r\n" + last),
        "nul": _post(b"X: \0\r\n", body=last),
        "nul in a name": _post(b"X\0Y: a\r\n", body=last),
        "no colon": _post(b"X\r\n", body=last),
        "no name": _post(b": a\r\n", body=last),
        "two hosts": _post(b"Host: other.test\r\n", body=last),
        "a host with a space": b"GET /ok/a HTTP/1.1\r\nHost : HOST\r\n\r\n" + last,
        "no host": b"GET /ok/a HTTP/1.1\r\n\r\n" + last,
        "another absolute form": b"GET http://other.test/ok/a HTTP/1.1\r\nHost: HOST\r\n\r\n"
        + last,
        "a user before the host": b"GET http://HOST@other.test/ok/a HTTP/1.1\r\nHost: HOST\r\n\r\n",
        "a backslash in the host": b"GET http://HOST\\@other.test/ok/ HTTP/1.1\r\nHost: HOST\r\n\r\n",
        "two spaces": b"GET  /ok/a HTTP/1.1\r\nHost: HOST\r\n\r\n" + last,
        "a tab": b"GET\t/ok/a HTTP/1.1\r\nHost: HOST\r\n\r\n" + last,
        "a space in the target": b"GET /ok/a /smuggled HTTP/1.1\r\nHost: HOST\r\n\r\n",
        "a version in the target": b"GET /ok/a HTTP/1.1 HTTP/1.1\r\nHost: HOST\r\n\r\n" + last,
        "no version": b"GET /ok/a\r\nHost: HOST\r\n\r\n" + last,
        "a later version": b"GET /ok/a HTTP/1.2\r\nHost: HOST\r\n\r\n" + last,
        "version 2": b"GET /ok/a HTTP/2.0\r\nHost: HOST\r\n\r\n" + last,
        "the preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + last,
        "a method in small letters": b"get /ok/a HTTP/1.1\r\nHost: HOST\r\n\r\n" + last,
        "an empty line first": b"\r\n\r\n" + _post(_length(0)) + last,
        "a space first": b" " + _post(_length(0)) + last,
        "a large head": _post(b"X: " + b"x" * 70_000 + b"\r\n", body=last),
        "many fields": _post(*[b"X: y\r\n"] * 300, body=last),
        "pipelined": b"GET /ok/a HTTP/1.1\r\nHost: HOST\r\n\r\n" + last,
        "pipelined behind close": _post(b"Connection: close\r\n") + last,
        "pipelined behind an upgrade": _post(b"Connection: upgrade\r\nUpgrade: h2c\r\n") + last,
        "a method in a header": _post(b"X-HTTP-Method-Override: DELETE\r\n", _length(0)) + last,
        "host dropped as a hop": _post(b"Connection: close, Host\r\n", _length(0)) + last,
        "length dropped as a hop": _post(
            b"Connection: Content-Length\r\n", _length(len(last)), body=last
        ),
    }
    return {name: data.replace(b"HOST", host) for name, data in found.items()}
