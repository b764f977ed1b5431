"""What a refused client is told, in its own protocol: at once, readable, with the line to add."""

from __future__ import annotations

from sluicegate.evidence.records import printable, target
from sluicegate.facts import Decision, Facts
from sluicegate.gate.machine import Style
from sluicegate.policy.decide import COMMON_METHODS
from sluicegate.wire import http, socks, tls

# RFC 8446 section 6: handshake_failure (40), for an upstream that can not be reached.
HANDSHAKE_FAILURE = b"\x15\x03\x03\x00\x02\x02\x28"
# To a further request of a kept connection.
FULL = http.denial(503, "sluicegate: the record of this run is full, nothing new is begun\n")
# To a request of HTTP/2 beyond what the gate holds of them at once.
CROWDED = http.denial(
    503, "sluicegate: the HTTP/2 requests of this run take too much memory, none is begun\n"
)
_RULES_OF_SYNTAX = frozenset(("fault",))


def text(facts: Facts, judged: Decision) -> str:
    """The plain text of a refusal: host, rule, reason, and the line that would allow it."""
    host = judged.name or judged.address or facts.synthetic or facts.target or facts.address
    lines = [
        f"sluicegate: denied {target(facts, judged)}",
        f"host: {printable(host)} port: {judged.port}",
        f"rule: {printable(judged.rule)}",
        f"reason: {printable(judged.reason)}",
    ]
    if judged.remedy is not None:
        lines += ["hint: to allow it, add this to the policy under allow:"]
        lines += [f"  {line}" for line in judged.remedy.splitlines()]
    return "\n".join(lines) + "\n"


def refusal(style: Style, facts: Facts, judged: Decision) -> bytes:
    """The bytes to send before closing; none means a reset."""
    if style is Style.HTTP:
        malformed = judged.rule in _RULES_OF_SYNTAX and facts.method is None
        status = 405 if judged.rule == "method" else 400 if malformed else 403
        return http.denial(status, text(facts, judged), allow=COMMON_METHODS)
    if style is Style.TLS:
        return tls.ACCESS_DENIED
    if style is Style.SOCKS5_METHOD:
        return socks.greeting_reply(False)
    if style is Style.SOCKS5:
        return socks.reply5(7 if judged.rule == "fault" else 2)
    return socks.reply4(91) if style is Style.SOCKS4 else b""


def failure(style: Style, facts: Facts, judged: Decision, reason: str) -> bytes:
    """The bytes to send when an allowed flow could not reach its destination; none means a reset."""
    if style is Style.HTTP:
        body = f"sluicegate: allowed {target(facts, judged)}, but {printable(reason)}\n"
        return unreachable(body)
    return HANDSHAKE_FAILURE if style is Style.TLS else b""


def unreachable(body: str) -> bytes:
    """A whole 502 response of plain text."""
    data = body.encode("ascii", "backslashreplace")
    lines = ["HTTP/1.1 502 Bad Gateway", "Content-Type: text/plain; charset=us-ascii"]
    lines += [f"Content-Length: {len(data)}", "Cache-Control: no-store", "Connection: close"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + data
