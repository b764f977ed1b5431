"""One run from start to seal: reserve, fork, build, launch, wait, drain, close, verify."""

from __future__ import annotations

import contextlib
import hashlib
import os
import pwd
import signal
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from setproctitle import setproctitle

from sluicegate import moments
from sluicegate.boundary import build, environment, identity, netstate, repositories, stores
from sluicegate.boundary.model import ROOT_TIER, ROOTLESS_TIER, BoundaryError, Command, Spec
from sluicegate.boundary.terminal import Terminal
from sluicegate.cli import (
    checkpoints,
    children,
    closing,
    keysource,
    opening,
    packetdir,
    placeholders,
    places,
    policyfiles,
    say,
    secretsource,
    supervise,
    timing,
    trusting,
)
from sluicegate.cli.opening import Plan, SetupError
from sluicegate.cli.options import Options
from sluicegate.evidence import packet
from sluicegate.policy import normal
from sluicegate.policy.together import together


def prepare(
    options: Options,
    environ: Mapping[str, str],
    run: str,
    ignored: tuple[int, ...] = (),
    secret: tuple[str, ...] = (),
) -> Plan:
    """The plan of `run`; `ignored` are the signals that the command ignores too, `secret` files it must not see."""
    try:
        workdir = places.real(options.workdir, "--workdir")
    except FileNotFoundError as error:
        raise SetupError("the current directory is gone", "change to one that exists") from error
    if not os.path.isdir(workdir):
        raise SetupError(f"--workdir {workdir} is not a directory", "name one that exists")
    policies = policyfiles.load(options.policies, workdir, observe=options.observe)
    tier = _tier(options)
    found = os.stat(workdir)
    caller = os.getuid(), os.getgid()
    who = identity.identity(environ, (found.st_uid, found.st_gid), caller, tier, _account)
    grants = together(policies)
    private = secretsource.files(grants.secrets, who.home)
    names, given = _named(options.env, grants.env)
    env, withheld = environment.allowed(environ, names, {**_person(who), **given})
    command = Command(
        argv=options.argv,
        env=env,
        cwd=workdir,
        uid=who.uid,
        gid=who.gid,
        rootless=tier == ROOTLESS_TIER,
        tty=(os.isatty(0), os.isatty(0) and os.isatty(1), os.isatty(0) and os.isatty(2)),
        ignored=ignored,
    )
    out = places.resolved(options.packet, "--packet")
    granted = [places.expanded(path, who.home) for path in grants.bind]
    if missing := [path for path in options.binds if not os.path.exists(path)]:
        raise SetupError(f"--bind {missing[0]} does not exist", "make it, or leave it out")
    # A cache that a policy grants may not be there yet on this machine: then there is nothing to open.
    binds = [*filter(os.path.exists, granted), *options.binds]
    writable = (workdir, *(places.real(path, "--bind") for path in binds))
    places.apart(out, writable)
    told = _checkpoints(options, out, writable)
    spec = Spec(
        run=run,
        tier=tier,
        command=command,
        workspace=workdir,
        binds=writable[1:],
        home=who.home,
        hidden=(*_pointed(environ, withheld, workdir), *secret, *_files(options, told), *private),
        packet=out,
        kept=places.kept(policyfiles.paths(options.policies, workdir), writable),
        free=tuple(os.path.join(workdir, path) for path in grants.writable),
    )
    known = _owner(environ), closing.now(), _secrets(workdir)
    return Plan(options, policies, spec, out, withheld, *known, told)


def _tier(options: Options) -> str:
    tier = ROOT_TIER if os.geteuid() == 0 else ROOTLESS_TIER
    if options.tier not in {"auto", tier}:
        raise SetupError(
            f"tier {options.tier} is not to be had as uid {os.geteuid()}",
            "run it as root" if tier == ROOTLESS_TIER else "run it as a user, not as root",
        )
    return tier


def _secrets(workdir: str) -> tuple[str, ...]:
    """Names of the credentials in the workspace's own git configuration."""
    return tuple(
        f"{path}: {name}"
        for path in (".git/config", ".gitmodules")
        for name in stores.git_secrets(repositories.readable(os.path.join(workdir, path)))
    )


def warn(plan: Plan) -> None:
    """Says what the command will be able to read that nobody may have meant it to."""
    if plan.secrets and not plan.options.quiet:
        names = closing.ascii_text(", ".join(plan.secrets))
        say.complain(
            f"warning: the workspace holds credentials that the command can read: {names}",
            "check out without them, for example with persist-credentials: false",
        )


def _pointed(
    environ: Mapping[str, str], withheld: tuple[str, ...], workdir: str
) -> tuple[str, ...]:
    """Paths that variables name and the command must not see."""
    named = {name: environ[name] for name in withheld} | _moved(environ)
    return stores.pointed(named, (os.getcwd(), workdir))


def _files(options: Options, told: str | None) -> tuple[str, ...]:
    """The signing key's, and that of the checkpoints: the command must not learn how its run is called, it could print
    some of its own.
    """
    key = () if options.key is None else (os.path.abspath(options.key),)
    return key if told is None else (*key, told)


def _moved(environ: Mapping[str, str]) -> dict[str, str]:
    """The command may know where parts of its home are; their credentials are hidden all the same."""
    return {name: environ[name] for name in stores.MOVED if name in environ}


def _account(uid: int) -> identity.Account | None:
    try:
        found = pwd.getpwuid(uid)
    except KeyError:
        return None
    return identity.Account(found.pw_uid, found.pw_gid, found.pw_dir)


def _person(who: identity.Identity) -> dict[str, str]:
    """What sudo may have left as root's."""
    try:
        name = pwd.getpwuid(who.uid).pw_name
    except KeyError:
        name = "sluicegate"
    return {"HOME": who.home, "USER": name, "LOGNAME": name}


def _owner(environ: Mapping[str, str]) -> tuple[int, int] | None:
    """To whom sudo's caller expects the packet to belong; None leaves it ours."""
    uid, gid = identity.number(environ, "SUDO_UID"), identity.number(environ, "SUDO_GID")
    return None if os.geteuid() or uid is None or gid is None else (uid, gid)


def _checkpoints(options: Options, out: str, writable: tuple[str, ...]) -> str | None:
    if options.checkpoint_file is None:
        return None
    told = places.resolved(options.checkpoint_file, "--checkpoint-file")
    places.outside(told, out, writable)
    return told


def _named(
    given: tuple[str, ...], wanted: tuple[str, ...]
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Names to pass through, and variables given with a value."""
    pairs = [text.partition("=") for text in given]
    names = wanted + tuple(name for name, equals, _ in pairs if not equals)
    return names, {name: value for name, equals, value in pairs if equals}


_Witnesses = tuple[supervise.Control, supervise.Control, supervise.Control]


@dataclass(slots=True)
class _Processes:
    """Ours, in the order they were started; `end` leaves none of them."""

    gate: children.Child | None = None
    notary: children.Child | None = None
    witness: children.Child | None = None
    boundary: build.Boundary | None = None
    hurried: bool = False
    lost: tuple[tuple[str, str], ...] = ()

    def end(self, impatient: Callable[[], bool]) -> None:
        if self.boundary is not None:
            self.boundary.stop()
            self.boundary.streams.finish(impatient, self.hurried)
            self.lost = tuple(sorted(self.boundary.streams.lost.items()))
            self.boundary.close()
        for child in (self.gate, self.notary, self.witness):
            if child is not None:
                child.control.close()
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child.pid, signal.SIGKILL)
                os.waitpid(child.pid, 0)


def perform(plan: Plan, state: supervise.Signals, key: keysource.Source) -> closing.Result:
    """Run the plan. What it started has ended when it returns or raises; `key` is closed once the notary has it.

    Raises:
        BoundaryError, PacketDirError, SetupError: nothing was started.
        closing.EvidenceError: gate, notary or the disk failed; the command is dead.
        Interrupted: a signal came before the command was started.
    """
    setproctitle(f"sluicegate: supervisor {plan.spec.run}")
    with contextlib.ExitStack() as stack:
        reserved = packetdir.reserve(plan.packet, plan.owner)
        stack.callback(_leave, reserved, state)
        file = None
        if plan.checkpoints is not None:
            file = checkpoints.create(plan.checkpoints, plan.owner)
            stack.callback(checkpoints.let_go, plan.checkpoints, file)
        heads = checkpoints.Checkpoints(file, quiet=plan.options.quiet)
        made = placeholders.make((plan.spec.workspace, *plan.spec.binds), plan.spec.free)
        stack.callback(placeholders.remove, made)
        processes = _Processes()
        stack.callback(processes.end, lambda: supervise.impatient(state.read()))
        result = _perform(plan, state, key, processes, closing.Out(reserved, heads))
    heads.show()  # nothing that may take its time is left to do
    return _heard(result, processes.lost)


def _leave(reserved: packetdir.Reserved, state: supervise.Signals) -> None:
    """Of a command that was started the record stays, whatever became of it; of any other nothing does."""
    if state.launched:
        packetdir.hand_over(reserved)
    else:
        packetdir.discard(reserved)


def _heard(result: closing.Result, lost: tuple[tuple[str, str], ...]) -> closing.Result:
    """The command wrote into our pipe and may have ended well; what was lost behind it is a failure all the same."""
    for name, why in lost:
        say.complain(
            f"the command's {name} could not be written: {why.lower()}", "its end is missing there"
        )
    return replace(result, code=result.code or 1) if lost else result


def _perform(
    plan: Plan,
    state: supervise.Signals,
    key: keysource.Source,
    processes: _Processes,
    out: closing.Out,
) -> closing.Result:
    state.check()
    plan, wall = _start(plan, key, processes, out)
    state.check()
    witnesses, command, documents = _open(plan, processes, wall, out)
    gate, notary, _ = witnesses
    state.check()
    try:
        ended = _command(plan, state, wall, command, witnesses, out.checkpoints)
        timing.mark("command")
        moments.reached("supervisor: command ended")
        processes.hurried = ended.timeout or bool(state.stopped)
        wall.stop()
        timing.mark("boundary stopped")
        stopped, changed = supervise.stopped(gate)
        timing.mark("gate drained")
        counts, network = wall.counters(), wall.network()
    except (supervise.ControlError, BoundaryError) as error:
        wall.close()
        raise closing.cut_short(f"{error}; the command was ended", out.reserved) from error
    moments.reached("supervisor: counters read")
    wall.close()
    ended = replace(ended, changed=ended.changed or changed or _otherwise(documents, network))
    measured = closing.Measured(counts, network, stopped)
    return closing.close(plan.options, out, documents, notary, ended, measured)


def _otherwise(documents: closing.Documents, network: Mapping[str, object]) -> str:
    """What of the network is not as it was when the run began, although nobody was told of a change."""
    return ", ".join(netstate.differences(documents.opened.get("network"), network))


def _start(
    plan: Plan, key: keysource.Source, processes: _Processes, out: closing.Out
) -> tuple[Plan, build.Boundary]:
    """Gate, boundary, notary and witness, each preparing itself while the next one is started.

    The plan is what became of it: a boundary that must trust the gate's authority waits for that.
    """
    run, every = plan.spec.run, plan.options.checkpoint_seconds
    uids: tuple[int, int, int] | tuple[None, None, None] = (None, None, None)
    if plan.spec.tier == ROOT_TIER:
        with open("/proc/self/uid_map", encoding="ascii") as source:
            uids = children.service_uids(source.read(), int(run, 16))
    to_notary, to_gate = socket.socketpair()
    to_witness, from_gate = socket.socketpair()
    with to_notary, to_gate, to_witness, from_gate:
        wanted = secretsource.wanted(plan, key)
        asked = trusting.opening(plan.policies, os.environ, wanted)
        pair = to_notary, to_witness
        gate = processes.gate = children.start_gate(run, *pair, plan.policies, uids[0], asked)
        timing.mark("gate forked")
        if asked is None:
            processes.boundary = build.begin(plan.spec)
        timing.mark("boundary begun")
        processes.witness = children.start_witness(run, from_gate, uids[2])
        processes.notary = children.start_notary(
            run, key, to_gate, out.reserved.files, uids[1], every
        )
        key.close()
    timing.mark("notary forked, verifier loaded")
    if asked is not None:
        plan = trusting.trusting(plan, gate, asked, os.environ)
    wall = processes.boundary = processes.boundary or build.begin(plan.spec)
    wall.ready()
    timing.mark("boundary built")
    return plan, wall


def _open(
    plan: Plan, processes: _Processes, wall: build.Boundary, out: closing.Out
) -> tuple[_Witnesses, supervise.Control, closing.Documents]:
    """The record begun, the gate serving: (gate, notary, witness), the boundary's first process, the documents.

    Raises:
        SetupError, PacketDirError: one of them refused or died, or there is no room; the command was not started.
    """
    if processes.gate is None or processes.notary is None or processes.witness is None:
        raise RuntimeError("nothing was started")
    gate = supervise.Control(processes.gate.control, "gate")
    notary = supervise.Control(processes.notary.control, "notary", told=out.checkpoints.told)
    witness = supervise.Control(processes.witness.control, "witness")
    command = supervise.Control(wall.wire, "boundary")
    children.open_windows(processes.witness, wall.windows)
    policy, opened = normal.policy_text(plan.policies), opening.opened(plan, wall, command)
    digests = {
        "policy_hash": "sha256:" + hashlib.sha256(policy).hexdigest(),
        "boundary_open_sha256": packet.opening_digest(opened),
        "actor": plan.options.identity,
    }
    # Before the record begins: it is nothing that verifies without what it binds.
    begun = {packetdir.POLICY: policy, packetdir.BOUNDARY: packet.boundary(opened, None)}
    packetdir.publish(out.reserved, begun, packetdir.RECORD)
    try:
        said = notary.ask({"open": digests}, "opened")
        out.checkpoints.keep(str(said.get("checkpoint", "")))
        out.checkpoints.show()
        timing.mark("notary open")
        children.hand_over(
            processes.gate, {name: getattr(wall.sockets, name) for name in children.SOCKETS}
        )
        gate.expect("ready")
        witness.expect("ready")
        timing.mark("gate and command ready")
    except supervise.ControlError as error:
        raise SetupError(str(error), error.hint) from error
    except OSError as error:
        raise SetupError(f"a process of ours is gone: {error.strerror}") from error
    documents = closing.Documents(opened, str(said["signer_key"]), plan.options.keyed)
    return (gate, notary, witness), command, documents


def _command(
    plan: Plan,
    state: supervise.Signals,
    wall: build.Boundary,
    command: supervise.Control,
    witnesses: tuple[supervise.Control, ...],
    heads: checkpoints.Checkpoints,
) -> supervise.Ended:
    terminal = None if wall.pty_master is None else Terminal(wall.pty_master, plan.spec.command.tty)
    with terminal or contextlib.nullcontext():
        heads.silent = terminal is not None and os.isatty(2)
        state.launched = True
        wall.streams.start()
        command.send({"launch": True})
        ended = supervise.wait(command, witnesses, state, terminal, plan.options.timeout)
        if terminal is not None:
            terminal.drain()
    heads.silent = False
    return ended
