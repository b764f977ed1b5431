"""What a boundary is asked to be, and the error of this room. Pure."""

from __future__ import annotations

from dataclasses import dataclass

ROOT_TIER = "netns-root"
ROOTLESS_TIER = "netns-rootless"


class BoundaryError(Exception):
    """A step of the boundary failed, so nothing was started. `hint` is what to do about it."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Command:
    """What is executed inside, and as whom.

    `rootless`: the child makes a second user namespace in which `uid` and `gid` map to the current
    0, so that no `exec` gains a capability. `tty` says which of the descriptors 0 to 2 is the pty, `ignored` which
    signals it begins with ignoring, as whoever started the run did.
    """

    argv: tuple[str, ...]
    env: tuple[tuple[str, str], ...]
    cwd: str
    uid: int
    gid: int
    groups: tuple[int, ...] = ()
    rootless: bool = False
    tty: tuple[bool, bool, bool] = (False, False, False)
    ignored: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Folder:
    """A read-only directory of ours at `path`: (name, content) of its files, (name, where to) of its links.

    A name may have directories in it; a content is as `os.fsdecode` gives it, whatever its bytes are.
    """

    path: str
    files: tuple[tuple[str, str], ...]
    links: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Database:
    """The directory `path` as the command's own, with `files` as a `Folder` has them; what is written is discarded.

    Without files it is left as it is, and `why` says why.
    """

    path: str
    files: tuple[tuple[str, str], ...] = ()
    why: str = ""


@dataclass(frozen=True, slots=True)
class Trust:
    """What of the inside trusts the run's authority: `texts` are (path, content) of files that are there, overlaid."""

    texts: tuple[tuple[str, str], ...] = ()
    folders: tuple[Folder, ...] = ()
    databases: tuple[Database, ...] = ()


@dataclass(frozen=True, slots=True)
class Spec:
    """One boundary: its run, its tier, its command, and what of the host is visible how.

    `workspace` and `binds` are writable at their own paths, `home` is visible with its writes
    discarded, `hidden` files and directories are covered with emptiness (the key, what variables point to), and so
    is `packet`, the directory that the evidence is written in.
    `kept` are files in writable trees that the command may read but not change: the policies of this run. So are, but
    for those at or below one of `free`, hooks, git configurations and workflow files, which later steps execute.
    `trust` is empty unless something may be opened.
    """

    run: str
    tier: str
    command: Command
    workspace: str
    binds: tuple[str, ...]
    home: str
    hidden: tuple[str, ...]
    packet: str = ""
    kept: tuple[str, ...] = ()
    free: tuple[str, ...] = ()
    trust: Trust = Trust()
