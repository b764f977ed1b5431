"""What people see while a command runs (sluicegate.cli.live): a line on a terminal, lines in a log."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios

from tests.cli.test_statusline import screen
from tests.conftest import Tier
from tests.kernel.test_pty import LIMIT_MS, Screen

ASK = "curl -s -o /dev/null http://denied.test/ || :;"
POLICY = "version: 1\nallow:\n  - host: allowed.test\n"


def test_on_a_terminal_one_line_comes_and_goes(tier: Tier) -> None:
    # `half` is no whole line: what comes after it must stand right behind it.
    script = f"{ASK} echo one; read -r x; printf half; read -r x; echo end; read -r x"
    seen = Screen(tier, ["sh", "-c", script], 60, term="xterm")
    seen.until("1 flows, 1 denied")
    seen.type("a\n")
    seen.until("half")
    seen.type("b\n")
    seen.until("end\r\n")
    seen.until("1 flows, 1 denied")
    seen.type("\n")
    assert seen.end() == 0
    shown = screen(seen.whole)
    at = shown.index("one")
    assert shown[at : at + 5] == ["one", "a", "halfb", "end", ""]
    assert not [line for line in shown if "flows," in line]
    assert max(map(len, seen.whole.decode().split("\x1b[K")[1].split("\r")[:1])) < 60


def test_quiet_a_dumb_terminal_and_a_full_screen_have_no_line(tier: Tier) -> None:
    script = f"printf '\\033[2J'; {ASK} echo one; read -r x"
    for options, term, command in (
        (("--quiet",), "xterm", f"{ASK} echo one; read -r x"),
        ((), "dumb", f"{ASK} echo one; read -r x"),
        ((), "xterm", script),
    ):
        seen = Screen(tier, ["sh", "-c", command], 80, *options, term=term)
        seen.until("one\r\n")
        # The gate tells it four times a second: this is longer than that, and the denial came before.
        poll = select.poll()
        poll.register(seen.fd, select.POLLIN)
        assert poll.poll(600) == []
        seen.type("\n")
        assert seen.end() == 0
        assert b"flows," not in seen.whole


def test_with_pipes_the_line_is_gone_before_the_commands_output(tier: Tier) -> None:
    script = f"{ASK} echo one; read -r x; printf half; echo ' line'"
    argv, packet = tier.argv(["sh", "-c", script], POLICY)
    person, outer = pty.openpty()
    fcntl.ioctl(outer, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 200, 0, 0))
    if tier.user is not None:
        os.fchown(outer, tier.user, -1)
    env = {"PATH": os.environ["PATH"], "HOME": str(tier.work), "TERM": "xterm"}
    run = subprocess.Popen(
        [*tier.world.enter(tier.user, tier.work), *argv],
        stdin=subprocess.PIPE, stdout=outer, stderr=outer, env=env,
    )  # fmt: skip
    os.close(outer)
    whole, poll = b"", select.poll()
    poll.register(person, select.POLLIN)
    while b"1 denied" not in whole:
        assert poll.poll(LIMIT_MS), whole
        whole += os.read(person, 4096)
    assert run.stdin is not None
    run.stdin.write(b"x\n")
    run.stdin.close()
    try:
        while some := os.read(person, 4096):
            whole += some
    except OSError:
        os.close(person)
    assert run.wait() == 0
    shown = screen(whole)
    at = shown.index("one")
    assert shown[at + 1] == "half line"
    assert not [line for line in shown if "flows," in line]
    assert (packet / "packet.json").exists()


def test_in_a_log_the_first_denial_of_each_destination_is_a_line(tier: Tier) -> None:
    script = f"printf begun; {ASK} {ASK} read -r x; echo; curl -s -o /dev/null http://other.test:8080/; read -r x"
    argv, _ = tier.argv(["sh", "-c", f"exec 1>&2; {script}"], "version: 1\n")
    run = tier.world.popen(argv, user=tier.user, cwd=tier.work)
    assert run.stdin is not None
    assert run.stderr is not None
    run.stdin.write("x\n")
    run.stdin.flush()
    lines = [run.stderr.readline()]  # the first checkpoint
    while "other.test" not in lines[-1]:
        lines.append(run.stderr.readline())
        assert lines[-1]
    rest = run.communicate("\n", timeout=120)[1]
    # The refusal's own text is curl's output; a line of ours is never in the middle of one of the command's.
    ours = [line for line in lines if line.startswith("sluicegate: denied") and " by " in line]
    first, second = "denied.test port 80", "other.test port 8080"
    assert "".join(ours) == (
        f"sluicegate: denied http://denied.test/ by default: no rule allows {first};"
        " to allow it, add under `allow:` - host: denied.test\n"
        f"sluicegate: denied http://other.test:8080/ by default: no rule allows {second};"
        " to allow it, add under `allow:` - {host: other.test, ports: [8080]}\n"
    )
    assert "begun\n" in lines
    assert " by default: " not in rest
    quiet = tier.run(["sh", "-c", ASK], "version: 1\n", "--quiet")
    assert quiet.err == ""
