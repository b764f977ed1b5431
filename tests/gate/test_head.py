from __future__ import annotations

import pytest

from sluicegate.facts import Facts, Protocol
from sluicegate.gate.head import head
from sluicegate.wire.http import read_request_head

FACTS = Facts(Protocol.HTTP, "198.18.0.7", 8080, synthetic="a.test")
SOCKET = (
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)


@pytest.mark.parametrize(
    ("lines", "facts", "sent"),
    [
        (
            ("GET /a?b HTTP/1.1", "host: A.test:8080", "X: y"),
            FACTS,
            "GET /a?b|Host: a.test:8080|X: y",
        ),
        (("GET http://b.test/ HTTP/1.1", "Host: b.test"), FACTS, "GET /|Host: b.test"),
        (
            ("POST / HTTP/1.1", "Host: a.test", "Expect: 100-continue", "Content-Length: 1"),
            FACTS,
            "POST /|Host: a.test|Content-Length: 1",
        ),
        # Only a client of HTTP/1.0 may leave its host out, and it gets no answer to an Expect.
        (
            ("GET / HTTP/1.0", "Expect: 100-continue"),
            FACTS,
            "GET /|Host: a.test:8080|Connection: close",
        ),
        (
            ("GET / HTTP/1.0", "Connection: keep-alive"),
            Facts(Protocol.HTTPS, "198.18.0.7", 443, target="b.test", target_port=443),
            "GET /|Host: b.test",
        ),
        (
            (
                "GET / HTTP/1.1",
                "Host: a.test",
                "Upgrade: h2c",
                "Connection: Upgrade, X-Hop",
                "X-Hop: 1",
            ),
            FACTS,
            "GET /|Host: a.test",
        ),
    ],
)
def test_the_head_upstream_is_written_from_what_was_judged(
    lines: tuple[str, ...], facts: Facts, sent: str
) -> None:
    request = read_request_head("\r\n".join((*lines, "", "")).encode())
    assert request is not None
    line, *rest = head(request, facts).decode().removesuffix("\r\n\r\n").split("\r\n")
    assert "|".join([line.removesuffix(" HTTP/1.1"), *rest]) == sent


def test_a_websocket_is_offered_without_what_nobody_here_could_read() -> None:
    lines = (
        "GET / HTTP/1.1",
        "Host: a.test",
        *SOCKET,
        "Sec-WebSocket-Extensions: permessage-deflate",
    )
    request = read_request_head("\r\n".join((*lines, "", "")).encode())
    assert request is not None
    said = head(request, FACTS).decode()
    assert "Upgrade: websocket" in said
    assert "Extensions" not in said
