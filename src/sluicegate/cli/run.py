"""`sluicegate run -- COMMAND`: the main job, from options to exit code."""

from __future__ import annotations

import os
from collections.abc import Sequence

from sluicegate.boundary import syscalls
from sluicegate.boundary.model import BoundaryError
from sluicegate.cli import (
    closing,
    keysource,
    live,
    opening,
    packetdir,
    planning,
    say,
    session,
    supervise,
    timing,
)
from sluicegate.cli import options as opts
from sluicegate.policy.model import PolicyError

EVIDENCE, DENIED, REFUSED = 120, 121, 125


def main(argv: Sequence[str]) -> int:
    """The command's own exit code, or ours as `opts.USAGE` lists them."""
    try:
        options = opts.parse(argv)
    except opts.OptionError as error:
        say.complain(str(error), error.hint)
        return REFUSED
    if options is None:
        print(opts.USAGE, end="")
        return 0
    state: supervise.Signals | None = None
    try:
        # Nobody of our uid looks into us, nor opens in /proc what we have open, before the notary has read it or later.
        syscalls.dumpable(False)
        # The key first: its descriptors are the caller's, and no number of them may become one of ours before.
        with keysource.opened(options) as key, supervise.signals() as state:
            return _run(options, state, key)
    except opts.OptionError as error:
        say.complain(str(error), error.hint)
    except PolicyError as error:
        say.complain(str(error), error.hint)
    except (BoundaryError, packetdir.PacketDirError, opening.SetupError) as error:
        say.complain(f"the command was not started: {error}", error.hint)
    except supervise.Interrupted as stop:
        say.say(f"{stop} before the command was started")
        return 128 + stop.number
    except closing.EvidenceError as error:
        say.complain(f"evidence failed: {error}", error.hint)
        return EVIDENCE
    except Exception as error:  # noqa: BLE001 - the exit code must never pass for the command's own
        import traceback  # a fifth of a start's imports, and needed for no sound run

        at = traceback.extract_tb(error.__traceback__)[-1]
        say.complain(
            f"internal error: {type(error).__name__}: {error}",
            f"please report it, with this: {os.path.basename(at.filename)}:{at.lineno}",
        )
        return EVIDENCE if state is not None and state.launched else REFUSED
    return REFUSED


def _run(options: opts.Options, state: supervise.Signals, key: keysource.Source) -> int:
    timing.mark("begin")
    run = os.urandom(8).hex()
    plan = live.before(planning.prepare(options, os.environ, run, state.ignored, key.files))
    planning.warn(plan)
    timing.mark("options and policies")
    result = session.perform(plan, state, key)
    closing.tell(options, result)
    timing.report()
    if result.changed:
        return EVIDENCE
    if options.fail_on_deny and result.blocked and result.code == 0:
        return DENIED
    return result.code
