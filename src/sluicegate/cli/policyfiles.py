"""Policy files to policies: the only place that reads them."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence

from sluicegate.cli import presetting
from sluicegate.policy.model import Policy, PolicyError, Rule

DEFAULT = "sluicegate.yaml"


def load(
    paths: Sequence[str],
    workdir: str,
    *,
    observe: bool = False,
    presets: presetting.Presets | None = None,
    given: Sequence[str] = (),
) -> tuple[Policy, ...]:
    """The policies of `paths`; without any, of the working directory's own file; else one that is empty.

    `observe` puts every one of them into observe mode. `presets` (this machine's) says what presets are; those of the
    options, `given`, are as if they stood under `allow`.

    Raises:
        PolicyError: a file that can not be read or is not a policy, or `given` presets beside several.
    """
    presets = presets or presetting.here(workdir)
    default = os.path.join(workdir, DEFAULT)
    if given and len(paths) > 1:
        message = "presets are given beside several policies: which of them it adds to is not said"
        hint = "write `- preset: NAME` under allow in one of them"
        raise PolicyError(presetting.OPTION, 0, 0, message, hint)
    more = presets.rules(given)
    if paths:
        policies = tuple(read(path, path, presets, more) for path in paths)
    elif there(default):
        # The workspace may be a stranger's: a pipe there would make us wait, a device never end.
        if not os.path.isfile(default):
            raise PolicyError(DEFAULT, 0, 0, "policy is not a regular file", "remove or replace it")
        policies = (read(default, DEFAULT, presets, more),)
    else:
        allow: tuple[Rule, ...] = ()
        if more:
            from sluicegate.policy.presets import numbered

            allow = numbered(more, "allow", 0)
        policies = (Policy(f"{DEFAULT} (missing)", allow=allow),)
    if observe:
        policies = tuple(dataclasses.replace(policy, observe=True) for policy in policies)
    return policies


def paths(given: Sequence[str], workdir: str) -> tuple[str, ...]:
    """The files that `load` reads."""
    default = os.path.join(workdir, DEFAULT)
    return tuple(given) or ((default,) if os.path.isfile(default) else ())


def there(path: str) -> bool:
    """Whether something at `path` may be a policy, or must be refused as none.

    Not an empty directory: it stands there for a run of another process, so that its command can make no policy.
    """
    if os.path.islink(path) or not os.path.isdir(path):
        return os.path.lexists(path)
    try:
        with os.scandir(path) as entries:
            return any(True for _ in entries)
    except OSError:
        return True  # nobody can say that it is empty


def read(
    path: str,
    source: str,
    presets: presetting.Presets | None = None,
    more: tuple[Rule, ...] = (),
) -> Policy:
    """The policy in the file at `path`, called `source` in labels and errors, with `more` rules under `allow`.

    `presets` (this machine's, seen from the current directory) says what presets are.

    Raises:
        PolicyError: it can not be read or is not a policy.
    """
    from sluicegate.policy import (
        grammar,
    )  # with YAML, a tenth of a start's imports: not without a file

    return grammar.parse(text(path, source), source, presets or presetting.here(os.curdir), more)


def text(path: str, source: str) -> str:
    """The text of the file at `path`, called `source` in errors; of one too long for a policy, its beginning.

    Raises:
        PolicyError: it can not be read, or is not UTF-8.
    """
    from sluicegate.policy import document

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
