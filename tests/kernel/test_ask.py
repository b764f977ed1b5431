"""`run --ask` in both tiers: a person's answers, on record, and nobody else's (sluicegate.cli.asking)."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
from typing import Any

import pytest

from tests.conftest import Tier
from tests.kernel.test_pty import Screen
from tests.world import ROOT

POLICY = "version: 1  # ours\nallow:\n  - host: six.test  # known\ndeny:\n  - host: denied.test\n"
ASKED = "d deny: "
GET = "curl -s -o /dev/null -w '%{http_code}\\n'"


class Asked(Screen):
    """A run with --ask on a terminal."""

    def __init__(self, tier: Tier, script: str, *options: str) -> None:
        super().__init__(tier, ["sh", "-c", script], 100, "--ask", *options, policy=POLICY)
        self.tier = tier

    def answer(self, key: str) -> str:
        """What was asked. The key is typed until it is taken: at first, keys are still the command's."""
        question = self.until(ASKED)
        while b"\n" not in self.seen:
            self.type(key)
            self.read(0.3)
        return question

    def read(self, seconds: float) -> None:
        if select.select([self.fd], [], [], seconds)[0]:
            with contextlib.suppress(OSError):  # it has ended
                self.seen += (some := os.read(self.fd, 4096))
                self.whole += some

    def flows(self) -> list[dict[str, Any]]:
        lines = (self.packet / "flows.jsonl").read_text().splitlines()
        return [flow for flow in map(json.loads, lines) if flow["kind"] == "connection"]

    def answers(self) -> list[tuple[str, int, str]]:
        closed = json.loads((self.packet / "boundary.json").read_text())["close"]
        return [(one["host"], one["port"], one["answer"]) for one in closed["answers"]]

    def verified(self) -> None:
        """By both verifiers."""
        record = (self.packet / "evidence.jsonl").read_text()
        key = record.partition('"signer_key":"')[2][:64]
        ours = self.tier.sluicegate("verify", str(self.packet), "--key", key)
        assert ours.code == 0, ours
        allowed = [one for one in self.answers() if one[2] not in {"deny", "unanswered"}]
        said = "reservation: a person at the terminal allowed what no rule names: "
        assert (said in ours.out) == bool(allowed)
        script = ROOT / "verifier/sluicegate-verify.js"
        theirs = subprocess.run(
            ["node", str(script), str(self.packet), "--key", key], capture_output=True, text=True
        )
        assert theirs.returncode == 0, theirs


def test_once_for_the_run_and_denied(tier: Tier) -> None:
    tier.world.settle()
    before = len(tier.world.arrived())
    url = "http://allowed.test"
    script = f"{GET} {url}/1; {GET} {url}/2; {GET} {url}/3; {GET} http://four.test/; {GET} http://denied.test/; {GET} http://loop.test/"
    run = Asked(tier, script)
    question = run.answer("o")
    assert "/usr/bin/curl wants GET http://allowed.test/1" in question
    assert "no rule allows allowed.test port 80" in question
    assert "http://allowed.test/2" in run.answer("r")
    assert "http://four.test/" in run.answer("d")
    # Names that lead inside are asked about: the address is known later, and it is refused then.
    run.answer("r")
    run.end()
    assert run.answers() == [
        ("allowed.test", 80, "once"), ("allowed.test", 80, "run"),
        ("four.test", 80, "deny"), ("loop.test", 80, "run"),
    ]  # fmt: skip
    intents = [flow for flow in run.flows() if "outcome" not in flow]
    assert [(flow.get("path"), flow["rule"], flow.get("answer")) for flow in intents] == [
        ("/1", "ask", "once"), ("/2", "ask", "run"), ("/3", "ask", "run"),
        ("/", "ask", "deny"), ("/", "deny[0]", None), ("/", "ask", "run"), ("/", "internal-address", "run"),
    ] or [flow["rule"].partition(" ")[0] for flow in intents] == [
        "ask", "ask", "ask", "ask", "deny[0]", "ask", "internal-address",
    ]  # fmt: skip
    run.verified()
    tier.world.settle()
    arrived = json.dumps(tier.world.arrived()[before:])
    for path in ("/1", "/2", "/3"):
        assert f"GET {path}" in arrived
    assert "four.test" not in arrived


def test_added_to_the_policy(tier: Tier) -> None:
    run = Asked(tier, f"{GET} http://allowed.test/; {GET} http://allowed.test:8080/")
    rules = tier.work.parent / "policy-1.yaml"
    rules.chmod(0o604)
    if tier.user is not None:
        os.chown(rules, tier.user, tier.user)
    run.answer("a")
    run.answer("A")
    assert run.end() == 0
    assert "2 rules were added" in run.whole.decode()
    comment = "  # allowed by a person whom a run asked\n"
    added = f"{comment}  - host: allowed.test\n{comment}  - host: allowed.test\n    ports: [8080]\n"
    assert rules.read_text() == POLICY.replace("# known\n", f"# known\n{added}")
    found = rules.stat()
    assert (found.st_mode & 0o777, found.st_uid) == (0o604, tier.user or 0)
    run.verified()


def test_the_command_can_not_answer(tier: Tier) -> None:
    # Typed into its own terminal, echoed on ours; TIOCSTI; and what makes a terminal answer by itself.
    script = (
        "import fcntl, os, termios, subprocess, time\n"
        "fd = os.open('/dev/tty', os.O_RDWR)\n"
        "def push():\n"
        "    for path in ('/dev/tty', '/proc/1/fd/0', '/dev/console', '/dev/pts/0'):\n"
        "        try:\n"
        "            at = os.open(path, os.O_RDWR | os.O_NOCTTY)\n"
        "            fcntl.ioctl(at, termios.TIOCSTI, b'r')\n"
        "        except OSError: pass\n"
        "    os.write(fd, b'\\x1b[6n\\x1b[c\\x1b]10;?\\x07\\x05r')\n"
        "child = subprocess.Popen(['curl', '-s', 'http://allowed.test/forged'])\n"
        "while child.poll() is None:\n"
        "    push(); time.sleep(0.05)\n"
    )
    argv = f'exec /usr/bin/python3 -c "{script}"'
    run = Asked(tier, argv)
    run.until(ASKED)
    for _ in range(20):
        run.read(0.1)
    assert b"\n" not in run.seen
    # A terminal's own answer, late and whole, is none either; nor is a paste.
    run.type("\x1b[24;80R")
    run.read(0.2)
    run.type("rrr")
    run.read(0.2)
    assert b"\n" not in run.seen
    while b"\n" not in run.seen:
        run.type("d")
        run.read(1.5)
    run.end()
    assert run.answers() == [("allowed.test", 80, "deny")]
    assert "forged" not in json.dumps(tier.world.arrived())


def test_the_terminal_goes_and_the_command_ends(tier: Tier) -> None:
    run = Asked(tier, f"{GET} http://allowed.test/hung & wait")
    run.until(ASKED)
    os.close(run.fd)
    os.waitpid(run.pid, 0)
    assert "/hung" not in json.dumps(tier.world.arrived())
    (flow,) = run.flows()
    assert (flow["rule"], flow.get("answer")) in {("ask", "unanswered"), ("default", None)}
    run.verified()
    run = Asked(tier, f"{GET} http://allowed.test/unanswered & sleep 0.1; true")
    os.waitpid(run.pid, 0)
    os.close(run.fd)
    run.verified()
    assert "/unanswered" not in json.dumps(tier.world.arrived())


def test_the_supervisor_dies(tier: Tier) -> None:
    run = Asked(tier, f"{GET} http://allowed.test/orphan")
    run.until(ASKED)
    os.kill(run.pid, signal.SIGKILL)  # nsenter and setpriv became it
    run.end()
    assert "/orphan" not in json.dumps(tier.world.arrived())


@pytest.mark.parametrize("policy", ["version: 1\n", "version: 1\nmode: observe\n"])
def test_without_a_terminal_nothing_starts(tier: Tier, policy: str) -> None:
    run = tier.run(["touch", "started"], policy, "--ask")
    assert run.code == 125
    assert "--ask needs a terminal on stdin and stderr" in run.err
    assert not (tier.work / "started").exists()
