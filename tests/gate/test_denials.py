import pytest

from sluicegate.facts import Decision, Facts, Protocol, Verdict
from sluicegate.gate import denials
from sluicegate.gate.machine import Style

FACTS = Facts(Protocol.HTTP, "192.0.2.1", 80, host="a.test", method="GET", path="/x")
NO = Decision(
    *(Verdict.DENY, "default", "no rule allows a.test port 81", 81, "a.test"),
    remedy="- host: a.test\n  ports: [81]",
)


def test_the_text_teaches() -> None:
    assert denials.text(FACTS, NO) == (
        "sluicegate: denied http://a.test:81/x\n"
        "host: a.test port: 81\n"
        "rule: default\n"
        "reason: no rule allows a.test port 81\n"
        "hint: to allow it, add this to the policy under allow:\n"
        "  - host: a.test\n"
        "    ports: [81]\n"
    )


@pytest.mark.parametrize(
    ("style", "begin"),
    [
        (Style.HTTP, b"HTTP/1.1 403 Forbidden\r\n"),
        (Style.TLS, b"\x15\x03\x03\0\x02\x02\x31"),
        (Style.SOCKS5_METHOD, b"\x05\xff"),
        (Style.SOCKS5, b"\x05\x02"),
        (Style.SOCKS4, b"\0\x5b"),
    ],
)
def test_each_protocol_has_its_refusal(style: Style, begin: bytes) -> None:
    assert denials.refusal(style, FACTS, NO).startswith(begin)


def test_the_rest_is_a_reset() -> None:
    assert denials.refusal(Style.RESET, FACTS, NO) == b""
    assert denials.failure(Style.RESET, FACTS, NO, "x") == b""


def test_what_could_not_be_read_is_a_400() -> None:
    fault = Decision(Verdict.DENY, "fault", "bare LF", 80)
    unread = Facts(Protocol.HTTP, "192.0.2.1", 80, fault="bare LF")
    assert denials.refusal(Style.HTTP, unread, fault).startswith(b"HTTP/1.1 400 ")


def test_an_unreachable_destination_is_a_502_or_an_alert() -> None:
    answer = denials.failure(Style.HTTP, FACTS, NO, "no answer in time")
    assert answer.startswith(b"HTTP/1.1 502 ")
    assert b"no answer in time" in answer
    assert denials.failure(Style.TLS, FACTS, NO, "x") == b"\x15\x03\x03\0\x02\x02\x28"
