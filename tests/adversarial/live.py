"""A run that waits for orders, so that the outside can act in the middle of it."""

from __future__ import annotations

import json
import secrets
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from tests.adversarial.family import POLICY, PRELUDE
from tests.conftest import Run, Tier
from tests.world import Done, World

DRIVER = """
import json, subprocess, sys
print("ready", flush=True)
for line in sys.stdin:
    script, token = json.loads(line)
    done = subprocess.run([sys.executable, "-c", script, token], capture_output=True, text=True,
                          errors="replace", stdin=subprocess.DEVNULL, timeout=60)
    print(json.dumps([done.stdout.splitlines(), done.stderr]), flush=True)
"""


class Live:
    """Use as a context manager. `token` is in every command line inside, so that `pid` finds one."""

    def __init__(self, process: subprocess.Popen[str], token: str) -> None:
        self.token = token
        self.process = process

    def __enter__(self) -> Self:
        assert self.process.stdout is not None
        said = self.process.stdout.readline()
        assert said == "ready\n", said or (self.process.stderr and self.process.stderr.read())
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()

    def do(self, script: str) -> list[Any]:
        """What `script` says, once it has ended."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps([PRELUDE + script, self.token]) + "\n")
        self.process.stdin.flush()
        said, errors = json.loads(self.process.stdout.readline())
        assert not errors, errors
        return [json.loads(line) for line in said]

    def end(self) -> Done:
        """End the run as the command would."""
        out, err = self.process.communicate(timeout=60)
        return Done(self.process.returncode, out, err)

    @property
    def pid(self) -> int:
        """The command's process, as the outside numbers it: the youngest with the token."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and entry.name != str(self.process.pid):
                try:
                    words = (entry / "cmdline").read_bytes().split(b"\0")
                except OSError:
                    continue
                if words[:1] == [b"/usr/bin/python3"] and self.token.encode() in words:
                    found.append(int(entry.name))
        return max(found)


def behind(tier: Tier, policy: str = POLICY, options: Sequence[str] = ()) -> tuple[Live, Run]:
    """A live run at `tier`; the `Run` is to be read after its end."""
    token = f"tok{secrets.token_hex(8)}"
    command = ["/usr/bin/python3", "-c", DRIVER, token]
    argv, packet = tier.argv(command, policy, *options)
    process = tier.world.popen(argv, user=tier.user, cwd=tier.work)
    return Live(process, token), Run(0, "", "", packet)


def open_(world: World) -> Live:
    """The same with no wall."""
    token = f"tok{secrets.token_hex(8)}"
    return Live(world.popen(["/usr/bin/python3", "-c", DRIVER, token]), token)


def enter(pid: int, *argv: str) -> Done:
    """Run `argv` in the network namespace of `pid`, as the machine's root."""
    done = subprocess.run(
        ["nsenter", f"--target={pid}", "--net", *argv], capture_output=True, text=True, check=False
    )
    return Done(done.returncode, done.stdout, done.stderr)
