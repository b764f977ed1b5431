"""The documentation: made pages are as they are made, links lead somewhere, and the site is whole and asks nobody."""

from __future__ import annotations

import re
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml

from sluicegate.cli import options
from tests.docs import pages
from tests.docs.pages import ROOT

DOCS = ROOT / "docs"
PAGES = sorted((*DOCS.rglob("*.md"), ROOT / "README.md"))
MKDOCS = ROOT / ".venv-site" / "bin" / "mkdocs"
_LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)
# How mkdocs names a heading (Python-Markdown's toc).
_DROPPED = re.compile(r"[^\w\s-]")


def anchors(page: Path) -> set[str]:
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[-\s]+", "-", _DROPPED.sub("", title).strip().lower()) for title in titles}


def test_what_commands_say_of_themselves_is_in_the_docs() -> None:
    # argparse breaks lines differently from Python to Python: words are compared.
    assert pages.CLI.read_text().split() == pages.cli().split(), "python -m tests.docs.pages"


def test_every_key_of_a_policy_is_in_the_docs() -> None:
    assert pages.POLICY.read_text() == pages.policy(), "python -m tests.docs.pages"


def test_every_option_of_run_is_in_its_help() -> None:
    for name in options._WITH_VALUE | options._FLAGS - {"help"}:
        assert f"--{name}" in options.USAGE


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in _LINK.findall(_CODE.sub("", page.read_text())):
        if re.match(r"https?://", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link


def nav(entry: object) -> list[str]:
    if isinstance(entry, dict):
        return [name for value in entry.values() for name in nav(value)]
    if isinstance(entry, list):
        return [name for value in entry for name in nav(value)]
    return [str(entry)]


def test_every_page_is_in_the_sites_list() -> None:
    listed = nav(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"])
    assert sorted(listed) == sorted(str(p.relative_to(DOCS)) for p in DOCS.rglob("*.md"))


class Asked(HTMLParser):
    """What a browser asks a server for by itself, or would send one."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        loads = tag in {"script", "img", "iframe", "source", "video", "audio", "embed", "object"}
        if tag == "link" and given.get("rel") != "canonical":
            self.found.append(given.get("href") or "")
        if loads:
            self.found.append(given.get("src") or given.get("data") or "")
        if tag == "form":
            self.found.append(given.get("action") or "")


def test_the_site_is_built_strictly_and_asks_no_other_server(tmp_path: Path) -> None:
    assert MKDOCS.exists(), "`make setup` makes it"
    done = subprocess.run(
        [str(MKDOCS), "build", "--strict", "--quiet", "--site-dir", str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, env={"PATH": "/usr/bin:/bin", "NO_MKDOCS_2_WARNING": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    made = list(tmp_path.rglob("*.html"))
    assert len(made) >= len(PAGES) - 1
    for page in made:
        asked = Asked()
        asked.feed(page.read_text())
        assert not [url for url in asked.found if re.match(r"(https?:)?//", url)], page
    for sheet in tmp_path.rglob("*.css"):
        assert not re.search(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//", sheet.read_text()), sheet
