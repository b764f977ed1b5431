"""Policy files to policies: the only place that reads them."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence

from sluicegate.policy import document, grammar
from sluicegate.policy.model import Policy, PolicyError

DEFAULT = "sluicegate.yaml"


def load(paths: Sequence[str], workdir: str, *, observe: bool = False) -> tuple[Policy, ...]:
    """The policies of `paths`; without any, of the working directory's own file; else one that is empty.

    `observe` puts every one of them into observe mode.

    Raises:
        PolicyError: a file that can not be read or is not a policy.
    """
    default = os.path.join(workdir, DEFAULT)
    if paths:
        policies = tuple(read(path, path) for path in paths)
    elif os.path.lexists(default):
        # The workspace may be a stranger's: a pipe there would make us wait, a device never end.
        if not os.path.isfile(default):
            raise PolicyError(DEFAULT, 0, 0, "policy is not a regular file", "remove or replace it")
        policies = (read(default, DEFAULT),)
    else:
        policies = (Policy(f"{DEFAULT} (missing)"),)
    if observe:
        policies = tuple(dataclasses.replace(policy, observe=True) for policy in policies)
    return policies


def paths(given: Sequence[str], workdir: str) -> tuple[str, ...]:
    """The files that `load` reads."""
    default = os.path.join(workdir, DEFAULT)
    return tuple(given) or ((default,) if os.path.isfile(default) else ())


def read(path: str, source: str) -> Policy:
    """The policy in the file at `path`, called `source` in labels and errors.

    Raises:
        PolicyError: it can not be read or is not a policy.
    """
    return grammar.parse(text(path, source), source)


def text(path: str, source: str) -> str:
    """The text of the file at `path`, called `source` in errors; of one too long for a policy, its beginning.

    Raises:
        PolicyError: it can not be read, or is not UTF-8.
    """
    try:
        with open(path, "rb") as file:
            raw = file.read(document.MAX_BYTES + 1)
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        before = error.object[: error.start]
        line = before.count(b"\n") + 1
        column = len(before.rpartition(b"\n")[2].decode("utf-8", "replace")) + 1
        message = f"byte 0x{error.object[error.start]:02x} is not UTF-8"
        raise PolicyError(source, line, column, message, "save the file as UTF-8") from error
    except (OSError, ValueError) as error:
        said = getattr(error, "strerror", None) or str(error)
        message = f"policy can not be read: {said.lower()}"
        raise PolicyError(source, 0, 0, message, "check the path after --policy") from error
