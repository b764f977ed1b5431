"""A real run that a test holds at a named moment (sluicegate.moments), to kill whom it wants just there.

As a script it is the run: it assigns the hook, then does what `sluicegate run` does. Every process tells the moments it
comes to into one FIFO; the one that comes to the wanted moment waits for a byte in the other.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import subprocess
import sys
import time
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from setproctitle import getproctitle

from tests.conftest import Run, Tier
from tests.kernel.test_run import descendants, wait_gone

ADDED = ("packet.json", "summary.md", "checkpoint", "probes.sigstore.json", "seal.sigstore.json")
# In the order in which a run that does `COMMAND` of the tests comes to them first.
RUNNING = (
    "gate: receipts sent",
    "notary: facts written",
    "notary: evidence written",
    "notary: committed said",
    "gate: committed",
    "gate: about to dial",
    "gate: outcome queued",
    "supervisor: command ended",
    "supervisor: counters read",
    "supervisor: close prepared",
)
CLOSING = (
    "notary: record closed",
    "supervisor: record closed",
    "supervisor: boundary.json gone",
    "supervisor: boundary replaced",
    "supervisor: verified",
    "notary: seal made",
    "supervisor: sealed",
    *(f"supervisor: {name} {what}" for name in ADDED for what in ("begun", "written")),
)
BEFORE = tuple(
    f"supervisor: {name} {what}"
    for name in ("policy.json", "boundary.json")
    for what in ("begun", "written")
)
# The supervisor has its answer by then and goes on: nobody waits for the notary any more.
BESIDE = ("notary: key forgotten",)
MOMENTS = (*BEFORE, *RUNNING, *CLOSING)
# The second time it is the first decision's; the first it is the session_open's, before the command is started.
SECOND = ("notary: facts written", "notary: evidence written")
# A run whose packet is whole from here on.
LAST = "supervisor: seal.sigstore.json written"
SECONDS = 60  # a bound for a test that hangs, not a measure


def pattern(moment: str) -> str:
    """The moment as the code spells it."""
    return re.sub(r"^supervisor: \S+ (?=(begun|written|gone)$)", "supervisor: * ", moment)


@dataclass(slots=True)
class Staged:
    """A run, and where it is held: each moment, and the process that has come to it."""

    process: subprocess.Popen[str]
    packet: Path
    tells: int
    goes: int
    holders: dict[str, int] = field(default_factory=dict)
    seeds: list[bytes] = field(default_factory=list)
    heard: list[tuple[int, str]] = field(default_factory=list)
    rest: bytes = b""

    def until_held(self, *moments: str) -> None:
        """Blocks until the run is held at all of them."""
        while not self.holders.keys() >= set(moments):
            assert select.select([self.tells], [], [], SECONDS)[0], f"it never came: {self.heard}"
            self._hear()

    def _hear(self) -> None:
        *lines, self.rest = (self.rest + os.read(self.tells, 1 << 16)).split(b"\n")
        for line in lines:
            pid, mark, moment = line.decode().split(" ", 2)
            self.heard.append((int(pid), moment))
            if mark == "held":
                self.holders[moment] = int(pid)
            if mark == "seed":
                self.seeds.append(bytes.fromhex(moment))

    def count(self, moment: str) -> int:
        """How often `moment` was told so far."""
        while select.select([self.tells], [], [], 0)[0]:
            self._hear()
        return sum(told == moment for _, told in self.heard)

    def who(self, word: str) -> int:
        """The process of ours called `word`; 0: there is none any more."""
        if word == "supervisor":
            return self.process.pid
        for pid in descendants(self.process.pid):
            with contextlib.suppress(OSError):
                if f"sluicegate: {word}" in Path(f"/proc/{pid}/cmdline").read_text():
                    return pid
        return 0

    def kill(self, *words: str) -> list[int]:
        """Kills them at one moment: none runs on when the first of them dies. Returns all that belonged to the run."""
        family = [self.process.pid, *descendants(self.process.pid)]
        victims = (
            family if "everything" in words else [pid for word in words if (pid := self.who(word))]
        )
        assert victims, words
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in victims:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
        # Then the kernel has also ended what dies with them: who is let go on later is not racing against it.
        for pid in victims:
            wait_gone(pid)
        return family

    def go_on(self) -> None:
        """Lets go who is held, if they live."""
        os.write(self.goes, b"!" * len(self.holders))
        self.holders.clear()

    def end(self) -> Run:
        """The run's end: its code, streams and packet."""
        out, err = self.process.communicate(timeout=SECONDS)
        return Run(self.process.returncode, out, err, self.packet)


@contextlib.contextmanager
def held(
    tier: Tier,
    command: list[str],
    policy: str,
    moment: str,
    *options: str,
    nth: int = 0,
    then: Sequence[str] = (),
    clock: str = "real",
    spy: bool = False,
    shell: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
) -> Iterator[Staged]:
    """The run at `moment` (the `nth` time; 0: as `SECOND` says), and at `then`. Nothing of it is left afterwards.

    `clock`: what happens to it, see `_clock`. `spy`: the notary tells the seed of the key that it makes. `shell` and
    `env`: what starts the run.
    """
    argv, packet = tier.argv(command, policy, *options)
    tells, goes = (
        tier.world.directory / f"{tier.work.parent.name}-{tier.count}-{n}"
        for n in ("tells", "goes")
    )
    for path in (tells, goes):
        os.mkfifo(path)
        path.chmod(0o666)
    # For both, so that no open waits for the other side.
    told, going = os.open(tells, os.O_RDWR), os.open(goes, os.O_RDWR)
    first = f"{nth or 1 + (moment in SECOND)},{moment}"
    wanted = ";".join([first, *(f"1,{later}" for later in then)])
    here = [argv[0], "-m", "tests.faults.staged", str(tells), str(goes), wanted, clock, str(spy)]
    environ = {"PYTHONPATH": str(Path(__file__).parents[2]), **(env or {})}
    begun = [*shell, *here, *argv[3:]]
    process = tier.world.popen(begun, user=tier.user, cwd=tier.work, env=environ)
    run = Staged(process, packet, told, going)
    try:
        run.until_held(moment)
        yield run
    finally:
        if process.poll() is None:
            run.kill("everything")
            process.communicate()
        os.close(told)
        os.close(going)
        tells.unlink()
        goes.unlink()


def _tell(tells: str, line: str) -> None:
    descriptor = os.open(tells, os.O_WRONLY | os.O_CLOEXEC)
    os.write(descriptor, line.encode())
    os.close(descriptor)


def _clock(kind: str) -> None:
    """Has the notary, and the supervisor, see a clock that somebody sets."""
    from sluicegate.evidence import notary

    steps = {
        "back": (0, -(10**18)),
        "forward": (0, 10**18),
        "wild": (0, 10**18, -(10**18), 10**17),
    }[kind]
    asked = iter(range(10**9))

    def time_ns() -> int:
        return time.time_ns() + steps[min(next(asked), 10**9) % len(steps)]

    vars(notary)["time"] = types.SimpleNamespace(time_ns=time_ns, monotonic=time.monotonic)


def _spy(tells: str) -> None:
    """Has the notary tell the key that it makes for itself."""
    from sluicegate.evidence import keys

    make = keys.Signer.__init__

    def told(self: keys.Signer, seed: keys.Secret | None) -> None:
        make(self, seed)
        if "notary" in getproctitle():
            half = bytes(self._key or b"")[: keys.SEED_BYTES]
            _tell(tells, f"{os.getpid()} seed {half.hex()}\n")

    vars(keys)["Signer"].__init__ = told


def main(tells: str, goes: str, wanted: str, clock: str, spy: str, *argv: str) -> int:
    from sluicegate import moments
    from sluicegate.cli.main import main as command

    come: dict[str, int] = {}
    stops = set(wanted.split(";"))

    def stall(moment: str) -> None:
        come[moment] = come.get(moment, 0) + 1
        hold = f"{come[moment]},{moment}" in stops
        _tell(tells, f"{os.getpid()} {'held' if hold else 'past'} {moment}\n")
        if hold:
            descriptor = os.open(goes, os.O_RDONLY | os.O_CLOEXEC)
            os.read(descriptor, 1)
            os.close(descriptor)

    moments.testing_only_stall = stall
    if clock != "real":
        _clock(clock)
    if spy == "True":
        _spy(tells)
    return command(argv)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
