from __future__ import annotations

from pathlib import Path

import pytest

from sluicegate.verify import packet
from sluicegate.verify.summary import MAX_DENIALS, summary
from tests.evidence import made


@pytest.fixture
def page(tmp_path: Path) -> str:
    return summary(packet.verify(made.files(tmp_path, made.some()), [made.PIN]))


def test_the_page_has_what_people_ask_for(page: str) -> None:
    for line in (
        "Verification: **verified**",
        "- command: `curl` with 1 arguments",
        "- exit code: 7",
        "- tier: netns-root",
        f"- policy: `{made.digest(made.POLICY)}`",
        f"- key: `{made.PUBLIC}` (given from outside the run)",
        "- receipts: 9 (lifecycle included), 6 allow, 3 block, 0 warn",
        "- connections: 1 allowed, 2 denied",
        "- dropped packets: 4",
        "- DNS: 3 questions for 2 names",
        "- `tls://a.example:443` (2 times): no rule allows a.example port 443",
        "  ```yaml\n  - host: a.example\n  ```",
        "- `udp to 192.0.2.1 port 443` (3 times): packet refused",
    ):
        assert line in page, line


def test_a_key_of_the_run_alone_is_no_pin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run: dict[str, object] = dict(made.CLOSED["run"])  # type: ignore[call-overload]
    command = {"name": "sh", "args": 2, "argv_sha256": "0" * 64}
    monkeypatch.setitem(made.CLOSED, "run", run | {"key": "ephemeral"})
    monkeypatch.setitem(made.OPENED, "command", command)
    page = summary(packet.verify(made.files(tmp_path, []), [made.PIN]))
    assert "Verification: **consistent with itself**" in page
    assert "- PINNED: no" in page
    assert "- command: `sh` with 2 arguments" in page


def test_a_quiet_run(tmp_path: Path) -> None:
    page = summary(packet.verify(made.files(tmp_path, []), []))
    assert "Verification: **untrusted**" in page
    assert "0 requests; the boundary was made in 1 steps" in page
    assert "Denied" not in page


def test_an_invalid_packet_has_a_page_that_says_so() -> None:
    page = summary(packet.verify({}, []))
    assert "Verification: **INVALID**" in page
    assert "- INTACT: no" in page


def test_the_command_can_not_write_the_page(tmp_path: Path) -> None:
    evil = "x`](javascript:1)<script>|# h"
    flow = {"reason": evil, "remedy": "- host: x\n```\n# free"}
    said = [made.message(1, target=evil, flow=flow)]
    page = summary(packet.verify(made.files(tmp_path, said, honest=False), []))
    assert "x`]" not in page
    assert ": x\\`\\](javascript:1)\\<script\\>\\|\\# h" in page
    assert page.count("```") == 2


def test_the_page_stays_short(tmp_path: Path) -> None:
    many = [made.message(n, f"h{n}.example") for n in range(MAX_DENIALS + 7)]
    page = summary(packet.verify(made.files(tmp_path, many), []))
    assert "- and 7 more, in flows.jsonl" in page
