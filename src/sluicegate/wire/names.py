"""The one place where a host becomes canonical text. Two spellings of one host must not differ here."""

from __future__ import annotations

import functools
import ipaddress
import re

from sluicegate.wire.cursor import WireError

# RFC 1035 section 2.3.4, in bytes without the root label.
MAX_NAME = 253
MAX_LABEL = 63
# A raw spelling may be longer than its canonical form (IDNA mapping), but never by this much.
MAX_RAW = 1024
KEPT = 1024  # names of which we remember what they are: programs ask for the same few

# Service names (RFC 2782) need the underscore; everything else beyond letters and digits is trouble.
_LABEL = re.compile(r"[a-z0-9_-]{1,63}", re.ASCII)
_CONTROL = re.compile(r"[\0-\x20\x7f]")
_PORT = re.compile(r"[0-9]{1,5}", re.ASCII)
_HEX = re.compile(r"0x[0-9a-f]*", re.ASCII)


@functools.lru_cache(maxsize=KEPT)
def host(raw: str) -> str:
    """The canonical form: lower-case A-labels without trailing dot, or canonical IP text.

    Raises:
        WireError: no host, or one that two parsers could read differently.
    """
    if not raw or len(raw) > MAX_RAW:
        raise WireError("host is empty or too long")
    if "%" in raw:
        raise WireError("host has a percent sign (escape or zone)")
    if _CONTROL.search(raw):
        raise WireError("host has a control character or a space")
    if raw[0] == "[" or raw[-1] == "]":
        if len(raw) < 4 or raw[0] != "[" or raw[-1] != "]":
            raise WireError("host has an unpaired bracket")
        return _ipv6(raw[1:-1])
    if ":" in raw:
        return _ipv6(raw)
    return _name(raw.lower() if raw.isascii() else _to_ascii(raw))


@functools.lru_cache(maxsize=KEPT)
def is_address(text: str) -> bool:
    """Whether canonical `text` is an IP address, not a name."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return text == (
        str(address) if isinstance(address, ipaddress.IPv4Address) else _six_text(address)
    )


def authority(raw: str, default_port: int | None) -> tuple[str, int | None]:
    """The canonical host and the port of `host[:port]`; userinfo and an empty port are refused."""
    if "@" in raw:
        raise WireError("authority has userinfo")
    port = default_port
    if raw.startswith("["):
        name, bracket, rest = raw.partition("]")
        name += bracket
        if rest:
            if rest[0] != ":":
                raise WireError("authority has text after the bracket")
            port = _port(rest[1:])
    else:
        name, colon, rest = raw.partition(":")
        if colon:
            port = _port(rest)
    return host(name), port


def _port(text: str) -> int:
    if not _PORT.fullmatch(text) or not 0 < int(text) < 65536:
        raise WireError("port is not a number from 1 to 65535")
    return int(text)


def _ipv6(text: str) -> str:
    try:
        return _six_text(ipaddress.IPv6Address(text))
    except ValueError as error:
        raise WireError("not an IPv6 address") from error


def _six_text(address: ipaddress.IPv6Address) -> str:
    # Python 3.13 began to print v4-mapped addresses with dots: hexadecimal text on every version.
    if address.ipv4_mapped is not None:
        low = int(address) & 0xFFFFFFFF
        return f"::ffff:{low >> 16:x}:{low & 0xFFFF:x}"
    return str(address)


def _to_ascii(raw: str) -> str:
    import idna

    try:
        mapped = idna.uts46_remap(raw, std3_rules=False, transitional=False)
        if mapped.isascii():
            return mapped.lower()
        return idna.encode(mapped, uts46=False).decode("ascii").lower()
    except (idna.IDNAError, UnicodeError, ValueError) as error:
        raise WireError("host is not a valid international name") from error


def _name(text: str) -> str:
    name = text.removesuffix(".")
    if not name or len(name) > MAX_NAME:
        raise WireError("name is empty or longer than 253 bytes")
    labels = name.split(".")
    for label in labels:
        if not _LABEL.fullmatch(label):
            raise WireError("name has an empty, long or malformed label")
        if label.startswith("xn--"):
            _check_a_label(label)
    # A name that ends in a number is an address to inet_aton and to browsers, or nothing at all.
    if labels[-1].isdigit() or _HEX.fullmatch(labels[-1]):
        return _ipv4(labels)
    return name


def _check_a_label(label: str) -> None:
    import idna

    try:
        if idna.alabel(idna.ulabel(label)).decode("ascii") != label:
            raise WireError("name has an A-label that is not canonical")
    except (idna.IDNAError, UnicodeError) as error:
        raise WireError("name has an invalid A-label") from error


def _ipv4(parts: list[str]) -> str:
    if len(parts) > 4:
        raise WireError("more than four parts in an IPv4 address")
    numbers = [_part(part) for part in parts]
    if any(n > 255 for n in numbers[:-1]) or numbers[-1] >= 256 ** (5 - len(parts)):
        raise WireError("a part of an IPv4 address is too large")
    value = numbers[-1]
    for index, number in enumerate(numbers[:-1]):
        value += number << (8 * (3 - index))
    return str(ipaddress.IPv4Address(value))


def _part(text: str) -> int:
    # "0x" alone is zero to some and an error to others.
    try:
        if _HEX.fullmatch(text):
            return int(text[2:], 16)  # noqa: FURB166 - base 0 would take underscores
        if not text.isdigit() or len(text) > 16:
            raise WireError("a part of an IPv4 address is not a number")
        return int(text, 8) if text[0] == "0" else int(text)
    except ValueError as error:
        raise WireError("a part of an IPv4 address is not a number") from error
