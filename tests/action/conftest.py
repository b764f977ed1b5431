"""One machine for all tests of the action: it installs once."""

from __future__ import annotations

from collections.abc import Callable, Iterator

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


@pytest.fixture
def job_in(world: World) -> Callable[[House], HouseJob]:
    return lambda where: HouseJob(where, world)
