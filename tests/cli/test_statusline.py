from __future__ import annotations

import random
import re

import pytest
import yaml

from sluicegate.cli.statusline import CLEAR, Line, fitted, flowing, size, words

COUNTS = {"flows": 12, "denied": 2, "observed": 0, "up": 1_200_000, "down": 30}


def screen(data: bytes) -> list[str]:
    """What a terminal shows that knows newlines, carriage returns, colours and the erasing of a line."""
    lines, column = [""], 0
    for part in re.findall(rb"\x1b\[[0-9;]*[mK]|.", data, re.DOTALL):
        if part == b"\r":
            column = 0
        elif part == b"\n":
            lines.append("")
            column = 0
        elif part.endswith(b"K") and len(part) > 1:
            lines[-1] = lines[-1][:column]
        elif len(part) == 1:
            lines[-1] = lines[-1][:column].ljust(column) + part.decode() + lines[-1][column + 1 :]
            column += 1
    return lines


def test_it_stands_between_whole_lines_and_is_gone_before_the_next_byte() -> None:
    line = Line()
    assert line.before(b"one\n") == b"one\n"
    assert line.draw("here", 80) == CLEAR + b"here"
    assert line.draw("here", 80) == b""  # it stands there already
    assert line.before(b"half") == CLEAR + b"half"
    assert line.draw("here", 80) == b""
    assert line.before(b" line\n") == b" line\n"
    assert line.draw("there", 80) == CLEAR + b"there"
    assert line.before(b"") == CLEAR
    assert line.before(b"") == b""


@pytest.mark.parametrize(
    "data",
    [
        b"half",
        b"back\r",
        b"\x1b[31mred\n",  # the line would be red
        b"\x1b[31",
        b"\x1b",
        b"up \x1b[A\n",
        b"\x1b[2J\n",
        b"\x1b[?1049h\n",
        b"\x1b]0;title\x07\n",
        b"\x1bc\n",
        b"page\x0c\n",
        b"shift\x0e\n",
        "\x9b2J\n".encode(),
        b"\xc2",
    ],
)
def test_where_the_cursor_is_not_known_to_be_at_a_new_line_nothing_is_drawn(data: bytes) -> None:
    line = Line()
    assert line.before(data) == data
    assert line.draw("here", 80) == b""


def test_who_moved_the_cursor_once_has_the_screen() -> None:
    line = Line()
    line.before(b"\x1b[")
    line.before(b"H")
    line.before(b"plain again\n")
    assert line.owned
    assert line.draw("here", 80) == b""


@pytest.mark.parametrize(
    "data",
    [
        b"\x1b[1;31mred\x1b[0m\n",
        b"red\n\x1b[m",
        b"\x1b[31mx\x1b[K\x1b[m\n",
        "\u00fc \u4e16\n".encode(),
        b"\ta\x08b\x07\n",
    ],
)
def test_colours_do_not_keep_it_away(data: bytes) -> None:
    for cut in range(len(data)):
        line = Line()
        assert line.before(data[:cut]) + line.before(data[cut:]) == data
        assert line.draw("here", 80) == CLEAR + b"here"


def test_in_a_raw_terminal_a_line_ends_at_its_left_edge() -> None:
    line = Line(b"\r\n")
    line.before(b"one\n")
    assert not line.free
    line.before(b"one\r")
    line.before(b"\n")
    assert line.free


def test_whatever_is_drawn_meanwhile_the_commands_lines_are_as_they_were() -> None:
    dice = random.Random(6)
    pieces = [b"word ", b"\n", b"\x1b[31m", b"\x1b[0m", b"x\ry", b"\x1b[K", b"long " * 20, b"\n\n"]
    for _ in range(300):
        line, alone, together = Line(), b"", b""
        for _ in range(30):
            piece = dice.choice(pieces)
            alone += piece
            together += line.before(piece)
            together += line.draw(words(COUNTS, ["x.test:443"] * dice.randrange(3)), 80)
        together += line.before(b"")
        assert screen(together) == screen(alone)


def test_it_never_wraps() -> None:
    said = words(COUNTS, ["example.test:443", "[2001:db8::1]:22"])
    assert said == (
        "sluicegate: 12 flows, 2 denied, 1.2 MB up, 30 B down | example.test:443 [2001:db8::1]:22"
    )
    assert fitted(said, 200) == said
    for columns in range(1, 100):
        assert len(fitted(said, columns)) <= columns - 1
    assert fitted(said, 20) == "sluicegate: 12 f..."
    assert fitted(said, 0) == ""
    assert "3 would be denied" in words({**COUNTS, "observed": 3}, [])


@pytest.mark.parametrize(
    ("number", "said"),
    [(0, "0 B"), (1000, "1.0 kB"), (99_500, "100 kB"), (999_499, "999 kB"), (999_500, "1.0 MB"), (10**15, "1000 TB")],
)  # fmt: skip
def test_sizes(number: int, said: str) -> None:
    assert size(number) == said


@pytest.mark.parametrize(
    "remedy",
    [
        "- host: a.test",
        "- host: a.test\n  ports: [22]",
        '- host: a.test\n  methods: [GET]\n  paths: ["/a{b},\\"x"]',
        "- ip: 2001:db8::1/128\n  ports: [22]",
    ],
)
def test_a_rule_in_one_line_is_the_same_rule(remedy: str) -> None:
    line = flowing(remedy)
    assert "\n" not in line
    assert yaml.safe_load(line) == yaml.safe_load(remedy)


@pytest.mark.parametrize("text", ["", "::error::x", "allow:\n- host: x"])
def test_what_is_no_rule_is_not_shown_as_one(text: str) -> None:
    assert flowing(text) == ""
