from __future__ import annotations

import html
import re
import unicodedata

from hypothesis import given

from sluicegate.report import escape
from tests.report.cases import hostile

# What GitHub's runner does with a command it reads. Source: actions/runner, ActionCommand.cs.
_UNESCAPE = (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%"))


def unescaped(text: str) -> str:
    for code, character in _UNESCAPE:
        text = text.replace(code, character)
    return text


@given(hostile)
def test_what_is_shown_is_one_visible_line(text: str) -> None:
    shown = escape.visible(text)
    assert len(shown) <= escape.MAX_TEXT + 3
    assert not any(unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for c in shown)
    shown.encode()


def test_plain_text_stays_as_it_is() -> None:
    assert escape.visible("deny[0] p.yaml:8 caf\u00e9") == "deny[0] p.yaml:8 caf\u00e9"
    assert escape.visible("a\nb\u202e\U000e0041") == r"a\u000ab\u202e\U000e0041"
    assert escape.visible("y" * 301) == "y" * 300 + "..."


@given(hostile)
def test_a_page_gives_the_text_back_and_holds_no_markup(text: str) -> None:
    shown = escape.page(text)
    assert not set("<>\"'") & set(shown)
    assert html.unescape(shown) == escape.visible(text)


@given(hostile)
def test_markdown_gives_the_text_back_and_means_nothing(text: str) -> None:
    shown = escape.markdown(text)
    assert html.unescape(shown).replace("\u2060", "") == escape.visible(text).replace("\u2060", "")
    plain = re.sub(r"&#[0-9]+;", " ", shown)
    assert not set("\\`*_{}[]<>|!&~@$") & set(plain)
    assert "://" not in plain
    assert not re.search(":[a-z_+-]", plain)


def test_a_name_is_no_link_in_markdown() -> None:
    shown = escape.markdown("no rule allows www.evil.test port 443, nor WwW.a.test")
    assert not re.search(r"www\.", shown, re.IGNORECASE)
    assert html.unescape(shown) == "no rule allows www.evil.test port 443, nor WwW.a.test"
    assert escape.markdown("ww.evil.test") == "ww.evil.test"


@given(hostile)
def test_a_span_of_code_ends_where_it_ends(text: str) -> None:
    span = escape.code(text)
    assert span[0] == span[-1] == "`"
    assert not set("`|\n") & set(span[1:-1])


@given(hostile)
def test_a_fence_is_ended_by_nobody(text: str) -> None:
    assert not any("`" in line or "\n" in line for line in escape.lines(text))
    assert not any(line.lstrip().startswith("::") for line in escape.lines(text))
    assert len(escape.lines(text)) == text.count("\n") + 1


def test_sizes_and_counts_are_words() -> None:
    assert [escape.size(n) for n in (0, 1023, 1024, 1536, 3 << 20, 5 << 40)] == [
        "0 B",
        "1023 B",
        "1.0 KiB",
        "1.5 KiB",
        "3.0 MiB",
        "5120.0 GiB",
    ]
    assert escape.times(1, "entry", "entries") == "1 entry"
    assert escape.times(1234, "request") == "1,234 requests"
