"""What later steps execute: the places in a workspace that are read-only although the rest is writable. Pure.

A hook, a git configuration or a workflow file is written by one step and executed by another, outside the boundary.
"""

from __future__ import annotations

import posixpath
import re

from sluicegate import orders

# Of a git directory; hooks that are links lead to others.
IN_GIT = ("hooks", *sorted(orders.GIT))
# Made where they are missing, for as long as the run lasts, so that the command can not make them: (path, what must be
# there already). Git does not see an empty directory, nor does a checkout.
PLACEHOLDERS = ((".git/hooks", ".git/HEAD"), (".github/workflows", ".git"))
# The same in the workspace itself, where the next run looks for its policy if none is named. A directory, for git and
# whoever adds all that is new would see a file.
POLICY_PLACEHOLDER = "sluicegate.yaml"
# The same of files in each git directory. These say what git takes for granted where they are missing, but that the
# command can not make its own: `commondir` leads git to another configuration, with other hooks.
PLACEHOLDER_FILES = {"commondir": ".\n", "config.worktree": ""}
_SECTION = re.compile(r"\[\s*([A-Za-z0-9.-]+)\s*(?:\"(?:[^\"\\]|\\.)*\")?\s*\]\s*(.*)")
_SETTING = re.compile(r"([A-Za-z][A-Za-z0-9-]*)\s*=\s*(.*)")
# What a setting names: a directory of hooks, or a further file of settings.
_LEADS = {("core", "hookspath"), ("include", "path"), ("includeif", "path")}


def led_to(text: str, directory: str, top: str) -> tuple[str, ...]:
    """The absolute paths that a git configuration in `directory` gives for hooks and further configuration.

    Hooks are relative to the work tree `top`, files to `directory` (git-config(1), core.hooksPath and include.path).
    What begins with `~` is the home's, which is discarded.
    """
    section, found = "", []
    for line in text.replace("\\\n", "").splitlines():
        rest = line.strip()
        if header := _SECTION.match(rest):
            section, rest = header[1].lower().partition(".")[0], header[2]
        setting = _SETTING.match(rest)
        if setting is None or (section, setting[1].lower()) not in _LEADS:
            continue
        value = _unquoted(setting[2])
        if value and not value.startswith(("~", "%")):
            base = top if setting[1].lower() == "hookspath" else directory
            found.append(posixpath.normpath(posixpath.join(base, value)))
    return tuple(dict.fromkeys(_with_wrappers(path) for path in found))


def _unquoted(text: str) -> str:
    """A value as git reads it (git-config(1), Syntax): a comment begins at `#` or `;` wherever that is not quoted."""
    out, quoted = list[str](), False
    left = iter(text)
    for char in left:
        if char == '"':
            quoted = not quoted
        elif char == "\\":
            out.append(next(left, ""))
        elif char in "#;" and not quoted:
            break
        else:
            out.append(char)
    return "".join(out).strip()


def _with_wrappers(path: str) -> str:
    # Husky has its own wrappers in `_`, which start what lies beside it.
    return posixpath.dirname(path) if posixpath.basename(path) == "_" else path


def git_directory(text: str, place: str) -> str:
    """Where a `.git` file in the directory `place`, or a `commondir` file, leads; empty if nowhere."""
    target = text.removeprefix("gitdir:").strip() if text.startswith("gitdir:") else ""
    return posixpath.normpath(posixpath.join(place, target)) if target else ""
