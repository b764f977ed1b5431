"""One run from start to seal: reserve, fork, build, launch, wait, drain, close, verify."""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
from collections.abc import Mapping
from dataclasses import replace

from setproctitle import setproctitle

from sluicegate import moments
from sluicegate.boundary import build, netstate
from sluicegate.boundary.model import ROOT_TIER, BoundaryError
from sluicegate.boundary.terminal import Terminal
from sluicegate.cli import (
    checkpoints,
    children,
    closing,
    keysource,
    live,
    opening,
    outputs,
    packetdir,
    placeholders,
    say,
    secretsource,
    supervise,
    timing,
    trusting,
)
from sluicegate.cli.opening import Plan, SetupError
from sluicegate.cli.processes import Processes
from sluicegate.cli.scribe import Scribe
from sluicegate.evidence import packet
from sluicegate.policy import normal

_Witnesses = tuple[supervise.Control, supervise.Control, supervise.Control]


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
        trees = (plan.spec.workspace, *plan.spec.binds)
        stack.enter_context(placeholders.standing(trees, plan.spec.free))
        shown = stack.enter_context(live.new(plan.options))
        command = plan.spec.command
        handed = stack.enter_context(outputs.opened(plan.handing, command.uid, command.gid))
        processes = Processes()
        stack.callback(processes.end, lambda: supervise.impatient(state.read()))
        out = closing.Out(reserved, heads, shown)
        result = _perform(plan, state, key, processes, out, handed)
    heads.show()  # nothing that may take its time is left to do
    live.after(plan, shown)
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
    processes: Processes,
    out: closing.Out,
    handed: outputs.Open | None,
) -> closing.Result:
    state.check()
    plan, wall = _start(plan, key, processes, out)
    state.check()
    witnesses, command, documents = _open(plan, processes, wall, out)
    gate, notary, _ = witnesses
    state.check()
    try:
        ended = _command(plan, state, wall, command, witnesses, out)
        timing.mark("command")
        moments.reached("supervisor: command ended")
        processes.hurried = ended.timeout or bool(state.stopped)
        wall.stop()
        timing.mark("boundary stopped")
        judged = None if handed is None else handed.judged()
        processes.looking.compare(judged)
        stopped, changed = supervise.stopped(gate)
        timing.mark("gate drained")
        counts, network = wall.counters(), wall.network()
        workspace = processes.looking.manifest()
        timing.mark("workspace compared")
    except (supervise.ControlError, BoundaryError) as error:
        wall.close()
        raise closing.cut_short(f"{error}; the command was ended", out.reserved) from error
    moments.reached("supervisor: counters read")
    wall.close()
    ended = replace(ended, changed=ended.changed or changed or _otherwise(documents, network))
    measured = closing.Measured(counts, network, stopped, workspace)
    result = closing.close(plan.options, out, documents, notary, ended, measured)
    if handed is not None and judged is not None:
        # Only now: what is handed on is in a packet that verifies.
        handed.hand_on(judged)
    return result


def _otherwise(documents: closing.Documents, network: Mapping[str, object]) -> str:
    """What of the network is not as it was when the run began, although nobody was told of a change."""
    return ", ".join(netstate.differences(documents.opened.get("network"), network))


def _start(
    plan: Plan, key: keysource.Source, processes: Processes, out: closing.Out
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
        shown = None if out.live is None else out.live.theirs
        gate = children.start_gate(run, *pair, plan.policies, uids[0], asked, shown)
        processes.gate = gate
        timing.mark("gate forked")
        if asked is None:
            processes.boundary = build.begin(plan.spec)
        timing.mark("boundary begun")
        trees = (plan.spec.workspace, *plan.spec.binds)
        left_out = (plan.spec.packet, *plan.spec.hidden)
        processes.scribe = Scribe(run, [t for t in trees if t != plan.handing.path], left_out)
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
    plan: Plan, processes: Processes, wall: build.Boundary, out: closing.Out
) -> tuple[_Witnesses, supervise.Control, closing.Documents]:
    """The record begun, the gate serving: (gate, notary, witness), the boundary's first process, the documents.

    Raises:
        SetupError, PacketDirError: one of them refused or died, or there is no room; the command was not started.
    """
    if processes.gate is None or processes.notary is None or processes.witness is None:
        raise RuntimeError("nothing was started")
    gate = supervise.Control(processes.gate.control, "gate")
    live.attach(out.live, gate)
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
        processes.looking.ready()
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
    out: closing.Out,
) -> supervise.Ended:
    tty, streams = plan.spec.command.tty, wall.streams
    terminal = None if wall.pty_master is None else Terminal(wall.pty_master, tty)
    with terminal or contextlib.nullcontext():
        out.checkpoints.silent = terminal is not None and os.isatty(2)
        with live.during(out, streams, terminal, tty):
            state.launched = True
            streams.start()
            command.send({"launch": True})
            known = (terminal, plan.options.timeout, out.live)
            ended = supervise.wait(command, witnesses, state, *known)
        if terminal is not None:
            terminal.drain()
    out.checkpoints.silent = False
    return ended
