import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.wire import names
from sluicegate.wire.cursor import WireError

SPELLINGS = {
    "a.test": [
        "a.test",
        "A.TEST",
        "a.test.",
        "A.Test.",
        "\uff41.test",
        "a\u3002test",
        "a\uff0etest",
        "\u24d0.test",
    ],
    "xn--bcher-kva.test": [
        "b\u00fccher.test",
        "B\u00dcCHER.test",
        "bu\u0308cher.test",
        "XN--BCHER-KVA.test",
    ],
    "xn--strae-oqa.test": ["stra\u00dfe.test"],
    "_sip._tcp.a.test": ["_sip._tcp.a.test", "_SIP._TCP.A.TEST."],
    "localhost": ["localhost", "LOCALHOST."],
    "127.0.0.1": [
        *(
            "127.0.0.1",
            "127.1",
            "127.0.1",
            "2130706433",
            "0x7f000001",
            "0x7F.1",
            "0177.0.0.1",
            "017700000001",
        ),
        *(
            "127.0.0.1.",
            "0x7f.0x0.0x0.0x1",
            "00000177.1",
            "\uff11\uff12\uff17.0.0.1",
            "127\u30020.0.1",
        ),
    ],
    "169.254.169.254": [
        "0xA9FEA9FE",
        "2852039166",
        "169.254.43518",
        "0251.0376.0251.0376",
        "169.16689662",
    ],
    "0.0.0.0": ["0", "0.0", "0x0", "00", "0.0.0.0"],
    "255.255.255.255": ["4294967295", "0xffffffff", "255.255.65535"],
    "10.0.0.8": ["10.8", "012.010", "0xa.8"],
    "::1": [
        "::1",
        "[::1]",
        "0:0:0:0:0:0:0:1",
        "[0000:0000:0000:0000:0000:0000:0000:0001]",
        "::0.0.0.1",
    ],
    "2001:db8::1": ["2001:DB8::1", "[2001:db8:0:0:0:0:0:1]", "2001:0db8::0001"],
    "::ffff:7f00:1": ["::ffff:127.0.0.1", "::FFFF:7f00:1", "[0:0:0:0:0:ffff:127.0.0.1]"],
}
BAD = [
    *(
        "",
        ".",
        "..",
        "a..test",
        ".a.test",
        "a.test..",
        "a b.test",
        " a.test",
        "a.test ",
        "a\ttest",
        "a\r\n.test",
    ),
    *(
        "a\0.test",
        "a.test\0",
        "a%00.test",
        "a%2etest",
        "%61.test",
        "a\x7f.test",
        "a/b.test",
        "a\\b.test",
    ),
    *(
        "a@b.test",
        "a:b",
        "a.test:80",
        "*.test",
        "a!.test",
        "a,b.test",
        "(a).test",
        "a;b",
        '"a"',
        "a+b.test",
    ),
    *(
        "[::1",
        "::1]",
        "[]",
        "[a.test]",
        "[127.0.0.1]",
        "fe80::1%eth0",
        "[fe80::1%25eth0]",
        ":::",
        "::1::",
        "1:2:3",
    ),
    *(
        "256.0.0.1",
        "1.2.3.4.5",
        "1.2.3.256",
        "4294967296",
        "0x100000000",
        "1.2.65536",
        "08",
        "0x",
        "1.0x",
        "0x1g.1",
    ),
    *(
        "99999999999999999",
        "1.2.3.09",
        "a.1",
        "a.0x1",
        "1..2",
        "x" * 64 + ".test",
        "a." * 126 + "tt",
        "a" * 2000,
    ),
    *(
        "xn--",
        "xn--a",
        "xn--\u00fc.test",
        "xn--abc-.test",
        "\u00ad",
        "\u200b.test",
        "a\uff0fb.test",
        "a\uff05.test",
    ),
    *(
        "\ufeffa.test\u2028",
        "\ud800.test",
        "\u0661.test.\u0661",
        "::\uff11",
        "a\uff1a80",
        "\u2488test",
        "xn--zca\u3002.\u3002",
    ),
]


@pytest.mark.parametrize(
    ("spelling", "want"), [(s, want) for want, all_ in SPELLINGS.items() for s in all_]
)
def test_every_spelling_of_a_host_becomes_one(spelling: str, want: str) -> None:
    assert names.host(spelling) == want
    assert names.host(want) == want


@pytest.mark.parametrize("raw", BAD, ids=ascii)
def test_no_host(raw: str) -> None:
    with pytest.raises(WireError):
        names.host(raw)


def test_the_longest_name() -> None:
    longest = ".".join(["a" * 63] * 3 + ["b" * 61])
    assert len(longest) == names.MAX_NAME
    assert names.host(longest + ".") == longest


@pytest.mark.parametrize(
    ("text", "want"),
    [
        *(("127.0.0.1", True), ("::1", True), ("::ffff:7f00:1", True), ("2001:db8::1", True)),
        *(
            ("127.1", False),
            ("::ffff:127.0.0.1", False),
            ("::0001", False),
            ("a.test", False),
            ("", False),
        ),
    ],
)
def test_is_address_knows_the_canonical_form(text: str, want: bool) -> None:
    assert names.is_address(text) is want


@pytest.mark.parametrize(
    ("raw", "want"),
    [
        ("a.test", ("a.test", None)),
        ("A.test.:8080", ("a.test", 8080)),
        ("[::1]:443", ("::1", 443)),
        ("[::1]", ("::1", None)),
        ("127.1:1", ("127.0.0.1", 1)),
        ("a.test:00080", ("a.test", 80)),
        ("a.test:65535", ("a.test", 65535)),
    ],
)
def test_authority(raw: str, want: tuple[str, int | None]) -> None:
    assert names.authority(raw, None) == want
    assert names.authority(raw, 7) == (want[0], want[1] or 7)


@pytest.mark.parametrize(
    "raw",
    [
        *(
            "",
            ":80",
            "a.test:",
            "a.test:0",
            "a.test:65536",
            "a.test:-1",
            "a.test:+80",
            "a.test:8 0",
            "a.test:0x50",
        ),
        *(
            "u@a.test",
            "u:p@a.test:80",
            "@a.test",
            "[::1]80",
            "[::1]:",
            "[::1",
            "::1",
            "::1:80",
            "a.test:80:80",
        ),
        *(
            "a.test:80/",
            "a.test:\u0661",
            "a.test:\uff18\uff10",
            "a.test:800000",
            "[::1]]:80",
            "[[::1]]",
        ),
    ],
)
def test_no_authority(raw: str) -> None:
    with pytest.raises(WireError):
        names.authority(raw, None)


TEXT = st.text(max_size=30) | st.text(
    st.sampled_from("0123456789abcdefx.-_:[]%xn--\u00fc\u3002\uff11"), max_size=40
)


@given(TEXT)
def test_a_host_is_canonical_or_refused(raw: str) -> None:
    try:
        once = names.host(raw)
    except WireError:
        return
    assert names.host(once) == once
    assert once.isascii()
    assert once == once.lower()
    assert len(once) <= names.MAX_NAME
    assert names.is_address(once) or not any(c in once for c in ":/@%[] \0")


@given(st.integers(0, 2**32 - 1), st.integers(0, 2))
def test_every_number_is_its_address(value: int, base: int) -> None:
    spelling = (str(value), hex(value), f"0{value:o}")[base]
    assert names.host(spelling) == str(ipaddress.IPv4Address(value))


@given(st.ip_addresses(v=6))
def test_every_ipv6_text_is_one(address: ipaddress.IPv6Address) -> None:
    want = names.host(str(address))
    assert names.host(address.exploded.upper()) == names.host(f"[{address.compressed}]") == want
    assert names.is_address(want)
    assert ipaddress.ip_address(want) == address


@given(TEXT)
def test_an_authority_is_a_host_with_a_port_or_refused(raw: str) -> None:
    try:
        name, port = names.authority(raw, None)
    except WireError:
        return
    assert names.host(name) == name
    assert port is None or 0 < port < 65536
