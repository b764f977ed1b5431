"""`sluicegate run` end to end in both tiers (sluicegate.cli.run, sluicegate.cli.session, .closing, .supervise)."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Run, Tier, catcher

ALLOW = """\
version: 1
allow:
  - host: allowed.test
  - host: six.test
    ports: [443]
  - host: half.test
  - ip: 203.0.113.10/32
    ports: [7000]
  - ip: 2001:db8::10/128
    ports: [5432]
"""


def test_exit_code_and_stdio_are_the_commands(tier: Tier) -> None:
    done = tier.run(["sh", "-c", "cat; echo err >&2; exit 7"], stdin="in\n")
    assert (done.code, done.out) == (7, "in\n")
    assert "\nerr\n" in done.err


@pytest.mark.parametrize(
    ("command", "code"),
    [(["./nothing"], 127), (["/etc/passwd"], 126), (["sh", "-c", "kill -9 $$"], 137)],
)
def test_exit_codes_of_a_shell(tier: Tier, command: list[str], code: int) -> None:
    assert tier.run(command).code == code


def test_allowed_connections_arrive_and_the_packet_verifies(tier: Tier) -> None:
    shutil.copy(tier.world.ca, tier.work)
    done = tier.run(
        [
            "sh",
            "-ec",
            """curl -sS http://allowed.test/clear
            curl -sS --cacert ca.pem https://allowed.test/tls
            curl -sS --cacert ca.pem https://six.test/six
            curl -sS http://half.test/half""",
        ],
        ALLOW,
    )
    assert done.code == 0, done.err
    assert [line.split()[2] for line in done.out.splitlines()] == [
        "/clear",
        "/tls",
        "/six",
        "/half",
    ]
    key = json.loads((done.packet / "packet.json").read_text())["verifier"]["signer_key"]
    checked = tier.verify(done, "--key", key)
    assert checked.code == 0, checked.out + checked.err
    assert tier.verify(done, "--key", "0" * 64).code == 4
    assert tier.verify(done).code == 4


def test_opaque_and_server_first_flows(tier: Tier) -> None:
    script = (
        "import socket\n"
        "for where in (('203.0.113.10', 7000), ('2001:db8::10', 5432)):\n"
        "    with socket.create_connection(where) as s:\n"
        "        s.sendall(b'\\x00\\x00\\x00\\x08opaque')\n"
        "        s.shutdown(socket.SHUT_WR)\n"
        "        got = b''\n"
        "        while piece := s.recv(99): got += piece\n"
        "        print(got)\n"
    )
    done = tier.python(script, ALLOW)
    assert done.out.splitlines() == [repr(b"\0\0\0\x08opaque")] * 2, done.err
    banner = (
        "import socket\nwith socket.create_connection(('allowed.test', 22)) as s: print(s.recv(99))"
    )
    policy = "version: 1\nallow:\n  - host: allowed.test\n    ports: [22]\n"
    assert "SSH-2.0-sink" in tier.python(banner, policy).out


def test_a_denial_is_fast_readable_and_teaches(tier: Tier) -> None:
    before = len(tier.world.arrived())
    done = tier.run(["curl", "-sS", "http://denied.test/x"], ALLOW)
    assert done.code == 0
    assert "denied.test" in done.out
    assert "- host: denied.test" in done.out
    assert "- host: denied.test" in done.err
    assert tier.world.arrived()[before:] == []
    tls = tier.run(["curl", "-sS", "https://denied.test/x"], ALLOW, "--fail-on-deny")
    assert tls.code == 35  # the command's own failure is kept
    assert "alert access denied" in tls.err
    calm = tier.run(["sh", "-c", "curl -sS https://denied.test/x; true"], ALLOW, "--fail-on-deny")
    assert calm.code == 121


def test_an_internal_answer_needs_an_ip_rule(tier: Tier) -> None:
    policy = "version: 1\nallow:\n  - host: internal.test\n"
    done = tier.run(["curl", "-sS", "http://internal.test/x"], policy)
    assert "sink" not in done.out
    assert "10.9.9.9" in done.out
    opened = policy + "  - ip: 10.9.9.9/32\n    ports: [80]\n"
    assert "sink" in tier.run(["curl", "-sS", "http://internal.test/x"], opened).out


def test_identity_is_never_root_and_the_workspace_is_writable(tier: Tier) -> None:
    script = "id -u; touch made; touch /usr/made 2>/dev/null && echo wrote; "
    script += "grep -E 'CapEff|CapBnd|NoNewPrivs|Seccomp:' /proc/self/status"
    done = tier.run(["sh", "-c", script])
    lines = done.out.split()
    assert lines[0] != "0"
    assert "wrote" not in done.out
    status = dict(zip(lines[1::2], lines[2::2], strict=True))
    assert int(status["CapEff:"], 16) == int(status["CapBnd:"], 16) == 0
    assert status["NoNewPrivs:"] == "1"
    assert status["Seccomp:"] == "2"
    assert (tier.work / "made").stat().st_uid == tier.work.stat().st_uid


def test_bad_options_and_policies_start_nothing(tier: Tier) -> None:
    done = tier.run(["touch", "ran"], "version: 1\nallow:\n  - hots: x\n")
    assert done.code == 125
    assert "policy-" in done.err
    assert ":3:5:" in done.err
    assert "hint: " in done.err
    assert not (tier.work / "ran").exists()
    assert not done.packet.exists()
    other = "netns-rootless" if tier.name == "netns-root" else "netns-root"
    refused = tier.run(["touch", "ran"], "version: 1\n", "--tier", other)
    assert refused.code == 125
    assert not refused.packet.exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_reach_the_command(tier: Tier, number: signal.Signals) -> None:
    argv, packet = tier.argv(catcher(number), "version: 1\n")
    process = tier.world.popen(argv, user=tier.user, cwd=tier.work)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    assert process.stdout.readline() == "caught\n"
    process.communicate()
    assert process.returncode == 9
    assert (packet / "packet.json").exists()


def test_kill_of_the_supervisor_leaves_no_process_and_a_prefix(tier: Tier) -> None:
    argv, packet = tier.argv(["sh", "-c", "echo ready; exec sleep 1000"], "version: 1\n")
    process = tier.world.popen(argv, user=tier.user, cwd=tier.work)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    family = descendants(process.pid)
    assert len(family) >= 4
    process.kill()
    process.communicate()  # the pipes close when the last process inside is gone
    left = [pid for pid in family if alive(pid)]
    for pid in left:
        wait_gone(pid)
    checked = tier.verify(Run(process.returncode, "", "", packet))
    assert checked.code == 3, checked.out + checked.err


def descendants(pid: int) -> list[int]:
    found = []
    # Who ends meanwhile, a process or one of its threads, has none any more.
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                for child in (task / "children").read_text().split():
                    found += [int(child), *descendants(int(child))]
    return found


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def wait_gone(pid: int) -> None:
    import os
    import select

    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    assert poll.poll(10_000), Path(f"/proc/{pid}/status").read_text()
    os.close(descriptor)


def test_two_runs_do_not_see_each_other(tier: Tier) -> None:
    script = "python3 -m http.server 8000 --bind 0.0.0.0 >/dev/null 2>&1 & echo $$ >id; echo ready; read x"
    argv, _ = tier.argv(["sh", "-c", script], "version: 1\n")
    first = tier.world.popen(argv, user=tier.user, cwd=tier.work)
    assert first.stdout is not None
    assert first.stdout.readline() == "ready\n"
    look = "curl -sS -m 5 http://127.0.0.1:8000/ >got; ls /proc | grep -c '^[0-9]'"
    second = tier.run(["sh", "-c", look])
    first.communicate("\n")
    assert first.returncode == 0
    assert not (tier.work / "got").read_text()
    assert int(second.out) <= 5  # init, the shell, and what it starts


def test_foreign_verifier_accepts_the_packet(tier: Tier) -> None:
    done = tier.run(
        ["sh", "-c", "curl -sS http://allowed.test/; curl -sS http://denied.test/"], ALLOW
    )
    key = json.loads((done.packet / "packet.json").read_text())["verifier"]["signer_key"]
    tool = Path(sys.executable).with_name("pipelock-verify")
    foreign = tier.world.run([str(tool), "--key", key, str(done.packet / "evidence.jsonl")])
    assert foreign.code == 0, foreign.out + foreign.err


SET_ID = """
import os, shutil
shutil.copy("/usr/bin/id", "rise")
def refused(work, *given):
    try:
        work(*given)
    except PermissionError:
        return True
    return False
print([refused(os.chmod, "rise", mode) for mode in (0o4755, 0o2755, 0o6755, 0o755)])
print([refused(os.open, f"made{n}", os.O_CREAT | os.O_WRONLY, mode) for n, mode in enumerate((0o4755, 0o755))])
os.system("install -m 4755 /usr/bin/id other 2>/dev/null; cp -p /usr/bin/id third; chmod u+s third 2>/dev/null")
"""


def test_nothing_set_id_is_left_for_the_host(tier: Tier) -> None:
    if tier.user is None:
        os.chown(tier.work, 0, 0)  # what is written there is root's on disk
        tier.work.parent.chmod(0o755)
    done = tier.python(SET_ID)
    assert done.out.splitlines() == ["[True, True, True, False]", "[True, False]"], done.err
    files = [path for path in tier.work.iterdir() if path.is_file()]
    assert len(files) >= 3
    assert not [path for path in files if path.stat().st_mode & 0o6000]


def test_a_workspace_behind_a_closed_directory_says_so(tier: Tier) -> None:
    if tier.user is None:
        os.chown(tier.work, 0, 0)
        done = tier.run(["true"])
        assert done.code == 125
        assert "every directory above the workspace must be open to that user" in done.err
    else:
        # Here the command is the caller: what it can not enter, no run can begin in.
        tier.work.parent.chmod(0o000)
        done = tier.run(["true"])
        tier.work.parent.chmod(0o755)
        assert done.code == 125


COUNTED = """
import socket
def attempt(work):
    try:
        work()
    except OSError as error:
        print(error.errno)
attempt(lambda: socket.create_connection(("127.0.0.1", 15001)).close())
attempt(lambda: socket.create_connection(("::1", 15001)).close())
for host in ("224.0.0.251", "255.255.255.255"):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        attempt(lambda: s.sendto(b"x" * 40, (host, 53)))
"""


def test_what_the_kernel_counts_is_what_arrives(tier: Tier) -> None:
    done = tier.python(COUNTED)
    assert done.out == "1\n1\n"
    whole = done.boundary()
    counted = {n: v - whole["open"]["counters"][n] for n, v in whole["close"]["counters"].items()}
    gate = whole["close"]["gate"]
    assert counted["captured"] == gate["connections"] == 2
    assert counted["questions"] == gate["dns_captured"] == 0
    assert counted["refused"] == gate["drops_seen"] == 2


WORD = """
import socket
with socket.create_connection(("203.0.113.10", 7000)) as s:
    s.sendall(b"JDWP-Handshake")
    got = b""
    while len(got) < 14: got += s.recv(99)
    s.sendall(b"\\0more")
    while len(got) < 19: got += s.recv(99)
    print(got)
"""
SPLIT = """
import socket
with socket.create_connection(("203.0.113.10", 7000)) as s:
    s.sendall(b"GET")
    assert s.recv(3) == b"GET"
    s.sendall(b" /secret HTTP/1.1\\r\\nHost: denied.test\\r\\n\\r\\n")
    try:
        print(s.recv(99))
    except ConnectionError:
        print("reset")
"""


def test_a_client_that_waits_after_its_first_word_is_not_kept_waiting(tier: Tier) -> None:
    done = tier.python(WORD, ALLOW)
    assert done.out == repr(b"JDWP-Handshake\0more") + "\n", done.err


def test_a_request_that_comes_after_its_first_word_goes_nowhere(tier: Tier) -> None:
    before = len(tier.world.arrived())
    done = tier.python(SPLIT, ALLOW)
    assert done.out == "reset\n", done.err
    tier.world.settle()
    assert "secret" not in str(tier.world.arrived()[before:])
    assert [flow for flow in done.flows() if flow.get("host") == "denied.test"]


def test_limits_that_a_session_set_for_good_are_no_hindrance(tier: Tier) -> None:
    # As sudo leaves them; who may not raise them runs all the same.
    argv, _ = tier.argv(["sh", "-c", "ulimit -c; curl -sS http://allowed.test/low"], ALLOW)
    limited = ["prlimit", "--core=0:0", "--nofile=1024:1024"]
    done = tier.world.run([*limited, *argv], user=tier.user, cwd=tier.work)
    assert done.code == 0, done.err
    assert "sink GET /low" in done.out


def test_the_command_can_not_rewrite_the_policy_for_the_next_run(tier: Tier) -> None:
    default = tier.work / "sluicegate.yaml"
    default.write_text("version: 1\n")
    os.chown(default, tier.work.stat().st_uid, tier.work.stat().st_gid)
    named = tier.work / "more.yaml"
    named.write_text("version: 1\n")
    script = (
        "for f in sluicegate.yaml more.yaml; do echo x >>$f; rm -f $f; mv $f away; echo y >new; mv -f new $f; done"
        " 2>/dev/null; cat sluicegate.yaml"
    )
    argv, _ = tier.argv(["sh", "-c", script], "version: 1\n")
    at = argv.index("--policy")
    for chosen in ([], ["--policy", str(named)]):
        named.write_text("version: 1\n")
        run = [*argv[:at], *chosen, *argv[at + 2 :]]
        run[run.index("--packet") + 1] += "x" * (1 + len(chosen))
        done = tier.world.run(run, user=tier.user, cwd=tier.work)
        assert done.code == 0, done.err
        assert (named if chosen else default).read_text() == "version: 1\n"


def test_nor_make_one_where_there_is_none(tier: Tier) -> None:
    """And git sees nothing of what keeps it from that."""
    subprocess.run(["git", "init", "-q", tier.work], check=True)
    owner = tier.work.stat()
    for path in (tier.work, *tier.work.rglob("*")):
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
    script = (
        "git status --porcelain; echo version: 1 >sluicegate.yaml; rmdir sluicegate.yaml; mv sluicegate.yaml away;"
        " ln -sfT x sluicegate.yaml; echo version: 1 >sluicegate.yaml/x; ls"
    )
    argv, _ = tier.argv(["sh", "-c", script], "version: 1\n")
    done = tier.world.run(argv, user=tier.user, cwd=tier.work)
    assert (done.code, done.out) == (0, "sluicegate.yaml\n"), done.err
    assert {path.name for path in tier.work.iterdir()} == {".git"}
    # Who wants one made says so.
    granted = "version: 1\nagent: {writable: [sluicegate.yaml]}\n"
    argv, _ = tier.argv(["sh", "-c", "echo version: 1 >sluicegate.yaml"], granted)
    done = tier.world.run(argv, user=tier.user, cwd=tier.work)
    assert done.code == 0, done.err
    assert (tier.work / "sluicegate.yaml").read_text() == "version: 1\n"


def test_nor_move_the_directories_that_it_lies_in(tier: Tier) -> None:
    deep = tier.work / "ci" / "egress"
    deep.mkdir(parents=True)
    policy = deep / "p.yaml"
    policy.write_text("version: 1\n")
    owner = tier.work.stat()
    for place in (deep.parent, deep, policy):
        os.chown(place, owner.st_uid, owner.st_gid)
    script = (
        "touch ci/new ci/egress/new || exit 9; for d in ci/egress ci; do mv -T $d away; rm -rf $d; done 2>/dev/null;"
        " mkdir -p ci/egress; echo x > ci/egress/p.yaml; cat ci/egress/p.yaml"
    )
    argv, _ = tier.argv(["sh", "-c", script], "version: 1\n")
    argv[argv.index("--policy") + 1] = str(policy)
    done = tier.world.run(argv, user=tier.user, cwd=tier.work)
    assert (done.code, done.out) == (0, "version: 1\n"), done.err
    assert policy.read_text() == "version: 1\n"


@pytest.mark.parametrize("names", [{"PIP_CONFIG_FILE": "/dev/null", "NETRC": "/dev/null"}])
def test_no_configuration_is_no_credential(tier: Tier, names: dict[str, str]) -> None:
    done = tier.run(["sh", "-c", "echo gone >/dev/null && wc -c </dev/null"], env=names)
    assert (done.code, done.out.strip()) == (0, "0"), done.err
