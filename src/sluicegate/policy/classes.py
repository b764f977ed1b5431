"""Of all names, addresses, ports and methods, a few that stand for the rest: what rules do not tell apart. Pure."""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Iterable, Iterator, Sequence

from sluicegate.policy import decide
from sluicegate.policy.model import DEFAULT_PORTS
from sluicegate.wire import addresses as inside
from sluicegate.wire import names as canonical

_LOW = 0xFFFFFFFF
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
# Told in counter-examples, so words that say what they are.
_LABELS = ("any", "other", "another", *_LETTERS)
_OTHER_METHODS = ("PROPFIND", "TRACE", "PURGE", "REPORT", "MKCOL", "LOCK", "COPY", "DEBUG")
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_RANGES = tuple(net for net, _ in inside.RANGES)
_TEREDO = ipaddress.IPv6Network("2001::/32")
# RFC 5214 section 6.1, with the universal bit and without: the upper half of the interface identifier.
_ISATAP = (0x00005EFE, 0x02005EFE)


def names(hosts: Iterable[tuple[str, bool]]) -> tuple[str, ...]:
    """Names of which each name of the world is like one: the same of `hosts` (host, wildcard) are about both.

    A name that none of them writes is like a new one below the deepest wildcard that it is below, or below none.
    """
    known = dict.fromkeys(hosts)
    plain = list(dict.fromkeys(host for host, _ in known))
    found = dict.fromkeys(plain)
    for host in (host for host, wildcard in known if wildcard):
        found.update(dict.fromkeys(_below(host, found)))
    taken = {host.rpartition(".")[2] for host in plain}
    top = next(label for label in _fresh() if label not in taken)
    return (*found, f"{top}.invalid" if "invalid" not in taken else top)


def _below(host: str, taken: Iterable[str]) -> Iterator[str]:
    """A name below `host` that is not written anywhere, where there is room for one."""
    for label in _fresh():
        if len(host) + 1 + len(label) <= canonical.MAX_NAME and not any(
            name == f"{label}.{host}" or name.endswith(f".{label}.{host}") for name in taken
        ):
            yield f"{label}.{host}"
            return
        if len(label) == 1 and len(host) + 2 > canonical.MAX_NAME:
            return


def _fresh() -> Iterator[str]:
    yield from _LABELS
    for first in _LETTERS:
        yield from (first + second for second in _LETTERS)
    number = 0
    while True:
        yield f"n{number}"
        number += 1


def ports(written: Iterable[int]) -> tuple[int, ...]:
    """The ports that rules write, those that a host's are limited to by nature, and one that nobody writes."""
    known = {*written, *DEFAULT_PORTS}
    other = next((port for port in (8443, *range(1, 65_536)) if port not in known), None)
    return (*sorted(known), *(() if other is None else (other,)))


def methods(written: Iterable[str]) -> tuple[str, ...]:
    """The methods that rules write, a common one and an uncommon one that they do not."""
    known = set(written)
    common = [m for m in ("GET", "POST", "PUT", *sorted(decide.COMMON_METHODS)) if m not in known]
    others = (*_OTHER_METHODS, *(f"X{number}" for number in range(len(known) + 1)))
    odd = next(method for method in others if method not in known)
    first = [method for method in ("GET", "HEAD", "POST") if method in known]
    return (*first, *common[:1], *sorted(known.difference(first)), odd)


@functools.lru_cache(maxsize=64)  # tests ask for the same few again and again
def addresses(networks: tuple[str, ...]) -> tuple[str, ...]:
    """Addresses of which each one of the world is like one: in the same of `networks`, as allow and as deny rules have
    it, and inside the same kind of range, or public.

    All but the low bits of Teredo and ISATAP addresses are intervals of the number line, of which the first address
    stands for the rest. Addresses with a zone are left out: they are link-local, and like the same without it.
    """
    nets = [ipaddress.ip_network(net) for net in networks]
    four = sorted(_starts((*nets, *_RANGES), 4))
    shown = [ipaddress.ip_address("192.0.2.1")]
    # Some host of each network makes the better counter-example.
    shown += [net.network_address + min(1, net.num_addresses - 1) for net in nets]
    kept: dict[object, Address] = {}
    for value in (*shown, *map(ipaddress.IPv4Address, four), *_six(nets, four)):
        kept.setdefault(_signature(nets, value), value)
    return tuple(canonical.host(f"[{v}]" if v.version == 6 else str(v)) for v in kept.values())


def _signature(nets: Sequence[Network], value: Address) -> object:
    return (
        tuple(decide.holds(net, value, deny=deny) for net in nets for deny in (False, True)),
        inside.internal(str(value)) is not None,
    )


def _starts(nets: Iterable[Network], version: int) -> set[int]:
    """Where the networks of that version begin, and what follows them does."""
    found = {0}
    for net in nets:
        if net.version == version:
            first = int(net.network_address)
            found |= {first, first + net.num_addresses}
    return {start for start in found if start >> (32 if version == 4 else 128) == 0}


def _six(nets: Sequence[Network], four: Sequence[int]) -> Iterator[Address]:
    forms = [net for net, _, _ in inside.EMBEDDING]
    starts = _starts((*nets, *_RANGES, *forms, _TEREDO), 6)
    for net, shift, _ in (*inside.EMBEDDING, (_TEREDO, 64, "")):
        starts |= {int(net.network_address) | start << shift for start in four}
    starts |= set(_clients(starts, _few(nets, four), four))
    starts |= set(_isatap(starts, _few((), four), four))
    return map(ipaddress.IPv6Address, sorted(starts))


def _few(nets: Sequence[Network], four: Sequence[int]) -> list[int]:
    """One of each kind of IPv4 address."""
    kept = dict[object, int]()
    for number in four:
        kept.setdefault(_signature(nets, ipaddress.IPv4Address(number)), number)
    return list(kept.values())


def _clients(starts: Iterable[int], few: Sequence[int], four: Sequence[int]) -> Iterator[int]:
    """Teredo's low 32 bits are the client, inverted: with each server one of each kind of client."""
    for start in [start for start in starts if start >> 96 == 0x2001_0000]:
        for block in (start >> 32, (start >> 32) + 1):
            yield from (block << 32 | (~client & _LOW) for client in few)
        if (
            start & _LOW
        ):  # a network that begins within: every place in it where another kind begins
            yield from (start >> 32 << 32 | (-client & _LOW) for client in four)


def _isatap(starts: Iterable[int], few: Sequence[int], four: Sequence[int]) -> Iterator[int]:
    """In every stretch that holds a whole /64, ISATAP addresses of each kind; in a part of one, wherever they begin."""
    all_starts = set(starts)
    whole = {block for start in all_starts for block in (start >> 64, (start >> 64) + 1)}
    for block in {block for block in whole if block >> 64 == 0}:
        yield from (block << 64 | marker << 32 | one for marker in _ISATAP for one in few)
    for block in {start >> 64 for start in all_starts if start & (1 << 64) - 1}:
        yield from (block << 64 | marker << 32 | one for marker in _ISATAP for one in four)
        yield from (block << 64 | marker + 1 << 32 for marker in _ISATAP)
