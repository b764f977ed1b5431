"""Changes of the boundary, from the kernel's word to the record."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Iterator, Mapping

import pytest

from sluicegate import jcs
from sluicegate.evidence import chain, counts, journal
from sluicegate.gate import watch
from sluicegate.gate.ledger import Ledger
from sluicegate.gate.watch import Watch
from sluicegate.verify.counted import Bound, Counted
from sluicegate.wire import netlink
from tests.evidence import made

RUN = chain.Run("00" * 16, "11" * 16, "sha256:" + "22" * 32, "33" * 32, 60)
SETTING = netlink.request(80, b"\2\0\0\0", 0, 0)


class Book(Ledger):
    """Keeps what is submitted; checks that the notary would take it."""

    def __init__(self) -> None:
        self.records: list[Mapping[str, jcs.Json]] = []
        self.callbacks: list[Callable[[], None]] = []
        self.journal = journal.Journal(RUN, lambda _: bytes(64))
        self.counted = Counted(Bound())

    def submit(
        self,
        record: Mapping[str, jcs.Json],
        callback: Callable[[], None],
        lazy_at: int | None = None,
    ) -> None:
        self.journal.flow(journal.check(dict(record)), "2026-01-02T03:04:05Z")
        made.made_again(self.counted, record)
        self.records.append(record)
        self.callbacks.append(callback)

    def told(self) -> list[object]:
        return [record["flow"] for record in self.records]


class Overrun(socket.socket):
    """A socket whose first read is an error."""

    number = errno.ENOBUFS

    def recv(self, size: int, flags: int = 0) -> bytes:
        if self.number:
            number, self.number = self.number, 0
            raise OSError(number, "a reason")
        return super().recv(size, flags)


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, kernel = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, kernel:
        yield ours, kernel


def change(what: str, count: int = 1) -> dict[str, object]:
    return {"kind": "change", "changes": [{"what": what, "count": count}]}


def test_the_first_change_shuts_and_is_told_when_it_is_on_record(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    book, happened = Book(), list[str]()
    ours, kernel = pair
    one = Watch((ours,), book, lambda: happened.append("shut"), happened.append)
    one.readable()
    assert (one.seen, happened, book.records) == (0, [], [])
    kernel.send(SETTING)
    kernel.send(SETTING)
    one.readable()
    assert happened == ["shut"]
    assert book.told() == [change("new setting", 2)]
    assert {book.records[0][name] for name in ("verdict", "layer")} == {"block", "boundary"}
    book.callbacks[0]()
    assert happened == ["shut", "new setting"]


def test_what_follows_is_one_receipt_at_the_end(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    book, happened = Book(), list[str]()
    ours, kernel = pair
    one = Watch((ours,), book, lambda: happened.append("shut"), happened.append)
    for _ in range(3):
        kernel.send(SETTING)
        one.readable()
    assert len(book.records) == 1
    kernel.send(netlink.request(36, bytes(20), 0, 0))
    one.flush()
    one.flush()
    assert len(book.records) == 2
    last = {
        "kind": "change",
        "changes": [{"what": "new setting", "count": 2}, {"what": "new queue", "count": 1}],
    }
    assert book.told()[1] == last
    assert (one.seen, happened) == (4, ["shut"])
    book.callbacks[1]()
    assert happened == ["shut"]


def test_a_change_at_the_very_end_is_told_too(pair: tuple[socket.socket, socket.socket]) -> None:
    book, happened = Book(), list[str]()
    ours, kernel = pair
    one = Watch((ours,), book, lambda: happened.append("shut"), happened.append)
    kernel.send(SETTING)
    one.flush()
    assert book.told() == [change("new setting")]
    book.callbacks[0]()
    assert happened == ["shut", "new setting"]


@pytest.mark.parametrize(
    ("number", "said"), [(errno.ENOBUFS, watch.LOST), (errno.EIO, "a broken subscription")]
)
def test_what_the_kernel_could_not_tell_is_a_change(
    pair: tuple[socket.socket, socket.socket], number: int, said: str
) -> None:
    book, happened = Book(), list[str]()
    with Overrun(fileno=pair[0].detach()) as ours:
        ours.number = number
        one = Watch((ours,), book, lambda: happened.append("shut"), happened.append)
        one.readable()
    assert book.told() == [change(said)]
    assert happened == ["shut"]


def test_memory_is_bounded(pair: tuple[socket.socket, socket.socket]) -> None:
    book = Book()
    ours, kernel = pair
    one = Watch((ours,), book, lambda: None, lambda _: None)
    for kind in range(2600, 2600 + counts.MAX_KINDS + 9):
        kernel.send(netlink.request(kind, b"", 0, 0))
        one.readable()
    one.flush()
    assert one.seen == counts.MAX_KINDS + 9
    flow = book.records[1]["flow"]
    assert isinstance(flow, dict)
    listed = flow["changes"]
    assert isinstance(listed, list)
    assert len(listed) == counts.MAX_KINDS + 1
    assert listed[-1] == {"what": "(other)", "count": 8}
