"""The signing key of a real run: who gets it, who can not, what stays in memory (cli.keysource, .children)."""

from __future__ import annotations

import base64
import os
import pty
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from sluicegate.evidence import keys
from tests.conftest import Run, Tier
from tests.faults import staged
from tests.kernel.test_pty import Screen
from tests.kernel.test_run import descendants

SEED = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
TEXT = keys.write_private(SEED)
PUBLIC = keys.signer(SEED)[1]
LOCKED = keys.write_encrypted(SEED, b"quiet harbour", bytes(16), bytes(12), keys.MIN_SCRYPT_N)
NOTHING = "version: 1\n"
# A caller's shell; it says what it passes on, then becomes sluicegate.
CALL = 'exec {redirect}; echo "$(readlink /proc/$$/fd/7)" >&2; exec env -u SECRET -u WORD "$@"'
PIPE = '7< <(printf %s "$SECRET")'
WORD = '8< <(printf %s "$WORD")'
# Everything of the command's own processes that names the descriptor or shows the text.
SEARCH = (
    "ls /proc/[0-9]*/fd; ls -l /proc/self/fd; tr '\\0' '\\n' </proc/self/environ;"
    " cat run.key 2>&1; cat <&7"
)


def place(tier: Tier, text: str, mode: int = 0o600, name: str = "run.key") -> Path:
    path = tier.work / name
    path.write_text(text)
    path.chmod(mode)
    os.chown(path, tier.work.stat().st_uid, tier.work.stat().st_gid)
    return path


def call(
    tier: Tier,
    command: list[str],
    *options: str,
    redirect: str = PIPE,
    secret: str = TEXT,
    word: str = "",
) -> Run:
    argv, packet = tier.argv(command, NOTHING, *options)
    shell = ["bash", "-c", CALL.format(redirect=redirect), "caller", *argv]
    env = {"SECRET": secret, "WORD": word}
    done = tier.world.run(shell, user=tier.user, cwd=tier.work, env=env)
    return Run(done.code, done.out, done.err, packet)


def pinned(tier: Tier, run: Run) -> None:
    """The packet is whole, and the key given from outside signed it."""
    assert run.code == 0, run.err
    checked = tier.verify(run, "--key", PUBLIC)
    assert checked.code == 0, checked.out + checked.err
    assert run.boundary()["close"]["run"]["key"] == "given"


def unstarted(tier: Tier, run: Run, *said: str) -> None:
    assert run.code == 125
    for word in (*said, "hint: "):
        assert word in run.err
    assert "Traceback" not in run.err
    assert not (tier.work / "ran").exists()
    assert not run.packet.exists()


@pytest.mark.parametrize(
    "redirect", [PIPE, '7<<<"$SECRET"', "7< <(echo; printf '%s\\r\\n' $SECRET)"]
)
def test_a_key_on_a_descriptor_signs_and_is_not_the_commands(tier: Tier, redirect: str) -> None:
    done = call(tier, ["bash", "-c", f"{SEARCH}; true"], "--key-fd", "7", redirect=redirect)
    pinned(tier, done)
    for line in TEXT.splitlines():
        assert line not in done.out
        assert line not in done.err
    assert "7: Bad file descriptor" in done.err
    assert f"check it with: sluicegate verify {done.packet} --key {PUBLIC}\n" in done.err


def test_a_key_file_signs_and_is_not_the_commands_even_when_it_came_by_descriptor(
    tier: Tier,
) -> None:
    path = place(tier, TEXT)
    options = ("--key", str(path)), ("--key-fd", "7")
    for given in options:
        done = call(tier, ["bash", "-c", f"{SEARCH}; true"], *given, redirect="7<run.key")
        pinned(tier, done)
        assert TEXT.splitlines()[1] not in done.out + done.err
    assert path.read_text() == TEXT


@pytest.mark.parametrize(
    ("redirect", "secret", "said"),
    [
        ("7<&-", "", "--key-fd 7: descriptor 7 is not open"),
        ("7</", "", "--key-fd 7: descriptor 7 is a directory"),
        ("7>/dev/null", "", "--key-fd 7: descriptor 7 is not open for reading"),
        ("7</dev/null", "", "its text is empty"),
        ("7</dev/zero", "", "holds more than 4096 bytes"),
        (PIPE, "", "its text is empty"),
        (PIPE, keys.write_public(bytes(32)), "not a key text"),
        (PIPE, LOCKED, "it is encrypted, and no passphrase was given"),
    ],
)
def test_descriptors_without_a_key(tier: Tier, redirect: str, secret: str, said: str) -> None:
    done = call(tier, ["touch", "ran"], "--key-fd", "7", redirect=redirect, secret=secret)
    unstarted(tier, done, said)


def test_options_that_name_no_key_or_two(tier: Tier) -> None:
    for number in ("0", "1", "2"):
        unstarted(
            tier, call(tier, ["touch", "ran"], "--key-fd", number), "wants a descriptor from 3"
        )
    both = call(tier, ["touch", "ran"], "--key-fd", "7", "--key", "run.key")
    unstarted(tier, both, "both given")


@pytest.mark.parametrize("mode", [0o644, 0o660])
def test_a_loose_key_file_is_refused(tier: Tier, mode: int) -> None:
    path = place(tier, TEXT, mode)
    for given in (("--key", str(path)), ("--key-fd", "7")):
        done = call(tier, ["touch", "ran"], *given, redirect="7<run.key")
        unstarted(tier, done, f"others (mode {mode:04o})", f"chmod 600 {path}")


def test_what_is_no_key_file_is_refused(tier: Tier) -> None:
    pinned(tier, tier.run(["true"], NOTHING, "--key", str(place(tier, TEXT, 0o640))))
    (tier.work / "link").symlink_to("run.key")
    os.mkfifo(tier.work / "fifo", 0o600)
    os.chown(tier.work / "fifo", tier.work.stat().st_uid, -1)
    for name, said in {
        "link": "it is a symbolic link",
        "fifo": "is not a regular file",
        ".": "is not a regular file",
        "none": "No such file",
    }.items():
        done = tier.run(["touch", "ran"], NOTHING, "--key", str(tier.work / name))
        unstarted(tier, done, said)


def test_an_encrypted_key_and_its_passphrase(tier: Tier) -> None:
    path = str(place(tier, LOCKED))
    command, given = ["touch", "ran"], ("--key", path, "--passphrase-fd", "8")
    unstarted(tier, call(tier, command, "--key", path), "no terminal to ask")
    for word, said in {
        "quiet harbo": "the passphrase is wrong",
        "": "no passphrase",
        "open\nharbour": "more than one line",
    }.items():
        unstarted(tier, call(tier, command, *given, redirect=WORD, word=word), said)
    unstarted(tier, call(tier, command, *given), "--passphrase-fd 8: descriptor 8 is not open")
    pinned(tier, call(tier, ["true"], *given, redirect=WORD, word="quiet harbour\n"))
    both = call(
        tier,
        ["true"],
        *("--key-fd", "7", "--passphrase-fd", "8"),
        redirect=f"{PIPE} {WORD}",
        secret=LOCKED,
        word="quiet harbour",
    )
    pinned(tier, both)
    assert f"--key {PUBLIC}\n" in both.err


class Asked(Screen):
    """A terminal with another command of sluicegate's on it."""

    def __init__(self, tier: Tier, argv: list[str]) -> None:
        enter = tier.world.enter(tier.user, tier.work)
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            env = {"PATH": os.environ["PATH"], "HOME": str(tier.work), "TERM": "dumb"}
            os.execvpe(enter[0], [*enter, *argv], env)
        self.seen = b""


def test_a_person_is_asked_for_the_passphrase(tier: Tier) -> None:
    path = place(tier, LOCKED)
    command = ["sh", "-c", "echo ready; read x; echo got $x"]
    argv, packet = tier.argv(command, NOTHING, "--key", str(path))
    screen = Asked(tier, argv)
    screen.until("passphrase of 'run.key': ")
    screen.type("quiet harbour\n")
    assert "harbour" not in screen.until("ready")
    screen.type("a line\n")
    # The terminal shows again what is typed.
    assert "a line" in screen.until("got a line")
    assert screen.end() == 0
    pinned(tier, Run(0, "", "", packet))

    argv, packet = tier.argv(["touch", "ran"], NOTHING, "--key", str(path))
    screen = Asked(tier, argv)
    screen.until("passphrase of 'run.key': ")
    screen.type("\x03")
    assert screen.end() == 130
    assert not packet.exists()
    screen = Asked(tier, argv)
    screen.until("passphrase of 'run.key': ")
    screen.type(f"{'x' * 2000}\n")
    screen.until("at most 1024 bytes")
    assert screen.end() == 125


def test_keygen_asks_twice(tier: Tier) -> None:
    argv = [*tier.argv([], NOTHING)[0][:3], "keygen", "--encrypt", "made"]
    screen = Asked(tier, argv)
    screen.until("passphrase for 'made.key': ")
    screen.type("quiet harbour\n")
    screen.until("the same again: ")
    screen.type("quiet harbouri\n")
    screen.until("differ")
    assert screen.end() == 2
    assert not (tier.work / "made.key").exists()
    screen = Asked(tier, argv)
    screen.until("passphrase for 'made.key': ")
    screen.type("quiet harbour\n")
    screen.until("the same again: ")
    screen.type("quiet harbour\n")
    assert "harbour" not in screen.until("made.pub ")
    assert screen.end() == 0
    assert len(keys.read_private((tier.work / "made.key").read_text(), b"quiet harbour")) == 32


@dataclass(frozen=True, slots=True)
class Waiting:
    """A run whose command waits: the caller's descriptor as a link's text, and our processes by title."""

    descriptor: str
    supervisor: int
    others: dict[str, int]

    def holders(self) -> list[str]:
        """Those of our processes, and of the command's, that hold what was given."""
        found = []
        for name, pid in {"supervisor": self.supervisor, **self.others}.items():
            links = [os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir()]
            assert links
            found += [name] * (self.descriptor in links)
        return found


@contextmanager
def waiting(
    tier: Tier, *options: str, redirect: str = PIPE, secret: str = TEXT
) -> Iterator[Waiting]:
    argv, _ = tier.argv(["sh", "-c", "echo ready; read x"], NOTHING, *options)
    shell = ["bash", "-c", CALL.format(redirect=redirect), "caller", *argv]
    env = {"SECRET": secret, "WORD": "quiet harbour"}
    process = tier.world.popen(shell, user=tier.user, cwd=tier.work, env=env)
    try:
        assert process.stdout is not None
        assert process.stderr is not None
        descriptor = process.stderr.readline().strip()
        assert process.stdout.readline() == "ready\n"
        pids = descendants(process.pid)
        titles = {pid: Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ") for pid in pids}
        # Not the shell's that writes the pipe: it is gone when it has written.
        named = {
            (re.findall(r"sluicegate: (\w+)", title) or [title.split()[0]])[0]: pid
            for pid, title in titles.items()
            if title.strip()
        }
        assert named.keys() >= {"gate", "notary", "warden", "init", "sh"}
        yield Waiting(descriptor, process.pid, named)
    finally:
        process.communicate("\n", timeout=30)
    assert process.returncode == 0


def memory(pid: int) -> bytes:
    """All that the process has written to."""
    found = []
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", buffering=0) as mem:
        for line in maps:
            span, access = line.split()[:2]
            low, high = (int(end, 16) for end in span.split("-"))
            if "w" in access:
                mem.seek(low)
                found.append(mem.read(high - low))
    return b"".join(found)


def test_nobody_holds_the_descriptor_once_the_notary_has_read_it(tier: Tier) -> None:
    with waiting(tier, "--key-fd", "7") as run:
        assert run.descriptor.startswith("pipe:[")
        assert run.holders() == []
        for name, pid in {"supervisor": run.supervisor, **run.others}.items():
            held = memory(pid)
            # The public half shows that the search sees what is there.
            assert PUBLIC.encode() in held or name not in {"notary", "supervisor"}
            # Once: the library's object in the notary. No text of it anywhere, not even there.
            assert held.count(SEED) == (name == "notary"), name
            assert TEXT.splitlines()[1][:40].encode() not in held, name


@pytest.mark.parametrize("encrypted", [False, True])
def test_the_notary_keeps_the_key_in_one_place(tier: Tier, encrypted: bool) -> None:
    path = str(place(tier, LOCKED if encrypted else TEXT))
    given = ("--passphrase-fd", "8") if encrypted else ()
    with waiting(tier, "--key", path, *given, redirect=WORD if encrypted else "7<&-") as run:
        for pid, times in ((run.others["notary"], 1), (run.supervisor, 0)):
            held = memory(pid)
            assert held.count(SEED) == times
            assert TEXT.splitlines()[1][:40].encode() not in held
            assert b"quiet harbour" not in held


FORMS = {
    "seed": SEED,
    "hex": SEED.hex().encode(),
    "HEX": SEED.hex().upper().encode(),
    "text": TEXT.splitlines()[1][:40].encode(),
    "base64": base64.b64encode(SEED)[:40],
    "passphrase": b"quiet harbour",
}


def forms(pid: int) -> dict[str, int]:
    """How often the key's forms are in what the process has written to, and in its environment and arguments."""
    held = memory(pid)
    held += b"".join(Path(f"/proc/{pid}/{name}").read_bytes() for name in ("environ", "cmdline"))
    assert len(held) > 1 << 20
    return {name: count for name, form in FORMS.items() if (count := held.count(form))}


ENDED = ("notary: key forgotten", "supervisor: sealed")
WAYS = {"file": ("7<&-", TEXT), "descriptor": (PIPE, TEXT), "encrypted": (f"{PIPE} {WORD}", LOCKED)}


@pytest.mark.parametrize("way", WAYS)
def test_during_a_run_the_key_is_in_the_notary_alone_and_after_it_in_nobody(
    tier: Tier, way: str
) -> None:
    redirect, secret = WAYS[way]
    given: tuple[str, ...] = ("--key-fd", "7")
    if way == "file":
        given = ("--key", str(place(tier, TEXT)))
    if way == "encrypted":
        given = (*given, "--passphrase-fd", "8")
    with staged.held(
        tier,
        ["true"],
        NOTHING,
        "supervisor: command ended",
        *given,
        shell=["bash", "-c", CALL.format(redirect=redirect), "caller"],
        env={"SECRET": secret, "WORD": "quiet harbour"},
        then=ENDED,
    ) as run:
        found = {word: forms(run.who(word)) for word in ("supervisor", "gate", "warden", "notary")}
        assert found == {"supervisor": {}, "gate": {}, "warden": {}, "notary": {"seed": 1}}
        run.go_on()
        run.until_held(*ENDED)
        # Sealed, and nothing can be signed any more; both are still there to look into, the gate has ended.
        for word in ("supervisor", "notary"):
            assert forms(run.who(word)) == {}, word
        run.go_on()
        ended = run.end()
    pinned(tier, ended)


def test_an_ephemeral_key_is_in_the_notary_alone_and_after_the_run_in_nobody(tier: Tier) -> None:
    moment = "supervisor: command ended"
    with staged.held(tier, ["true"], NOTHING, moment, then=ENDED, spy=True) as run:
        (seed,) = run.seeds
        assert memory(run.who("notary")).count(seed) == 1
        for word in ("supervisor", "gate", "warden"):
            assert memory(run.who(word)).count(seed) == 0, word
        run.go_on()
        run.until_held(*ENDED)
        assert memory(run.who("notary")).count(seed) == 0
        run.go_on()
        assert run.end().code == 0


def test_what_our_processes_can_be_looked_into_by_and_leave_behind(tier: Tier) -> None:
    with waiting(tier, "--key-fd", "7") as run:
        for name in ("supervisor", "gate", "notary"):
            pid = run.supervisor if name == "supervisor" else run.others[name]
            # Not dumpable: no core, no trace, and what is open in it is root's to open (proc(5)).
            for file in ("mem", "environ", "fd", "maps"):
                assert os.stat(f"/proc/{pid}/{file}").st_uid == 0, (name, file)
            if name != "supervisor":
                limits = Path(f"/proc/{pid}/limits").read_text()
                assert re.search(r"^Max core file size +0 +0 ", limits, re.MULTILINE)
            if tier.user is not None:
                look = f"import os; os.listdir('/proc/{pid}/fd')"
                done = tier.world.run(["python3", "-c", look], user=tier.user)
                assert "PermissionError" in done.err, name


def test_the_supervisor_can_not_be_looked_into_before_the_notary_has_the_key(tier: Tier) -> None:
    path = place(tier, LOCKED)
    argv, _ = tier.argv(["true"], NOTHING, "--key", str(path))
    screen = Asked(tier, argv)
    screen.until("passphrase of 'run.key': ")
    assert os.stat(f"/proc/{screen.pid}/fd").st_uid == 0
    if tier.user is not None:
        look = ["python3", "-c", f"import os; os.listdir('/proc/{screen.pid}/fd')"]
        assert "PermissionError" in tier.world.run(look, user=tier.user).err
    screen.type("quiet harbour\n")
    assert screen.end() == 0


def test_a_key_that_another_user_owns_is_refused(tier: Tier) -> None:
    path = place(tier, TEXT, 0o640)
    group = tier.work.stat().st_gid
    os.chown(path, 4321, group)
    done = tier.run(["touch", "ran"], NOTHING, "--key", str(path))
    unstarted(tier, done, "belongs to uid 4321", f"chown {tier.user or 0} {path}")


def test_nobody_but_root_can_look_into_the_notary(tier: Tier) -> None:
    with waiting(tier, "--key-fd", "7") as run:
        pid = run.others["notary"]
        status = Path(f"/proc/{pid}/status").read_text()
        uid = int(re.findall(r"^Uid:\t(\d+)", status, re.MULTILINE)[0])
        assert uid != 0
        # What is not dumpable belongs to root, whoever it runs as (proc(5)).
        assert os.stat(f"/proc/{pid}/mem").st_uid == 0
        limits = Path(f"/proc/{pid}/limits").read_text()
        assert re.search(r"^Max core file size +0 +0 ", limits, re.MULTILINE)
        for name in ("mem", "environ", "maps", "fd"):
            reader = ["python3", "-c", f"import os; os.listdir('/proc/{pid}/fd')"]
            if name != "fd":
                reader = ["python3", "-c", f"open('/proc/{pid}/{name}', 'rb').read(1)"]
            done = tier.world.run(reader, user=uid)
            assert "PermissionError" in done.err, name
        traced = "import ctypes; print(ctypes.CDLL(None).ptrace(16, {}, 0, 0))"
        assert tier.world.run(["python3", "-c", traced.format(pid)], user=uid).out == "-1\n"
        # The refusals above are not the world's.
        mine = "open('/proc/self/mem', 'rb'); print('readable')"
        assert tier.world.run(["python3", "-c", mine], user=uid).out == "readable\n"
