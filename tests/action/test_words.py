"""Whatever is said to the runner, it is one line, and no order but ours."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.action import words
from tests.action.runner import COMMAND, _decoded, _pairs

HOSTILE = "a\n::error::forged\r\n::set-output name=x::y\x1b[31m%0A\u202e##[command]rm"


@pytest.mark.parametrize("kind", words.KINDS)
def test_an_annotation_is_one_line(kind: str) -> None:
    line = words.annotation(kind, HOSTILE, "title: a,b\n::")
    assert line.endswith("\n")
    found = COMMAND.fullmatch(line[:-1])
    assert found is not None
    assert found["name"] == kind
    shown = _decoded(found["data"])
    assert shown.startswith("a\n::error::forged\\r\n")
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert found["rest"] == "title=title%3A a%2Cb%0A%3A%3A"


@given(st.text(), st.text())
def test_nothing_ends_the_line(message: str, title: str) -> None:
    line = words.annotation("error", message, title)
    assert len(line.splitlines()) == 1
    assert line.startswith("::error title=")


def test_a_long_message_is_cut() -> None:
    line = words.annotation("notice", "x" * 10_000)
    assert len(line) < words.MAX_MESSAGE + 100
    assert line.endswith("...\n")
    with pytest.raises(RuntimeError):
        words.annotation("group", "x")


def test_stopped_is_resumed_by_the_token_alone() -> None:
    assert words.mask("t0k") + words.stop("t0k") == "::add-mask::t0k\n::stop-commands::t0k\n"
    assert words.resume("t0k") == "::t0k::\n"


@given(
    st.text(
        st.characters(
            exclude_categories=["Cs"], exclude_characters="\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"
        )
    )
)
def test_an_output_is_read_as_it_was(value: str) -> None:
    token = "0123456789abcdef"
    text = words.output("a", value, token) + words.output("b", "2", token)
    assert _pairs(text) == {"a": value, "b": "2"}


def test_a_value_with_the_token_is_never_written() -> None:
    with pytest.raises(RuntimeError):
        words.output("a", "x\ntoken\nb=1", "token")
