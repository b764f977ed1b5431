"""Runs a script in a real boundary, from a child of the test, and tells what came of it."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sluicegate.boundary import build, privilege
from sluicegate.boundary.build import Boundary
from sluicegate.boundary.model import ROOT_TIER, ROOTLESS_TIER, Command, Spec

TIERS = (ROOT_TIER, ROOTLESS_TIER)
# Nobody's on any machine of ours, so that nothing but the boundary's own mapping gives access.
UID = 61500
PYTHON = "/usr/bin/python3"


@dataclass
class Outcome:
    said: str
    exit: dict[str, int]
    plan: list[list[str]]
    counters: dict[str, int]
    extra: Any = None
    error: str = ""
    rest: list[str] = field(default_factory=list)


@contextmanager
def ground() -> Iterator[Path]:
    """A directory with `work` and `home` of UID, reachable by everybody."""
    top = Path(tempfile.mkdtemp(prefix="sluicegate-test-", dir="/tmp"))
    top.chmod(0o755)
    try:
        for name in ("work", "home"):
            (top / name).mkdir()
            os.chown(top / name, UID, UID)
        yield top
    finally:
        shutil.rmtree(top)


def spec(tier: str, top: Path, script: str, **more: Any) -> Spec:
    home = str(top / "home")
    env = (("PATH", "/usr/bin:/bin:/usr/sbin:/sbin"), ("HOME", home))
    rootless = tier == ROOTLESS_TIER
    command = Command(
        ("/bin/sh", "-c", script), env, str(top / "work"), UID, UID, (), rootless,
        more.pop("tty", (False, False, False)),
    )  # fmt: skip
    given = {"binds": (), "hidden": (), "workspace": str(top / "work"), **more}
    return Spec("test", tier, command, home=home, **given)


def become_ordinary() -> None:
    """What an ordinary user's process is: without exec, the kernel has to be told so."""
    os.setgroups([])
    os.setresgid(UID, UID, UID)
    os.setresuid(UID, UID, UID)
    privilege.set_dumpable(True)


def run(asked: Spec, meanwhile: Callable[[Boundary], Any] | None = None) -> Outcome:
    """The outcome of the spec's script; `meanwhile` is called after its launch."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as report:
        pid = os.fork()
        if pid == 0:
            try:
                os.dup2(output.fileno(), 1)
                os.dup2(output.fileno(), 2)
                if asked.tier == ROOTLESS_TIER:
                    become_ordinary()
                result = json.dumps(_supervise(asked, meanwhile))
                os.write(report.fileno(), result.encode())
            except BaseException as error:
                os.write(report.fileno(), json.dumps({"error": repr(error)}).encode())
            finally:
                os._exit(0)
        os.waitpid(pid, 0)
        report.seek(0)
        output.seek(0)
        found = {"exit": {}, "plan": [], "counters": {}, **json.loads(report.read())}
        return Outcome(said=output.read().decode(), **found)


def _supervise(asked: Spec, meanwhile: Callable[[Boundary], Any] | None) -> dict[str, Any]:
    boundary = build.start(asked)
    try:
        boundary.wire.settimeout(20)
        lines = boundary.wire.makefile("rb")
        assert json.loads(lines.readline()) == {"ready": True}
        boundary.streams.start()
        boundary.wire.sendall(b'{"launch":true}\n')
        extra = meanwhile(boundary) if meanwhile else None
        ended = json.loads(lines.readline())["exit"]
        boundary.stop()
        boundary.streams.finish(lambda: False, hurried=False)
        counted = boundary.counters()
    finally:
        boundary.close()
    return {"exit": ended, "plan": boundary.plan, "counters": counted, "extra": extra}
