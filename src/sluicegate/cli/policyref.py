"""SHELL. A policy as a branch or commit of the repository has it: what a pull request changed plays no part."""

from __future__ import annotations

import os
import re
import subprocess

from sluicegate.cli import ownpath
from sluicegate.policy import document
from sluicegate.policy.model import PolicyError

# Objects are read as they are named: no replacement that the repository's own refs may hold, no fetch of what a
# partial clone left out, no glob in a path, no pager, no question, no configuration of a user (git(1), "Environment").
_ENVIRONMENT = {
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "LC_ALL": "C",
}
# The kinds of a tree's entries that are files (gitformat-index(5)); a link's text is a path, no policy.
_FILES = frozenset(("100644", "100755"))
# SHA-1 or SHA-256, which git takes for the object before any branch (gitrevisions(7)).
_COMMIT = re.compile(r"[0-9a-fA-F]{40}(?:[0-9a-fA-F]{24})?")
# A look-up in the repository on this disk; more than this is a hang.
SECONDS = 60
_FETCH = "fetch it in a step before, such as: git fetch --depth=1 origin {ref}; or fetch-depth: 0 of actions/checkout"


def commit(ref: str) -> str:
    """The commit that `ref` names: a whole one itself, else the remote branch of that name, else as git reads it.

    A branch as the remote has it goes first: a tag or a branch of this clone may have the same name. But nobody's
    branch stands for a commit because it is called so.

    Raises:
        PolicyError: there is none, or no repository here.
    """
    branches = (f"refs/remotes/origin/{ref}", f"refs/remotes/{ref}")
    for name in (ref,) if _COMMIT.fullmatch(ref) else (*branches, ref):
        found = _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
        if found is not None:
            return found.decode("ascii").strip()
    message = "is no commit that this clone of the repository has"
    raise PolicyError(f"policy-ref {ref}", 0, 0, message, _FETCH.format(ref=ref))


def text(at: str, path: str, ref: str) -> bytes | None:
    """The file `path`, from where we stand, as commit `at` has it; None where it has none. `ref` is for messages.

    Raises:
        PolicyError: the path leaves the repository, or what is there is no file, or too long for a policy.
    """
    source = f"{ref}:{path}"
    if os.path.isabs(path) or ".." in path.split("/"):
        hint = "name it as it lies in the repository, such as policy: .github/sluicegate.yaml"
        raise PolicyError(source, 0, 0, "policy-ref takes no path from / or with ..", hint)
    said = _git("ls-tree", "-z", at, "--", os.path.normpath(path))
    if not said:
        return None
    kind, _, blob = said.split(b"\t", 1)[0].decode("ascii").split(" ")
    if kind not in _FILES:
        raise PolicyError(source, 0, 0, "is a link or a directory there", "name the file itself")
    data = _git("cat-file", "blob", blob)
    if data is None:
        raise PolicyError(source, 0, 0, "can not be read there", _FETCH.format(ref=ref))
    if len(data) > document.MAX_BYTES:
        raise PolicyError(source, 0, 0, f"has more than {document.MAX_BYTES} bytes")
    return data


def is_head(at: str) -> bool:
    """Whether `at` is the very commit that is checked out."""
    found = _git("rev-parse", "--verify", "--quiet", "HEAD^{commit}")
    return found is not None and found.decode("ascii").strip() == at


def _git(*words: str) -> bytes | None:
    """What git says; None where it says no.

    Raises:
        PolicyError: there is no git, or it does not answer.
    """
    # In a container's job the clone is often another user's, which git refuses unless told (safe.directory).
    argv = [ownpath.program("git"), "-c", "safe.directory=*", "-c", "core.fsmonitor=false", *words]
    try:
        done = subprocess.run(
            argv,
            env={**os.environ, **_ENVIRONMENT},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PolicyError(
            "policy-ref", 0, 0, f"git can not be asked: {error}", "install git"
        ) from error
    return done.stdout if done.returncode == 0 else None
