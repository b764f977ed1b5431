"""Empty directories where a repository has no hooks and no workflows: what is there can be made read-only."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence

from sluicegate.boundary import guarded
from sluicegate.boundary.plan import within


def make(trees: Sequence[str], free: Sequence[str]) -> tuple[str, ...]:
    """The directories that were made, those above others first; nothing at or below one of `free` is.

    Where one can not be made, the command can not make it either: it is no more than we are.
    """
    made = list[str]()
    for tree in trees:
        for name, there in guarded.PLACEHOLDERS:
            path = f"{tree}/{name}"
            if not os.path.lexists(f"{tree}/{there}") or any(within(path, top) for top in free):
                continue
            above = os.path.dirname(path)
            if os.path.islink(above):
                continue
            with contextlib.suppress(OSError):
                for place in (above, path):
                    if not os.path.lexists(place):
                        os.mkdir(place)
                        made.append(place)
                        owner = os.stat(os.path.dirname(place))
                        os.chown(place, owner.st_uid, owner.st_gid, follow_symlinks=False)
    return tuple(made)


def remove(made: Sequence[str]) -> None:
    """Take away what is still empty."""
    for path in reversed(made):
        with contextlib.suppress(OSError):
            os.rmdir(path)
