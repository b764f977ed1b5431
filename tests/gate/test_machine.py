import hashlib
import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from sluicegate.facts import Facts, Protocol, Via
from sluicegate.gate.machine import (
    GIT_PORT,
    MAX_WORK_BYTES,
    Ask,
    Judge,
    Machine,
    Reply,
    Step,
    Style,
)
from sluicegate.gate.whole import Room, Whole
from tests.hellos import hello

BASE = Facts(Protocol.OPAQUE, "192.0.2.1", 443, synthetic="a.test")


def facts(machine: Machine, *pieces: bytes) -> Facts:
    step = None
    for piece in pieces:
        assert step is None
        step = machine.received(piece)
    assert isinstance(step, Judge), step
    return step.facts


def test_a_hello_byte_by_byte() -> None:
    machine = Machine(BASE)
    raw = hello("A.test")
    found = facts(machine, *(raw[i : i + 1] for i in range(len(raw))))
    assert (found.protocol, found.sni, found.synthetic) == (Protocol.TLS, "a.test", "a.test")
    assert machine.style is Style.TLS
    assert machine.buffer == raw


def test_a_request_and_what_follows_it() -> None:
    machine = Machine(BASE)
    found = facts(
        machine, b"\r\nPOST /p?q HTTP/1.1\r\n", b"Host: A.test:81\r\nContent-Length: 2\r\n\r\nab"
    )
    assert (found.protocol, found.method, found.path) == (Protocol.HTTP, "POST", "/p?q")
    assert (found.host, found.host_port, found.fault) == ("a.test", 81, None)
    assert machine.request is not None
    assert machine.buffer[machine.request.size :] == b"ab"


def test_what_conditions_are_about_is_stated() -> None:
    named = frozenset(("mode",)), frozenset(("x-mode",))
    request = b"GET /a?mode=1&token=2 HTTP/1.1\r\nHost: b.test\r\nX-Mode:  a\r\nX-Other: b\r\n\r\n"
    found = facts(Machine(BASE, named=named), request)
    assert (found.query, found.headers) == ((("mode", "1"),), (("x-mode", "a"),))
    again = facts(
        Machine(BASE, named=named, resumed=True), b"GET / HTTP/1.1\r\nHost: b.test\r\n\r\n"
    )
    assert (again.query, again.headers) == ((), ())
    assert (facts(Machine(BASE), request).query, facts(Machine(BASE), request).headers) == ((), ())


def test_absolute_form() -> None:
    found = facts(Machine(BASE), b"GET http://b.test:8080/x HTTP/1.1\r\nHost: b.test:8080\r\n\r\n")
    assert (found.via, found.target, found.target_port) == (Via.ABSOLUTE, "b.test", 8080)


def test_connect_is_asked_first_and_its_inside_judged_by_itself() -> None:
    machine = Machine(BASE)
    step = machine.received(b"CONNECT b.test:22 HTTP/1.1\r\nHost: b.test:22\r\n\r\nSSH-2.0-x\r\n")
    assert isinstance(step, Ask)
    assert (step.facts.via, step.facts.target, step.facts.target_port) == (
        Via.CONNECT,
        "b.test",
        22,
    )
    assert machine.style is Style.HTTP
    assert machine.grant().startswith(b"HTTP/1.1 200 ")
    step = machine.step()
    assert isinstance(step, Judge)
    assert (step.facts.target, step.facts.host, machine.buffer) == (
        "b.test",
        None,
        b"SSH-2.0-x\r\n",
    )
    assert machine.style.value == "reset"


@pytest.mark.parametrize(
    "inner",
    [
        b"CONNECT c.test:1 HTTP/1.1\r\nHost: c.test:1\r\n\r\n",
        b"GET http://c.test/ HTTP/1.1\r\nHost: c.test\r\n\r\n",
        b"\x05\x01\x00",
        b"\x04\x01\0\1\0\0\0\1\0c.test\0",
    ],
)
def test_a_proxy_request_inside_a_tunnel_is_a_fault(inner: bytes) -> None:
    machine = Machine(BASE)
    machine.received(b"CONNECT b.test:22 HTTP/1.1\r\nHost: b.test:22\r\n\r\n")
    machine.grant()
    assert "tunnel" in (facts(machine, inner).fault or "")


def test_socks5_with_an_address_that_the_resolver_gave() -> None:
    machine = Machine(BASE, {"198.18.0.7": "b.test"}.get)
    assert machine.received(b"\x05\x01") is None
    assert machine.received(b"\x00") == Reply(b"\x05\x00")
    assert machine.step() is None
    step = machine.received(b"\x05\x01\x00\x01\xc6\x12\x00\x07\x01\xbb")
    assert isinstance(step, Ask)
    assert (step.facts.via, step.facts.target, step.facts.target_port) == (Via.SOCKS, "b.test", 443)
    assert machine.style is Style.SOCKS5
    assert machine.grant()[:2] == b"\x05\x00"
    assert machine.step() is None
    assert machine.silent().facts.protocol is Protocol.SERVER_FIRST


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"\x05\x01\x02", "password"),
        (b"\x04\x02\0\1\0\0\0\1\0c.test\0", "not CONNECT"),
        (b"GET / HTTP/1.1\nHost: a\n\n", "bare LF"),
        (
            b"GET / HTTP/1.1\r\nHost: a.test\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
            "Sec-WebSocket-Key",
        ),
        (
            b"GET / HTTP/1.1\r\nHost: a.test\r\nUpgrade: tls/1.0\r\nConnection: upgrade\r\n\r\n",
            "Upgrade",
        ),
        (b"CONNECT b.test:2 HTTP/1.1\r\nHost: b.test:2\r\nContent-Length: 1\r\n\r\n", "body"),
        (b"GET https://a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n", "https URL"),
        (b"\x16\x03\x01\x00\x00\x01", "empty or too large"),
    ],
)
def test_faults(raw: bytes, why: str) -> None:
    assert why in (facts(Machine(BASE), raw).fault or "")


def test_the_end_of_the_stream() -> None:
    assert Machine(BASE).ended().facts.protocol is Protocol.SERVER_FIRST
    machine = Machine(BASE)
    assert machine.received(b"hello") is None
    assert machine.ended().facts == BASE
    machine = Machine(BASE)
    assert machine.received(b"GET / HTTP") is None
    assert "too early" in (machine.ended().facts.fault or "")


def test_after_a_response_only_a_request_may_follow() -> None:
    machine = Machine(BASE, resumed=True)
    assert "not an HTTP request" in (facts(machine, b"\0").fault or "")
    machine = Machine(BASE, resumed=True)
    assert machine.received(b"CONN") is None
    assert machine.late().facts.fault
    with pytest.raises(RuntimeError):
        machine.step()


def test_the_work_that_one_client_can_cause_is_bounded() -> None:
    machine = Machine(BASE)
    step, fed = machine.received(b"GET /"), 0
    while step is None:
        step, fed = machine.received(b"a"), fed + 1
    assert isinstance(step, Judge)
    assert "too many pieces" in (step.facts.fault or "")
    assert fed < MAX_WORK_BYTES**0.5 * 2


def test_whatever_the_bytes_the_machine_states_facts_or_waits() -> None:
    seeds = (
        hello("a.test"),
        b"POST http://a.test:80/x?y HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"CONNECT [2001:db8::1]:443 HTTP/1.1\r\nHost: [2001:db8::1]:443\r\n\r\nGET / HTTP/1.1\r\n\r\n",
        b"\x05\x01\x00\x05\x01\x00\x03\x06a.test\x01\xbb\x16\x03\x01",
        b"\x04\x01\x01\xbb\0\0\0\1me\0a.test\0",
    )
    dice = random.Random(7)
    for _ in range(4000):
        raw = bytearray(dice.choice(seeds))
        for _ in range(dice.randrange(4)):
            raw[dice.randrange(len(raw))] = dice.randrange(256)
        machine, at = Machine(BASE), 0
        step = None
        while not isinstance(step, Judge) and at < len(raw):
            size = dice.randrange(1, len(raw) + 1)
            step, at = machine.received(bytes(raw[at : at + size])), at + size
            while isinstance(step, Ask | Reply):
                if isinstance(step, Ask):
                    machine.grant()
                step = machine.step()
        if step is None:
            step = machine.ended()
        assert isinstance(step, Judge)
        assert step.facts.address == BASE.address


@pytest.mark.parametrize(
    "line",
    [
        *(b"GET%b/ HTTP/1.1" % bytes([sep]) for sep in b"\x0b\x0c\r\t"),
        *(b"%bGET / HTTP/1.1" % bytes([sep]) for sep in b"\x0b\x0c\t "),
    ],
)
def test_a_request_line_for_lenient_servers_is_a_fault(line: bytes) -> None:
    found = facts(Machine(BASE), line + b"\r\nHost: b.test\r\n\r\n")
    assert found.protocol is Protocol.HTTP
    assert found.fault is not None


REST = b"git-upload-pack /some.git\0host=a.test\0"
GIT = b"%04x" % (len(REST) + 4) + REST


def test_gits_own_protocol_on_its_port() -> None:
    on_git = replace(BASE, port=GIT_PORT)
    machine = Machine(on_git)
    assert machine.received(GIT[:30]) is None
    assert facts(machine, GIT[30:]) == on_git
    # Through a tunnel the port is the one that was asked for.
    assert facts(Machine(replace(BASE, target_port=GIT_PORT)), GIT).fault is None
    assert facts(Machine(replace(on_git, target_port=80)), GIT + b"\n").fault is not None


def test_git_where_it_is_not_spoken_or_not_whole() -> None:
    assert "NUL in the head" in (facts(Machine(BASE), GIT).fault or "")
    on_git = replace(BASE, port=GIT_PORT)
    assert facts(Machine(on_git), GIT + b"\n").fault is not None
    for size in range(len(b"0000git-upload-pack /"), len(GIT)):
        machine = Machine(on_git)
        assert machine.received(GIT[:size]) is None
        assert "too early" in (machine.ended().facts.fault or "")


POST = b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 4\r\n"


def holding(room: Room) -> Machine:
    machine = Machine(replace(BASE, protocol=Protocol.HTTPS), resumed=True)
    machine.holds = lambda request: Whole(request, room) if request.method == "POST" else None
    return machine


def test_a_content_that_is_to_be_known_first() -> None:
    room = Room()
    machine = holding(room)
    found = facts(machine, POST[:9], POST[9:] + b"\r\na", b"bc", b"dGET / HTTP/1.1\r\n")
    assert (found.protocol, found.method, found.fault) == (Protocol.HTTPS, "POST", None)
    assert machine.request is not None
    assert machine.request.content == hashlib.sha256(b"abcd").hexdigest()
    # Whoever carries it finds it where it always is.
    assert machine.buffer[machine.request.size :] == b"abcdGET / HTTP/1.1\r\n"
    assert room.held == len(b"abcdGET / HTTP/1.1\r\n")
    plain = holding(room)
    assert facts(plain, b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\nab").method == "GET"
    assert plain.request is not None
    assert plain.request.content is None


def test_a_client_that_waits_for_a_word_before_its_content() -> None:
    machine = holding(Room())
    asked = machine.received(POST + b"Expect: 100-continue\r\n\r\n")
    assert asked == Reply(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert machine.step() is None
    assert machine.received(b"ab") is None
    assert isinstance(machine.received(b"cd"), Judge)


def test_a_content_that_is_known_first_is_no_work() -> None:
    """Each of its bytes is read once."""
    machine = holding(Room())
    size = MAX_WORK_BYTES // 4
    head = POST.replace(b": 4", b": %d" % size)
    assert machine.received(head + b"\r\n") is None
    for _ in range(63):
        assert machine.received(bytes(size // 64)) is None
    assert facts(machine, bytes(size // 64)).fault is None


def test_a_content_that_does_not_come() -> None:
    ends: tuple[tuple[Callable[[Machine], Step | None], str], ...] = (
        (Machine.late, "did not finish its first bytes in time"),
        (Machine.ended, "ended its first bytes too early"),
        (lambda machine: machine.received(b"cd\r\nz\r\n"), "chunk"),
    )
    for end, why in ends:
        machine = holding(Room())
        chunked = POST.replace(b"Content-Length: 4", b"Transfer-Encoding: chunked")
        assert machine.received(chunked + b"\r\n4\r\nab") is None
        step = end(machine)
        assert isinstance(step, Judge)
        assert why in str(step.facts.fault)
        assert step.facts.method == "POST"
