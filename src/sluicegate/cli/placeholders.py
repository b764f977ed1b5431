"""Empty directories and files where a repository has none: what is there can be made read-only.

What is removed takes the mount over it along, in every run: so none is removed while another run holds the tree.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator, Sequence

from sluicegate.boundary import guarded, repositories, survey
from sluicegate.boundary.plan import within

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@contextlib.contextmanager
def standing(trees: Sequence[str], free: Sequence[str]) -> Iterator[None]:
    """They stand until the last of the runs that have one of `trees`, the workspace first, has ended.

    Each run holds its trees by a shared lock (flock(2)) of the supervisor's; where a file system has no locks, a run
    is taken for the only one.

    Raises:
        BoundaryError: there are more git directories than can be guarded.
    """
    with contextlib.ExitStack() as stack:
        held = [fd for tree in trees if (fd := _opened(tree, stack)) is not None]
        shared = [not _alone(fd) for fd in held]
        for fd in held:
            with contextlib.suppress(OSError):
                fcntl.flock(fd, fcntl.LOCK_SH)
        made = make(trees, free, adopt=any(shared))
        try:
            yield
        finally:
            if all(_alone(fd) for fd in held):
                remove(made)


def _opened(tree: str, stack: contextlib.ExitStack) -> int | None:
    try:
        fd = os.open(tree, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None  # a file that is bound, or what we may not read
    stack.callback(os.close, fd)
    return fd


def _alone(fd: int) -> bool:
    """Whether no other run holds the tree; none can begin while we do."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def make(trees: Sequence[str], free: Sequence[str], *, adopt: bool = False) -> tuple[str, ...]:
    """What was made, directories above others first; nothing at or below one of `free` is.

    Where one can not be made, the command can not make it either: it is no more than we are. `adopt`: another run is
    there, and what stands may be what it made; it counts as made.

    Raises:
        BoundaryError: there are more git directories than can be guarded.
    """
    made = list[str]()
    for number, tree in enumerate(trees):
        for path in _wanted(tree, workspace=not number):
            if any(within(path, top) for top in free):
                continue
            above = os.path.dirname(path)
            if os.path.islink(above):
                continue
            with contextlib.suppress(OSError):
                for place in (above, path) if above != tree else (path,):
                    if os.path.lexists(place):
                        # An empty one stands for no policy: a run that was killed has left it.
                        left = place == f"{tree}/{guarded.POLICY_PLACEHOLDER}"
                        made += [place] * (adopt or left)
                        continue
                    os.mkdir(place)
                    made.append(place)
                    _owned(place)
        for directory in _directories(tree):
            for name, text in guarded.PLACEHOLDER_FILES.items():
                path = f"{directory}/{name}"
                if any(within(path, top) for top in free):
                    continue
                if os.path.lexists(path):
                    made += [path] * adopt
                    continue
                with contextlib.suppress(OSError):
                    with open(path, "x", opener=_new) as file:
                        made.append(path)
                        file.write(text)
                    _owned(path)
    return tuple(made)


def _wanted(tree: str, *, workspace: bool) -> Iterator[str]:
    for name, there in guarded.PLACEHOLDERS:
        if os.path.lexists(f"{tree}/{there}"):
            yield f"{tree}/{name}"
    if workspace and os.path.isdir(tree):
        yield f"{tree}/{guarded.POLICY_PLACEHOLDER}"


def _directories(tree: str) -> Iterator[str]:
    """The git directories in `tree`, free of links."""
    gits = [tree] if repositories.is_bare(tree) else []
    gits += [path for path, is_socket in survey.below(tree) if not is_socket]
    found = dict.fromkeys(directory for git in gits for directory in repositories.directories(git))
    for directory in found:
        inside = within(directory, tree) and os.path.realpath(directory) == directory
        if inside and os.path.lexists(f"{directory}/HEAD"):
            yield directory


def _new(path: str, _flags: int) -> int:
    return os.open(path, _NEW, 0o644)


def _owned(path: str) -> None:
    """It belongs to whom the directory does that it is in."""
    owner = os.stat(os.path.dirname(path))
    os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def remove(made: Sequence[str]) -> None:
    """Take away what is still as it was made."""
    for path in reversed(made):
        with contextlib.suppress(OSError):
            text = guarded.PLACEHOLDER_FILES.get(os.path.basename(path))
            if text is None:
                os.rmdir(path)
            elif repositories.readable(path) == text and not os.path.islink(path):
                os.unlink(path)
