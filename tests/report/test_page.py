"""The page in a browser: `sluicegate.report.standalone` with its style and script, as a reader meets it."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from sluicegate.report.standalone import page
from tests.evidence import made
from tests.report import browser as driving
from tests.report import cases
from tests.report.browser import Browser, Tab

CHECKED = """new Promise((done) => {
  const root = document.documentElement;
  const look = () => root.dataset.checked && done(document.getElementById('state').textContent);
  new MutationObserver(look).observe(root, { attributes: true });
  look();
})"""
HOLDS = "Checked again: it holds together. Whose key signed it, only a key from elsewhere can tell."
# The least contrast of any visible text with what lies behind it (WCAG 2.2, 1.4.3).
CONTRAST = """(() => {
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, at) => sum + v * [0.2126, 0.7152, 0.0722][at], 0);
  const behind = (node) => {
    for (; node; node = node.parentElement) {
      const colour = parse(getComputedStyle(node).backgroundColor);
      if (colour.length < 4 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  for (const one of document.querySelectorAll('details')) one.open = true;
  let least = [99, ''];
  for (const node of document.querySelectorAll('body *')) {
    const own = Array.from(node.childNodes).some((c) => c.nodeType === 3 && c.textContent.trim());
    if (!own || node.tagName === 'SCRIPT' || !node.getClientRects().length) continue;
    const [a, b] = [light(parse(getComputedStyle(node).color)), light(behind(node))];
    const found = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (found < least[0]) least = [found, `${node.tagName}.${node.className}: ${node.textContent.slice(0, 40)}`];
  }
  return least;
})()"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if driving.CHROMIUM is None:
        pytest.skip("no chromium: the page was not looked at by a browser")
    with driving.chromium(tmp_path_factory.mktemp("chromium")) as found:
        yield found


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> str:
    where = cases.written(tmp_path_factory.mktemp("packet"), made.some())
    return page(cases.case(where), {path.name: path.read_bytes() for path in where.iterdir()})


def shown(
    browser: Browser, directory: Path, text: str, width: int = 1280, *, dark: bool = False
) -> Tab:
    file = directory / "report.html"
    file.write_text(text)
    tab = Tab(browser, width, dark=dark)
    tab.open(file.as_uri())
    return tab


def test_a_sound_packet_is_checked_again(browser: Browser, tmp_path: Path, text: str) -> None:
    tab = shown(browser, tmp_path, text)
    assert tab.run(CHECKED) == HOLDS
    assert tab.run("document.getElementById('alarm').hidden") is True
    levels = tab.run("document.getElementById('levels').innerText")
    assert levels.splitlines()[0] == "INTACT reached 9 receipts, every line reproduces"
    assert "The packet holds 9 receipts: 6 allow, 3 block, 0 warn; signed by " in levels
    # Nothing was loaded but the page itself, and nothing of it was against its own policy.
    requests = tab.told("Network.requestWillBeSent")
    assert [one["request"]["url"] for one in requests] == [(tmp_path / "report.html").as_uri()]
    assert not tab.told("Log.entryAdded")
    assert not tab.told("Runtime.exceptionThrown")


def test_a_packet_that_was_changed_contradicts_the_page(browser: Browser, tmp_path: Path) -> None:
    where = cases.written(tmp_path, made.some())
    files = {path.name: path.read_bytes() for path in where.iterdir()}
    files["evidence.jsonl"] = files["evidence.jsonl"].replace(b"a.example", b"z.example")
    tab = shown(browser, tmp_path, page(cases.case(where), files))
    assert tab.run(CHECKED) == "The check contradicts this page."
    alarm = tab.run(
        "document.getElementById('alarm').checkVisibility() && document.getElementById('alarm').innerText"
    )
    said = "the packet in it does not give what it says of INTACT, CLOSED, ACCOUNTED."
    assert alarm == f"Do not believe this page: {said}"


def test_a_prefix_is_one_for_the_page_too(browser: Browser, tmp_path: Path) -> None:
    where = cases.written(tmp_path, made.some())
    for name in (*cases.packet.FINISHED, "boundary.json"):
        (where / name).unlink()
    lines = (where / "evidence.jsonl").read_bytes().splitlines(keepends=True)
    (where / "evidence.jsonl").write_bytes(b"".join(lines[:4]))
    files = {path.name: path.read_bytes() for path in where.iterdir()}
    tab = shown(browser, tmp_path, page(cases.case(where), files))
    assert tab.run(CHECKED) == "Checked again: the record is not whole, as the page says."
    assert tab.run("document.getElementById('alarm').hidden") is True


def test_a_hand_on_the_keyboard_is_enough(browser: Browser, tmp_path: Path, text: str) -> None:
    tab = shown(browser, tmp_path, text)
    tab.run(CHECKED)
    here = "document.activeElement.id || document.activeElement.tagName + '.' + document.activeElement.className"
    tab.press("Tab")
    assert tab.run(here) == "A.skip"
    assert tab.run("document.activeElement.getBoundingClientRect().left >= 0") is True
    tab.press("Enter", "\r")
    assert tab.run("location.hash") == "#report"
    seen: list[str] = []
    while "pin" not in seen:
        tab.press("Tab")
        seen.append(tab.run(here))
        assert len(seen) < 100, seen
        outline = tab.run("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid", seen[-1]
        if seen[-1] == "SUMMARY.":
            tab.press("Enter", "\r")
            assert tab.run("document.activeElement.parentElement.open") is True
    for key, said in (
        ("nonsense", "That is no public key: it has 64 hexadecimal digits."),
        (made.PUBLIC, "Checked again: it holds, and the key that you gave signed it."),
        ("0" * 63 + "1", "Checked again: it holds, but the key that you gave did not sign it."),
    ):
        tab.run(
            "document.getElementById('pin').select(); delete document.documentElement.dataset.checked"
        )
        tab.type(key)
        tab.press("Enter", "\r")
        if key == "nonsense":
            assert tab.run("document.getElementById('state').textContent") == said
        else:
            assert tab.run(CHECKED) == said
    # The form went nowhere, and the page's policy had nothing to refuse.
    assert not tab.told("Log.entryAdded")
    assert len(tab.told("Network.requestWillBeSent")) == 1


def test_hostile_texts_do_nothing(browser: Browser, tmp_path: Path) -> None:
    """Judged at a server of ours that they name, and by what the browser tells of dialogs, errors and requests."""
    asked: list[str] = []

    class Server(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        url = f"http://127.0.0.1:{server.server_address[1]}"
        tries = (
            f"</script><script>fetch('{url}/script');alert(1)</script>",
            f"<img src={url}/img onerror=\"fetch('{url}/error')\">",
            f"--><!--<script><style>@import url({url}/style)</style>",
            f'"><link rel=stylesheet href={url}/link><iframe src={url}/frame>',
            f"<svg/onload=fetch('{url}/svg')><meta http-equiv=refresh content='0;url={url}/meta'>",
            f"<base href={url}/base/><form action={url}/form>",
        )
        for text in tries:
            files = {text: text.encode(), "evidence.jsonl": text.encode()}
            tab = shown(browser, tmp_path, page(cases.evil(text), files))
            assert tab.run(CHECKED) == "The check contradicts this page."
            assert len(tab.told("Network.requestWillBeSent")) == 1
            assert not tab.told("Page.javascriptDialogOpening")
            assert not tab.told("Log.entryAdded")
            assert tab.run("document.scripts.length") == len(files) + 2
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert asked == []


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1280, 360])
def test_every_text_can_be_read(
    browser: Browser, tmp_path: Path, text: str, width: int, dark: bool
) -> None:
    tab = shown(browser, tmp_path, text, width, dark=dark)
    tab.run(CHECKED)
    least, where = tab.run(CONTRAST)
    assert least >= 4.5, where
    assert tab.run("document.documentElement.scrollWidth") <= width
    background = tab.run("getComputedStyle(document.documentElement).backgroundColor")
    assert background == ("rgb(21, 23, 26)" if dark else "rgb(252, 251, 248)")


def test_without_script_it_is_all_there(browser: Browser, tmp_path: Path, text: str) -> None:
    tab = Tab(browser)
    tab.ask("Emulation.setScriptExecutionDisabled", value=True)
    (tmp_path / "report.html").write_text(text)
    tab.open((tmp_path / "report.html").as_uri())
    said = tab.run("document.body.innerText")
    for words in (
        "Consistent with itself",
        "a.example:443",
        "Without script, the page can not check",
    ):
        assert words in said
    assert tab.run("document.getElementById('again').hidden") is True


def test_a_page_by_http_from_this_machine_checks_itself_and_asks_for_nothing_else(
    browser: Browser, tmp_path: Path, text: str
) -> None:
    asked: list[str] = []

    class Server(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        tab = Tab(browser)
        tab.open(f"http://127.0.0.1:{server.server_address[1]}/report.html")
        assert tab.run(CHECKED) == HOLDS
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert [path for path in asked if path != "/favicon.ico"] == ["/report.html"]
