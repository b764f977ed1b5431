"""Every address, name, port and method of a small world is like one of those that stand for all."""

from __future__ import annotations

import ipaddress
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from sluicegate.policy import classes, decide
from sluicegate.wire.addresses import internal
from sluicegate.wire.names import MAX_NAME, host

NETWORKS = st.lists(
    st.sampled_from(
        [
            *(
                "192.0.2.0/24",
                "192.0.2.7/32",
                "10.0.0.0/8",
                "10.128.0.0/9",
                "0.0.0.0/0",
                "8.0.0.0/7",
            ),
            *("2001:db8::/32", "2001:db8::5efe:a00:0/104", "64:ff9b::/96", "64:ff9b::a00:0/104"),
            *("2001::/32", "2001:0:a00::/40", "2001:0:a00:1::8000:0/97", "2002:a00::/24", "::/0"),
            *("fe80::/10", "::fffe:0:0/95", "fd00:ec2::254/128"),
        ]
    ),
    max_size=4,
    unique=True,
).map(tuple)
FOUR = [0x0A000001, 0x08080808, 0xC0000207, 0xA9FEA9FE, 0x0AFFFFFF, 0xFFFFFFFF, 0]


def some_addresses(networks: tuple[str, ...], seed: int) -> list[str]:
    """In and around each network, and in each form that holds an IPv4 address."""
    dice = random.Random(seed)
    made = [ipaddress.IPv4Address(dice.getrandbits(32)) for _ in range(20)]
    numbers = [dice.choice([*FOUR, dice.getrandbits(32)]) for _ in range(30)]
    six = []
    for one, other in zip(numbers, reversed(numbers), strict=True):
        made.append(ipaddress.IPv4Address(one))
        six += [0xFFFF << 32 | one, 0xFFFF0000 << 32 | one, one, 0x64FF9B << 96 | one]
        six += [0x2002 << 112 | one << 80 | dice.getrandbits(80)]
        six += [0x20010000 << 96 | one << 64 | dice.getrandbits(32) << 32 | other ^ 0xFFFFFFFF]
        six += [dice.getrandbits(64) << 64 | dice.choice([0x5EFE, 0x02005EFE]) << 32 | one]
    for text in networks:
        net = ipaddress.ip_network(text)
        first = int(net.network_address)
        within = first + dice.randrange(net.num_addresses)
        near = [first - 1, first, within, first + net.num_addresses - 1, first + net.num_addresses]
        if net.version == 4:
            made += [ipaddress.IPv4Address(number) for number in near if 0 <= number < 1 << 32]
            continue
        six += near
        isatap = [within >> 64 << 64 | 0x5EFE << 32 | number for number in numbers]
        clients = [within >> 32 << 32 | number for number in numbers]
        six += [
            number for number in (*isatap, *clients) if first <= number < first + net.num_addresses
        ]
    made_six = [ipaddress.IPv6Address(number) for number in six if 0 <= number < 1 << 128]
    return [host(f"[{one}]") for one in made_six] + [str(one) for one in made]


def kind(networks: tuple[str, ...], address: str) -> tuple[object, ...]:
    held = [decide.inside(net, address, deny=deny) for net in networks for deny in (False, True)]
    return (*held, internal(address) is not None)


@settings(deadline=None, max_examples=20)
@given(NETWORKS, st.integers(0, 1 << 30))
def test_addresses(networks: tuple[str, ...], seed: int) -> None:
    kinds = {kind(networks, address) for address in classes.addresses(networks)}
    for address in some_addresses(networks, seed):
        assert kind(networks, address) in kinds, address


HOSTS = [
    "example",
    "a.example",
    "b.a.example",
    "any.example",
    "other.example",
    "x.y.example",
    "invalid",
]
WORLD = [
    *HOSTS,
    "q.example",
    "q.a.example",
    "q.b.a.example",
    "y.example",
    "q.any.example",
    "test",
    "q.r.a.example",
]


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(HOSTS), st.booleans()), max_size=6))
def test_names(hosts: list[tuple[str, bool]]) -> None:
    def matched(name: str) -> frozenset[tuple[str, bool]]:
        return frozenset(
            (text, wild)
            for text, wild in hosts
            if (name.endswith(f".{text}") if wild else name == text)
        )

    found = classes.names(hosts)
    assert {matched(name) for name in WORLD} <= {matched(name) for name in found}
    assert all(host(name) == name for name in found)


def test_a_name_too_long_to_have_others_below_it() -> None:
    long = ".".join(["a" * 62] * 4)[: MAX_NAME - 2]
    assert [len(name) for name in classes.names([(long, True)])] == [MAX_NAME - 2, MAX_NAME, 11]
    longest = f"b.{long}"
    assert [len(name) for name in classes.names([(longest, True)])] == [MAX_NAME, 11]


def test_ports_and_methods_have_one_that_nobody_writes() -> None:
    assert classes.ports([22]) == (22, 80, 443, 8443)
    assert classes.ports([8443]) == (80, 443, 8443, 1)
    assert classes.ports(range(1, 65_536)) == tuple(range(1, 65_536))
    assert classes.methods([]) == ("GET", "PROPFIND")
    assert classes.methods(["GET", "TRACE"]) == ("GET", "POST", "TRACE", "PROPFIND")
    common = sorted(decide.COMMON_METHODS)
    assert classes.methods(common)[-1] not in common
    assert len(classes.methods(common)) == len(common) + 1
