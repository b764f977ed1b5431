from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

import pytest
from hypothesis import given

from sluicegate.report.standalone import page
from sluicegate.report.verdict import Case
from tests.evidence import made
from tests.report import cases
from tests.report.dom import Node, read

ROOT = Path(__file__).parent.parent.parent
FILES = {"evidence.jsonl": b"</script><!--\xff", "policy.json": b"{}", "</script>": b""}


def top(case: Case, files: dict[str, bytes] | None) -> Node:
    text = page(case, files)
    assert text.startswith("<!doctype html>\n<html lang=")
    [html] = read(text)
    return html


@pytest.fixture
def whole(tmp_path: Path) -> Node:
    where = cases.written(tmp_path, made.some())
    files = {path.name: path.read_bytes() for path in where.iterdir()}
    return top(cases.case(where, made.PIN), files)


def test_the_page_has_landmarks_headings_and_a_way_past_them(whole: Node) -> None:
    names = [node.name for node in whole.children[1].children]
    assert names[:3] == ["a", "div", "header"]
    assert [len(whole.find(name)) for name in ("header", "nav", "main", "footer", "h1")] == [1] * 5
    ids = [node.attributes["id"] for node in whole.all() if "id" in node.attributes]
    assert len(set(ids)) == len(ids)
    links = [node.attributes["href"].removeprefix("#") for node in whole.find("a")]
    assert set(links) <= set(ids)
    sections = [node.attributes["id"] for node in whole.find("section")]
    assert links[1:] == sections
    assert {node.attributes["aria-labelledby"] for node in whole.find("section")} <= set(ids)
    assert all(table.children[0].name == "caption" for table in whole.find("table"))
    [label] = whole.find("label")
    assert label.attributes["for"] == whole.find("input")[0].attributes["id"]


def test_the_policy_of_the_page_allows_its_own_style_and_scripts_only(whole: Node) -> None:
    [rules] = [
        node.attributes["content"]
        for node in whole.find("meta")
        if node.attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    parts = {part.split()[0]: part.split()[1:] for part in rules.split("; ")}
    assert (parts["default-src"], parts["base-uri"], parts["form-action"]) == (["'none'"],) * 3
    for kind, name in (("style-src", "style"), ("script-src", "script")):
        texts = [node.text for node in whole.find(name) if "type" not in node.attributes]
        digests = [
            base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in texts
        ]
        assert parts[kind] == [f"'sha256-{digest}'" for digest in digests]
    assert not [node for node in whole.all() if "style" in node.attributes]
    assert not [
        node for node in whole.all() if any(name.startswith("on") for name in node.attributes)
    ]


def test_nothing_is_loaded_from_anywhere(whole: Node) -> None:
    for node in whole.all():
        assert not {"src", "srcset", "action", "data", "poster"} & node.attributes.keys()
        assert node.attributes.get("href", "#").startswith("#")
    assert "url(" not in whole.find("style")[0].text
    assert "@import" not in whole.find("style")[0].text


def test_the_second_verifier_is_the_one_that_is_tested() -> None:
    embedded = (ROOT / "src/sluicegate/report/sluicegate-verify.js").read_text()
    assert embedded == (ROOT / "verifier/sluicegate-verify.js").read_text()
    for name in ("sluicegate-verify.js", "page.js"):
        text = (ROOT / "src/sluicegate/report" / name).read_text()
        assert not re.search(
            r"</script|<!--|innerHTML|insertAdjacent|document\.write", text, re.IGNORECASE
        )


def test_the_files_come_back_as_they_were() -> None:
    blocks = [
        node
        for node in top(cases.evil("x"), FILES).find("script")
        if "data-name" in node.attributes
    ]
    found = {node.attributes["data-name"]: base64.b64decode(node.text) for node in blocks}
    assert found == FILES
    assert {node.attributes["type"] for node in blocks} == {"application/octet-stream"}


def test_a_page_without_the_packet_says_so() -> None:
    html = top(cases.evil("x"), None)
    assert not html.find("form")
    assert "the packet is too large for a page" in html.find("section", id="check")[0].text


def test_of_what_does_not_hold_there_is_the_verdict_and_how_to_verify() -> None:
    html = top(cases.evil("x", "INVALID"), None)
    assert [node.attributes["id"] for node in html.find("section")] == ["check", "verify"]


def test_a_policy_that_is_not_the_records_is_not_shown() -> None:
    assert not top(cases.evil("x"), FILES).find("section", id="policy")


@cases.anything
@given(cases.hostile)
def test_no_text_adds_an_element_or_an_attribute(text: str) -> None:
    def shape(html: Node) -> list[tuple[str, tuple[str, ...]]]:
        return [(node.name, tuple(node.attributes)) for node in html.all()]

    for failing in ("sound", "PINNED", "INVALID"):
        evil, plain = (top(cases.evil(said, failing), FILES) for said in (text or "x", "x"))
        known = set(shape(plain))
        assert set(shape(evil)) <= known | {("li", ()), ("h2", ("id",))}, set(shape(evil)) - known
        assert len(evil.find("script")) == len(FILES) + 2
        whole = page(cases.evil(text, failing), FILES)
        assert whole.replace("\n", "").isprintable()
