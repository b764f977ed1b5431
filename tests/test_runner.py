"""Whatever a text is, the runner reads it as the text of one command, or as nothing of its own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate import runner
from tests.action.runner import COMMAND, _decoded

hostile = st.text(st.sampled_from("a:%,\n\r#[]\x1b\u202e\u2028x")) | st.text()
HOSTILE = "a\n::error::forged\r\n::set-output name=x::y\x1b[31m%0A\u202e##[command]rm"


def test_a_command() -> None:
    assert runner.command("add-mask", "a%b") == "::add-mask::a%25b"
    line = runner.command("error", HOSTILE, file="a,b:c", title="t")
    found = COMMAND.fullmatch(line)
    assert found is not None
    assert (found["name"], found["rest"]) == ("error", "file=a%2Cb%3Ac,title=t")
    shown = _decoded(found["data"])
    assert shown.startswith("a\n::error::forged\\r\n")
    assert shown.endswith("%0A\\u202e# #[command]rm")


@given(hostile)
def test_it_is_one_line_and_says_the_text(text: str) -> None:
    for made in (runner.message(text), runner.attribute(text)):
        assert len(made.splitlines()) <= 1
        assert "##[" not in made
        if all(c.isprintable() or c == "\n" for c in text):
            assert _decoded(made.replace("%3A", ":").replace("%2C", ",")) == runner.logged(text)
    assert not set(":,") & set(runner.attribute(text))


@pytest.mark.parametrize("text", ["##[error]x", "a ##[set-env name=x]", "#" * 9 + "["])
def test_no_command_of_the_old_form_is_left(text: str) -> None:
    assert "##[" not in runner.logged(text)
