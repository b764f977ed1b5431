"""Which outputs are handed on."""

from __future__ import annotations

import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.evidence import output
from sluicegate.evidence.output import COMMAND, CONTROL, NO_OUTPUT, NOT_GRANTED, TOO_LONG, UNENDED

GRANTED = ("result", "b-c", "D")


@pytest.mark.parametrize(
    ("text", "given_"),
    [
        (b"result=1\nb-c=x=y<<z\n", (("b-c", "x=y<<z"), ("result", "1"))),
        (b"result=1\r\n\nD=\n", (("D", ""), ("result", "1"))),
        (b"result<<E\none\ntwo\n\nE\nD=2", (("D", "2"), ("result", "one\ntwo\n"))),
        (b"result<<E F\n=\nE F\n", (("result", "="),)),
        (b"result<<E\nE\n", (("result", ""),)),
        (b"result=1\nresult=2\n", (("result", "2"),)),
        ("result=h\u00f6 \U0001f600\n".encode(), (("result", "h\u00f6 \U0001f600"),)),
        (b"result=a::b ::c\n", (("result", "a::b ::c"),)),
        (b"", ()),
    ],
)
def test_what_is_handed_on(text: bytes, given_: tuple[tuple[str, str], ...]) -> None:
    assert output.judged(text, GRANTED) == output.Outputs(given_, ())


@pytest.mark.parametrize(
    ("text", "name", "why"),
    [
        (b"other=1\n", "other", NOT_GRANTED),
        (b"resul\xff=1\n", "resul%FF", NOT_GRANTED),
        (b"::set-output name=x::y\n", "::set-output name", NOT_GRANTED),
        (b"result\n", "result", NO_OUTPUT),
        (b"=1\n", "", NO_OUTPUT),
        (b"<<E\n1\nE\n", "", NO_OUTPUT),
        (b"result<<E\n1\n", "result", UNENDED),
        (b"result<<\n1\n\n", "result", UNENDED),
        (b"result=::set-env name=A::b\n", "result", COMMAND),
        (b"result<<E\nok\n \t::add-mask::x\nE\n", "result", COMMAND),
        (b"result=a ##[set-output name=x]b\n", "result", COMMAND),
        (b"result=##vso[task.setvariable variable=x]y\n", "result", COMMAND),
        (b"result=\xff\n", "result", CONTROL),
        (b"result=a\x1b[31m\n", "result", CONTROL),
        (b"result=a\rb\n", "result", CONTROL),
        ("result=a\u2028::x::\n".encode(), "result", CONTROL),
        ("result=\u202ea\n".encode(), "result", CONTROL),
        (b"result=" + b"x" * (output.MAX_VALUE_BYTES + 1), "result", TOO_LONG),
    ],
)
def test_what_is_refused(text: bytes, name: str, why: str) -> None:
    assert output.judged(text, GRANTED) == output.Outputs((), ((name, why),))
    assert why in output.REASONS


def test_of_a_name_that_comes_twice_the_last_counts_though_it_is_refused() -> None:
    found = output.judged(b"result=good\nresult=::bad::\n", GRANTED)
    assert found == output.Outputs((), (("result", COMMAND),))


def runner(text: str) -> dict[str, str]:
    """As the runner reads the file: FileCommandManager of actions/runner."""
    found, lines = dict[str, str](), text.split("\n")[:-1]
    while lines:
        name, _, delimiter = lines.pop(0).partition("<<")
        at = lines.index(delimiter)
        found[name] = "\n".join(lines[:at])
        lines = lines[at + 1 :]
    return found


@given(st.binary(max_size=200) | st.text("result=<\nE:# ", max_size=60).map(str.encode))
def test_a_runner_reads_what_was_judged_and_nothing_else(data: bytes) -> None:
    found = output.judged(data, GRANTED)
    dice = [f"ghadelimiter_{secrets.token_hex(output.DELIMITER_BYTES)}" for _ in found.given]
    assert runner(output.written(found, dice).decode()) == dict(found.given)
    assert {name for name, _ in found.given} <= set(GRANTED)
    assert not any(line.lstrip()[:2] == "::" for _, v in found.given for line in v.split("\n"))


def test_a_delimiter_that_the_value_has_is_no_delimiter() -> None:
    with pytest.raises(ValueError, match="delimiter"):
        output.written(output.Outputs((("result", "a\nE\nb"),)), ["E"])


def test_the_report_has_no_value_and_is_bounded() -> None:
    outputs = output.Outputs((("result", "s3cret"),), (("x", NOT_GRANTED),) * 100)
    said = output.report(outputs)
    assert "s3cret" not in str(said)
    assert (len(said["refused"]), said["refused_count"]) == (output.MAX_REFUSED, 100)  # type: ignore[arg-type]
