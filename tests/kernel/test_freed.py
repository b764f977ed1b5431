"""What ended is freed at once: no two parts of a connection hold each other, so memory waits for no collector."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sluicegate.gate.exchange import Exchange
from sluicegate.gate.flow import Flow
from sluicegate.gate.opened import Opened
from tests.kernel.gatehouse import until
from tests.kernel.test_opened import NAME, Site, ask, house, reading
from tests.kernel.test_rest import play


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Iterator[weakref.WeakSet[Any]]:
    """What lives of the connections, and of their parts, that are made without a collector."""
    living = weakref.WeakSet[Any]()
    for kind in (Flow, Opened, Exchange):
        begin: Any = kind.__init__

        def init(self: Any, *known: Any, begin: Any = begin, **more: Any) -> None:
            living.add(self)
            begin(self, *known, **more)

        monkeypatch.setattr(kind, "__init__", init)
    gc.collect()
    gc.disable()
    yield living
    gc.enable()


@pytest.mark.parametrize("faulty", [False, True])
def test_connections_with_many_requests(
    faulty: bool, made: weakref.WeakSet[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = play(0, faulty, monkeypatch)
    assert world.seen["200"] > 9
    assert not made


def test_an_opened_connection(made: weakref.WeakSet[Any], tmp_path: Path) -> None:
    site = Site(tmp_path)
    with house(site, reading(site)) as place:
        host = f"{NAME}:{site.server.port}"
        peer = place.connect()
        for path in ("/a", "/b", "/c"):
            assert ask(peer, f"GET {path}", host=host).endswith(f"{path} 0".encode())
        assert made
        peer.close()
        assert until(lambda: not made)
