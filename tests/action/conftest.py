"""One machine for all tests of the action: it installs once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.action.house import House, HouseJob, house
from tests.world import World


@pytest.fixture(scope="session")
def hosted(world: World) -> Iterator[House]:
    """As a hosted runner: an ordinary user with sudo and no password."""
    with house(world) as made:
        yield made


@pytest.fixture
def job(world: World, hosted: House) -> HouseJob:
    return HouseJob(hosted, world)


@pytest.fixture(scope="session")
def container(world: World, hosted: House) -> Iterator[House]:
    """A job in a container: root, and no sudo in it."""
    _installed(hosted)
    with house(world, user=0, like=hosted) as made:
        yield made


@pytest.fixture(scope="session")
def ordinary(world: World, hosted: House) -> Iterator[House]:
    """A machine of one's own: a user that may not become root."""
    _installed(hosted)
    with house(world, sudo=False, like=hosted) as made:
        yield made


def _installed(where: House) -> None:
    """Has the action install there, unless a test did."""
    HouseJob(where, where.world).step({"uses": "./", "with": {"run": "true"}})
