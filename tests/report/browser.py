"""Headless Chromium, driven over its debugging pipe: no driver, no socket, no sleep."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
# Headless, as root in a test machine, and with nothing that it would ask the network for by itself.
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-dev-shm-usage", "--remote-debugging-pipe"),
)
Said = dict[str, Any]


class Browser:
    """One process of it. `events` are what it told, in order."""

    def __init__(self, process: subprocess.Popen[bytes], write: int, read: int) -> None:
        self._process, self._write, self._read = process, write, read
        self._rest, self._last = b"", 0
        self.events: list[Said] = []

    def ask(self, method: str, session: str | None = None, **params: Any) -> Said:
        """The result of one command."""
        self._last += 1
        said: Said = {"id": self._last, "method": method, "params": params}
        if session is not None:
            said["sessionId"] = session
        data = json.dumps(said).encode() + b"\0"
        while data:
            data = data[os.write(self._write, data) :]
        while True:
            heard = self._hear()
            if heard.get("id") == self._last:
                assert "error" not in heard, heard["error"]
                return dict(heard["result"])
            self.events.append(heard)

    def wait(self, method: str, session: str) -> Said:
        """The next event of that name that was not waited for yet."""
        while True:
            for at, event in enumerate(self.events):
                if (event.get("method"), event.get("sessionId")) == (method, session):
                    return dict(self.events.pop(at)["params"])
            self.events.append(self._hear())

    def _hear(self) -> Said:
        while b"\0" not in self._rest:
            piece = os.read(self._read, 1 << 20)
            assert piece, "chromium is gone"
            self._rest += piece
        line, _, self._rest = self._rest.partition(b"\0")
        return dict(json.loads(line))


class Tab:
    """One page in it."""

    def __init__(self, browser: Browser, width: int = 1280, *, dark: bool = False) -> None:
        self.browser = browser
        target = browser.ask("Target.createTarget", url="about:blank")["targetId"]
        self.session = browser.ask("Target.attachToTarget", targetId=target, flatten=True)[
            "sessionId"
        ]
        for name in ("Page", "Runtime", "Network", "Log"):
            self.ask(f"{name}.enable")
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.ask("Emulation.setEmulatedMedia", features=scheme)
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=900,
            deviceScaleFactor=1,
            mobile=False,
        )

    def ask(self, method: str, **params: Any) -> Said:
        return self.browser.ask(method, self.session, **params)

    def open(self, url: str) -> None:
        """Load it, to its end."""
        self.ask("Page.navigate", url=url)
        self.browser.wait("Page.loadEventFired", self.session)

    def run(self, script: str) -> Any:
        """What `script`, an expression or a promise of it, gives."""
        found = self.ask(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def press(self, key: str, text: str = "") -> None:
        """Press and let go of a key, as a hand does."""
        codes = {"Tab": 9, "Enter": 13, " ": 32}
        one = {"key": key, "code": key, "windowsVirtualKeyCode": codes.get(key, 0)}
        typed = {"text": text} if text else {}
        self.ask("Input.dispatchKeyEvent", type="keyDown", **one, **typed)
        self.ask("Input.dispatchKeyEvent", type="keyUp", **one)

    def type(self, text: str) -> None:
        self.ask("Input.insertText", text=text)

    def told(self, method: str) -> list[Said]:
        """Everything of that name that this page's session was told, without waiting."""
        return [
            dict(event["params"])
            for event in self.browser.events
            if (event.get("method"), event.get("sessionId")) == (method, self.session)
        ]

    def picture(self, path: Path) -> None:
        """The whole page as PNG, for somebody to look at."""
        import base64

        found = self.ask("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(found["data"]))


@contextmanager
def chromium(directory: Path, env: Mapping[str, str] | None = None) -> Iterator[Browser]:
    """A browser with an empty profile below `directory`."""
    assert CHROMIUM is not None
    to, from_ = os.pipe(), os.pipe()

    def inherit() -> None:
        # Its descriptors 3 and 4 are the pipe; duplicates first, since ours may have these numbers.
        read, write = os.dup(to[0]), os.dup(from_[1])
        os.dup2(read, 3)
        os.dup2(write, 4)

    argv = [CHROMIUM, *FLAGS, f"--user-data-dir={directory / 'profile'}", "about:blank"]
    process = subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        close_fds=False,
        preexec_fn=inherit,
        env=None if env is None else dict(env),
    )
    os.close(to[0])
    os.close(from_[1])
    try:
        yield Browser(process, to[1], from_[0])
    finally:
        os.close(to[1])  # the end of its pipe is its end
        os.close(from_[0])
        process.wait(30)
