import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.wire import names
from sluicegate.wire.addresses import internal
from sluicegate.wire.cursor import WireError

FOUR = {
    "unspecified": ["0.0.0.0", "0.255.255.255"],
    "private": [
        "10.0.0.0",
        "10.255.255.255",
        "172.16.0.0",
        "172.31.255.255",
        "192.168.0.0",
        "192.168.255.255",
    ],
    "CGNAT": ["100.64.0.0", "100.127.255.255"],
    "loopback": ["127.0.0.0", "127.255.255.255"],
    "link-local": ["169.254.0.0", "169.254.255.255"],
    "metadata": [
        "169.254.169.254",
        "169.254.169.253",
        "169.254.170.2",
        "169.254.170.23",
        "100.100.100.200",
        "168.63.129.16",
    ],
    "protocol assignments": ["192.0.0.0", "192.0.0.192", "192.0.0.255"],
    "6to4 relay": ["192.88.99.1"],
    "benchmark": ["198.18.0.0", "198.19.255.255"],
    "multicast": ["224.0.0.1", "239.255.255.255"],
    "reserved": ["240.0.0.0", "255.255.255.254"],
    "broadcast": ["255.255.255.255"],
}
SIX = {
    "unspecified": ["::"],
    "loopback": ["::1"],
    "ULA": ["fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"],
    "metadata": ["fd00:ec2::254", "fd20:ce::254"],
    "link-local": ["fe80::", "febf:ffff::1"],
    "site-local": ["fec0::", "feff::1"],
    "multicast": ["ff00::", "ff02::1", "ff0e::1"],
    "discard": ["100::1"],
    "benchmark": ["2001:2::1"],
    "local NAT64": ["64:ff9b:1::", "64:ff9b:1::808:808"],
}
PUBLIC = [
    *(
        "1.1.1.1",
        "8.8.8.8",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
    ),
    *(
        "128.0.0.0",
        "169.253.255.255",
        "169.255.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.0",
        "192.167.255.255",
    ),
    *("192.169.0.0", "198.17.255.255", "198.20.0.0", "223.255.255.255", "168.63.129.17"),
    *("192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1", "3fff::1"),
    *("2606:4700:4700::1111", "2001:4860:4860::8888", "2a00::1", "64:ff9b:2::1", "2003::1"),
]


def cases(table: dict[str, list[str]]) -> list[tuple[str, str]]:
    return [(address, name) for name, addresses in table.items() for address in addresses]


def forms(four: str) -> dict[str, ipaddress.IPv6Address]:
    """Every IPv6 address that leads to the IPv4 address `four`."""
    bits = int(ipaddress.IPv4Address(four))
    numbers = {
        "v4-mapped": 0xFFFF << 32 | bits,
        "v4-translated": 0xFFFF << 48 | bits,
        "6to4": 0x2002 << 112 | bits << 80 | 0x1234,
        "NAT64": 0x64FF9B << 96 | bits,
        "ISATAP": 0x2A000001 << 96 | 0x5EFE << 32 | bits,
        "Teredo": 0x20010000 << 96 | bits << 64 | (0xFFFFFFFF ^ 0x08080808),
    }
    return {form: ipaddress.IPv6Address(number) for form, number in numbers.items()}


@pytest.mark.parametrize(("address", "name"), cases(FOUR) + cases(SIX))
def test_internal(address: str, name: str) -> None:
    assert internal(address) == name


@pytest.mark.parametrize(("address", "name"), cases(FOUR))
def test_the_same_inside_ipv6(address: str, name: str) -> None:
    for form, six in forms(address).items():
        assert internal(str(six)) == f"{form} {name}"


def test_the_compatible_form() -> None:
    assert internal("::10.0.0.1") == "v4-compatible private"
    assert internal("::8.8.8.8") is None


def test_the_client_of_a_teredo_address_counts_too() -> None:
    hidden = int(ipaddress.IPv4Address("10.0.0.1")) ^ 0xFFFFFFFF
    address = ipaddress.IPv6Address(0x20010000 << 96 | 0x08080808 << 64 | hidden)
    assert internal(str(address)) == "Teredo private"


def test_isatap_with_the_universal_bit() -> None:
    assert internal("2a00::200:5efe:10.0.0.1") == "ISATAP private"
    assert internal("2a00::200:5eff:10.0.0.1") is None


@pytest.mark.parametrize("address", PUBLIC)
def test_public(address: str) -> None:
    assert internal(address) is None


@pytest.mark.parametrize("address", ["8.8.8.8", "192.0.2.1"])
def test_public_addresses_stay_public_inside_ipv6(address: str) -> None:
    assert all(internal(str(six)) is None for six in forms(address).values())


def test_a_zone_makes_it_local() -> None:
    assert internal("fe80::1%eth0") == "link-local"
    assert internal("2a00::1%eth0") == "link-local"


@pytest.mark.parametrize(
    "text",
    ["", "a.test", "127.1", "1.2.3.4/8", "::1/128", " ::1", "[::1]", "0x7f.0.0.1", "010.0.0.1"],
)
def test_not_an_address(text: str) -> None:
    with pytest.raises(WireError):
        internal(text)


@pytest.mark.parametrize(
    "spelling", ["127.1", "0x7f000001", "2130706433", "[::ffff:127.0.0.1]", "0177.1", "::127.0.0.1"]
)
def test_no_spelling_of_the_inside_gets_past_the_canonical_form(spelling: str) -> None:
    assert "loopback" in (internal(names.host(spelling)) or "")


@given(st.ip_addresses())
def test_what_the_library_calls_private_is_internal(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    said = internal(str(address))
    if (
        address.is_loopback
        or address.is_link_local
        or address.is_multicast
        or address.is_unspecified
    ):
        assert said is not None


@given(st.ip_addresses(v=4))
def test_the_embedding_changes_nothing(address: ipaddress.IPv4Address) -> None:
    inner = internal(str(address))
    for form, six in forms(str(address)).items():
        assert internal(str(six)) == (None if inner is None else f"{form} {inner}")
