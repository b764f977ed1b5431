"""Contents that are read before their request is judged: whatever becomes of the request, their room is given back.

P27 of the attack catalogue: who keeps room keeps others of the run from being signed for.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sluicegate.gate.vault import Vault
from tests.adversarial.test_signatures import SECRET, Signer, vault
from tests.kernel.gatehouse import until
from tests.kernel.test_h2 import open_to
from tests.kernel.test_opened import House, Site, answer, house

SIZE = 300_000


class Mute(Site):
    """Reads all, and answers only what begins with /ok."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.asked, self.over = threading.Event(), threading.Event()

    def _talk(self, peer: ssl.SSLSocket) -> None:
        head = peer.recv(65536)
        if head:
            self.asked.set()
        if head.startswith(b"POST /cut"):
            peer.shutdown(socket.SHUT_RDWR)
        elif head.startswith(b"POST /ok"):
            while not head.endswith(b"."):
                head += peer.recv(65536)
            peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            self.over.wait(10)
        else:
            while peer.recv(65536):
                pass


class Case:
    """A gate, a client in it, and what it holds."""

    def __init__(self, place: House, site: Mute, kept: Vault) -> None:
        self.place, self.site, self._kept = place, site, kept
        self.peer = place.connect()
        self.signer = Signer(site.server.port)

    def held(self, least: int) -> None:
        assert until(lambda: self._kept._room.held >= least)

    def request(self, path: str, key: str | None = None) -> bytes:
        content = bytes(SIZE - 1) + b"."
        more = {} if key is None else {"key": key}
        return self.signer.http1(f"POST {path}", content, **more)[0]

    def reset(self) -> None:
        self.peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.peer.close()


def reset_in_the_middle(case: Case) -> None:
    case.peer.sendall(case.request("/a")[:-1])
    case.held(SIZE - 1)
    case.reset()


def end_in_the_middle(case: Case) -> None:
    case.peer.sendall(case.request("/a")[:-1])
    case.held(SIZE - 1)
    with contextlib.suppress(ssl.SSLError):  # of the gate's last words, which come after ours
        case.peer.unwrap()


def stop_in_the_middle(case: Case) -> None:
    case.peer.sendall(case.request("/a")[:-1])
    case.held(SIZE - 1)
    case.place.gate.stop()


def bad_chunks(case: Case) -> None:
    head = case.request("/a").partition(b"\r\n\r\n")[0]
    head = head.replace(b"content-length: %d" % SIZE, b"transfer-encoding: chunked")
    case.peer.sendall(head + b"\r\n\r\n%x\r\n" % SIZE + bytes(SIZE))
    case.held(SIZE)
    case.peer.sendall(b"no end of a chunk\r\n")
    assert answer(case.peer).startswith(b"HTTP/1.1 4")
    case.peer.close()


def refused_and_the_client_stays(case: Case) -> None:
    case.peer.sendall(case.request("/a", "another key"))
    assert b"rule: signature" in answer(case.peer)
    assert case.peer.recv(1) == b""
    case.peer.close()


def over_the_limit_of_the_run(case: Case) -> None:
    case.peer.sendall(case.request("/ok"))
    assert b"rule: limits.upload" in answer(case.peer)
    case.peer.close()


def reset_while_the_record_is_made(case: Case) -> None:
    notary = case.place.gate.notary
    before = len(notary.messages)
    notary.answering.clear()
    case.peer.sendall(case.request("/ok"))
    with notary.arrived:
        assert notary.arrived.wait_for(lambda: len(notary.messages) > before, 8)
    case.held(SIZE)
    case.reset()
    notary.answering.set()


def stop_while_the_server_is_silent(case: Case) -> None:
    case.peer.sendall(case.request("/silent"))
    assert case.site.asked.wait(8)
    case.place.gate.stop()


def reset_while_the_server_is_silent(case: Case) -> None:
    case.peer.sendall(case.request("/silent"))
    assert case.site.asked.wait(8)
    case.reset()


def a_server_that_leaves(case: Case) -> None:
    case.peer.sendall(case.request("/cut"))
    assert answer(case.peer).startswith(b"HTTP/1.1 502 ")
    case.peer.close()


def a_connection_that_stays(case: Case) -> None:
    """What was answered holds nothing, though the next request has not come."""
    case.peer.sendall(case.request("/ok"))
    assert answer(case.peer).startswith(b"HTTP/1.1 200 ")


CASES: tuple[Callable[[Case], None], ...] = (
    reset_in_the_middle,
    end_in_the_middle,
    stop_in_the_middle,
    bad_chunks,
    refused_and_the_client_stays,
    reset_while_the_record_is_made,
    stop_while_the_server_is_silent,
    reset_while_the_server_is_silent,
    a_server_that_leaves,
    a_connection_that_stays,
)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Mute]:
    made = Mute(tmp_path)
    yield made
    made.over.set()


@pytest.mark.parametrize("end", CASES, ids=lambda case: case.__name__)
def test_P27_room_is_given_back(site: Mute, end: Callable[[Case], None]) -> None:  # noqa: N802
    kept = vault()
    with house(site, open_to(site), vault=kept, secrets=(SECRET,)) as place:
        end(Case(place, site, kept))
        assert until(lambda: kept._room.held == 0)


def test_P27_a_limit_of_what_goes_up_holds_for_it(site: Mute) -> None:  # noqa: N802
    """Not a byte of it goes up, though all of it was there."""
    kept = vault()
    more = {"secrets": (SECRET,), "upload": SIZE}
    with house(site, open_to(site), vault=kept, **more) as place:
        over_the_limit_of_the_run(Case(place, site, kept))
        assert until(lambda: kept._room.held == 0)
        place.gate.stop()
        (denied,) = [m for m in place.gate.notary.messages if m["verdict"] == "block"]
    assert denied["flow"]["rule"] == "limits.upload"
    assert not site.asked.is_set()
