"""SHELL. Policies of the workspace that an earlier step's command may have put there: the action takes none of them.

What is there is read-only for a command; what is not there, it can make. Nobody named it, so the next step would take
it for the policy of the repository.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from sluicegate.cli import policyfiles
from sluicegate.policy.model import PolicyError

PIPELOCK = ".pipelock/ci.yaml"
# In the runner's temporary directory, which no command sees and which is emptied with each job.
_RECORD = "sluicegate-no-policy"


def ordinary(paths: Iterable[str]) -> None:
    """Nothing, if each of `paths` that is there is a file: a pipe would be waited for.

    Raises:
        PolicyError: one is something else.
    """
    for path in paths:
        if policyfiles.there(path) and not os.path.isfile(path):
            raise PolicyError(path, 0, 0, "policy is not a regular file", "remove or replace it")


def not_made_since(temp: str | None, workdir: str, more: Iterable[str]) -> None:
    """Nothing, if the policy that nobody names was there before the first step of the job that ran a command.

    `more`: other files that are taken though nobody named them. Remembers in `temp` what is not there now.

    Raises:
        PolicyError: it was not.
    """
    if temp is None:
        return
    own, pipelock = os.path.join(workdir, policyfiles.DEFAULT), os.path.abspath(PIPELOCK)
    record = os.path.join(temp, _RECORD)
    missing = _missing(record)
    for path in (own, *map(os.path.abspath, filter(None, more))):
        if policyfiles.there(path) and path in missing:
            message = "was not there when an earlier step ran a command, which may have made it"
            raise PolicyError(path, 0, 0, message, "if it is yours, name it: policy, or config")
    missing |= {path for path in (own, pipelock) if not policyfiles.there(path)}
    with open(record, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write("\0".join(sorted(missing)))


def _missing(record: str) -> set[str]:
    try:
        with open(record, encoding="utf-8", errors="surrogateescape") as file:
            return set(filter(None, file.read().split("\0")))
    except FileNotFoundError:
        return set()
