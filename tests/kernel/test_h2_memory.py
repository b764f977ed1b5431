"""HTTP/2 that wants the gate's memory: whatever all connections of a run do together, it stays bounded.

What is held is counted here by what is found in pipes, not by the gate's own count.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
from h2.errors import ErrorCodes
from h2.events import PingAckReceived
from h2.settings import SettingCodes

from sluicegate.gate import desk, h2call
from sluicegate.gate.h2pipe import FIRST_WINDOW, Pipe
from sluicegate.gate.h2store import SPARE, STREAM_BYTES, Store
from tests.kernel import gatehouse
from tests.kernel.test_h2 import open_to
from tests.kernel.test_opened import house
from tests.kernel.twohouse import Client, Peer, Site2, inner

MOST = 64 * (STREAM_BYTES + FIRST_WINDOW)
# Nothing is begun beyond the most, no refusal beyond the spare part: what is counted after that is one's last.
CEILING = MOST + MOST // SPARE + 2 * STREAM_BYTES
STORES, PIPES = list[Store](), list[Pipe]()


@pytest.fixture(autouse=True)
def store(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gate's own, and all of its pipes, to be looked at."""
    STORES.clear()
    PIPES.clear()

    def made(most: int) -> Store:
        STORES.append(Store(most))
        return STORES[-1]

    def piped(*given: Any) -> Pipe:
        PIPES.append(Pipe(*given))
        return PIPES[-1]

    monkeypatch.setattr(desk, "Store", made)
    monkeypatch.setattr(h2call, "Pipe", piped)


def waiting() -> int:
    """Bytes that are in some pipe."""
    heads = [head for one in PIPES for head in [*one.heads, one.trailers or []]]
    return sum(len(one.body) for one in PIPES) + sum(
        len(name) + len(value) for head in heads for name, value in head
    )


def heeded(client: Client) -> None:
    """Until the gate has gone through all that was sent, or has said goodbye."""
    before = len(client.events)
    with contextlib.suppress(OSError):
        client.conn.ping(b"12345678")
        client.flush()
    client.until(
        lambda: (
            client.goaway is not None
            or any(isinstance(one, PingAckReceived) for one in client.events[before:])
        )
    )


def emptied() -> bool:
    return gatehouse.until(lambda: STORES[0].held == 0)


def test_a_flood_of_connections_with_full_windows(tmp_path: Path) -> None:
    """Sixteen clients, each with eight streams that fill their first window, of a server that takes nothing."""
    site = Site2(tmp_path)
    site.settings = {SettingCodes.INITIAL_WINDOW_SIZE: 0}
    with house(site, open_to(site), h2_bytes=MOST) as place:
        clients = [Client(place, site.server.port) for _ in range(16)]
        for client in clients:
            for number in range(8):
                client.ask("POST", f"/{number}", b"x" * FIRST_WINDOW)
            heeded(client)
            assert waiting() <= MOST
            assert STORES[0].held <= CEILING
        said = b"".join(bytes(body) for client in clients for body in client.bodies.values())
        assert b"the HTTP/2 requests of this run take too much memory" in said
        assert b"the HTTP/2 requests of this run hold %d bytes already" % MOST in said
        heads = [head[-1][":status"] for client in clients for head in client.heads.values()]
        assert {*heads} == {"502", "503"}
        for client in clients:
            client.own.close()
        assert emptied()
        # Whoever comes then is served.
        assert Client(place, site.server.port).get("/after") == (200, b"/after 0")
        place.gate.stop()
        messages = place.gate.notary.messages
    assert waiting() == 0
    many = [m["flow"] for m in messages if m["flow"]["kind"] == "overload"]
    assert {flow["limit"] for flow in many} == {"memory"}
    assert sum(flow["count"] for flow in many) == heads.count("503") > 20
    full = [f for f in inner(messages) if f["outcome"].startswith("refused: the HTTP/2 requests")]
    assert full


def test_whoever_does_not_even_take_the_refusals_has_to_go(tmp_path: Path) -> None:
    site = Site2(tmp_path)
    held = list[int]()

    def hold(_: Peer, number: int, __: dict[str, str]) -> bool:
        held.append(number)
        return True

    site.behave = hold
    settings = {SettingCodes.INITIAL_WINDOW_SIZE: 0}
    with house(site, open_to(site), h2_bytes=16 * STREAM_BYTES) as place:
        client = Client(place, site.server.port, settings=settings)
        with contextlib.suppress(OSError):
            for _ in range(40):
                client.ask("GET", "/held")
        client.until(lambda: client.goaway is not None)
        assert client.goaway == ErrorCodes.ENHANCE_YOUR_CALM
        block = place.gate.notary.verdict("block")
        assert "HTTP/2 requests of this run hold" in block["flow"]["fault"]
        assert emptied()
        place.gate.stop()
    assert len(held) <= 16


def test_what_has_no_room_before_its_receipt_is_never_begun(tmp_path: Path) -> None:
    """It is refused between its intent and the notary's word, which must not send it then.

    The client does not take the answer, so that the request is not over.
    """
    site = Site2(tmp_path)
    with house(site, open_to(site), h2_bytes=STREAM_BYTES) as place:
        client = Client(place, site.server.port, settings={SettingCodes.INITIAL_WINDOW_SIZE: 0})
        notary = place.gate.notary
        notary.answering.clear()
        number = client.ask("POST", "/crowded", b"x" * 1000)
        client.until(lambda: number in client.heads)
        assert client.heads[number] == [{**client.heads[number][0], ":status": "502"}]
        notary.answering.set()
        assert gatehouse.until(lambda: bool(inner(notary.messages)))
        # What the server was sent by then would come before the answer to this.
        assert gatehouse.until(lambda: bool(site.peers))
        before, peer = len(site.events), site.peers[0]
        peer.todo.append(lambda: (peer.conn.ping(b"12345678"), peer.flush())[0])
        assert gatehouse.until(
            lambda: any(isinstance(one, PingAckReceived) for one in site.events[before:])
        )
        assert not site.asked
        place.gate.stop()


@pytest.mark.parametrize("part", ["content", "trailers"])
def test_a_server_fills_it(tmp_path: Path, part: str) -> None:
    """A hundred responses to a client that takes nothing: large contents or trailers."""
    site = Site2(tmp_path)

    def behave(peer: Peer, number: int, _: dict[str, str]) -> bool:
        large = [(f"x-{at}", "y" * 2000) for at in range(8)]
        peer.conn.send_headers(number, [(":status", "200")])
        peer.conn.send_data(number, b"x" * (FIRST_WINDOW if part == "content" else 1))
        peer.conn.send_headers(number, large if part == "trailers" else [("x-a", "b")], True)
        peer.flush()
        return True

    site.behave = behave
    with house(site, open_to(site), h2_bytes=MOST) as place:
        client = Client(place, site.server.port, settings={SettingCodes.INITIAL_WINDOW_SIZE: 0})
        for number in range(100):
            client.ask("GET", f"/{number}")
        assert gatehouse.until(
            lambda: (
                any(f"hold {MOST}" in f["outcome"] for f in inner(place.gate.notary.messages))
                or STORES[0].full
            )
        )
        assert waiting() <= MOST
        assert STORES[0].held <= CEILING
        client.own.close()
        assert emptied()
        place.gate.stop()
    assert waiting() == 0
