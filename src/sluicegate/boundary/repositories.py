"""SHELL. Which paths of the writable trees later steps execute: what the plan makes read-only."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable, Iterator, Sequence

from sluicegate import orders
from sluicegate.boundary import guarded
from sluicegate.boundary.model import BoundaryError
from sluicegate.boundary.plan import within

# Characters of one git configuration; real ones have a few thousand.
MAX_CONFIGURATION = 1 << 20
# Of one run. Each costs some mounts; a cache of a hundred clones is no workspace.
MAX_GUARDED = 4096
MAX_MODULES = 512  # directories looked into below `.git/modules` and `.git/worktrees`
# Of one git directory: files of settings, with those that they include.
MAX_CONFIGURATIONS = 256


def readable(path: str) -> str:
    """The beginning of a regular file as text; empty where there is none. Waits for no pipe or device."""
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, errors="surrogateescape") as file:
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                return file.read(MAX_CONFIGURATION)
    return ""


def found(
    trees: tuple[str, ...], gits: Iterable[str], free: tuple[str, ...], shared: Sequence[str] = ()
) -> tuple[str, ...]:
    """What to make read-only in the writable `trees`, sorted, free of links.

    `gits`: every `.git` in them, directory or file. `free`: what is left as it is, with all below it. `shared`: files
    of settings that git reads for every repository.

    Raises:
        BoundaryError: there is more than can be guarded.
    """
    places = [f"{tree}/{name}" for tree in trees for name in orders.WORKFLOWS]
    for git in (*gits, *(tree for tree in trees if is_bare(tree))):
        places += _of_repository(git, shared)
    kept = set[str]()
    for place in places:
        real = os.path.realpath(place)
        inside = [tree for tree in trees if within(real, tree) and real != tree]
        if not inside or any(within(path, top) for path in (place, real) for top in free):
            continue
        if os.path.isfile(real) or os.path.isdir(real):
            kept.add(real)
    if len(kept) > MAX_GUARDED:
        raise BoundaryError(
            f"the writable directories hold {len(kept)} hooks, git configurations and workflow files,"
            f" more than {MAX_GUARDED}",
            "name fewer directories, or leave some writable with agent.writable",
        )
    return tuple(sorted(kept))


def is_bare(tree: str) -> bool:
    """Whether `tree` is a git directory itself."""
    return os.path.isfile(f"{tree}/HEAD") and os.path.isdir(f"{tree}/objects")


def directories(git: str) -> tuple[str, ...]:
    """The git directories that a `.git`, directory or file, stands for or holds.

    Raises:
        BoundaryError: there are more than can be guarded.
    """
    if os.path.isdir(git):
        return git, *_below(git)
    place = guarded.git_directory(readable(git), os.path.dirname(git))
    if not place:
        return ()
    common = readable(f"{place}/commondir").strip()
    return (place, os.path.normpath(os.path.join(place, common))) if common else (place,)


def _of_repository(git: str, shared: Sequence[str]) -> Iterator[str]:
    top = os.path.dirname(git)
    if not os.path.isdir(git):
        yield git
    for directory in directories(git):
        yield from (f"{directory}/{name}" for name in guarded.IN_GIT)
        led = _led(directory, top, shared)
        yield from led
        for place in (f"{directory}/hooks", *filter(os.path.isdir, led)):
            yield from _linked(place)


def _led(directory: str, top: str, shared: Sequence[str]) -> tuple[str, ...]:
    """What the configuration of a git directory leads to, and what those files lead to in turn."""
    left = [*shared, f"{directory}/config.worktree", f"{directory}/config"]
    found, seen = dict[str, None](), set(left)
    while left:
        file = left.pop()
        led = guarded.led_to(readable(file), os.path.dirname(file), top)
        found.update(dict.fromkeys(led))
        left += [path for path in led if path not in seen]
        seen.update(led)
        if len(seen) > MAX_CONFIGURATIONS:
            raise BoundaryError(
                f"the git configuration of {directory} leads to more than {MAX_CONFIGURATIONS} places",
                "include fewer files, or leave .git writable with agent.writable",
            )
    return tuple(found)


def _below(git: str) -> Iterator[str]:
    """The git directories of submodules and of linked work trees, which lie in `git`."""
    left, seen = [f"{git}/modules", f"{git}/worktrees"], 0
    while left and seen < MAX_MODULES:
        place = left.pop()
        seen += 1
        with contextlib.suppress(OSError), os.scandir(place) as entries:
            names = {entry.name for entry in entries if entry.is_dir(follow_symlinks=False)}
            if os.path.lexists(f"{place}/HEAD"):
                yield place
                names &= {"modules"}  # a submodule's own
            # A module's name may have slashes in it.
            left += [f"{place}/{name}" for name in sorted(names)]
    if left:
        raise BoundaryError(
            f"{git} has more than {MAX_MODULES} submodules and work trees",
            "check out fewer, or leave .git writable with agent.writable",
        )


def _linked(hooks: str) -> Iterator[str]:
    """What links in a directory of hooks lead to."""
    with contextlib.suppress(OSError), os.scandir(hooks) as entries:
        yield from (entry.path for entry in entries if entry.is_symlink())
