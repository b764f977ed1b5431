"""`sluicegate run -- COMMAND`: the main job, from options to exit code."""

from __future__ import annotations

import os
from collections.abc import Sequence

from sluicegate.boundary.model import BoundaryError
from sluicegate.cli import closing, packetdir, say, session, supervise, timing
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
    try:
        with supervise.signals() as state:
            return _run(options, state)
    except PolicyError as error:
        say.complain(str(error), error.hint)
    except (BoundaryError, packetdir.PacketDirError, session.SetupError) as error:
        say.complain(f"the command was not started: {error}", error.hint)
    except supervise.Interrupted as stop:
        say.say(f"{stop} before the command was started")
        return 128 + stop.number
    except closing.EvidenceError as error:
        say.complain(f"evidence failed: {error}", error.hint)
        return EVIDENCE
    return REFUSED


def _run(options: opts.Options, state: supervise.Signals) -> int:
    timing.mark("begin")
    plan = session.prepare(options, os.environ, os.urandom(8).hex())
    session.warn(plan)
    timing.mark("options and policies")
    result = session.perform(plan, state)
    closing.tell(options, result)
    timing.report()
    if options.fail_on_deny and result.denied and result.code == 0:
        return DENIED
    return result.code
