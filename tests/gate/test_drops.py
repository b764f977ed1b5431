import errno
import socket
from collections.abc import Callable, Iterator, Mapping

import pytest

from sluicegate import jcs
from sluicegate.evidence import chain, counts, journal
from sluicegate.gate import drops, groups
from sluicegate.gate.drops import Drops
from sluicegate.gate.ledger import Ledger
from sluicegate.verify.counted import Bound, Counted
from sluicegate.wire import nflog
from tests.evidence import made

SECOND = 1_000_000_000
RUN = chain.Run("00" * 16, "11" * 16, "sha256:" + "22" * 32, "33" * 32, 60)


class Book(Ledger):
    """Keeps what is submitted; checks that the notary would take it."""

    def __init__(self) -> None:
        self.records: list[Mapping[str, jcs.Json]] = []
        self.journal = journal.Journal(RUN, lambda _: bytes(64))
        self.counted = Counted(Bound())

    @property
    def congested(self) -> bool:
        return False

    @property
    def full(self) -> bool:
        return False

    def submit(self, record: Mapping[str, jcs.Json], callback: Callable[[], None]) -> None:
        assert len(jcs.encode(dict(record))) <= journal.MAX_LINE_BYTES
        self.journal.flow(journal.check(dict(record)), "2026-01-02T03:04:05Z")
        made.made_again(self.counted, record)
        self.records.append(record)

    def groups(self) -> list[dict[str, jcs.Json]]:
        found: list[dict[str, jcs.Json]] = []
        for record in self.records:
            flow = record["flow"]
            assert isinstance(flow, dict)
            listed = flow["groups"]
            assert isinstance(listed, list)
            found += [one for one in listed if isinstance(one, dict)]
        return found


class Overrun(socket.socket):
    """A socket whose first read says ENOBUFS."""

    told = False

    def recv(self, size: int, flags: int = 0) -> bytes:
        if not self.told:
            self.told = True
            raise OSError(errno.ENOBUFS, "no buffer space")
        return super().recv(size, flags)


def attribute(kind: int, value: bytes) -> bytes:
    raw = (4 + len(value)).to_bytes(2, "little") + kind.to_bytes(2, "little") + value
    return raw + bytes(-len(raw) % 4)


def message(seq: int, target: str = "192.0.2.7", port: int = 443, uid: int = 1000) -> bytes:
    packet = b"\x45" + bytes(8) + b"\x11" + bytes(2) + socket.inet_aton("10.255.0.1")
    packet += socket.inet_aton(target) + b"\x30\x39" + port.to_bytes(2, "big") + bytes(4)
    body = bytes(4) + attribute(9, packet) + attribute(11, uid.to_bytes(4, "big"))
    body += attribute(12, seq.to_bytes(4, "big"))
    return (16 + len(body)).to_bytes(4, "little") + b"\0\x04" + bytes(10) + body


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, kernel = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, kernel:
        yield ours, kernel


Pair = tuple[socket.socket, socket.socket]


def test_packets_are_grouped_and_told_after_a_second(pair: Pair) -> None:
    book = Book()
    heard = Drops(pair[0], book)
    for seq in range(3):
        pair[1].send(message(seq))
    pair[1].send(message(3, "192.0.2.8", 53))
    heard.readable(1)
    assert (heard.seen, book.records) == (4, [])
    heard.tick(SECOND)
    (record,) = book.records
    assert record["flow"] == {
        "kind": "drop",
        "groups": [
            {"protocol": "udp", "destination": "192.0.2.7", "port": 443, "uid": 1000, "count": 3},
            {"protocol": "udp", "destination": "192.0.2.8", "port": 53, "uid": 1000, "count": 1},
        ],
        "lost": 0,
        "sequence": 4,
    }
    assert (record["verdict"], record["transport"], record["layer"]) == (
        "block",
        "drop",
        "boundary",
    )


def test_one_group_is_the_target(pair: Pair) -> None:
    book = Book()
    heard = Drops(pair[0], book)
    pair[1].send(message(0))
    heard.flush()
    assert [record["target"] for record in book.records] == ["udp://192.0.2.7:443"]


def test_gaps_in_the_sequence_are_lost_packets(pair: Pair) -> None:
    book = Book()
    heard = Drops(pair[0], book)
    for seq in (0, 1, 5, 4, 6, 2**32 - 1, 9):
        pair[1].send(message(seq))
    heard.flush()
    assert (heard.seen, heard.lost) == (7, 3 + 2)


def test_the_sequence_may_start_anywhere_and_wraps(pair: Pair) -> None:
    heard = Drops(pair[0], Book())
    for seq in (2**32 - 2, 2**32 - 1, 0, 1):
        pair[1].send(message(seq))
    heard.flush()
    assert (heard.seen, heard.lost) == (4, 0)


def test_an_overrun_is_not_the_end(pair: Pair) -> None:
    with Overrun(fileno=socket.dup(pair[0].fileno())) as ours:
        heard = Drops(ours, Book())
        pair[1].send(message(0))
        heard.readable(1)
        assert heard.seen == 1


def test_any_other_error_is(pair: Pair) -> None:
    heard = Drops(pair[0], Book())
    pair[0].close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        heard.readable(1)


def test_losses_the_sequence_has_not_shown_yet(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    book = Book()
    heard = Drops(pair[0], book)
    monkeypatch.setattr(drops, "dropped", lambda _: 17)
    heard.flush()
    (record,) = book.records
    assert record["flow"] == {"kind": "drop", "groups": [], "lost": 17, "sequence": 0}


def test_a_hundred_thousand_packets_are_counted_in_bounded_lines(pair: Pair) -> None:
    book = Book()
    heard = Drops(pair[0], book)
    for seq in range(100_000):
        where = f"198.51.{seq % 60_000 >> 8}.{seq % 256}"
        for packet in nflog.read_messages(message(seq, where)):
            heard._count(packet)
    heard.flush()
    found = book.groups()
    assert sum(int(str(one["count"])) for one in found) == 100_000
    assert len(found) == groups.PENDING + 1
    assert found[-1]["destination"] == "(other)"
    assert len(book.records) <= groups.PENDING // counts.PER_LINE + 1


def test_one_turn_is_bounded(pair: Pair) -> None:
    heard = Drops(pair[0], Book())
    pair[1].setblocking(False)
    sent = 0
    try:
        for seq in range(2 * drops.TURN_DATAGRAMS):
            pair[1].send(message(seq) * 4)
            sent += 4
    except BlockingIOError:
        pass
    heard.readable(1)
    assert heard.seen <= 4 * drops.TURN_DATAGRAMS
    heard.flush()
    assert heard.seen == sent


def test_unreadable_packets_count_too(pair: Pair) -> None:
    book = Book()
    heard = Drops(pair[0], book)
    pair[1].send(message(0)[:40] + message(1))
    pair[1].send(b"\x14\0\0\0\0\x04" + bytes(14))
    heard.flush()
    assert {"protocol": "unreadable", "destination": "unknown", "count": 1} in book.groups()
