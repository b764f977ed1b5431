"""What of the run's own lies where the command writes: the packet's directory, the policies."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from sluicegate.boundary.plan import within
from sluicegate.cli.opening import SetupError

MAX_LINKS = 40  # as many as the kernel follows, path_resolution(7)


def apart(out: str, writable: tuple[str, ...]) -> None:
    """Nothing, if the command can neither write over the packet's directory `out` nor move it away.

    Raises:
        SetupError: it can.
    """
    if any(within(path, out) for path in writable):
        raise SetupError(
            f"--packet {out} is, or holds, a place where the command writes",
            "name a directory of its own, for example --packet out",
        )
    above = os.path.dirname(out)
    while above != "/":
        # A place that is bound itself can not be moved from inside; what is between two of them can.
        if above not in writable and any(within(above, path) for path in writable):
            raise SetupError(
                f"--packet {out} lies deep in a place where the command writes: it could move {above} away",
                f"name one outside of it, or directly in it: --packet {os.path.basename(out)}",
            )
        above = os.path.dirname(above)


def unwritten(file: str | None) -> None:
    """Nothing, if `file` is None: no preset was made from a file that the command can write.

    Raises:
        SetupError: one was; the next run would allow what this one wrote.
    """
    if file is not None:
        raise SetupError(
            f"a preset is read from {file}, where the command writes: it could widen the next run's policy",
            "bind a directory without it, or write the preset's rules: `sluicegate presets NAME`",
        )


def outside(file: str, out: str, writable: tuple[str, ...]) -> None:
    """Nothing, if the file of the checkpoints lies neither where the command writes nor in the packet `out`.

    Raises:
        SetupError: it does.
    """
    if any(within(file, tree) for tree in (*writable, out)):
        raise SetupError(
            f"--checkpoint-file {file} lies in the packet, or where the command writes",
            "name one outside of both: it shall survive what happens there",
        )


def kept(paths: Sequence[str], writable: tuple[str, ...]) -> tuple[str, ...]:
    """The policies at `paths` that the command could otherwise rewrite for the next run, free of links.

    Raises:
        SetupError: the way to one leads through a link that the command could turn elsewhere.
    """
    for path in paths:
        for link in links(path):
            if any(within(link, tree) for tree in writable):
                raise SetupError(
                    f"{link} is a symbolic link where the command writes: it could lead to another policy next time",
                    f"name the file itself: {os.path.realpath(path)}",
                )
    found = dict.fromkeys(os.path.realpath(path) for path in paths)
    inside = [path for path in found if any(within(path, tree) for tree in writable)]
    return tuple(path for path in inside if os.path.isfile(path))


def links(path: str) -> Iterator[str]:
    """Where each symbolic link lies on the way to `path`, in order."""
    done, left, seen = "/", os.path.join(os.getcwd(), path).split("/")[::-1], 0
    while left and seen < MAX_LINKS:
        name = left.pop()
        if name == "..":
            done = os.path.dirname(done)
        elif name not in {"", "."}:
            at = os.path.join(done, name)
            if not os.path.islink(at):
                done = at
                continue
            yield at
            seen += 1
            points = os.readlink(at)
            done = "/" if points.startswith("/") else done
            left += points.split("/")[::-1]


def workdir(path: str) -> str:
    """The command's working directory, free of links.

    Raises:
        SetupError: it is gone, or is none.
    """
    try:
        found = real(path, "--workdir")
    except FileNotFoundError as error:
        raise SetupError("the current directory is gone", "change to one that exists") from error
    if not os.path.isdir(found):
        raise SetupError(f"--workdir {found} is not a directory", "name one that exists")
    return found


def real(path: str, option: str) -> str:
    """`path` from the root, free of links.

    Raises:
        SetupError: a link in it can not be read, as those of other users' processes in /proc.
    """
    try:
        return os.path.realpath(path)
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise SetupError(
            f"{option} {path!r} can not be followed: {why}", "name a place that you may enter"
        ) from error


def resolved(path: str, option: str) -> str:
    """`path` from the root, its directory free of links; the name itself may not exist yet.

    Raises:
        SetupError: it ends in no name, or can not be followed.
    """
    name = os.path.basename(path.rstrip("/"))
    if name in {"", ".", ".."}:
        raise SetupError(
            f"{option} {path!r} names nothing that could be made", f"for example {option} out"
        )
    return os.path.join(real(os.path.dirname(path.rstrip("/")) or ".", option), name)


def expanded(path: str, home: str) -> str:
    """`~` is the command's home, which under sudo is not ours."""
    return home + path[1:] if path == "~" or path.startswith("~/") else path
