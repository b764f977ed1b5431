"""Which addresses are inside: never dialled for a name, whatever the answer said."""

from __future__ import annotations

import functools
import ipaddress

from sluicegate.wire.cursor import WireError

# IANA special-purpose registries. Documentation ranges are left out: nothing internal lives there.
# The first match names the range, so the narrow ones come first.
RANGES = tuple(
    (ipaddress.ip_network(text), name)
    for text, name in (
        ("169.254.169.254/32", "metadata"),
        ("169.254.169.253/32", "metadata"),
        ("169.254.170.2/32", "metadata"),
        ("169.254.170.23/32", "metadata"),
        ("100.100.100.200/32", "metadata"),
        ("168.63.129.16/32", "metadata"),
        ("0.0.0.0/8", "unspecified"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "CGNAT"),
        ("127.0.0.0/8", "loopback"),
        ("169.254.0.0/16", "link-local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "protocol assignments"),
        ("192.88.99.0/24", "6to4 relay"),
        ("192.168.0.0/16", "private"),
        ("198.18.0.0/15", "benchmark"),
        ("224.0.0.0/4", "multicast"),
        ("255.255.255.255/32", "broadcast"),
        ("240.0.0.0/4", "reserved"),
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("fd00:ec2::/32", "metadata"),
        ("fd20:ce::254/128", "metadata"),
        ("fc00::/7", "ULA"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "site-local"),
        ("ff00::/8", "multicast"),
        ("100::/64", "discard"),
        ("2001:2::/48", "benchmark"),
        ("64:ff9b:1::/48", "local NAT64"),
    )
)
_FOUR = tuple((net, name) for net, name in RANGES if isinstance(net, ipaddress.IPv4Network))
_SIX = tuple((net, name) for net, name in RANGES if isinstance(net, ipaddress.IPv6Network))
# Prefix, and how far the embedded IPv4 address is from the right end, in bits.
EMBEDDING = tuple(
    (ipaddress.IPv6Network(text), shift, form)
    for text, shift, form in (
        ("::ffff:0:0/96", 0, "v4-mapped"),
        ("::ffff:0:0:0/96", 0, "v4-translated"),
        ("::/96", 0, "v4-compatible"),
        ("2002::/16", 80, "6to4"),
        ("64:ff9b::/96", 0, "NAT64"),
    )
)
# RFC 5214 section 6.1: the upper half of the interface identifier, its universal bit left out.
_ISATAP, _ISATAP_MASK = 0x00005EFE, 0xFDFFFFFF
_TEREDO = ipaddress.IPv6Network("2001::/32")


@functools.lru_cache(maxsize=4096)
def internal(address: str) -> str | None:
    """The name of the internal range that `address` is in, or None if it is a public address.

    Raises:
        WireError: not an address.
    """
    try:
        value = ipaddress.ip_address(address)
    except ValueError as error:
        raise WireError("not an address") from error
    if isinstance(value, ipaddress.IPv4Address):
        return next((name for net, name in _FOUR if value in net), None)
    if value.scope_id is not None:
        return "link-local"
    for net, name in _SIX:
        if value in net:
            return name
    for net, shift, form in EMBEDDING:
        if value in net:
            return _embedded(int(value) >> shift, form)
    if value in _TEREDO:
        # Server in the clear; client inverted (RFC 4380 section 4). Either may lead inside.
        return _embedded(int(value) >> 64, "Teredo") or _embedded(~int(value), "Teredo")
    if int(value) >> 32 & _ISATAP_MASK == _ISATAP:
        return _embedded(int(value), "ISATAP")
    return None


def _embedded(bits: int, form: str) -> str | None:
    inner = internal(str(ipaddress.IPv4Address(bits & 0xFFFFFFFF)))
    return inner and f"{form} {inner}"
