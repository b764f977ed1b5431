import socket
from collections.abc import Callable, Iterator, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate import jcs
from sluicegate.evidence import chain, counts, journal
from sluicegate.gate import resolver
from sluicegate.gate.ledger import Ledger
from sluicegate.gate.names import Names
from sluicegate.gate.resolver import Resolver, reply_to
from sluicegate.verify.counted import Bound, Counted
from sluicegate.wire import dns
from tests.evidence import made

SECOND = 1_000_000_000
RUN = chain.Run("00" * 16, "11" * 16, "sha256:" + "22" * 32, "33" * 32, 60)


class Book(Ledger):
    """Keeps what is submitted; checks that the notary would take it."""

    def __init__(self) -> None:
        self.records: list[Mapping[str, jcs.Json]] = []
        self.journal = journal.Journal(RUN, lambda _: bytes(64))
        self.counted = Counted(Bound())
        self.state = ""

    @property
    def congested(self) -> bool:
        return self.state == "congested"

    @property
    def full(self) -> bool:
        return self.state == "full"

    def submit(self, record: Mapping[str, jcs.Json], callback: Callable[[], None]) -> None:
        assert len(jcs.encode(dict(record))) <= journal.MAX_LINE_BYTES
        self.journal.flow(journal.check(dict(record)), "2026-01-02T03:04:05Z")
        made.made_again(self.counted, record)
        self.records.append(record)

    def questions(self, verdict: str) -> list[dict[str, jcs.Json]]:
        found: list[dict[str, jcs.Json]] = []
        for record in self.records:
            flow = record["flow"]
            assert isinstance(flow, dict)
            asked = flow["questions"]
            assert isinstance(asked, list)
            if record["verdict"] == verdict:
                found += [one for one in asked if isinstance(one, dict)]
        return found


def ask(
    name: str, qtype: int = 1, *, flags: int = 0x0100, edns: bool = False, qclass: int = 1
) -> bytes:
    head = b"".join(n.to_bytes(2, "big") for n in (7, flags, 1, 0, 0, int(edns)))
    labels = b"".join(
        bytes([len(part)]) + part.encode("latin-1") for part in name.split(".") if part
    )
    tail = b"\0" + qtype.to_bytes(2, "big") + qclass.to_bytes(2, "big")
    return head + labels + tail + (b"\0\0\x29\x10\0" + bytes(6) if edns else b"")


def rcode(reply: bytes) -> int:
    return reply[3] & 15


def answers(reply: bytes) -> int:
    return int.from_bytes(reply[6:8], "big")


@pytest.fixture
def udp() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.bind(("::", 0))
        yield sock


def test_a_question_gets_its_names_address() -> None:
    names = Names()
    reply, asked = reply_to(ask("Pypi.Test", edns=True), names, "udp")
    assert (rcode(reply), answers(reply)) == (dns.NOERROR, 1)
    assert socket.inet_aton("198.18.0.1") in reply
    assert asked[:6] == ("pypi.test", "A", "udp", "NOERROR", "bound", "198.18.0.1")
    assert names.name("198.18.0.1") == "pypi.test"


@pytest.mark.parametrize("qtype", [28, 16, 15, 65, 64, 33, 6, 255, 12345])
def test_other_types_are_answered_empty_and_bind_nothing(qtype: int) -> None:
    names = Names()
    reply, _ = reply_to(ask("a.test", qtype), names, "udp")
    assert (rcode(reply), answers(reply)) == (dns.NOERROR, 0)
    assert names.name("198.18.0.1") is None


def test_localhost_is_the_commands_own() -> None:
    reply, _ = reply_to(ask("localhost"), Names(), "udp")
    assert reply.endswith(b"\x7f\0\0\x01")
    reply, _ = reply_to(ask("x.localhost", 28), Names(), "udp")
    assert reply.endswith(bytes(15) + b"\x01")


@pytest.mark.parametrize(
    ("packet", "want", "reason"),
    [
        (ask("4.3.2.1.in-addr.arpa", 12), dns.NXDOMAIN, "reverse"),
        (ask("a.b.ip6.arpa", 1), dns.NXDOMAIN, "reverse"),
        (ask("1.2.3.4"), dns.REFUSED, "address"),
        (ask("0x7f.1"), dns.REFUSED, "address"),
        (ask("a b.test"), dns.REFUSED, "name"),
        (ask("a\0.test"), dns.REFUSED, "name"),
        (ask("a%.test"), dns.REFUSED, "name"),
        (ask("version.bind", 16, qclass=3), dns.REFUSED, "class"),
        (ask("a.test", flags=0x2800), dns.NOTIMP, "opcode"),
        (ask("a.test")[:-1], dns.FORMERR, "malformed"),
        (ask("a.test") + b"x", dns.FORMERR, "malformed"),
        (bytes(12), dns.FORMERR, "malformed"),
        (ask("."), dns.NOERROR, "empty"),
    ],
)
def test_what_is_not_bound(packet: bytes, want: int, reason: str) -> None:
    names = Names()
    reply, asked = reply_to(packet, names, "udp")
    assert rcode(reply) == want
    assert answers(reply) == 0
    assert asked.reason == reason
    assert names.name("198.18.0.1") is None


@pytest.mark.parametrize("packet", [b"", b"short", ask("a.test", flags=0x8180)])
def test_no_answer_to_fragments_and_answers(packet: bytes) -> None:
    reply, asked = reply_to(packet, Names(), "udp")
    assert reply == b""
    assert asked.rcode == "FORMERR"


def test_a_used_up_pool_refuses() -> None:
    names = Names(size=1)
    reply_to(ask("a.test"), names, "udp")
    reply, asked = reply_to(ask("b.test"), names, "udp")
    assert (rcode(reply), asked.reason) == (dns.REFUSED, "exhausted")
    assert rcode(reply_to(ask("a.test"), names, "udp")[0]) == dns.NOERROR


@given(st.binary(max_size=300))
def test_no_bytes_break_the_resolver(packet: bytes) -> None:
    reply, asked = reply_to(packet, Names(), "udp")
    assert reply == b"" or reply[:2] == packet[:2]
    assert all(part is None or (part.isascii() and part.isprintable()) for part in asked)


@pytest.mark.parametrize(
    ("family", "server"), [(socket.AF_INET, "127.0.0.53"), (socket.AF_INET6, "::1")]
)
def test_the_answer_comes_from_the_address_that_was_asked(
    udp: socket.socket, family: int, server: str
) -> None:
    book = Book()
    served = Resolver(udp, Names(), book)
    with socket.socket(family, socket.SOCK_DGRAM) as client:
        client.settimeout(5)
        client.connect((server, udp.getsockname()[1]))
        client.send(ask("a.test"))
        served.readable(1)
        assert client.recv(512)[-4:] == socket.inet_aton("198.18.0.1")
    assert (served.asked, served.captured) == (1, 0)
    assert book.records == []
    served.tick(SECOND)
    (record,) = book.records
    assert record["flow"] == {
        "kind": "dns",
        "questions": [
            {"name": "a.test", "type": "A", "via": "udp-loopback", "rcode": "NOERROR"}
            | {"reason": "bound", "address": "198.18.0.1", "count": 1}
        ],
    }
    assert (record["verdict"], record["transport"], record["target"]) == (
        "allow",
        "dns",
        "dns://a.test",
    )


def test_one_turn_is_bounded(udp: socket.socket) -> None:
    served = Resolver(udp, Names(), Book())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.connect(("127.0.0.1", udp.getsockname()[1]))
        for _ in range(resolver.TURN_DATAGRAMS + 5):
            client.send(ask("a.test"))
        served.readable(1)
        assert served.asked == resolver.TURN_DATAGRAMS
        served.readable(1)
        assert served.asked == resolver.TURN_DATAGRAMS + 5


def test_refusals_have_their_own_record(udp: socket.socket) -> None:
    book = Book()
    served = Resolver(udp, Names(), book)
    assert rcode(served.question(ask("a.test"))) == dns.NOERROR
    assert rcode(served.question(ask("1.2.3.4"))) == dns.REFUSED
    assert served.question(b"") == b""
    served.flush()
    assert [record["verdict"] for record in book.records] == ["allow", "block"]
    refused = book.questions("block")
    assert [(one["reason"], one["via"]) for one in refused] == [
        ("address", "tcp"),
        ("malformed", "tcp"),
    ]


def test_a_secret_in_a_name_is_refused_and_an_alarm_of_its_own(udp: socket.socket) -> None:
    book, names = Book(), Names()
    book.counted = Counted(Bound(), frozenset({"API_KEY"}))
    seen: list[bytes] = []

    def leaks(name: bytes) -> str | None:
        seen.append(name)
        return "the value of JOB_TOKEN (plain)" if b"Tok" in name else None

    served = Resolver(udp, names, book, 0, leaks)
    assert rcode(served.question(ask("a.test"))) == dns.NOERROR
    for kind in (1, 1, 16):
        assert rcode(served.question(ask("My.Tok+en.test", kind))) == dns.REFUSED
    served.question(ask("1.2.3.4"))
    served.flush()
    assert seen[1] == b"My.Tok+en.test"
    assert names.name("198.18.0.2") is None
    alarm = book.records[-1]
    assert [record["verdict"] for record in book.records] == ["allow", "block", "block"]
    assert (alarm["layer"], alarm["pattern"], alarm["severity"]) == ("dlp", "secret", "high")
    assert [(one["name"], one["type"], one["count"]) for one in book.questions("block")[1:]] == [
        *(("(redacted)", "A", 2), ("(redacted)", "TXT", 1))
    ]
    assert "tok" not in str([record["flow"] for record in book.records]).replace("JOB_TOKEN", "")


def test_many_kinds_of_alarms_are_counted_as_well(udp: socket.socket) -> None:
    book = Book()
    book.counted = Counted(Bound(), frozenset({"API_KEY"}))
    served = Resolver(udp, Names(), book, 0, lambda _: "the value of JOB_TOKEN (plain)")
    for kind in range(2000):
        served.question(ask("a.test", 10_000 + kind))
    served.flush()
    assert sum(int(str(one["count"])) for one in book.questions("block")) == 2000


def test_fifty_thousand_names_are_all_counted_in_bounded_lines(udp: socket.socket) -> None:
    book = Book()
    served = Resolver(udp, Names(), book)
    for n in range(50_000):
        served.question(ask(f"{n}.{'x' * 63}.test"))
        if n % 500 == 0:
            served.tick(n * 100_000)
    served.flush()
    counts = [int(str(one["count"])) for one in book.questions("allow")]
    assert sum(counts) == 50_000
    assert len(counts) == 50_000
    assert len(book.records) < 400


@pytest.mark.parametrize("state", ["congested", "full"])
def test_a_full_ledger_is_given_no_more(state: str, udp: socket.socket) -> None:
    book = Book()
    served = Resolver(udp, Names(), book)
    book.state = state
    served.question(ask("a.test"))
    served.tick(SECOND)
    assert book.records == []
    book.state = ""
    served.tick(2 * SECOND)
    assert len(book.records) == 1


def test_what_was_lost_is_on_record(udp: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    book = Book()
    served = Resolver(udp, Names(), book)
    monkeypatch.setattr(resolver, "dropped", lambda _: 41)
    served.flush()
    (record,) = book.records
    assert record["flow"] == {"kind": "dns", "questions": [], "lost": 41}
    assert served.lost == 41


def test_the_kernels_own_count_of_lost_datagrams(udp: socket.socket) -> None:
    udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    udp.setblocking(False)
    sent, received = 200, 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.connect(("127.0.0.1", udp.getsockname()[1]))
        for _ in range(sent):
            client.send(bytes(500))
    while True:
        try:
            udp.recv(1000)
        except BlockingIOError:
            break
        received += 1
    assert resolver.dropped(udp) == sent - received > 0


def test_the_socket_may_answer_from_any_address(udp: socket.socket) -> None:
    Resolver(udp, Names(), Book())
    assert udp.getsockopt(socket.IPPROTO_IPV6, resolver._IPV6_FREEBIND) == 1
    assert udp.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO) == 1


def test_hostile_labels_make_lines_the_notary_takes(udp: socket.socket) -> None:
    book = Book()
    served = Resolver(udp, Names(), book)
    for byte in range(256):
        label = bytes([63]) + bytes([byte]) * 63
        served.question(ask("x")[:12] + label * 3 + b"\0\0\x01\0\x01")
    served.flush()
    assert (
        sum(int(str(one["count"])) for one in book.questions("block") + book.questions("allow"))
        == 256
    )


PARTS = [b"localhost", b"in-addr", b"ip6", b"arpa", b"a-b_c", b"10", b"0x7f", b"xn--nxasmq6b"]


@given(
    st.lists(st.sampled_from(PARTS) | st.binary(min_size=1, max_size=20), max_size=8),
    st.sampled_from([0, 1, 2, 16, 28, 65, 255, 12345, 65535]),
    st.sampled_from([1, 1, 3]),
)
def test_every_question_is_one_that_a_stranger_understands(
    labels: list[bytes], qtype: int, qclass: int
) -> None:
    packet = ask(".", qtype, qclass=qclass)
    name = b"".join(bytes([len(part)]) + part for part in labels)
    borne_out(packet[:12] + name + packet[12:], Names())
    borne_out(packet[:12] + name + packet[12:], Names(0))


@given(st.binary(max_size=40))
def test_and_so_is_what_is_none(packet: bytes) -> None:
    borne_out(packet, Names())


def borne_out(packet: bytes, bound: Names) -> None:
    for way in ("udp", "udp-loopback", "tcp"):
        _, asked = reply_to(packet, bound, way)
        for one in (asked, resolver._other(asked)):
            line = [resolver._group(one) | {"count": 1}]
            lost = None if asked.rcode in counts.ANSWERED else 0
            message = counts.questions(line, lost, made.action(1))
            made.made_again(Counted(Bound()), message)
