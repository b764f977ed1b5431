from __future__ import annotations

import pytest

from sluicegate.policy import grammar
from sluicegate.policy.decide import Subject
from sluicegate.policy.passing import Kind, Request, Sending, Side

POLICY = """
version: 1
allow:
  - {host: a.example, methods: [GET], paths: ["/x/**"], query: {q: a}, headers: {x-mode: read}}
  - {host: b.example}
  - {ip: 10.0.0.1/32, ports: [5432]}
"""
SIDE = Side((grammar.parse(POLICY, "p.yaml"),))
A, B = Subject("a.example", None, 443), Subject("b.example", None, 443)
GOOD = Request("GET", "/x/y?q=a", (("X-Mode", "read"),))


@pytest.mark.parametrize(
    ("sending", "passes"),
    [
        (Sending(A, Kind.HANDSHAKE), True),
        (Sending(A, Kind.CLOSED), False),
        (Sending(A, Kind.SECURE, GOOD), True),
        (Sending(A, Kind.SECURE, Request("GET", "/x/y?q=a")), False),
        (Sending(A, Kind.SECURE, Request("GET", "/x/y?q=b", GOOD.fields)), False),
        (Sending(A, Kind.SECURE, Request("POST", GOOD.target, GOOD.fields)), False),
        (Sending(Subject("a.example", None, 80), Kind.CLEAR, GOOD), True),
        (Sending(A, Kind.OPAQUE), False),
        (Sending(B, Kind.HANDSHAKE), True),
        (Sending(B, Kind.CLOSED), True),
        (Sending(B, Kind.SECURE, Request("POST", "/")), True),
        (Sending(B, Kind.OPAQUE), False),
        (Sending(B, Kind.SILENT), True),
        (Sending(Subject(None, "10.0.0.1", 5432), Kind.OPAQUE), True),
        (Sending(Subject("b.example", "10.0.0.2", 443), Kind.CLOSED), True),
        (Sending(Subject("c.example", "10.0.0.1", 5432), Kind.HANDSHAKE), True),
        (Sending(Subject("c.example", None, 443), Kind.HANDSHAKE), False),
    ],
)
def test_what_passes(sending: Sending, passes: bool) -> None:
    assert SIDE.passes(sending)[0] is passes


def test_addresses_that_may_be_dialled() -> None:
    _, decision = SIDE.passes(Sending(B, Kind.CLOSED))
    assert SIDE.admits(decision, ("192.0.2.1",)) == ("192.0.2.1",)
    assert SIDE.admits(decision, ("10.0.0.1",)) == ()


@pytest.mark.parametrize(
    ("sending", "words"),
    [
        (Sending(A, Kind.SECURE, GOOD), "GET https://a.example/x/y?q=a with X-Mode: read"),
        (
            Sending(Subject(None, "2001:db8::1", 80), Kind.CLEAR, Request("GET", "/")),
            "GET http://[2001:db8::1]/",
        ),
        (
            Sending(Subject("a.example", None, 8443), Kind.SECURE, Request("GET", "/")),
            "GET https://a.example:8443/",
        ),
        (
            Sending(Subject("a.example", "10.0.0.1", 22), Kind.HANDSHAKE),
            "a.example:22 (a TLS connection), at the address 10.0.0.1",
        ),
        (Sending(B, Kind.CLOSED), "https://b.example/ (whatever is inside: its TLS is not opened)"),
    ],
)
def test_words(sending: Sending, words: str) -> None:
    assert sending.words == words


def test_a_request_needs_one() -> None:
    with pytest.raises(RuntimeError):
        SIDE.passes(Sending(B, Kind.CLEAR))
