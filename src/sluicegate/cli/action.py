"""SHELL. `sluicegate action`: one run as the inputs of action.yml ask for it, and what the job is told of it.

It stays the job's own user; only `sluicegate run` is started with sudo, where there is one.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence

from sluicegate.action import inputs as asked
from sluicegate.action import plan, verdict, words
from sluicegate.action.inputs import InputError, Inputs
from sluicegate.cli import (
    actionpolicy,
    actionrun,
    actiontell,
    convert,
    policyfiles,
    policyref,
    presetting,
    say,
)
from sluicegate.evidence.keys import KeyTextError
from sluicegate.policy.model import PolicyError
from sluicegate.verify import library, packet
from sluicegate.verify.strict import VerificationError

USAGE = """\
usage: sluicegate action

What action.yml starts: reads the action's inputs from INPUT_ variables and runs one command behind the wall. In a
shell, use `sluicegate run`.
"""
PIPELOCK = actionpolicy.PIPELOCK
LEVELS = (packet.Level.INTACT, packet.Level.CLOSED, packet.Level.ACCOUNTED)


def main(argv: Sequence[str]) -> int:
    """The exit code of the step."""
    if argv:
        sys.stdout.write(USAGE)
        return 0 if list(argv) in (["-h"], ["--help"]) else 2
    try:
        return _action(asked.read(os.environ))
    except InputError as error:
        actiontell.annotate("error", f"{error}\n{error.hint}".strip())
    except (PolicyError, actionrun.StartError) as error:
        actiontell.annotate("error", f"{error}\n{error.hint}".strip())
    except library.UsageError as error:
        actiontell.annotate("error", f"signer-public-key: {error}")
    return verdict.REFUSED


def _action(inputs: Inputs) -> int:
    for name in inputs.ignored:
        actiontell.annotate("notice", f"{name} is ignored: sluicegate needs no Pipelock")
    _unused(inputs.packet)
    workdir = _workdir(inputs.workdir)
    script = _script(inputs.script, workdir)
    pins = [_pin(inputs.public)] if inputs.public else []
    with _policies(inputs, workdir) as (policies, kept):
        if inputs.mode == "enforce":
            _enforcing(policies or policyfiles.paths((), workdir))
        python, root = sys.executable, actionrun.root()
        argv = plan.run(inputs, script, policies, kept, workdir, python=python, root=root)
        with _silenced(inputs):
            if inputs.debug:
                say.say("action: " + " ".join(map(ascii, argv)))
                subprocess.run([*root, *plan.sluicegate(python), "doctor"], stdout=2, check=False)
            code, stopped = actionrun.run(argv, _environment(), sudo=root)
    ending = _verified(inputs, pins, code, stopped=stopped)
    actiontell.tell(inputs, ending, pins)
    return verdict.exit_code(ending, fail_on_verifier_error=inputs.fail_on_verifier_error)


def _unused(packet: str) -> None:
    """Nothing, if the packet's directory is this run's to make: another run's packet would be taken for this one's."""
    if os.path.lexists(packet) and not (os.path.isdir(packet) and not os.listdir(packet)):
        message = f"{packet!a} is there already, and not an empty directory"
        raise InputError("audit-packet-dir", message, "remove it, or name another place")


def _workdir(given: str) -> str:
    found = os.path.realpath(given)
    if not os.path.isdir(found):
        raise InputError(
            "working-directory", f"{given!a} is no directory", "check out the repository first"
        )
    return found


def _script(given: str, workdir: str) -> str:
    """The script free of links; it lies in `workdir`."""
    if not given:
        return ""
    found = os.path.realpath(os.path.join(workdir, given))
    if os.path.commonpath((found, workdir)) != workdir or found == workdir:
        message = f"{given!a} lies outside of working-directory, links followed"
        raise InputError("script-path", message, "name a script of the repository")
    if not os.path.isfile(found) or not os.access(found, os.R_OK):
        raise InputError("script-path", f"{given!a} is no file that can be read", "check the path")
    return found


def _pin(public: str) -> bytes:
    """The key, read before the command could change its file."""
    try:
        return library.key(public)
    except (OSError, KeyTextError) as error:
        said = getattr(error, "strerror", None) or str(error)
        raise InputError(
            "signer-public-key", str(said), "a file, 64 hex digits or a key's text"
        ) from error


@contextlib.contextmanager
def _policies(inputs: Inputs, workdir: str) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    """The paths for --policy, and the files of the workspace that they were made from.

    What had to be written for them is gone at the end, and the command can not see it.
    """
    above = os.environ.get("RUNNER_TEMP") or None
    with tempfile.TemporaryDirectory(prefix="sluicegate-policy-", dir=above) as place:
        named, config = inputs.policies, inputs.config
        if inputs.ref:
            named, config = _from_ref(inputs, workdir, place)
        elif not named and not config and not inputs.presets:
            config = _unnamed(workdir)
        if not inputs.ref:
            actionpolicy.ordinary((*named, *filter(None, (config,))))
            if not named:
                actionpolicy.not_made_since(above, workdir, (config,) if not inputs.config else ())
        if not config:
            yield named, ()
            return
        found = convert.converted(config)
        for notice in found.warnings:
            actiontell.annotate("warning", f"{config}:{notice.line}: {notice.message}")
        written = _written(place, "converted.yaml", found.text.encode())
        yield (*named, written), () if inputs.ref else (config,)


def _unnamed(workdir: str) -> str:
    """The Pipelock configuration that counts where nobody named a policy."""
    own = policyfiles.there(os.path.join(workdir, policyfiles.DEFAULT))
    return "" if own or not os.path.lexists(PIPELOCK) else PIPELOCK


def _from_ref(inputs: Inputs, workdir: str, place: str) -> tuple[tuple[str, ...], str]:
    """The policies and the configuration as the ref has them, in files of ours.

    Raises:
        PolicyError: one is not there. Nothing of the checked-out tree stands in for it.
    """
    at = policyref.commit(inputs.ref)
    say.say(f"policy from {inputs.ref}, commit {at}")
    if policyref.is_head(at) and os.environ.get("GITHUB_EVENT_NAME", "").startswith("pull_request"):
        actiontell.annotate(
            "warning",
            f"policy-ref {inputs.ref} is the commit that is checked out: it holds nothing back",
        )
    policies, config = list(inputs.policies), inputs.config
    if not policies and not config:
        own = os.path.relpath(os.path.join(workdir, policyfiles.DEFAULT))
        found = next(
            (name for name in (own, PIPELOCK) if policyref.text(at, name, inputs.ref)), None
        )
        policies, config = ([], PIPELOCK) if found == PIPELOCK else ([own], "")
    written = [
        _at(at, name, inputs.ref, os.path.join(place, str(n))) for n, name in enumerate(policies)
    ]
    return tuple(written), _at(at, config, inputs.ref, os.path.join(place, "c")) if config else ""


def _at(at: str, name: str, ref: str, place: str) -> str:
    data = policyref.text(at, name, ref)
    if data is None:
        raise PolicyError(
            f"{ref}:{name}", 0, 0, "is not there", "commit the policy to that branch first"
        )
    return _written(place, os.path.basename(name), data)


def _written(place: str, name: str, data: bytes) -> str:
    os.makedirs(place, exist_ok=True)
    path = os.path.join(place, name)
    with open(path, "xb") as file:
        file.write(data)
    return path


def _enforcing(policies: Sequence[str]) -> None:
    for path in policies:
        # Presets have no mode, and the run says itself what it makes of them.
        if policyfiles.read(path, path, presetting.here(os.curdir, quiet=True)).observe:
            raise InputError(
                "mode", f"enforce, and {path} says mode: observe", "change one of them"
            )


@contextlib.contextmanager
def _silenced(inputs: Inputs) -> Iterator[None]:
    """The runner obeys no line that is printed meanwhile: it can not tell the command's from the job's own."""
    if inputs.commands or os.environ.get("GITHUB_ACTIONS") != "true":
        yield
        return
    token = secrets.token_hex(16)
    # Masked: the runner keeps the log in files that its user may read, and the command is often that user.
    actiontell.out(words.mask(token) + words.stop(token))
    try:
        yield
    finally:
        # The command may have ended in the middle of a line.
        actiontell.out(f"\n{words.resume(token)}")


def _environment() -> dict[str, str]:
    """The job's own: what action.yml added is nobody else's."""
    ours = {asked.variable(name) for name in asked.NAMES}
    return {name: text for name, text in os.environ.items() if name not in ours}


def _verified(inputs: Inputs, pins: list[bytes], code: int, *, stopped: bool) -> verdict.Ending:
    """What the packet supports, of what lies on the disk."""
    present = os.path.isdir(inputs.packet) and bool(os.listdir(inputs.packet))
    holds: bool | None = None
    why, receipts = "", 0
    if present:
        require = (*LEVELS, packet.Level.PINNED) if pins else LEVELS
        try:
            receipts = library.verify(inputs.packet, pins, require=require).receipts
            holds = True
        except VerificationError as error:
            report, why = error.report, str(error)
            receipts = report.receipts if isinstance(report, packet.Report) else 0
            holds = None if isinstance(error, library.UsageError) else False
    word = verdict.verdict(present=present, holds=holds, pinned=bool(pins))
    return verdict.Ending(code, word, why, receipts, present, stopped)
