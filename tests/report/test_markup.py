from __future__ import annotations

from hypothesis import given

from sluicegate.report import markup
from sluicegate.report.escape import visible
from sluicegate.report.markup import Html, tag, text
from tests.report import cases
from tests.report.dom import read


@cases.anything
@given(cases.hostile)
def test_texts_and_attributes_come_back_and_make_no_element(given_: str) -> None:
    made = tag("p", given_, tag("b", given_), title=given_)
    [node] = read(made)
    assert (node.name, [child.name for child in node.children]) == ("p", ["b"])
    assert node.text == visible(given_, markup.MAX_CELL) * 2
    assert node.attributes == {"title": visible(given_, markup.MAX_CELL)}


def test_only_what_was_made_here_is_markup() -> None:
    assert text("<b>") == "&lt;b&gt;"
    assert text(Html("<b>")) == "<b>"
    assert markup.join("<", Html("<b>"), 3) == "&lt;<b>3"
    assert not isinstance(Html("<b>") + "<i>", Html)


def test_attributes_have_their_names_in_html() -> None:
    assert tag("a", class_="x", aria_label="y", for_=None) == '<a class="x" aria-label="y"></a>'


def test_a_table_has_a_caption_and_heads() -> None:
    made = markup.table("All", [("name", ""), ("size", "number")], [["a", 1], ["b", 2]])
    [holder] = read(made)
    assert holder.attributes["tabindex"] == "0"
    [table] = holder.children
    caption, head, body = table.children
    assert (caption.text, head.text) == ("All", "namesize")
    assert [[cell.name for cell in row.children] for row in body.children] == [["th", "td"]] * 2


def test_pairs_leave_out_what_is_empty() -> None:
    [made] = read(markup.pairs([("a", "x"), ("b", ""), ("c", None), ("d", 0)]))
    assert [div.children[0].text for div in made.children] == ["a", "d"]


def test_lines_to_copy_keep_their_lines() -> None:
    [made] = read(markup.commands("a <b>\n  c", "what"))
    assert made.text == "a <b>\n  c"


def test_a_bar_is_as_long_as_its_part() -> None:
    assert 'width="50.00%"' in markup.bar(5, 10, "up")
    assert 'width="1.00%"' in markup.bar(1, 1_000_000, "up")
    assert 'width="0.00%"' in markup.bar(0, 0, "up")
    assert markup.amount(2048, 4096, "up").startswith("2.0 KiB<svg")


def test_a_section_is_a_region_with_its_heading() -> None:
    [made] = read(markup.section("x", "Title", tag("p", "y")))
    assert made.attributes == {"id": "x", "aria-labelledby": "x-title"}
    assert (made.children[0].name, made.children[0].text) == ("h2", "Title")
    [folded] = read(markup.details("more", "inside"))
    assert folded.children[0].name == "summary"
    assert markup.badge("open", "bad") == '<span class="badge bad">open</span>'
    assert markup.code("x") == "<code><bdi>x</bdi></code>"
