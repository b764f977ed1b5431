"""The end of a run (sluicegate.cli.closing); the whole of it is in tests/kernel/test_run.py and tests/faults."""

from __future__ import annotations

import dataclasses
import re

import pytest

from sluicegate.cli import closing
from sluicegate.cli.options import Options
from sluicegate.verify.account import OBSERVED

RESULT = closing.Result(
    code=0,
    allowed=2,
    denied=1,
    dropped=0,
    names=3,
    denials=(("tls://a.example:443", "no rule allows a.example port 443", "- host: a.example"),),
    packet="out",
    signer="ab" * 32,
)


def test_what_may_be_signed_is_printable_ascii() -> None:
    assert closing.ascii_text("a b") == "a b"
    assert closing.ascii_text("\x1b[2J\n\u2028\udcff") == "\\x1b[2J\\n\\u2028\\udcff"


def test_the_time_is_rfc_3339_in_utc() -> None:
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", closing.now())


def test_the_end_says_counts_denials_and_how_to_check(capsys: pytest.CaptureFixture[str]) -> None:
    closing.tell(Options(argv=("true",)), RESULT)
    said = capsys.readouterr().err
    assert "2 connections allowed, 1 denied; 3 names asked" in said
    assert "denied tls://a.example:443: no rule allows a.example port 443" in said
    assert "sluicegate:     - host: a.example\n" in said
    assert f"sluicegate verify out --key {'ab' * 32}" in said


def test_an_observed_run_says_what_would_be_denied_and_what_to_type_next(
    capsys: pytest.CaptureFixture[str],
) -> None:
    target, reason, remedy = RESULT.denials[0]
    seen = ((target, OBSERVED + reason, remedy), ("tls://b.example:443", "mismatch", ""))
    result = dataclasses.replace(RESULT, denials=seen, observed=1)
    closing.tell(Options(argv=("true",), key="k.key"), result)
    said = capsys.readouterr().err
    assert (
        "2 connections allowed, 1 denied, 1 let through that an enforcing run would deny;" in said
    )
    assert "would deny tls://a.example:443: no rule allows a.example port 443\n" in said
    assert "sluicegate: denied tls://b.example:443: mismatch\n" in said
    assert "  sluicegate policy suggest out --key k.pub > suggested.yaml\n" in said
    closing.tell(Options(argv=("true",), observe=True), RESULT)
    assert "suggest" not in (quiet := capsys.readouterr().err)
    assert "without --observe" not in quiet
    closing.tell(
        Options(argv=("true",), observe=True), dataclasses.replace(RESULT, denied=0, denials=())
    )
    assert (
        "an enforcing run would have denied nothing: the same without --observe"
        in capsys.readouterr().err
    )


def test_what_later_steps_execute_is_named_and_bounded(capsys: pytest.CaptureFixture[str]) -> None:
    paths = (".git/hooks/x", "##[set-output name=a]b", *(f"Jenkinsfile{n}" for n in range(9)))
    closing.tell(Options(argv=("true",)), dataclasses.replace(RESULT, orders=paths))
    said = capsys.readouterr().err
    assert "warning: the command changed what later steps execute: .git/hooks/x, #\\#[" in said
    assert "Jenkinsfile2 and 6 more\n" in said
    assert "hint: look at them before the next step; out/summary.md" in said
    closing.tell(Options(argv=("true",), quiet=True), dataclasses.replace(RESULT, orders=paths))
    assert capsys.readouterr().err == ""


def test_a_pinned_key_is_named_by_its_public_file(capsys: pytest.CaptureFixture[str]) -> None:
    closing.tell(Options(argv=("true",), key="keys/release.key"), RESULT)
    assert "sluicegate verify out --key keys/release.pub" in capsys.readouterr().err


def test_quiet_leaves_the_failure_alone(capsys: pytest.CaptureFixture[str]) -> None:
    failed = dataclasses.replace(RESULT, code=127, error="command not found: x")
    closing.tell(Options(argv=("x",), quiet=True), failed)
    assert capsys.readouterr().err == "sluicegate: command not found: x\n"
