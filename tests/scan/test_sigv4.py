import hashlib
from dataclasses import replace

import hypothesis.strategies as st
import pytest
from hypothesis import given

from sluicegate.scan import sigv4
from sluicegate.scan.sigv4 import Fault, Head, SignatureError

# What AWS shows in its guides and its test suite, each with a key of its own for that.
KEY, S3_KEY = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
VALUE = "Qm7Zt2Vx9Lw4Kd1Xp8Rc5Ny0Hb3Mf6Js2Ga7Te4Uq"
TIME = ("X-Amz-Date", "20150830T123600Z")
SUITE = "Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request"
LIST = "application/x-www-form-urlencoded; charset=utf-8"


def head(target: str, *headers: tuple[str, str], method: str = "GET", **more: str) -> Head:
    host = ("Host", more.get("host", "example.amazonaws.com"))
    given = tuple(pair for pair in headers if pair[0] != "Host") or (TIME,)
    return Head(method, target, (host, *given), more.get("content", sigv4.NOTHING))


def signed(asked: Head, scope: str, names: str, signature: str) -> Head:
    line = f"AWS4-HMAC-SHA256 {scope}, SignedHeaders={names}, Signature={signature}"
    return replace(asked, headers=(*asked.headers, ("Authorization", line)))


def suite(target: str, signature: str, names: str = "host;x-amz-date", **more: str) -> Head:
    return signed(head(target, **more), SUITE, names, signature)


SHOWN = [
    (
        "vanilla",
        suite("/", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        KEY,
    ),
    (
        "query order",
        suite(
            "/?Param2=value2&Param1=value1",
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ),
        KEY,
    ),
    (
        "unreserved",
        suite(
            "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
            "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f",
        ),
        KEY,
    ),
    (
        "post",
        suite(
            "/", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b", method="POST"
        ),
        KEY,
    ),
    (
        "IAM",
        signed(
            head(
                "/?Action=ListUsers&Version=2010-05-08",
                ("Content-Type", LIST),
                TIME,
                host="iam.amazonaws.com",
            ),
            "Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request",
            "content-type;host;x-amz-date",
            "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7",
        ),
        S3_KEY.replace("/bPx", "+bPx"),
    ),
    (
        "S3",
        signed(
            head(
                "/test.txt",
                ("Range", "bytes=0-9"),
                ("x-amz-content-sha256", sigv4.NOTHING),
                ("x-amz-date", "20130524T000000Z"),
                host="examplebucket.s3.amazonaws.com",
            ),
            "Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request",
            "host;range;x-amz-content-sha256;x-amz-date",
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        ),
        S3_KEY,
    ),
]


def line(of: Head) -> str:
    return dict(of.headers)["Authorization"]


def again(of: Head, text: str) -> Head:
    headers = tuple(
        (name, text if name == "Authorization" else value) for name, value in of.headers
    )
    return replace(of, headers=headers)


def fault(asked: Head, key: str = KEY) -> Fault:
    with pytest.raises(SignatureError) as caught:
        sigv4.renewed(asked, asked, key, VALUE)
    return caught.value.fault


@pytest.mark.parametrize(("asked", "key"), [pytest.param(*one[1:], id=one[0]) for one in SHOWN])
def test_what_aws_shows(asked: Head, key: str) -> None:
    assert sigv4.signed(asked.headers)
    assert sigv4.renewed(asked, asked, key, key) == line(asked)
    made = sigv4.renewed(asked, asked, key, VALUE)
    before, _, signature = line(asked).rpartition("=")
    assert made.rpartition("=")[0] == before
    assert made.rpartition("=")[2] != signature
    # The value's signature is as good as the placeholder's was.
    assert sigv4.renewed(again(asked, made), asked, VALUE, key) == line(asked)
    assert fault(again(asked, made), key) is Fault.OTHER
    assert fault(asked, VALUE) is Fault.OTHER


def own(asked: Head, names: str = "host;x-amz-date", scope: str = SUITE, key: str = KEY) -> Head:
    """`asked`, signed by us: made of what this module makes."""
    asked = signed(asked, scope, names, "0" * 64)
    found = sigv4._read(asked)
    text = sigv4._texts(asked, found)[0]
    made = sigv4._sign(sigv4._key(key, found), asked, found, text)
    return again(asked, line(asked).replace("0" * 64, made))


A = ("X-A", "one")
WITH = own(head("/p%20q?b=2&a=%7E", A, TIME), "host;x-a;x-amz-date")


@pytest.mark.parametrize(
    "other",
    [
        replace(WITH, method="PUT"),
        replace(WITH, target="/p%20q"),
        replace(WITH, target="/p%20q?b=2&a=~&c"),
        replace(WITH, target="/p%20Q?b=2&a=~"),
        replace(
            WITH, headers=tuple((n, "x.example" if n == "Host" else v) for n, v in WITH.headers)
        ),
        replace(WITH, headers=tuple((n, "two" if n == "X-A" else v) for n, v in WITH.headers)),
        replace(WITH, headers=(*WITH.headers, A)),  # twice is "one,one"
        replace(WITH, headers=(*WITH.headers, ("x-amz-content-sha256", "UNSIGNED-PAYLOAD"))),
        replace(WITH, content=hashlib.sha256(b"x").hexdigest()),
        again(WITH, line(WITH).replace("us-east-1", "us-east-2")),
        again(WITH, line(WITH).replace("/service/", "/servicf/")),
    ],
)
def test_of_another_request_it_is_none(other: Head) -> None:
    assert sigv4.renewed(WITH, WITH, KEY, KEY) == line(WITH)
    assert fault(other) is Fault.OTHER


@pytest.mark.parametrize(
    "same",
    [
        replace(WITH, target="/p%20q?a=~&b=2"),
        replace(WITH, target="/p%20q?a=%7e&%62=%32"),
        replace(WITH, headers=tuple(reversed(WITH.headers))),
        replace(WITH, headers=tuple((n.upper(), f"{v}") for n, v in WITH.headers)),
        replace(WITH, headers=(*WITH.headers, ("X-Other", "is not signed"))),
        again(WITH, line(WITH).replace(", ", ",")),
    ],
)
def test_how_it_is_written_makes_no_difference(same: Head) -> None:
    assert sigv4.renewed(same, same, KEY, KEY).rpartition("=")[2] == line(WITH).rpartition("=")[2]


def test_a_plus_that_is_no_more_there_when_a_value_is() -> None:
    """The text is made in the way that the client's was, whatever is in it then."""
    asked = own(head("/?k=place+holder", TIME), "host;x-amz-date")
    blank = own(head("/?k=place%20holder", TIME), "host;x-amz-date")
    assert line(asked) != line(blank)
    asked, sent = again(asked, line(blank)), replace(asked, target="/?k=the%20value")
    made = sigv4.renewed(asked, sent, KEY, VALUE)
    assert sigv4.renewed(again(sent, made), sent, VALUE, VALUE) == made


def test_values_that_are_put_in_are_signed_as_they_are_sent() -> None:
    asked = own(
        head("/", ("X-Amz-Security-Token", "given"), TIME), "host;x-amz-date;x-amz-security-token"
    )
    sent = replace(
        asked,
        headers=tuple((n, "real" if n == "X-Amz-Security-Token" else v) for n, v in asked.headers),
    )
    made = sigv4.renewed(asked, sent, KEY, VALUE)
    assert sigv4.renewed(again(sent, made), sent, VALUE, VALUE) == made
    assert fault(again(asked, made), VALUE) is Fault.OTHER


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (lambda said: said.lower(), Fault.FORM),
        (lambda said: said.replace("HMAC", "ECDSA-P256"), Fault.FORM),
        (lambda said: said.replace("Signature=", "signature="), Fault.FORM),
        (lambda said: said[:-1], Fault.FORM),
        (lambda said: said + "0", Fault.FORM),
        (lambda said: said + ", Signature=" + "0" * 64, Fault.FORM),
        (lambda said: said.replace("aws4_request", "aws5_request"), Fault.FORM),
        (lambda said: said.replace("host;x-a;x-amz-date", "x-a;host;x-amz-date"), Fault.FORM),
        (lambda said: said.replace("host;x-a;", "host;host;x-a;"), Fault.FORM),
        (lambda said: said.replace("host;x-a;", "x-a;"), Fault.FORM),
        (lambda said: said.replace("host;x-a;", "Host;x-a;"), Fault.FORM),
        (lambda said: said.replace("host;x-a;", "host;x-a;x-amz-content;"), Fault.HEADERS),
        (lambda said: said.replace("host;x-a;", "authorization;host;"), Fault.HEADERS),
        (lambda said: said.replace("20150830", "20150831"), Fault.DATE),
    ],
)
def test_forms_that_are_none(text: object, why: Fault) -> None:
    made = text(line(WITH))  # type: ignore[operator]
    assert made != line(WITH)
    assert fault(again(WITH, made)) is why


@pytest.mark.parametrize(
    ("headers", "why"),
    [
        ((*WITH.headers, WITH.headers[-1]), Fault.FORM),
        ((*WITH.headers, ("authorization", "Basic eDp5")), Fault.FORM),
        ((*WITH.headers, TIME), Fault.DATE),
        (tuple(pair for pair in WITH.headers if pair != TIME), Fault.DATE),
        (tuple(pair for pair in WITH.headers if pair != A), Fault.HEADERS),
        (
            (*WITH.headers, ("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD")),
            Fault.CHUNKS,
        ),
        ((*WITH.headers, *(("x-amz-content-sha256", "UNSIGNED-PAYLOAD"),) * 2), Fault.CHUNKS),
        ((*WITH.headers, ("x-amz-content-sha256", "")), Fault.CHUNKS),
    ],
)
def test_headers_that_are_missing_or_too_many(
    headers: tuple[tuple[str, str], ...], why: Fault
) -> None:
    assert fault(replace(WITH, headers=headers)) is why


@pytest.mark.parametrize(
    "said", [sigv4.NOTHING, "UNSIGNED-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"]
)
def test_the_content_is_what_the_client_says_or_must_be_known(said: str) -> None:
    name = "x-amz-content-sha256"
    asked = own(replace(head("/", TIME, (name, said)), content=None), f"host;{name};x-amz-date")
    assert sigv4.renewed(asked, asked, KEY, KEY) == line(asked)
    assert not sigv4.wants_content(asked.headers)
    bare = replace(WITH, content=None)
    assert fault(bare) is Fault.CONTENT
    assert sigv4.wants_content(bare.headers)
    assert not sigv4.wants_content((("Host", "x"), ("Authorization", "Bearer x")))


def test_bytes_of_headers_are_no_letters() -> None:
    """UTF-8 as HTTP carries it: one of its bytes is a blank in Latin-1."""
    asked = own(head("/", ("X-A", "\xc3\xa0  b\t c"), TIME), "host;x-a;x-amz-date")
    wider = replace(
        asked, headers=tuple((n, "\xc3\xa0 b c" if n == "X-A" else v) for n, v in asked.headers)
    )
    assert sigv4.renewed(wider, wider, KEY, KEY) == line(asked)
    less = replace(
        asked, headers=tuple((n, "\xc3 b c" if n == "X-A" else v) for n, v in asked.headers)
    )
    assert fault(less) is Fault.OTHER


@pytest.mark.parametrize(
    ("path", "normal"),
    [
        *(("/", "/"), ("//", "/"), ("/./", "/"), ("/a/..", "/"), ("/a/../..", "/"), ("/..", "/")),
        *(("//a//b/", "/a/b/"), ("/a/./b", "/a/b"), ("/a%2Fb", "/a%2Fb"), ("/a/../b/.", "/b")),
    ],
)
def test_paths_made_normal(path: str, normal: str) -> None:
    assert sigv4._normal(path) == normal


def test_each_way_to_read_a_target() -> None:
    """Storage signs a path as it is, others encode it once more, most make it normal first; a plus is two things."""
    asked = signed(head("/a//%20b?c=d+e"), SUITE, "host;x-amz-date", "0" * 64)
    found = sigv4._read(asked)
    read = [tuple(text.split(b"\n")[1:3]) for text in sigv4._texts(asked, found)]
    assert read == [
        (path, query)
        for query in (b"c=d%2Be", b"c=d%20e")
        for path in (b"/a//%20b", b"/a//%2520b", b"/a/%2520b")
    ]
    for text in sigv4._texts(asked, found):
        made = again(
            asked,
            line(asked).replace("0" * 64, sigv4._sign(sigv4._key(KEY, found), asked, found, text)),
        )
        assert sigv4.renewed(made, made, KEY, KEY) == line(made)


@pytest.mark.parametrize(
    ("headers", "whether"),
    [
        ((("AUTHORIZATION", "aws4-anything"),), True),
        ((("authorization", "AWS AKID:x"),), True),
        ((("authorization", "awsome x"),), False),
        ((("x-authorization", "AWS4-HMAC-SHA256 x"),), False),
        ((), False),
    ],
)
def test_what_is_a_signature(headers: tuple[tuple[str, str], ...], whether: bool) -> None:
    assert sigv4.signed(headers) is whether


@pytest.mark.parametrize(
    "query",
    [
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a&X-Amz-Date=b&X-Amz-SignedHeaders=host",
        "a=1&X-Amz-Algorithm",
        "x%2damz-Signed%48eaders=host&a=1",
        "X-AMZ-EXPIRES=1",
    ],
)
def test_no_signature_is_made_that_is_good_in_a_url(query: str) -> None:
    """Whoever sees it, as in the server's answer, could hand out the URL."""
    date = ("x-amz-date", TIME[1])
    asked = head(f"/a?{query}", date, ("x-amz-content-sha256", "UNSIGNED-PAYLOAD"))
    asked = signed(asked, SUITE, "host", "0" * 64)
    found = sigv4._FORM.fullmatch(line(asked))
    assert found is not None
    text = sigv4._texts(asked, found)[0]
    good = sigv4._sign(sigv4._key(KEY, found), asked, found, text)
    assert fault(again(asked, line(asked).replace("0" * 64, good))) is Fault.URL
    harmless = replace(asked, target=asked.target.replace("mz", "zz").replace("MZ", "ZZ"))
    made = sigv4._sign(sigv4._key(KEY, found), asked, found, sigv4._texts(harmless, found)[0])
    assert sigv4.renewed(*(again(harmless, line(asked).replace("0" * 64, made)),) * 2, KEY, VALUE)


def test_nothing_that_is_printed_shows_headers() -> None:
    assert line(WITH) not in repr(WITH)


WORD = st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=12)
NAMES = st.sampled_from(("Host", "X-Amz-Date", "x-amz-content-sha256", "X-A", "content-length"))
VALUES = WORD | st.sampled_from(
    (TIME[1], sigv4.NOTHING, "UNSIGNED-PAYLOAD", "example.amazonaws.com")
)
LINES = st.sampled_from([line(one[1]) for one in SHOWN]) | WORD.map("AWS4-HMAC-SHA256 {}".format)
TARGET = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20).map("/{}".format)


@given(
    TARGET,
    st.lists(st.tuples(NAMES, VALUES), max_size=6),
    LINES,
    st.none() | st.just(sigv4.NOTHING),
)
def test_whatever_is_asked_it_is_signed_or_said_why_not(
    target: str, headers: list[tuple[str, str]], said: str, content: str | None
) -> None:
    asked = Head("GET", target, (*headers, ("Authorization", said)), content)
    try:
        made = sigv4.renewed(asked, asked, KEY, VALUE)
    except SignatureError:
        return
    # What was signed so is one of those that were.
    assert sigv4.renewed(again(asked, made), asked, VALUE, KEY) == said
