"""Questions at the terminal (sluicegate.cli.asking); real runs: tests/kernel/test_ask.py."""

from __future__ import annotations

import os
import types
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from sluicegate.boundary.terminal import Terminal
from sluicegate.cli import asking
from sluicegate.cli.asking import Asker
from sluicegate.cli.opening import Plan, SetupError
from sluicegate.cli.options import Options
from sluicegate.cli.supervise import ControlError
from sluicegate.policy import ask, grammar
from sluicegate.policy.model import Policy

QUESTION: dict[str, object] = {
    "number": 0, "connection": 4, "host": "a.test", "port": 443,
    "url": "tls://a.test:443", "method": None, "program": "/usr/bin/curl",
}  # fmt: skip


@dataclass
class Glass(Terminal):
    """A terminal of glass."""

    said: bytes = b""
    typed: Any = None
    ended: bool = False
    usable: bool = True
    redrawn: list[bool] = field(default_factory=list)

    def show(self, data: bytes) -> None:
        self.said += data

    def pause(self, typed: Any) -> None:
        self.typed = typed

    def resume(self, *, redraw: bool) -> None:
        self.typed = None
        self.redrawn.append(redraw)


@dataclass
class Clock:
    now: float = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    it = Clock()
    monkeypatch.setattr(asking, "time", it)
    return it


@pytest.fixture
def room(clock: Clock) -> tuple[Asker, Glass, list[Mapping[str, object]]]:
    it, glass, said = Asker(), Glass(), list[Mapping[str, object]]()
    it.reply = said.append
    it.begin(glass, None)
    return it, glass, said


Room = tuple[Asker, Glass, list[Mapping[str, object]]]


def test_a_key_is_the_answer(room: Room, clock: Clock) -> None:
    it, glass, said = room
    it.heard(QUESTION)
    it.turn()
    assert glass.said.decode() == (
        "sluicegate: /usr/bin/curl wants tls://a.test:443; no rule allows a.test port 443\r\n"
        f"sluicegate: denied in 120 seconds; {asking.CHOICES}"
    )
    clock.now += 2
    assert glass.typed(b"r") == b""
    assert said == [{"answer": {"number": 0, "word": "run"}}]
    assert it.answers == [{"connection": 4, "host": "a.test", "port": 443, "answer": "run"}]
    assert glass.typed is None
    assert glass.redrawn == [False]


@pytest.mark.parametrize(
    ("key", "word"),
    [
        (b"o", "once"), (b"R", "run"), (b"a", "policy"), (b"d", "deny"), (b"\x03", "deny"),
        (b"\x04", "deny"),
    ],
)  # fmt: skip
def test_keys(room: Room, clock: Clock, key: bytes, word: str) -> None:
    it, glass, _ = room
    it.heard(QUESTION)
    it.turn()
    clock.now += 2
    glass.typed(key)
    assert [one["answer"] for one in it.answers] == [word]


def test_what_was_typed_for_the_command_is_the_commands(room: Room, clock: Clock) -> None:
    it, glass, said = room
    it.heard(QUESTION)
    it.turn()
    clock.now += 0.5
    assert glass.typed(b"r") == b"r"
    assert said == []


@pytest.mark.parametrize("data", [b"\x1b", b"x", b"\r", b"rr", b"\x1b[24;80R", b"or", b" "])
def test_nothing_else_is_an_answer_nor_what_comes_with_it(
    room: Room, clock: Clock, data: bytes
) -> None:
    it, glass, said = room
    it.heard(QUESTION)
    it.turn()
    clock.now += 2
    assert glass.typed(data) == b""
    clock.now += 0.5
    glass.typed(b"r")
    assert said == []
    clock.now += 0.6
    glass.typed(b"r")
    assert len(said) == 1


def test_in_time_or_denied(room: Room, clock: Clock) -> None:
    it, glass, said = room
    assert it.patience(None) is None
    it.heard(QUESTION)
    assert it.patience(None) == asking.GUARD_SECONDS * 1000
    glass.usable = False
    it.turn()
    assert glass.said == b""  # not our turn
    glass.usable = True
    it.turn()
    assert it.patience(None) == asking.ANSWER_SECONDS * 1000
    assert it.patience(5.0) == 5.0
    clock.now += asking.ANSWER_SECONDS
    it.turn()
    assert said == [{"answer": {"number": 0, "word": "unanswered"}}]


def test_a_terminal_that_is_gone_answers_nothing(room: Room) -> None:
    it, glass, said = room
    it.heard(QUESTION)
    glass.ended = True
    it.turn()
    assert said == [{"answer": {"number": 0, "word": "unanswered"}}]
    assert glass.said == b""


def test_at_the_commands_end_nothing_is_asked(room: Room) -> None:
    it, glass, said = room
    it.heard(QUESTION)
    it.turn()
    it.finish()
    assert glass.typed is None
    it.heard(QUESTION)
    it.turn()
    assert (said, it.answers, it.patience(None)) == ([], [], None)


@pytest.mark.parametrize(
    "changes",
    [
        {"number": 1}, {"number": "0"}, {"number": True}, {"connection": None}, {"port": 0}, {"port": 70_000},
        {"host": 3}, {"url": None}, {"program": []},
    ],
)  # fmt: skip
def test_a_gate_that_asks_what_is_no_question_ends_the_run(
    room: Room, changes: dict[str, object]
) -> None:
    with pytest.raises(ControlError, match="no question"):
        room[0].heard({**QUESTION, **changes})


def test_nor_may_it_ask_two_at_once(room: Room) -> None:
    room[0].heard(QUESTION)
    with pytest.raises(ControlError, match="no question"):
        room[0].heard(QUESTION)


def test_hostile_texts_are_printable_ascii(room: Room) -> None:
    it, glass, _ = room
    bad = "\x1b[2Jx\n\u202e\u009b"
    it.heard({**QUESTION, "host": bad, "url": bad, "method": bad, "program": bad})
    it.turn()
    shown = glass.said.decode("ascii")
    assert shown.count("\n") == 1
    assert shown.replace("\r\n", "").isprintable()


def test_behind_what_the_command_printed(room: Room) -> None:
    it, glass, _ = room
    assert glass.before(b"half") == b"half"
    it.heard(QUESTION)
    it.turn()
    assert glass.said.startswith(b"\r\nsluicegate: ")
    it._answer(ask.DENY)
    glass.before(b"\x1b[?1049h")
    it.heard({**QUESTION, "number": 1})
    it.turn()
    it._answer(ask.DENY)
    assert glass.redrawn == [False, True]


def plan(policy: Path, text: str) -> Plan:
    options = Options(("true",), policies=(str(policy),))
    parsed = replace(grammar.parse(text, str(policy)), ask=True)
    spec: Any = types.SimpleNamespace(workspace=str(policy.parent))
    return Plan(options, (parsed,), spec, "packet", (), None, "", texts=(text,))


WANTED = (("a.test", 22), ("2001:db8::1", 443), ("203.0.113.9", 80))
ADD: list[dict[str, object]] = [
    {"connection": 1, "host": host, "port": port, "answer": "policy"} for host, port in WANTED
]
TEXT = "version: 1  # ours\nallow:\n  - host: b.test\n"


def test_rules_go_into_the_file_that_is_as_it_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "p.yaml"
    file.write_text(TEXT)
    file.chmod(0o604)
    asking.add(plan(file, TEXT), [*ADD, {**ADD[0], "host": "no.test", "answer": "run"}])
    made = grammar.parse(file.read_text(), "p")
    assert [(rule.host or rule.network, rule.ports) for rule in made.allow] == [
        ("b.test", (80, 443)), ("a.test", (22,)), ("2001:db8::1/128", (80, 443)), ("203.0.113.9/32", (80, 443)),
    ]  # fmt: skip
    assert "# ours" in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o604
    assert [p.name for p in tmp_path.iterdir()] == ["p.yaml"]
    assert "3 rules were added" in capsys.readouterr().err


@pytest.mark.parametrize("how", ["changed", "gone", "link", "hard link", "flow", "nothing"])
def test_else_they_are_shown(tmp_path: Path, how: str, capsys: pytest.CaptureFixture[str]) -> None:
    file, other = tmp_path / "p.yaml", tmp_path / "other"
    text = "version: 1\nallow: [{host: b.test}]\n" if how == "flow" else TEXT
    file.write_text(text)
    known = plan(file, text)
    if how == "changed":
        file.write_text(text + "  - host: evil.test\n")
    elif how == "gone":
        file.unlink()
    elif how == "link":
        file.rename(other)
        file.symlink_to(other)
    elif how == "hard link":
        os.link(file, other)
    before = file.read_text() if file.exists() else None
    asking.add(known, [] if how == "nothing" else ADD)
    assert (file.read_text() if file.exists() else None) == before
    said = capsys.readouterr().err
    if how == "nothing":
        assert said == ""
    else:
        assert said.startswith("sluicegate: not added to the policy: ")
        assert "sluicegate:   - host: a.test\nsluicegate:     ports: [22]\n" in said


@pytest.mark.parametrize(
    ("policy", "why"),
    [(Policy("p", observe=True), "observe mode"), (Policy("p", inspect="all"), "inspect: all")],
)
def test_where_nothing_could_be_asked(
    policy: Policy, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "isatty", lambda _: True)
    (tmp_path / "p.yaml").write_text(TEXT)
    known = plan(tmp_path / "p.yaml", TEXT)
    with pytest.raises(SetupError, match=why):
        asking.marked(replace(known, policies=(policy,)))
    made = asking.marked(replace(known, policies=(Policy("p"),)))
    assert made.policies[0].ask
    assert made.texts == (TEXT,)
